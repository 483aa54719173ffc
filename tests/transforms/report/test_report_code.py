"""The code on the report's page runs as it is written, and gives what is in the data set."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from fgbg.transforms.dataset.samples import read_samples
from fgbg.transforms.job import job as jobs
from tests.helpers.data_sets import ROOT, make_in_process
from tests.helpers.report_sets import Page, make_conspicuous

FORMS = {
    "jpg": (),
    "png": ("--mask_format", "png", "--depth_format", "png16"),
    "tfrecord": ("--format", "tfrecord", "--shards", "5"),
}
# Runs pieces of code, and adds up all samples that each reads.
ADD_UP = """
import json, sys
import numpy as np

for code in json.load(sys.stdin):
    found = {"__name__": "example"}
    exec(code.replace(".take(1)", ""), found)
    sums = {"samples": 0, "overlay": 0.0, "mask": 0.0, "depth_m": 0.0}
    if "builder" in found:
        batches = (
            {
                "overlay": sample["image"]["encoded"][None],
                "mask": sample["image"]["object"]["mask"].numpy().reshape(1, -1) == 1,
                "depth_m": sample["depth"]["encoded"][None] / 1000,
            }
            for sample in found["data"]
        )
    else:
        batches = found["data"]
    for batch in batches:
        assert np.asarray(batch["mask"]).dtype == bool
        sums["samples"] += len(batch["mask"])
        for name in batch.keys() & {"overlay", "mask", "depth_m"}:
            values = batch[name]
            sums[name] += float(np.sum(np.asarray(values), dtype=np.float64))
    print("SUMS", json.dumps(sums))
"""


@pytest.fixture(scope="module", params=FORMS)
def data_set(request, tmp_path_factory) -> Path:
    return make_conspicuous(tmp_path_factory.mktemp("set"), *FORMS[request.param])


def expected(output: Path, split: str) -> dict[str, float]:
    job = jobs.read(str(output))
    assert job is not None
    sums = {"samples": 0, "overlay": 0.0, "mask": 0.0, "depth_m": 0.0}
    for sample in read_samples(str(output), job, str(output / "manifest.parquet"), split):
        sums["samples"] += 1
        overlay = cv2.imdecode(np.frombuffer(sample.overlay(), np.uint8), cv2.IMREAD_COLOR)
        sums["overlay"] += overlay.sum(dtype=np.float64)
        sums["mask"] += np.count_nonzero(sample.mask())
        if sample.has_depth:
            sums["depth_m"] += float(np.sum(sample.millimetres() / 1000))
    return sums


def test_the_code_loads_the_data_set(data_set):
    pytest.importorskip("tensorflow_datasets")
    found = Page(data_set / "index.html")
    pieces = found.by_tag["pre"]
    codes = [text for text in pieces if "import" in text]
    assert len(codes) == 3
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT / "tests" / "helpers" / "stand_ins"), str(ROOT)]),
    }
    for command in (text for text in pieces if text.startswith("fgbg ")):
        given = [sys.executable, "-m", "fgbg", *shlex.split(command)[1:]]
        subprocess.run(given, cwd=data_set, env=environment, check=True, capture_output=True)
    want = expected(data_set, "train")
    assert want["samples"] == 72
    assert all(len(line) <= 100 for code in codes for line in code.splitlines())
    run = subprocess.run(
        [sys.executable, "-c", ADD_UP],
        input=json.dumps(codes),
        cwd=data_set,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    results = [json.loads(text) for text in re.findall(r"SUMS (.*)", run.stdout)]
    for code, got in zip(codes, results, strict=True):
        assert got["samples"] == want["samples"], code
        assert got["mask"] == want["mask"], code
        # Decoders of JPEG differ by rounding; TFDS takes TensorFlow's fast one.
        near = 1e-2 if "tensorflow_datasets" in code else 1e-3
        assert got["overlay"] == pytest.approx(want["overlay"], rel=near), code
        assert got["depth_m"] == pytest.approx(want["depth_m"], rel=1e-3), code


def test_the_code_is_of_the_split_that_there_is(small_inputs, tmp_path):
    output = make_in_process(small_inputs, tmp_path / "set", "--splits", "nothing=0,everything=1")
    codes = [text for text in Page(output / "index.html").by_tag["pre"] if "import" in text]
    assert codes and all('"everything"' in code and "nothing" not in code for code in codes)
    for code in codes:
        assert "depth" not in code
        compile(code, "example", "exec")
