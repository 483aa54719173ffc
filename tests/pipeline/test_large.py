"""What large data sets alone have, seen on small ones: packs, chunks, a manifest in parts."""

from __future__ import annotations

import os
from pathlib import Path

import apache_beam as beam
import pandas
import pyarrow.parquet as pq
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from fgbg.pipeline.__main__ import main
from fgbg.pipeline.data_set.resume import units_done
from fgbg.pipeline.graph import generate_and_summarise
from fgbg.transforms.dataset import manifest_parts
from fgbg.transforms.dataset.rows import mixed_rows, ordered_rows
from fgbg.transforms.job import chunk, commit, packed
from fgbg.transforms.job.chunk import chunks
from fgbg.transforms.steps.compose import DropCommitted
from tests.helpers.damage import flip_a_bit
from tests.helpers.data_sets import (
    arguments,
    job_of,
    make_in_process,
    store_job,
    tree,
    without_workers,
)

FORMS = ["images", "tfrecord"]


@pytest.fixture
def large(monkeypatch):
    """Sizes from which on something is large: smaller than any data set here."""
    monkeypatch.setattr(commit, "PACKED_FROM", 3)
    monkeypatch.setattr(chunk, "MOST_SAMPLES", 6)  # a foreground, as given and mirrored
    monkeypatch.setattr(manifest_parts, "ONE_FILE_ROWS", 20)
    packed.forget_what_is_kept()


def beside(files: dict[str, bytes]) -> dict[str, bytes]:
    """Files of a data set whose bytes do not depend on whether it is large."""
    # The report's map of positions goes by turns inside of each row group.
    apart = ("manifest.parquet", "_work/commits/", "index.html")
    return {name: data for name, data in files.items() if not name.startswith(apart)}


def run(*command: str) -> int:
    with without_workers():
        return main(list(command))


@pytest.mark.parametrize("form", FORMS)
def test_a_large_data_set_is_the_same_but_for_its_manifest_and_packs(
    form, small_inputs, tmp_path, monkeypatch, request, capsys
):
    small = make_in_process(small_inputs, tmp_path / "small", "--format", form)
    request.getfixturevalue("large")
    output = make_in_process(small_inputs, tmp_path / "large", "--format", form)
    assert beside(tree(output)) == beside(tree(small))
    job = job_of(output)
    parts = sorted(os.listdir(output / "manifest.parquet"))
    assert parts[0] == "bg000001-fg000001.parquet" and len(parts) == len(list(chunks(job))) == 6
    packs = [p for p in (output / "_work/commits").rglob("*") if p.is_file()]
    assert len(packs) == 6 and {p.suffix for p in packs} == {".jsonl"}
    # Whoever reads it sees one table, in the same order.
    for read in (pq.read_table, lambda path: pandas.read_parquet(path)):
        assert read(output / "manifest.parquet").equals(read(small / "manifest.parquet"))
    path, other = (str(of / "manifest.parquet") for of in (output, small))
    assert list(ordered_rows(path)) == list(ordered_rows(other))
    keys = sorted(row["key"] for row in mixed_rows(path, "train"))
    assert keys == sorted(row["key"] for row in ordered_rows(other, "train"))
    assert run("verify", str(output), "--recompute", "all") == 0
    assert (
        run("show", str(output), "--key", "bg2/fg_1/2", "--output", str(tmp_path / "one.png")) == 0
    )
    assert run("report", str(output)) == 0
    # A run that has nothing to do says so, and changes nothing.
    before = tree(output)
    capsys.readouterr()
    assert run(*arguments(small_inputs, output, "--format", form)) == 0
    assert "nothing to do" in capsys.readouterr().err and tree(output) == before


@pytest.mark.parametrize("form", FORMS)
def test_the_whole_graph_makes_a_large_data_set_too(form, small_inputs, tmp_path, large):
    expected = tree(make_in_process(small_inputs, tmp_path / "slices", "--format", form))
    output = tmp_path / "graph"
    with beam.Pipeline(FnApiRunner()) as root:
        generate_and_summarise(root, store_job(small_inputs, output, "--format", form))
    assert tree(output) == expected
    # By worker processes of this machine, each with its chunks.
    local = tmp_path / "local"
    assert run(*arguments(small_inputs, local, "--format", form, "--workers", "2")) == 0
    assert tree(local) == expected


def test_a_small_data_set_may_grow_large_and_a_large_one_larger(small_inputs, tmp_path, large):
    """Chunks change with the placements: nothing of the old ones is left."""
    output = tmp_path / "set"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commit, "PACKED_FROM", 1000)
        patch.setattr(manifest_parts, "ONE_FILE_ROWS", 1000)
        make_in_process(small_inputs, output, "--placements", "1")
    assert (output / "manifest.parquet").is_file()
    for placements in ("2", "3", "7"):
        assert run(*arguments(small_inputs, output), "--placements", placements) == 0
        assert run("verify", str(output)) == 0
        job = job_of(output)
        assert units_done(str(output), job).samples == job.samples
        packs = list((output / "_work/commits").rglob("*.jsonl"))
        assert len(packs) == len(list(chunks(job)))
        assert len(list((output / "_work/commits").rglob("*.json"))) == 0
    at_once = make_in_process(small_inputs, tmp_path / "at_once", "--placements", "7")
    there = set(tree(at_once)) - {"_work/commits"}
    assert {n for n in there if not n.startswith("_work")} <= set(tree(output))
    assert run(*arguments(small_inputs, output, "--overwrite"), "--placements", "1") == 0
    assert run("verify", str(output)) == 0


@pytest.mark.parametrize("form", FORMS)
def test_a_damaged_pack_is_named_and_mended(form, small_inputs, tmp_path, large, capsys):
    output = make_in_process(small_inputs, tmp_path / "set", "--format", form)
    whole = tree(output)
    pack = next((output / "_work/commits/bg2").rglob("*.jsonl"))
    name = pack.relative_to(output).as_posix()
    flip_a_bit(pack)  # in a record
    assert run("verify", str(output)) == 1
    assert f"{name}: bg2/fg_" in capsys.readouterr().out
    assert run("verify", str(output), "--repair") == 0
    assert tree(output) == whole
    pack.write_bytes(pack.read_bytes()[5:])  # its table
    capsys.readouterr()
    assert run("verify", str(output)) == 1
    assert f"{name}: " in capsys.readouterr().out
    assert run(*arguments(small_inputs, output, "--format", form)) == 0
    assert "Its units are made again" in capsys.readouterr().err
    assert tree(output) == whole


def test_damage_to_a_part_of_the_manifest_is_told(small_inputs, tmp_path, large, capsys):
    output = make_in_process(small_inputs, tmp_path / "set")
    whole = tree(output)
    parts = sorted((output / "manifest.parquet").iterdir())
    for damage in (Path.unlink, lambda path: path.write_bytes(b"PAR1"), flip_a_bit):
        damage(parts[1])
        assert run("verify", str(output)) == 1
        assert "manifest.parquet" in capsys.readouterr().out
        assert run("verify", str(output), "--repair") == 0
        assert tree(output) == whole
    (output / "manifest.parquet" / "mine.txt").write_bytes(b"")
    assert run("verify", str(output)) == 1
    told = capsys.readouterr().out
    assert "manifest.parquet/mine.txt: is no file of this data set; it is left alone" in told


def test_a_run_that_goes_on_packs_what_was_whole(small_inputs, tmp_path, large):
    """The one before it was killed before it could: the next one lists fewer files."""
    output = tmp_path / "set"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commit, "PACKED_FROM", 1000)
        make_in_process(small_inputs, output)
    job = job_of(output)
    commit.withdraw(str(output), job, [job.unit_at(0)])
    Path(commit.record_path(str(output), job, job.unit_at(2))).write_bytes(b"damaged")
    drop = DropCommitted(str(output), store_job(small_inputs, output).version, packs=True)
    drop.start_bundle()
    left = [unit for i in range(job.units) for unit in drop.process(job.unit_at(i))]
    assert left == [job.unit_at(0)]
    singles = {path.name for path in (output / "_work/commits").rglob("*.json")}
    assert len(singles) == 3  # of the chunks that lack a unit, or a record that can be read
    assert len(list((output / "_work/commits").rglob("*.jsonl"))) == 4
    assert run(*arguments(small_inputs, output)) == 0
    assert tree(output) == tree(make_in_process(small_inputs, tmp_path / "other"))


def test_a_worker_holds_the_committed_units_of_one_chunk(small_inputs, tmp_path, large):
    """And lists no others: that of 5 million records is what each of them did."""
    output = make_in_process(small_inputs, tmp_path / "set")
    job = job_of(output)
    commit.withdraw(str(output), job, [job.unit_at(3)])
    drop = DropCommitted(str(output), store_job(small_inputs, output).version)
    drop.setup()
    drop.start_bundle()
    held = []
    left = []
    for unit in map(job.unit_at, range(job.units)):
        left += drop.process(unit)
        held.append(len(drop._committed))
    assert left == [job.unit_at(3)] and max(held) == 2 < job.units
