"""What a data set on gs:// costs in requests, counted by a proxy before the emulator."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fgbg.files import storage
from fgbg.pipeline.__main__ import main
from fgbg.transforms.job import commit, job
from fgbg.transforms.records import shards
from tests.helpers.data_sets import ROOT, arguments, job_of, make_in_process, tree, without_workers
from tests.helpers.gcs import BUCKET, download
from tests.helpers.tfrecord_sets import RECORDS


def test_each_file_of_an_image_tree_is_written_by_one_request(proxy, small_inputs, small_data_set):
    output = f"gs://{BUCKET}/counted"
    make_in_process(small_inputs, output)
    names = {f"counted/{name}" for name in [*tree(small_data_set), job.DRAWN]}
    # The manifest's rows come from whoever summed up a background, and are joined.
    names |= {f"counted/_work/manifest/bg00000{number}-fg000001.parquet" for number in (1, 2, 3)}
    assert proxy.count("write") == dict.fromkeys(names, 1)
    assert not proxy.count("other")


def test_each_block_is_written_and_each_shard_composed_by_one_request(proxy, small_inputs):
    output = f"gs://{BUCKET}/joined"
    make_in_process(small_inputs, output, *RECORDS)
    written = proxy.count("write")
    assert set(written.values()) == {1}
    assert sum(name.startswith("joined/_work/blocks/") for name in written) == 12
    assert set(proxy.count("compose").values()) == {1} and len(proxy.count("compose")) == 4
    assert not proxy.count("other")


def test_existing_work_is_listed_by_pages(proxy, small_inputs):
    output = f"gs://{BUCKET}/listed"
    make_in_process(small_inputs, output)
    whole = job_of(output)
    proxy.seen.clear()
    assert len(commit.committed(output, whole)) == 12
    assert [tuple(seen) for seen in proxy.seen] == [("list", f"listed/{job.COMMITS}/")] * 3


def test_shards_that_are_not_there_cost_no_request_each(proxy, small_inputs):
    output = f"gs://{BUCKET}/shards"
    make_in_process(small_inputs, output, *RECORDS)
    plan = shards.read_plan(output)
    for shard in plan.shards:
        storage.storage_for(output).delete(f"{output}/{shard.path}")
    proxy.seen.clear()
    assert shards._joined(output, plan) == set()
    assert {seen.kind for seen in proxy.seen} == {"list"} and len(proxy.seen) <= 3


def test_threads_that_ask_at_once_share_one_client(proxy):
    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(storage.storage_for, [f"gs://{BUCKET}"] * 64))) == 1


@pytest.mark.parametrize("form, output", [("images", "killed"), ("tfrecord", "killed_records")])
def test_a_killed_run_is_resumed_to_the_same_bytes(
    form, output, proxy, emulator, small_inputs, tmp_path, monkeypatch, capsys
):  # fmt: skip
    more = RECORDS if form == "tfrecord" else ()
    wanted = make_in_process(small_inputs, tmp_path / "here", *more)
    path = f"gs://{BUCKET}/{output}"
    command = arguments(small_inputs, Path("unused"), "--workers", "1", *more)
    command[command.index("--output") + 1] = path
    proxy.hold_after(b"_work/commits/", 5)
    process = subprocess.Popen(
        [sys.executable, "-m", "fgbg", *command],
        cwd=ROOT,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert proxy.holding.wait(100)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(20)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator)
    storage.forget_client()
    assert len(commit.committed(path, job_of(path))) == 5
    with without_workers():
        assert main(command) == 0
    assert "Resuming: 15 of 36 samples" in capsys.readouterr().err
    assert tree(download(path, tmp_path / "there")) == tree(wanted)
