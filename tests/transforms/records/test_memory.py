"""Memory does not grow with the number of records: measured, at small scale."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from fgbg.transforms.records import shards
from tests.helpers.data_sets import ROOT, job_of, make_in_process
from tests.helpers.pictures import disc, photo

# What joins a data set, summarises it or reads it all, and tells its own peak memory.
_SCRIPT = """
import sys
from pathlib import Path
import fgbg.pipeline.workers.tasks
from fgbg.files import storage
from fgbg.transforms.records import shards
from fgbg.transforms.records.file import read_frames
from fgbg.transforms.steps.summarise import summarise
output, what = sys.argv[1:]
if what == "join":
    plan = shards.read_plan(output)
    for name in shards.prepare(output):
        shards.join(output, plan, name)
elif what == "summarise":
    summarise(output)
else:
    for path in Path(output, "tfrecord").glob("fgbg-*"):
        with storage.storage_for(str(path)).open(str(path)) as file:
            for _ in read_frames(file):
                pass
# Not by getrusage: that counts what the process was before it became this one, a fork of pytest.
(line,) = [x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM")]
print(int(line.split()[1]) * 1024)
"""


def peak(output: Path, what: str) -> int:
    command = [sys.executable, "-c", _SCRIPT, str(output), what]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return int(told.stdout)


def inputs_of(folder: Path, backgrounds: int) -> Path:
    (folder / "bg").mkdir(parents=True)
    (folder / "fg").mkdir()
    for i in range(backgrounds):
        Image.fromarray(photo(i)).save(folder / "bg" / f"room{i}.png")
    for i in range(2):
        Image.fromarray(disc(i)).save(folder / "fg" / f"thing{i}.png")
    return folder


@pytest.mark.slow
def test_joining_summarising_and_reading_take_the_same_memory(tmp_path):
    more = ("--format", "tfrecord", "--shards", "3", "--size", "64", "--image_quality", "100")
    peaks = {}
    for count in (10, 80):
        folder = tmp_path / str(count)
        inputs = inputs_of(folder / "in", count)
        output = make_in_process(inputs, folder / "set", *more, "--placements", "25")
        unjoin(output)
        peaks[count] = [peak(output, what) for what in ("join", "summarise", "read")]
    size = sum(p.stat().st_size for p in (tmp_path / "80/set/tfrecord").glob("fgbg-*"))
    assert size > 38e6
    for small, large in zip(*peaks.values(), strict=True):
        # All of it in memory would be 35 MB more, the largest shard 28 MB.
        assert large < small + 15e6, peaks


def unjoin(output: Path) -> None:
    """Puts the blocks back, so that they can be joined again."""
    for shard in shards.read_plan(str(output)).shards:
        with open(output / shard.path, "rb") as file:
            for block in shard.blocks:
                path = Path(shards.block_path(str(output), job_of(output), block.unit))
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(file.read(block.bytes))
        (output / "_work" / "shards" / f"{shard.name}.json").unlink()
