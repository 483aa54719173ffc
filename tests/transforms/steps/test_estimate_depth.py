"""Depth of units on workers, and on those that lack the GPU that was asked for."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from fgbg.models.depth import depth_network
from fgbg.models.depth.depth_card import DepthCard, DepthModel
from fgbg.models.opening import KERAS
from fgbg.pipeline.graph import generate
from fgbg.transforms.job import commit
from fgbg.transforms.job.work_unit import WorkUnit
from fgbg.transforms.steps import estimate_depth
from fgbg.transforms.steps.compose import FailedUnit
from fgbg.transforms.steps.estimate_depth import DepthModelHandler, NoGpu
from tests.helpers.data_sets import job_of, store_job
from tests.helpers.small_networks import keras_file

MODEL = DepthModel(KERAS, "net.keras", "0" * 64, DepthCard())
UNIT: Any = SimpleNamespace(
    unit=WorkUnit(1, 1, False, 0),
    pixels=SimpleNamespace(canvases=np.zeros((2, 32, 32, 3), np.uint8)),
)


def handler(needs_gpu: bool) -> DepthModelHandler:
    return DepthModelHandler("net.keras", MODEL, (32, 32), 1, 2, needs_gpu)


@pytest.fixture
def loaded(monkeypatch) -> list[str]:
    """Which networks are loaded; each gives one metre everywhere."""
    found: list[str] = []

    def load(path: str, *_: object) -> SimpleNamespace:
        found.append(path)
        ones = np.ones((2, 16, 16), np.float32)
        return SimpleNamespace(gpu=None, predict=lambda canvases, told: ones)

    monkeypatch.setattr(depth_network, "load", load)
    monkeypatch.setattr(estimate_depth.network_files, "on_this_machine", lambda path, _: path)
    return found


@pytest.mark.parametrize("gpu", [None, "Tesla T4"])
@pytest.mark.parametrize("needs_gpu", [False, True])
def test_without_the_gpu_that_was_asked_for_no_depth_is_made(needs_gpu, gpu, loaded, monkeypatch):
    monkeypatch.setattr(depth_network, "gpu_of", lambda threads: gpu)
    one = handler(needs_gpu)
    model = one.load_model()
    ((unit, depth),) = one.run_inference([UNIT], model)
    assert unit is UNIT
    if needs_gpu and gpu is None:
        assert isinstance(model, NoGpu) and loaded == []
        assert isinstance(depth, FailedUnit) and depth.unit == UNIT.unit
        assert "TensorFlow finds none on this worker" in depth.reason
    else:
        assert loaded == ["net.keras"] and isinstance(depth, np.ndarray)


def test_units_on_such_a_worker_fail_and_nothing_is_written(small_inputs, tmp_path, monkeypatch):
    monkeypatch.setattr(depth_network, "gpu_of", lambda threads: None)
    network = keras_file(tmp_path / "net.keras")
    graph = store_job(small_inputs, tmp_path / "set", "--depth_model", str(network))
    with beam.Pipeline(FnApiRunner()) as root:
        generate(root, dataclasses.replace(graph, needs_gpu=True))
    job = job_of(tmp_path / "set")
    failed = commit.failed(str(tmp_path / "set"))
    assert len(failed) == job.units and not commit.committed(str(tmp_path / "set"), job)
    told = commit.read_failure(str(tmp_path / "set"), min(failed))
    assert told["step"] == "EstimateDepth" and "the job asks for a GPU" in told["reason"]
    assert not list((tmp_path / "set").glob("bg*/*/*/*"))
