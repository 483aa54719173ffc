"""The main job's result, recomputed independently from the manifest; resume and extension."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fgbg.pipeline.__main__ import main
from fgbg.transforms.dataset import catalogue
from fgbg.transforms.dataset.manifest import SCHEMA
from tests.helpers.data_sets import ROOT, arguments, fgbg, make_in_process, tree
from tests.helpers.pictures import disc, photo, sieve
from tests.helpers.pixel_oracles import area_mean, oracle_blend


@pytest.fixture(scope="module")
def odd_inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Soft-edged, black, full-frame, one-pixel, huge and thin cut-outs; odd backgrounds."""
    folder = tmp_path_factory.mktemp("odd")
    (folder / "bg").mkdir()
    (folder / "fg").mkdir()
    Image.fromarray(photo(1, 200, 90)).save(folder / "bg" / "1 wide.png")
    Image.fromarray(photo(2, 64, 64)).save(folder / "bg" / "2 as the canvas.png")
    Image.fromarray(photo(3, 70, 300)).convert("L").save(folder / "bg" / "3 high grey.png")
    black = disc(0, 120, 100)
    black[..., :3] = 0
    full = np.dstack((photo(9, 128, 128), np.full((128, 128), 255, np.uint8)))
    full[0, 0, 3] = 0
    pixel = np.zeros((9, 9, 4), np.uint8)
    pixel[4, 4] = (250, 40, 90, 255)
    for name, image in {
        "soft": disc(1, 150, 130, soft=30),
        "black": black,
        "full": full,
        "pixel": pixel,
        "huge": disc(2, 1500, 1100),
        "wide": disc(3, 400, 90),
    }.items():
        Image.fromarray(image).save(folder / "fg" / f"{name}.png")
    return folder


@pytest.fixture(scope="module", params=["plain", "truncated"])
def odd_data_set(request, odd_inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    more = ["--fg_scale", "0.5,1", "--splits", "train=0.5,test=0.5"]
    if request.param == "truncated":
        more += ["--truncation", "0.4", "--size", "40x20", "--mask_format", "png"]
    return make_in_process(odd_inputs, tmp_path_factory.mktemp("odd_set") / "set", *more)


def recompute(output: Path, row: dict, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """One overlay and the opacity of its foreground, at stored size, from the manifest alone."""
    with Image.open(output / "backgrounds" / f"bg{row['bg']}.jpg") as image:
        canvas = np.asarray(image.convert("RGB")).astype(float)
    with Image.open(output / "foregrounds" / f"fg_{row['fg']}.png") as image:
        cutout = np.asarray(image).astype(float)
    cutout[..., :3] *= cutout[..., 3:] / 255
    target = (row["canvas_width"], row["canvas_height"])
    if cutout.shape[:2] == (1, 1):
        scaled = np.broadcast_to(cutout, (target[1], target[0], 4)).copy()
    else:
        scaled = area_mean(cutout, target)
    alpha = scaled[..., 3:]
    scaled[..., :3] *= 255 / np.maximum(alpha, 1e-9)
    scaled = np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)
    if row["mirrored"]:
        scaled = scaled[:, ::-1]
    height, width = canvas.shape[:2]
    layer = np.zeros((3 * height, 3 * width, 4), np.uint8)
    y, x = row["canvas_y"] + height, row["canvas_x"] + width
    layer[y : y + target[1], x : x + target[0]] = scaled
    layer = layer[height : 2 * height, width : 2 * width]
    overlay = area_mean(oracle_blend(canvas, layer).astype(float), size)
    return overlay, area_mean(layer[..., 3].astype(float), size)


def read(output: Path, name: str) -> np.ndarray:
    with Image.open(output / name) as image:
        return np.asarray(image)


def test_every_sample_is_what_the_manifest_says(odd_data_set):
    generation = json.loads((odd_data_set / "generation.json").read_text())
    size = tuple(generation["configuration"]["size"])
    rows = pq.read_table(odd_data_set / "manifest.parquet").to_pylist()
    assert len(rows) == 3 * 6 * 2 * 3
    overlays = []
    for row in rows:
        expected, opacity = recompute(odd_data_set, row, size)
        expected = np.floor(expected + 0.5)
        overlays.append(expected)
        # Coded by another library with the same settings: the same but for rounding.
        buffer = io.BytesIO()
        rounded = Image.fromarray(expected.astype(np.uint8))
        rounded.save(buffer, "JPEG", quality=95, subsampling=2)
        with Image.open(buffer) as image:
            coded = np.asarray(image).astype(int)
        stored = read(odd_data_set, row["overlay"]).astype(int)
        assert np.abs(stored - coded).mean() < 1.5, row["key"]
        mask = read(odd_data_set, row["mask"]) >= 128
        sure = np.abs(opacity - 127.5) > 1
        assert np.array_equal(mask[sure], opacity[sure] >= 127.5), row["key"]
        assert mask.sum() == row["mask_area"]
        ys, xs = np.nonzero(mask)
        box = (xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1)
        assert box == (row["x"], row["y"], row["width"], row["height"]), row["key"]
    stack = np.stack(overlays)
    for i, channel in enumerate(("red", "green", "blue")):
        stated = generation["statistics"]["overlay"][channel]
        assert stated["count"] == stack[..., i].size
        assert stated["mean"] == pytest.approx(stack[..., i].mean(), abs=0.05)
        assert stated["std"] == pytest.approx(stack[..., i].std(), abs=0.05)
    areas = sum(row["mask_area"] for row in rows)
    share = areas / (len(rows) * size[0] * size[1])
    mask = generation["statistics"]["mask"]
    assert mask["mean"] == pytest.approx(255 * share, rel=1e-12)
    assert mask["std"] == pytest.approx(255 * np.sqrt(share * (1 - share)), rel=1e-12)
    bytes_of = {
        kind: sum((odd_data_set / row[kind]).stat().st_size for row in rows)
        for kind in ("overlay", "mask")
    }
    assert generation["bytes"] == bytes_of


def test_the_manifest_is_in_order_and_splits_hold_out_backgrounds(odd_data_set):
    table = pq.read_table(odd_data_set / "manifest.parquet")
    assert table.schema.equals(SCHEMA)
    rows = table.to_pylist()
    assert [r["key"] for r in rows] == [
        f"bg{b}/fg_{f}/{n}" for b in (1, 2, 3) for f in range(1, 7) for n in range(1, 7)
    ]
    assert all(r["mirrored"] == (r["number"] > 3) for r in rows)
    assert all(r["overlay"] == f"bg{r['bg']}/fg_{r['fg']}/overlay/{r['number']}.jpg" for r in rows)
    assert all(r["depth"] is None and r["depth_mean_m"] is None for r in rows)
    by_split = {}
    for row in rows:
        by_split.setdefault(row["split"], set()).add(row["bg"])
    assert set(by_split) == {"train", "test"}
    assert not by_split["train"] & by_split["test"]


def test_the_card_and_the_sheets_are_there(small_data_set):
    card = (small_data_set / "README.md").read_text()
    assert "# 36 composed pictures with overlay and mask" in card
    assert "samples 1..3 as given, 4..6 mirrored" in card
    for name in ("overlay", "mask", "rows"):
        image = read(small_data_set, f"PlotImages/{name}.png")
        assert image.std() > 20
    assert not (small_data_set / "PlotImages" / "depth.png").exists()
    assert not (small_data_set / "errors.jsonl").exists()


def test_foregrounds_cover_all_scales_asked_for(odd_data_set):
    rows = pq.read_table(odd_data_set / "manifest.parquet").to_pylist()
    generation = json.loads((odd_data_set / "generation.json").read_text())
    height = generation["configuration"]["canvas"][1]
    by_unit = {}
    for row in rows:
        shape = row["canvas_width"], row["canvas_height"]
        by_unit.setdefault((row["bg"], row["fg"], row["mirrored"]), set()).add(shape)
        if row["fg_file"] != "wide.png":
            assert 0.5 * height - 1 <= row["canvas_height"] <= height
    assert all(len(shapes) == 1 for shapes in by_unit.values())  # one scale for a unit


def test_one_two_and_three_workers_give_identical_trees(small_inputs, small_data_set, tmp_path):
    expected = tree(small_data_set)
    for workers in (1, 2, 3):
        output = tmp_path / str(workers)
        assert main(arguments(small_inputs, output, "--workers", str(workers))) == 0
        assert tree(output) == expected


def test_a_seed_is_used(small_inputs, small_data_set, tmp_path):
    other = make_in_process(small_inputs, tmp_path / "set", "--seed", "1")
    name = "bg1/fg_1/overlay/1.jpg"
    assert tree(other)[name] != tree(small_data_set)[name]


def test_a_finished_data_set_is_left_alone(small_inputs, tmp_path, capsys, in_process):
    output = tmp_path / "set"
    assert main(arguments(small_inputs, output)) == 0
    before = {p: p.stat().st_mtime_ns for p in output.rglob("*") if p.name != "lock"}
    assert main(arguments(small_inputs, output)) == 0
    assert "nothing to do" in capsys.readouterr().err
    after = {p: p.stat().st_mtime_ns for p in output.rglob("*") if p.name != "lock"}
    assert after == before


def copy_inputs(source: Path, target: Path, backgrounds: int, foregrounds: int) -> Path:
    """The first few inputs, in a folder of their own."""
    for kind, count in (("bg", backgrounds), ("fg", foregrounds)):
        (target / kind).mkdir(parents=True, exist_ok=True)
        for path in sorted((source / kind).iterdir())[:count]:
            (target / kind / path.name).write_bytes(path.read_bytes())
    return target


def test_more_inputs_extend_to_what_they_would_have_been_at_once(small_inputs, tmp_path):
    output = tmp_path / "set"
    few = copy_inputs(small_inputs, tmp_path / "few", 2, 1)
    # In one split: of three, few backgrounds at once fill each, and later ones move none.
    make_in_process(few, output, "--splits", "all=1")
    first = tree(output)
    all_of_them = copy_inputs(small_inputs, tmp_path / "few", 3, 2)
    make_in_process(all_of_them, output, "--splits", "all=1")
    whole = tree(output)
    changed = {name for name in first if whole[name] != first[name]}
    assert changed == {
        "_work/job.json", "_work/job.spare.json", "_work/inputs.json",
        "manifest.parquet", "generation.json", "README.md", "index.html",
        "PlotImages/overlay.png", "PlotImages/mask.png", "PlotImages/rows.png",
    }  # fmt: skip
    at_once = make_in_process(all_of_them, tmp_path / "at_once", "--splits", "all=1")
    assert whole == tree(at_once)


def test_more_placements_extend_without_renumbering(small_inputs, small_data_set, tmp_path):
    output = make_in_process(small_inputs, tmp_path / "set")
    make_in_process(small_inputs, output, "--placements", "5")
    first, whole = tree(small_data_set), tree(output)
    samples = {n for n in first if n.startswith("bg")}
    assert all(whole[name] == first[name] for name in samples)
    rows = pq.read_table(output / "manifest.parquet").to_pylist()
    pair = [r for r in rows if r["bg"] == 2 and r["fg"] == 1]
    assert [r["number"] for r in pair] == list(range(1, 11))
    assert [r["mirrored"] for r in pair] == [False] * 3 + [True] * 3 + [False] * 2 + [True] * 2
    places = {(r["canvas_x"], r["canvas_y"], r["canvas_width"]) for r in pair}
    assert len(places) == 10


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--size", "40"], "size: 32,32 there, 40,40 asked for"),
        (["--seed", "9"], "seed: 0 there, 9 asked for"),
        (["--placements", "2"], "3 there, 2 asked for (a data set can get more, not fewer)"),
        (["--splits", "train=1"], "splits: train=0.8,validation=0.1,test=0.1 there, train=1"),
        (["--mirror", "false"], "mirror: True there, False asked for"),
        (["--image_quality", "80"], "image_quality: 95 there, 80 asked for"),
    ],
)
def test_a_changed_configuration_is_refused(more, words, small_inputs, small_data_set, capsys):
    before = tree(small_data_set)
    assert main(arguments(small_inputs, small_data_set, *more)) == 2
    assert words in capsys.readouterr().err
    assert tree(small_data_set) == before


def test_changed_and_missing_inputs_are_refused(small_inputs, tmp_path, capsys):
    inputs = copy_inputs(small_inputs, tmp_path / "in", 3, 2)
    output = make_in_process(inputs, tmp_path / "set")
    Image.fromarray(photo(77)).save(inputs / "bg" / "room0.png")
    (inputs / "bg" / "room2.png").unlink()
    assert main(arguments(inputs, output)) == 2
    message = capsys.readouterr().err
    assert "background room0.png: its content has changed" in message
    assert "background room2.png: in the data set, but not among the inputs" in message


def test_overwrite_starts_anew_and_deletes_nothing_else(small_inputs, tmp_path, in_process):
    output = make_in_process(small_inputs, tmp_path / "set", "--seed", "5")
    (output / "my notes.txt").write_text("keep")
    (output / "holiday").mkdir()
    (output / "holiday" / "1.jpg").write_text("keep")
    assert main(arguments(small_inputs, output, "--overwrite", "--placements", "1")) == 0
    assert (output / "my notes.txt").read_text() == (output / "holiday/1.jpg").read_text() == "keep"
    assert sum(1 for _ in output.glob("bg*/fg_*/overlay/*.jpg")) == 3 * 2 * 2


@pytest.mark.parametrize(
    "name",
    ["bg1/holiday.jpg", "bg100/fg_1/overlay/1.jpg", "coco/annotations.json", "backgrounds/bg4.jpg"],
)
def test_overwrite_refuses_files_of_others_in_our_folders(
    name, small_inputs, small_data_set, tmp_path, capsys
):
    output = tmp_path / "set"
    shutil.copytree(small_data_set, output)
    (output / name).parent.mkdir(parents=True, exist_ok=True)
    (output / name).write_text("mine")
    before = tree(output)
    assert main(arguments(small_inputs, output, "--overwrite")) == 2
    assert f"{name}" in capsys.readouterr().err
    assert tree(output) == before


def test_bad_inputs_are_skipped_and_recorded_if_asked(small_inputs, tmp_path):
    inputs = copy_inputs(small_inputs, tmp_path / "in", 3, 2)
    (inputs / "bg" / "a broken.jpg").write_bytes(b"")
    output = make_in_process(inputs, tmp_path / "set", "--skip_bad_inputs")
    skipped = json.loads((output / "generation.json").read_text())["inputs"]["skipped"]
    assert [(s["kind"], s["file"]) for s in skipped] == [("background", "a broken.jpg")]
    assert "zero bytes" in skipped[0]["problem"]
    assert (output / "bg3").exists() and not (output / "bg4").exists()


def test_a_failed_unit_is_recorded_and_only_it_is_tried_again(
    small_inputs, tmp_path, capsys, in_process, monkeypatch
):
    output = tmp_path / "set"
    command = arguments(small_inputs, output, "--workers", "2")
    assert main([*command, "--plan"]) == 0
    # A stored input is damaged behind the job's back: its units cannot be composed.
    make_in_process(copy_inputs(small_inputs, tmp_path / "in", 3, 1), output)
    damaged = output / "foregrounds" / "fg_2.png"
    damaged.write_bytes(b"not a picture")
    with monkeypatch.context() as patch:  # after the run has looked at them
        patch.setattr(catalogue, "wrong_inputs", lambda *_: {})
        assert main(command) == 1
    errors = [json.loads(line) for line in (output / "errors.jsonl").read_text().splitlines()]
    assert [e["unit"] for e in errors] == [
        f"bg{b}/fg_2/{kind}_0" for b in (1, 2, 3) for kind in ("as_given", "mirrored")
    ]
    assert all(
        e["step"] == "Compose" and "fg_2.png cannot be decoded" in e["reason"] for e in errors
    )
    assert errors[0]["foreground"] == "thing1.png" and errors[0]["retry"]
    assert "6 units failed" in capsys.readouterr().out
    good = {p: p.stat().st_mtime_ns for p in output.glob("bg*/fg_1/*/*")}
    assert len(good) == 3 * 2 * 3 * 2
    # The next run sees what is wrong with it and stores it again.
    assert main(command) == 0
    assert not (output / "errors.jsonl").exists()
    assert {p: p.stat().st_mtime_ns for p in output.glob("bg*/fg_1/*/*")} == good
    assert main(["verify", str(output)]) == 0


def test_a_plan_says_what_would_be_made_and_writes_nothing(small_inputs, tmp_path, capsys):
    output = tmp_path / "set"
    assert main(arguments(small_inputs, output, "--plan")) == 0
    text = capsys.readouterr().out
    assert "3 backgrounds x 2 foregrounds (as given and mirrored) x 3 placements = 36" in text
    for name in ("train", "validation", "test"):
        assert f"split {name}: 1 backgrounds, 12 samples" in text
    assert "a second and worker" in text
    assert not output.exists()


def test_progress_is_plain_lines_where_there_is_no_terminal(monkeypatch):
    from fgbg.pipeline import progress

    clock = iter([0.0, 5.0, 11.0, 15.0, 22.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    stream = io.StringIO()
    shown = progress.Progress("samples", 1000, done=100, stream=stream)
    for new in (50, 110, 150, 440):
        shown.update(new, failed=2)
    assert stream.getvalue().splitlines() == [
        "210 of 1,000 samples (21.0%), 10 a second, 1 min 19 s left, 2 failed",
        "540 of 1,000 samples (54.0%), 20 a second, 23 s left, 2 failed",
    ]


def test_a_mask_that_vanishes_is_counted(tmp_path, in_process):
    (tmp_path / "bg").mkdir()
    (tmp_path / "fg").mkdir()
    Image.fromarray(photo(0)).save(tmp_path / "bg" / "a.png")
    Image.fromarray(sieve(0)).save(tmp_path / "fg" / "ghost.png")
    output = make_in_process(tmp_path, tmp_path / "set")
    generation = json.loads((output / "generation.json").read_text())
    assert generation["counts"]["empty_masks"] == 6
    assert main(["verify", str(output)]) == 0


@pytest.mark.parametrize("command", [["--help"], ["generate", "--help"], ["verify", "--help"]])
def test_help_is_quick_and_complete(command):
    result = fgbg(*command)
    assert result.returncode == 0 and "usage" in result.stdout


def test_every_option_has_a_help_text_and_a_default():
    from fgbg.pipeline.options.parser import generate_parser

    text = generate_parser().format_help()
    for action in generate_parser()._actions:
        assert action.help, action.dest
        if action.option_strings and not action.required and action.dest != "help":
            assert f"(default: {action.default})" in " ".join(text.split()), action.dest


def test_options_of_beam_are_passed_on():
    from fgbg.pipeline.options import parser as options

    parser = options.generate_parser()
    base = ["--backgrounds", "a", "--foregrounds", "b", "--output", "c"]
    beam = ["--runner", "DataflowRunner", "--project=p", "--max_num_workers", "7"]
    asked, rest = options.parse(parser, [*base, *beam])
    assert rest == beam and asked.output == "c"


def test_sources_are_carried_into_the_card(small_inputs, tmp_path):
    inputs = copy_inputs(small_inputs, tmp_path / "in", 2, 1)
    (inputs / "bg" / "sources.csv").write_text(
        "file,topic,author,licence,page\n"
        "room0.png,rooms,Ann | <b>Lee</b>,CC BY 4.0,https://example.org/1\n"
        "other.png,rooms,Nobody,CC0,https://example.org/2\n"
    )
    output = make_in_process(inputs, tmp_path / "set")
    first = json.loads((output / "generation.json").read_text())["inputs"]["backgrounds"][0]
    assert (first["author"], first["licence"]) == ("Ann | <b>Lee</b>", "CC BY 4.0")
    card = (output / "README.md").read_text()
    assert "1 of 3 have a known source. Licences: CC BY 4.0 (1)." in card
    row = r"| room0.png | Ann \| &lt;b&gt;Lee&lt;/b&gt; | CC BY 4.0 | https://example.org/1 |"
    assert row in card
    assert "Nobody" not in card


def test_the_launcher_of_a_local_run_needs_neither_beam_nor_tensorflow(small_inputs, tmp_path):
    script = (
        "import sys; from fgbg.pipeline.__main__ import main; "
        "code = main(sys.argv[1:]) if __name__ == '__main__' else 0; "
        "heavy = {'apache_beam', 'tensorflow', 'matplotlib'} & set(sys.modules); "
        "sys.exit(str(sorted(heavy)) if heavy else code)"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, *arguments(small_inputs, tmp_path / "set")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
