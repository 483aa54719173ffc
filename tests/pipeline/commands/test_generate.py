"""`fgbg generate` as a person runs it: resumed, extended, refused, and what it says."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from fgbg.pipeline.__main__ import main
from fgbg.transforms.dataset import catalogue
from tests.helpers.data_sets import ROOT, arguments, fgbg, make_in_process, tree
from tests.helpers.pictures import photo


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


@pytest.mark.parametrize("command", [["--help"], ["generate", "--help"], ["verify", "--help"]])
def test_help_is_quick_and_complete(command):
    result = fgbg(*command)
    assert result.returncode == 0 and "usage" in result.stdout


def test_every_option_has_a_help_text_and_a_default():
    from fgbg.pipeline.options.parser import generate_parser

    text = generate_parser().format_help()
    for action in generate_parser()._actions:
        assert action.help, action.dest
        named = action.option_strings and not action.required and action.dest != "help"
        if named and not isinstance(action.default, bool | None):
            # Of switches, and where nothing is the default, the words say what is then.
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
