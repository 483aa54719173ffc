"""The code on the report's page runs as it is written, and loads what is in the data set."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.data_sets import ROOT, make_in_process
from tests.helpers.report_sets import Page, make_conspicuous

FORMS = {"images": (), "tfrecord": ("--format", "tfrecord", "--shards", "5")}
LOADED = """
import numpy as np

for batch in data:
    dtypes = [np.asarray(batch[name]).dtype for name in ("overlay", "mask", "depth")]
    print("BATCH", len(batch["key"]), *dtypes)
"""


def pieces(output: Path) -> list[str]:
    return [text for text in Page(output / "index.html").by_tag["pre"] if "import" in text]


@pytest.mark.parametrize("form", FORMS)
def test_the_code_loads_every_sample_of_the_split(form, tmp_path):
    output = make_conspicuous(tmp_path, *FORMS[form])
    codes = pieces(output)
    assert len(codes) == 2
    stand_ins = ROOT / "tests" / "helpers" / "stand_ins"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(stand_ins), str(ROOT)])}
    for code in codes:
        assert len([line for line in code.splitlines() if line]) <= 3
        assert all(len(line) <= 100 for line in code.splitlines())
        run = subprocess.run(
            [sys.executable, "-c", code + LOADED],
            cwd=output,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stderr
        batches = [line.split() for line in run.stdout.splitlines() if line.startswith("BATCH")]
        assert [int(batch[1]) for batch in batches] == [32, 32, 8], code
        for batch in batches:
            assert batch[2:] == ["uint8", "uint8", "float32"], code


def test_the_code_is_of_the_split_that_there_is(small_inputs, tmp_path):
    output = make_in_process(small_inputs, tmp_path / "set", "--splits", "nothing=0,everything=1")
    assert pieces(output)
    for code in pieces(output):
        assert '"everything"' in code and "nothing" not in code
        compile(code, "example", "exec")
    assert "depth float32" not in Page(output / "index.html").content["loading"]
