"""`fgbg label`: its labels beside the network called plainly, resuming, shards, data sets."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fgbg.files.sealed import seal
from fgbg.models.resizing import resize
from fgbg.pipeline.__main__ import main
from tests.helpers.data_sets import fgbg, make_in_process, tree, without_workers
from tests.helpers.killing import start, wait_for
from tests.helpers.pictures import photo
from tests.helpers.small_networks import keras_file, oracle
from tests.helpers.tfrecord_sets import RECORDS
from tests.helpers.trained_folder import save

SIZES = [(96, 64), (64, 96), (80, 80), (33, 120), (128, 64)]
SIDE = 64


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return keras_file(tmp_path_factory.mktemp("network") / "small.keras")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("trained") / "both", "overlay", ("depth", "mask"))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Five pictures of five sizes, two of them with the same name in two folders."""
    folder = tmp_path / "in"
    for i, size in enumerate(SIZES):
        path = folder / ("a", "b")[i % 2] / f"{i // 2}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo(i, *size)).save(path)
    return folder


def label(output: Path, network: Path | str, *more: Path | str) -> int:
    """The command in this process."""
    command = [*more, "--network", network, "--output", output, "--fed_side", SIDE]
    with without_workers():
        return main(["label", *map(str, command)])


def of_folder(pictures: Path) -> str:
    return f"{pictures}/**/*.png"


def expected_depth(rgb: np.ndarray) -> np.ndarray:
    """Millimetres by NumPy: the longer side fed at SIDE, both in multiples of 32."""
    height, width = rgb.shape[:2]
    scale = SIDE / max(width, height)
    across, down = (max(32, 32 * int(round(s * scale) / 32 + 0.5)) for s in (width, height))
    fed = across, down
    depth = oracle(resize(rgb, fed)[None] / 255)[0].astype(np.float32)
    return np.rint(resize(depth, (width, height)) * 1000)


def labels_of(output: Path) -> dict[str, bytes]:
    """What has been made, without what a run keeps for itself."""
    return {name: data for name, data in tree(output).items() if not name.startswith("_work/")}


def shard(path: Path, *members: tuple[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def png(rgb: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG")
    return buffer.getvalue()


def members_of(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        return {m.name: archive.extractfile(m).read() for m in archive}  # type: ignore[union-attr]


def test_depth_is_the_networks_at_the_pictures_size(pictures, network, tmp_path):
    assert label(tmp_path / "out", network, of_folder(pictures)) == 0
    for i in range(len(SIZES)):
        name = f"{('a', 'b')[i % 2]}/{i // 2}"
        rgb = np.asarray(Image.open(pictures / f"{name}.png"))
        found = cv2.imread(str(tmp_path / f"out/{name}.depth.png"), cv2.IMREAD_UNCHANGED)
        assert found.dtype == np.uint16
        np.testing.assert_allclose(found, expected_depth(rgb), atol=1)


def test_arrays_are_metres(pictures, network, tmp_path):
    label(tmp_path / "png", network, of_folder(pictures))
    label(tmp_path / "npy", network, of_folder(pictures), "--depth_format", "npy")
    metres = np.load(tmp_path / "npy/a/0.depth.npy")
    stored = cv2.imread(str(tmp_path / "png/a/0.depth.png"), cv2.IMREAD_UNCHANGED)
    assert metres.dtype == np.float32
    np.testing.assert_array_equal(np.rint(metres * 1000), stored)


def test_a_network_of_fgbg_train_gives_masks_and_depth(pictures, trained, tmp_path):
    source = of_folder(pictures)
    assert label(tmp_path / "out", trained, source) == 0
    assert label(tmp_path / "soft", trained, source, "--soft_masks", "--threshold", "0.9") == 0
    mask, soft = (
        cv2.imread(str(tmp_path / name / "b/1.mask.png"), cv2.IMREAD_UNCHANGED)
        for name in ("out", "soft")
    )
    assert mask.shape == soft.shape == SIZES[3][::-1]
    assert set(np.unique(mask)) <= {0, 255}
    assert ((mask == 255) == (soft >= 128))[np.abs(soft.astype(int) - 127) > 1].all()
    assert (tmp_path / "out/b/1.depth.png").exists()


def test_any_number_of_workers_makes_the_same_bytes(pictures, network, tmp_path):
    members = [(f"{i}.jpg", png(photo(i, 64, 64))) for i in range(70)]
    tar = shard(tmp_path / "shards/photos-000000.tar", *members)
    made = []
    for workers in ("1", "2", "3"):
        output = tmp_path / workers
        command = [of_folder(pictures), str(tar.parent), "--network", str(network)]
        command += ["--output", str(output), "--fed_side", "64", "--workers", workers]
        result = fgbg("label", *command)
        assert result.returncode == 0, result.stderr
        made.append(labels_of(output))
    assert made[0] == made[1] == made[2]
    assert len(members_of(tmp_path / "1/photos-000000.tar")) == 70


def test_the_table_has_a_row_for_each_picture(pictures, network, tmp_path):
    (pictures / "a/broken.png").write_bytes(b"no picture")
    assert label(tmp_path / "out", network, of_folder(pictures)) == 1
    rows = {row["name"]: row for row in pq.read_table(tmp_path / "out/labels.parquet").to_pylist()}
    assert set(rows) == {"a/0", "a/1", "a/2", "a/broken", "b/0", "b/1"}
    assert (rows["a/0"]["status"], rows["a/0"]["files"]) == ("made", ["a/0.depth.png"])
    assert (rows["b/0"]["width"], rows["b/0"]["height"]) == SIZES[1]
    assert (
        rows["a/broken"]["status"] == "rejected" and "not a picture" in rows["a/broken"]["reason"]
    )
    about = json.loads((tmp_path / "out/label.json").read_text())
    assert (about["pictures"], about["labelled"]) == (6, 5)
    assert about["network"]["kind"] == "keras"


@pytest.mark.parametrize("change", ["new", "changed", "lost", "record", "another record"])
def test_a_rerun_makes_what_is_new_changed_or_lost(change, pictures, network, tmp_path, capsys):
    out = tmp_path / "out"
    label(out, network, of_folder(pictures))
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.depth.png")}
    made = pictures / "a/0.png"
    if change == "new":
        made = pictures / "c/0.png"
        made.parent.mkdir()
        Image.fromarray(photo(9, 64, 64)).save(made)
    elif change == "changed":
        Image.fromarray(photo(9, 64, 64)).save(made)
    elif change == "lost":
        (out / "a/0.depth.png").unlink()
    else:
        for path in (out / "_work/label/records").iterdir():
            if b'"a/0"' in path.read_bytes():
                path.write_bytes(seal({"unit": "bg1"}) if change != "record" else b"")
    capsys.readouterr()
    assert label(out, network, of_folder(pictures)) == 0
    number = 6 if change == "new" else 5
    assert f"Resuming: {number - 1} of {number} pictures are done" in capsys.readouterr().err
    name = made.relative_to(pictures).with_suffix(".depth.png")
    rgb = np.asarray(Image.open(made))
    found = cv2.imread(str(out / name), cv2.IMREAD_UNCHANGED)
    np.testing.assert_allclose(found, expected_depth(rgb), atol=1)
    same = [path for path, when in before.items() if path.stat().st_mtime_ns == when]
    assert len(same) == (5 if change == "new" else 4)


def test_another_network_labels_everything_anew(pictures, network, trained, tmp_path):
    label(tmp_path / "out", network, of_folder(pictures))
    first = (tmp_path / "out/a/0.depth.png").read_bytes()
    label(tmp_path / "out", trained, of_folder(pictures))
    assert (tmp_path / "out/a/0.depth.png").read_bytes() != first


def test_shards_keep_names_keys_and_order(network, tmp_path):
    members = [("x/10.jpg", png(photo(1, 64, 64))), ("x/10.txt", b"a dog")]
    members += [("x/9.jpg", png(photo(2, 96, 64))), ("x/bad.jpg", b"nothing"), ("y.json", b"{}")]
    tar = shard(tmp_path / "in/some-0.tar", *members)
    assert label(tmp_path / "out", network, tar.parent) == 1
    found = members_of(tmp_path / "out/some-0.tar")
    assert list(found) == ["x/10.depth.png", "x/9.depth.png"]
    depth = cv2.imdecode(np.frombuffer(found["x/9.depth.png"], np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_allclose(depth, expected_depth(photo(2, 96, 64)), atol=1)
    left = [p for p in (tmp_path / "out/_work/label").rglob("*") if p.suffix == ".tarpart"]
    assert left == []
    whole = labels_of(tmp_path / "out")
    assert label(tmp_path / "out", network, tar.parent) == 1  # bad.jpg is no better now
    assert labels_of(tmp_path / "out") == whole


def test_a_lost_shard_is_made_again(network, tmp_path):
    tar = shard(tmp_path / "in/s.tar", *((f"{i}.png", png(photo(i, 64, 64))) for i in range(40)))
    label(tmp_path / "out", network, tar)
    whole = labels_of(tmp_path / "out")
    (tmp_path / "out/s.tar").write_bytes(b"half")
    assert label(tmp_path / "out", network, tar) == 0
    assert labels_of(tmp_path / "out") == whole


def test_the_field_of_a_sample_is_chosen_or_asked_for(network, tmp_path, capsys):
    one, two = png(photo(1, 64, 64)), png(photo(2, 64, 64))
    usual = shard(tmp_path / "a.tar", ("1.mask.png", one), ("1.jpg", two))
    assert label(tmp_path / "usual", network, usual) == 0
    unusual = shard(tmp_path / "b.tar", ("1.mask.png", one), ("1.left.png", two))
    assert label(tmp_path / "unusual", network, unusual) == 2
    assert "mask.png, left.png; say by --image_field" in capsys.readouterr().err
    assert label(tmp_path / "unusual", network, unusual, "--image_field", "left.png") == 0
    found = [members_of(tmp_path / name) for name in ("usual/a.tar", "unusual/b.tar")]
    assert found[0] == found[1]


@pytest.mark.parametrize("form", [(), RECORDS])
def test_overlays_of_a_data_set_are_labelled_by_their_keys(form, small_inputs, network, tmp_path):
    data_set = make_in_process(small_inputs, tmp_path / "set", *form)
    assert label(tmp_path / "out", network, data_set) == 0
    keys = pq.read_table(data_set / "manifest.parquet")["key"].to_pylist()
    made = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.png")}
    assert made == {f"{key}.depth.png" for key in keys}
    if not form:
        bgr = cv2.imread(str(data_set / "bg1/fg_1/overlay/1.jpg"))
        found = cv2.imread(str(tmp_path / "out/bg1/fg_1/1.depth.png"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_allclose(found, expected_depth(bgr[..., ::-1]), atol=1)


def test_a_killed_run_goes_on_and_makes_the_same(network, tmp_path):
    for i in range(60):
        path = tmp_path / f"in/{i}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(photo(i, 64, 64)).save(path)
    command = ["label", str(tmp_path / "in"), "--network", str(network), "--fed_side", "64"]
    process = start(*command, "--output", str(tmp_path / "out"), "--workers", "1")
    records = tmp_path / "out/_work/label/records"
    wait_for(lambda: (records.exists() and any(records.iterdir())) or process.poll() is not None)
    os.killpg(process.pid, 9)
    process.communicate()
    assert main([*command, "--output", str(tmp_path / "out")]) == 0
    label(tmp_path / "whole", network, tmp_path / "in")
    assert labels_of(tmp_path / "out") == labels_of(tmp_path / "whole")


def test_a_picture_that_kills_its_process_costs_itself_only(pictures, network, tmp_path, capsys):
    command = [of_folder(pictures), "--network", str(network), "--output", str(tmp_path / "out")]
    with without_workers(("label_slice", 2)):
        assert main(["label", *command, "--workers", "1"]) == 1
    assert "4 of 5 pictures labelled" in capsys.readouterr().out


def wrong(case: str, pictures: Path, tmp_path: Path) -> tuple[list[str], str]:
    out = str(tmp_path / "out")
    if case == "nothing there":
        return [str(tmp_path / "no"), "--output", out], "no such folder"
    if case == "same names":
        return [str(pictures / "a"), str(pictures / "b"), "--output", out], "would both be labelled"
    if case == "not ours":
        (tmp_path / "out").mkdir()
        (tmp_path / "out/mine.txt").touch()
        return [str(pictures / "a"), "--output", out], "holds no labels of fgbg"
    if case == "a damaged shard":
        (tmp_path / "s.tar").write_bytes(b"x" * 2000)
        return [str(tmp_path / "s.tar"), "--output", out], "no tar archive that can be read"
    tar = shard(tmp_path / "s.tar", ("1.png", png(photo(1, 64, 64))))
    return [str(tar), "--output", str(tmp_path)], "would replace the shard"


@pytest.mark.parametrize(
    "case", ["nothing there", "same names", "not ours", "a damaged shard", "the shard itself"]
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    case, pictures, network, tmp_path, capsys
):
    command, words = wrong(case, pictures, tmp_path)
    before = tree(tmp_path)
    assert main(["label", *command, "--network", str(network)]) == 2
    assert words in capsys.readouterr().err
    assert tree(tmp_path) == before


def test_a_data_set_is_not_labelled_into_itself(small_inputs, network, tmp_path, capsys):
    data_set = make_in_process(small_inputs, tmp_path / "set")
    whole = tree(data_set)
    assert label(data_set, network, data_set) == 2
    assert "the data set itself" in capsys.readouterr().err
    assert tree(data_set) == whole
    shutil.rmtree(data_set)
