"""What the report warns of and what it says it looked for."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fgbg.pipeline.__main__ import main
from fgbg.transforms.job import job as jobs
from fgbg.transforms.report import findings, looks, survey
from fgbg.transforms.report.inputs import Inputs
from tests.helpers.data_sets import make_in_process
from tests.helpers.report_sets import Page


def found_of(output: Path, seen: list[looks.Look], **counts: int) -> findings.Findings:
    """The findings of a data set whose samples were seen as given."""
    job = jobs.read(str(output))
    assert job is not None
    generation = json.loads((output / "generation.json").read_text())
    generation["counts"] |= counts
    numbers = survey.survey(job, str(output / "manifest.parquet"))
    nothing = Inputs([], {"background": []}, {"background": []}, [], np.ones((2, 2)))
    return findings.findings(job, generation, numbers, looks.Looks(seen, [], 1.0, False), nothing)


def test_only_what_was_looked_for_is_named(small_data_set, conspicuous_sets):
    without = found_of(small_data_set, []).looked_for
    assert not any("depth" in name for name in without)
    depth = Page(conspicuous_sets() / "index.html").content["warnings"]
    assert "flat depth over the foreground" in depth and "the range of 8 bits" in depth


def test_all_that_is_warned_of_is_looked_for(small_data_set):
    looked_for = found_of(small_data_set, []).looked_for
    for name in ("inputs left out", "one scene in several splits", "cannot be read back"):
        assert any(name in check for check in looked_for), name


def test_records_without_loss_have_no_range_to_look_at(conspicuous_sets):
    records = Page(conspicuous_sets("--format", "tfrecord") / "index.html").content["warnings"]
    assert "range of 8 bits" not in records


def test_unreadable_samples_of_a_shard_are_one(small_data_set):
    shard = "tfrecord/fgbg-train.tfrecord-00000-of-00002"
    seen = [looks.Look({}, f"{shard}#{i}: damaged") for i in range(30)]
    (warning,) = [w for w in found_of(small_data_set, seen).warnings if "read back" in w]
    assert f"30 of 30 samples looked at cannot be read back: {shard} (30 samples)." in warning


def test_unreadable_files_do_not_flood_the_page(small_data_set):
    seen = [looks.Look({}, f"bg1/fg_1/overlay/{i}.jpg: missing") for i in range(30)]
    (warning,) = [w for w in found_of(small_data_set, seen).warnings if "read back" in w]
    assert "overlay/3.jpg: missing and 26 more." in warning
    assert warning.count("missing") == 4


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({"empty_masks": 1}, "1 mask is empty"),
        ({"samples_planned": 37}, "1 of 37 samples is missing."),
    ],
)
def test_one_is_no_plural(counts, words, small_data_set):
    assert any(words in warning for warning in found_of(small_data_set, [], **counts).warnings)


def test_one_input_left_out_is_no_plural(small_data_set, tmp_path):
    output = tmp_path / "set"
    shutil.copytree(small_data_set, output)
    text = (output / "generation.json").read_text()
    generation = json.loads(text)
    generation["inputs"]["skipped"] = [{"kind": "background", "file": "a.txt", "problem": "text"}]
    (output / "generation.json").write_text(json.dumps(generation))
    warnings = found_of(output, []).warnings
    assert "1 input could not be used and was left out: a.txt." in warnings


def test_one_sample_is_no_plural(small_inputs, tmp_path):
    inputs = tmp_path / "inputs"
    for kind in ("bg", "fg"):
        (inputs / kind).mkdir(parents=True)
        file = sorted((small_inputs / kind).iterdir())[0]
        shutil.copy(file, inputs / kind)
    options = ("--placements", "1", "--mirror", "false", "--splits", "train=1")
    output = make_in_process(inputs, tmp_path / "set", *options)
    assert Page(output / "index.html").by_tag["h1"] == ["1 sample: overlay and mask"]


def test_the_command_says_that_there_are_warnings(small_data_set, tmp_path, capsys):
    output = tmp_path / "set"
    shutil.copytree(small_data_set, output)
    shutil.rmtree(output / "bg1")
    assert main(["report", str(output)]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"Open {output}/index.html\n"
    number = len(Page(output / "index.html").by_tag["li"])
    assert number and "12 of the 36 samples looked at cannot be read" in captured.err


def counted(job: jobs.Job, metres: dict[float, int]) -> looks.Look:
    start, width = looks.depth_bins(job)
    counts = np.zeros(2000, np.int64)
    for depth, pixels in metres.items():
        counts[int((depth - start) / width)] += pixels
    return looks.Look({}, depth_counts=counts)


def depth_job(output: Path, **changes: Any) -> jobs.Job:
    job = jobs.read(str(output))
    assert job is not None
    return dataclasses.replace(job, configuration=dataclasses.replace(job.configuration, **changes))


def test_a_few_far_pixels_do_not_set_the_scale_of_depth(small_data_set):
    job = depth_job(small_data_set, depth_format="png16")
    assert looks.depth_end([counted(job, {2.7: 9950, 60.0: 50})], job) == 3.0


def test_the_scale_of_depth_ends_where_8_bits_end(small_data_set):
    job = depth_job(small_data_set, depth_format="jpg", depth_range_m=3.7)
    assert looks.depth_end([counted(job, {3.7: 100})], job) == 3.7
