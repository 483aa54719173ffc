"""`fgbg generate` with depth networks: the files hold what the network gives for the canvas."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import threading
from pathlib import Path

import cv2
import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fgbg.models.depth import densedepth_weights
from fgbg.models.depth.densedepth import raw_to_metres
from fgbg.pipeline.__main__ import main
from fgbg.pipeline.arguments import GraphArguments
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.work_unit import WorkUnit
from fgbg.transforms.steps.compose import canvases_of, compose
from tests.helpers.data_sets import arguments, make_in_process, tree
from tests.helpers.fetch_server import Server, serve, status
from tests.helpers.small_networks import (
    blind_in_the_dark,
    densedepth_h5,
    keras_file,
    oracle,
    saved_model,
    tflite_file,
)

CANVAS = (64, 64)


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return densedepth_h5(tmp_path_factory.mktemp("weights") / "random.h5")


def stored_and_canvases(output: Path):
    """Every sample's decoded depth file and the canvas that it was made of, composed again."""
    job = jobs.read(str(output))
    version = jobs.version(job)
    manifest = {row["key"]: row for row in pq.read_table(output / "manifest.parquet").to_pylist()}
    units = [
        WorkUnit(bg.number, fg.number, mirrored, 0)
        for bg in job.backgrounds
        for fg in job.foregrounds
        for mirrored in (False, True)
    ]
    for unit in units:
        composed = compose(str(output), version, unit)
        for number, canvas in zip(composed.numbers, canvases_of(composed), strict=True):
            row = manifest[f"bg{unit.background}/fg_{unit.foreground}/{number}"]
            stored = cv2.imread(str(output / row["depth"]), cv2.IMREAD_UNCHANGED)
            yield stored, canvas, row


def check_depth(output: Path, wanted, png: bool, range_m: float) -> int:
    """Checks every depth file against `wanted` of its canvas, RGB 0..1 float32 [1, 64, 64, 3]."""
    count = 0
    for stored, canvas, row in stored_and_canvases(output):
        metres = wanted(canvas[None, ..., ::-1].astype(np.float32) / 255)[0]
        assert metres.std() > 0.02 * metres.mean()
        if png:
            assert stored.dtype == np.uint16
            np.testing.assert_allclose(stored, 1000 * metres, atol=1)
            assert abs(row["depth_mean_m"] - metres.mean()) < 0.001
        else:
            assert stored.dtype == np.uint8
            levels = np.minimum(255 * metres / range_m, 255)
            difference = np.abs(stored - levels)
            assert difference.mean() < 1.5 and difference.max() < 9  # JPEG's error
        count += 1
    return count


def network_of(kind: str, folder: Path) -> Path:
    if kind == "keras":
        return keras_file(folder / "net.keras")
    if kind == "saved_model":
        return saved_model(folder / "net", size=CANVAS)
    return tflite_file(folder / "net.tflite", CANVAS)


@pytest.mark.parametrize(
    "kind, depth_format", [("keras", "jpg"), ("saved_model", "png16"), ("tflite", "png16")]
)
def test_depth_is_the_networks(kind, depth_format, small_inputs, tmp_path):
    path = network_of(kind, tmp_path)
    more = ["--depth_model", str(path), "--depth_format", depth_format]
    output = make_in_process(small_inputs, tmp_path / "set", *more)
    assert check_depth(output, oracle, depth_format == "png16", 10.0) == 36
    described = json.loads((output / "generation.json").read_text())["depth"]["model"]
    assert described["kind"] == kind and described["file"] == path.name


@pytest.fixture(scope="session")
def densedepth_set(small_inputs, weights, tmp_path_factory) -> Path:
    """A data set by DenseDepth and two workers; units of 3 samples, a padded batch of 2."""
    output = tmp_path_factory.mktemp("densedepth") / "two"
    assert main(densedepth_command(small_inputs, output, weights, 2)) == 0
    return output


def densedepth_command(inputs: Path, output: Path, weights: Path, workers: int) -> list[str]:
    return arguments(
        inputs,
        output,
        *("--depth_model", str(weights), "--depth_format", "png16"),
        *("--depth_batch_size", "2", "--workers", str(workers)),
    )


def test_densedepth_is_the_published_network(densedepth_set, weights):
    from fgbg.models.depth.densedepth_layers import build_network

    loaded = densedepth_weights.load(weights)
    plain = build_network(loaded.architecture, loaded.arrays, fold=False, convolve_first=0)

    def wanted(fed: np.ndarray) -> np.ndarray:
        return raw_to_metres(np.asarray(plain(fed)), 10.0)[..., 0]

    assert check_depth(densedepth_set, wanted, True, 10.0) == 36
    model = json.loads((densedepth_set / "generation.json").read_text())["depth"]["model"]
    assert model["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert (model["kind"], model["precision"], model["batch_size"]) == ("densedepth", "float32", 2)
    assert model["address"] is None


def test_any_number_of_workers_makes_the_same(
    densedepth_set, small_inputs, weights, tmp_path, in_process
):
    """Two processes made the set; this one makes it alone."""
    assert main(densedepth_command(small_inputs, tmp_path / "one", weights, 1)) == 0
    assert tree(tmp_path / "one") == tree(densedepth_set)


@pytest.mark.parametrize("workers", [1, 2])
def test_depth_has_one_thread_whatever_the_workers(workers, small_inputs, tmp_path, monkeypatch):
    """At 448x448 TensorFlow's sums differ between numbers of threads; at 64x64 it does not show."""
    from fgbg.pipeline.workers import local

    class Stopped(Exception):
        pass

    def stop(*given, **settings):
        seen.extend(g.depth_threads for g in given if isinstance(g, GraphArguments))
        raise Stopped

    seen: list[int] = []
    monkeypatch.setattr(local, "make_units", stop)
    model = keras_file(tmp_path / "net.keras")
    more = ["--depth_model", str(model), "--workers", str(workers)]
    with pytest.raises(Stopped):
        main(arguments(small_inputs, tmp_path / "set", *more))
    assert seen == [1]


def test_the_data_set_is_proved(densedepth_set, capsys, in_process):
    assert main(["verify", str(densedepth_set)]) == 0


def test_what_decides_the_depth_is_not_changed_in_between(
    densedepth_set, small_inputs, weights, tmp_path, capsys
):
    output = tmp_path / "set"
    shutil.copytree(densedepth_set, output)
    command = densedepth_command(small_inputs, output, weights, 2)
    assert main([*command, "--depth_precision", "bfloat16"]) == 2
    assert "depth_model: " in (error := capsys.readouterr().err) and "bfloat16" in error
    assert main([*command, "--depth_batch_size", "3"]) == 2
    capsys.readouterr()
    moved = tmp_path / "other_name.h5"
    moved.symlink_to(weights)
    assert main(densedepth_command(small_inputs, output, moved, 2)) == 0
    assert "nothing to do" in capsys.readouterr().err


def test_only_units_that_cannot_be_predicted_fail(small_inputs, tmp_path):
    inputs = tmp_path / "in"
    shutil.copytree(small_inputs, inputs)
    for path in (inputs / "bg").iterdir():
        Image.fromarray(np.full((80, 96, 3), 255, np.uint8)).save(path)
    Image.fromarray(np.full((80, 96, 3), 3, np.uint8)).save(inputs / "bg" / "night.png")
    for path in (inputs / "fg").iterdir():
        bright = np.array(Image.open(path))
        bright[..., :3] = 255
        Image.fromarray(bright).save(path)
    model = blind_in_the_dark(tmp_path / "blind.keras")
    output = make_in_process(inputs, tmp_path / "set", "--depth_model", str(model))
    failed = [json.loads(line) for line in (output / "errors.jsonl").read_text().splitlines()]
    assert [entry["background"] for entry in failed] == ["night.png"] * 4
    assert all("not finite" in entry["reason"] for entry in failed)
    assert all(entry["step"] == "EstimateDepth" for entry in failed)
    made = {row["bg_file"] for row in pq.read_table(output / "manifest.parquet").to_pylist()}
    assert len(made) == 3 and "night.png" not in made


@contextlib.contextmanager
def served(content: bytes | None):
    """The address of a server with a file, or with nothing but 404."""
    server = Server()
    server.script = [status(404) if content is None else serve(content)]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("name, far", [("nyu", 10.0), ("kitti", 80.0)])
def test_published_networks_are_fetched_once(
    name, far, weights, small_inputs, tmp_path, monkeypatch
):
    monkeypatch.setenv("FGBG_CACHE", str(tmp_path / "cache"))
    with served(weights.read_bytes()) as server:
        if name == "nyu":
            more = ["--depth_model", name, "--depth_model_url", server.url]
        else:
            monkeypatch.setenv("FGBG_KITTI_URL", server.url)
            more = ["--depth_model", name]
        output = make_in_process(small_inputs, tmp_path / "set", *more)
        make_in_process(small_inputs, tmp_path / "again", *more)
        assert len(server.requests) == 1
    described = json.loads((output / "generation.json").read_text())["depth"]
    assert described["model"]["address"] == server.url
    assert described["model"]["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    assert described["range_m"] == described["model"]["card"]["max_depth_m"] == far


def test_a_network_that_cannot_be_fetched(small_inputs, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FGBG_CACHE", str(tmp_path / "cache"))
    with served(None) as server:
        more = ["--depth_model", "nyu", "--depth_model_url", server.url]
        assert main(arguments(small_inputs, tmp_path / "set", *more)) == 2
    error = capsys.readouterr().err
    assert server.url in error and "404" in error and "--depth_model_url" in error
    assert not (tmp_path / "set").exists()
    more = ["--depth_model", "x.keras", "--depth_model_url", server.url]
    assert main(arguments(small_inputs, tmp_path / "set", *more)) == 2
    assert "--depth_model_url goes with the names moge2-small" in capsys.readouterr().err


def html(path: Path, weights: Path) -> None:
    path.write_text("<!DOCTYPE html><html>Not found</html>")


def half(path: Path, weights: Path) -> None:
    path.write_bytes(weights.read_bytes()[:1_000_000])


def other(path: Path, weights: Path) -> None:
    with h5py.File(path, "w") as file:
        file["data"] = np.zeros(3)


@pytest.mark.parametrize(
    "spoil, words",
    [(html, "an HTML page, not weights"), (half, "cut short"), (other, "not a model saved by")],
)
def test_bad_weight_files_are_told_before_any_work(
    spoil, words, weights, small_inputs, tmp_path, capsys
):
    path = tmp_path / "nyu.h5"
    spoil(path, weights)
    more = ["--depth_model", str(path)]
    assert main(arguments(small_inputs, tmp_path / "set", *more)) == 2
    error = capsys.readouterr().err
    assert words in error and str(path) in error
    assert not (tmp_path / "set").exists()


def test_a_weight_that_is_not_finite_is_told_by_the_worker(weights, small_inputs, tmp_path, capsys):
    path = tmp_path / "nyu.h5"
    shutil.copy(weights, path)
    with h5py.File(path, "r+") as file:
        file["model_weights/conv2/conv2/bias:0"][3] = np.nan
    more = ["--depth_model", str(path), "--workers", "1"]
    assert main(arguments(small_inputs, tmp_path / "set", *more)) == 2
    error = capsys.readouterr().err
    assert "layer conv2: bias is not finite in 1 of" in error and "Traceback" not in error
