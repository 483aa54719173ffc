"""Samples of a finished data set: the same ones in either form."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from fgbg.transforms.dataset.sample import SampleError
from fgbg.transforms.dataset.samples import open_reader
from fgbg.transforms.job import commit
from fgbg.transforms.job import job as jobs
from fgbg.transforms.records import shards
from tests.helpers.damage import flip_a_bit
from tests.helpers.data_sets import make_in_process
from tests.helpers.licensed_inputs import FORMS, write_inputs
from tests.helpers.small_networks import keras_file


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> dict[str, Path]:
    """The same samples in lossless files and in records, one of two cut-outs without a mask."""
    folder = tmp_path_factory.mktemp("sets")
    inputs = write_inputs(folder / "inputs")
    more = ("--depth_model", str(keras_file(folder / "network.keras")))
    forms = {form: FORMS[form] for form in ("png", "tfrecord")}
    return {form: make_in_process(inputs, folder / form, *more, *o) for form, o in forms.items()}


def reader_of(output: Path):
    return open_reader(str(output), jobs.read(str(output)))


def rows_of(output: Path) -> list[dict]:
    return pq.read_table(output / "manifest.parquet").to_pylist()


def content(sample) -> list[bytes]:
    return [sample.overlay(), sample.mask().tobytes(), sample.millimetres().tobytes()]


def test_both_forms_hold_the_same_samples(sets):
    files, records = (reader_of(sets[form]) for form in ("png", "tfrecord"))
    pairs = list(zip(rows_of(sets["png"]), rows_of(sets["tfrecord"]), strict=True))
    assert len(pairs) == 48
    for row, other in pairs:
        one, two = files.sample(row), records.sample(other)
        assert one.name == two.name and one.has_depth and two.has_depth
        assert content(one) == content(two)
        assert np.count_nonzero(one.mask() == 255) == row["mask_area"]
        assert one.millimetres().dtype == two.millimetres().dtype == np.uint16


@pytest.mark.parametrize("form", ["png", "tfrecord"])
def test_the_samples_of_a_unit_are_those_of_its_rows(sets, form):
    reader, rows = reader_of(sets[form]), {row["key"]: row for row in rows_of(sets[form])}
    for unit in sorted(commit.committed(str(sets[form]), reader.job)):
        record = commit.read(str(sets[form]), reader.job, unit)
        samples = reader.unit(record)
        assert [sample.row["number"] for sample in samples] == record.columns["number"]
        for sample in samples:
            assert sample.row == rows.pop(sample.row["key"])
            assert content(sample) == content(reader.sample(sample.row))
    assert not rows


def test_some_records_of_a_unit_are_read_as_in_the_whole_unit(sets):
    reader = reader_of(sets["tfrecord"])
    for unit in reader.places:
        frames = reader.frames(unit)
        assert len({frame.name for frame in frames}) == 3
        assert reader.frames(unit, slice(1, 2)) == frames[1:2]
        assert reader.frames(unit, slice(1, None)) == frames[1:]


@pytest.mark.parametrize("form", ["png", "tfrecord"])
def test_a_picture_that_is_not_the_manifests_is_an_error_that_names_it(sets, form):
    row = rows_of(sets[form])[0]
    reader = reader_of(sets[form])
    changed = reader.sample({**row, "mask_crc32": row["mask_crc32"] ^ 1})
    with pytest.raises(SampleError, match=r"its checksum is not the manifest's") as caught:
        changed.mask()
    assert str(caught.value).startswith(row["mask"])
    assert changed.coded("mask") == reader.sample(row).coded("mask")  # not compared


@pytest.mark.parametrize("form", ["png", "tfrecord"])
def test_what_is_missing_or_damaged_is_an_error_that_names_it(sets, tmp_path, form):
    output = tmp_path / form
    shutil.copytree(sets[form], output)
    row = rows_of(output)[0]
    file = output / row["overlay"].partition("#")[0]
    if form == "tfrecord":
        flip_a_bit(file)
        with pytest.raises(SampleError, match=r"#\d+: record .*checksum"):
            for other in rows_of(output):
                if other["overlay"].partition("#")[0] == row["overlay"].partition("#")[0]:
                    reader_of(output).sample(other).overlay()
    file.unlink()
    with pytest.raises(SampleError, match=f"{file.name}: missing|{row['overlay']}: missing"):
        reader_of(output).sample(row).overlay()


def test_a_record_of_another_sample_is_an_error(sets):
    row = rows_of(sets["tfrecord"])[0]
    sample = reader_of(sets["tfrecord"]).sample(row)
    other = dataclasses.replace(sample, row={**row, "key": "bg9/fg_9/9"})
    with pytest.raises(SampleError, match=r"holds bg1/fg_1/1, not bg9/fg_9/9"):
        other.overlay()


def test_records_without_a_plan_of_their_shards_are_not_opened(sets, monkeypatch):
    monkeypatch.setattr(shards, "_PLAN", "absent.json")
    with pytest.raises(SampleError, match="it has no shards; run fgbg generate again"):
        reader_of(sets["tfrecord"])
