"""Workers of a job that was accepted before its data set was prepared."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from fgbg.files.lease import LASTS_S
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job import launching
from fgbg.transforms.job.job import OtherJobError


def never(seconds: float) -> None:
    pytest.fail("it waits")


def held(output: Path, ago: float) -> None:
    path = output / jobs.LEASE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"renewed": time.time() - ago}))


def test_without_a_mark_nobody_waits(tmp_path):
    launching.wait(str(tmp_path), pause=never)


def test_workers_wait_until_the_mark_is_gone(tmp_path):
    launching.begin(str(tmp_path))
    held(tmp_path, 0)
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            launching.end(str(tmp_path))

    launching.wait(str(tmp_path), pause)
    assert len(pauses) == 3


@pytest.mark.parametrize("lease", ["none", "old", "damaged"])
def test_workers_do_not_wait_for_a_launcher_that_is_gone(lease, tmp_path):
    launching.begin(str(tmp_path))
    if lease != "none":
        held(tmp_path, LASTS_S + 1)
    if lease == "damaged":
        (tmp_path / jobs.LEASE).write_bytes(b"{")
    with pytest.raises(OtherJobError, match="the same command again"):
        launching.wait(str(tmp_path), pause=never)
