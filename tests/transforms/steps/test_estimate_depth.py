"""Depth of units on workers, and on those that lack the GPU that was asked for."""

from __future__ import annotations

import dataclasses
import threading
import time
from types import SimpleNamespace
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from fgbg.models.depth import depth_network
from fgbg.models.depth.depth_card import DepthCard, DepthModel
from fgbg.models.opening import KERAS, ONNX
from fgbg.pipeline.graph import generate
from fgbg.transforms.job import commit
from fgbg.transforms.job.work_unit import WorkUnit
from fgbg.transforms.steps import estimate_depth, watched_call
from fgbg.transforms.steps.compose import FailedUnit
from fgbg.transforms.steps.estimate_depth import DepthModelHandler, NoGpu
from tests.helpers.data_sets import job_of, store_job
from tests.helpers.small_networks import keras_file

MODEL = DepthModel(KERAS, "net.keras", "0" * 64, DepthCard())
UNIT: Any = SimpleNamespace(
    unit=WorkUnit(1, 1, False, 0),
    pixels=SimpleNamespace(canvases=np.zeros((2, 32, 32, 3), np.uint8)),
)


class Network:
    """Depth of a picture is its first pixel's level; it fails at, or hangs at, what it is told to.

    Args:
        bad: The level at which it fails.
        hangs: The level at which it waits until it is freed.
    """

    gpu: str | None = None

    def __init__(self, bad: int = -1, hangs: int = -1) -> None:
        self.bad, self.hangs = bad, hangs
        self.freed = threading.Event()
        self.calls: list[int] = []

    def predict(self, pictures: Any, on_batch: Any) -> Any:
        levels = pictures[:, 0, 0, 0]
        self.calls.append(len(levels))
        on_batch(len(levels))
        if self.hangs in levels:
            self.freed.wait(60)
        if self.bad in levels:
            raise ValueError("the depth network gave values that are not finite")
        return np.broadcast_to(levels[:, None, None], (len(levels), 16, 16)).astype(np.float32)


def unit(number: int, count: int = 2) -> Any:
    """A unit whose pictures are of the level of its number."""
    pictures = np.full((count, 32, 32, 3), number, np.uint8)
    return SimpleNamespace(
        unit=WorkUnit(1, number, False, 0), pixels=SimpleNamespace(canvases=pictures)
    )


def handler(needs_gpu: bool, together: int = 1) -> DepthModelHandler:
    return DepthModelHandler("net.keras", MODEL, (32, 32), 1, 2, needs_gpu, together)


def levels(found: Any) -> dict[int, Any]:
    """By foreground, its depth's level, or why there is none."""
    return {
        made.unit.foreground: depth.reason if isinstance(depth, FailedUnit) else depth.mean()
        for made, depth in found
    }


@pytest.fixture
def loaded(monkeypatch) -> list[str]:
    """Which networks are loaded; each gives one metre everywhere."""
    found: list[str] = []

    def load(path: str, *_: object) -> Network:
        found.append(path)
        network = Network()
        network.gpu = depth_network.gpu_of(1)
        return network

    monkeypatch.setattr(depth_network, "load", load)
    monkeypatch.setattr(estimate_depth.network_files, "on_this_machine", lambda path, _: path)
    return found


def test_a_network_that_does_not_use_the_gpu_that_is_there_makes_no_depth(loaded, monkeypatch):
    monkeypatch.setattr(depth_network, "gpu_of", lambda threads: "Tesla T4")
    monkeypatch.setattr(depth_network, "load", lambda *_: Network())
    assert isinstance(handler(True).load_model(), NoGpu)
    assert isinstance(handler(False).load_model(), Network)


@pytest.mark.parametrize("gpu", [None, "GPU"])
def test_onnx_runtime_is_asked_for_its_own_gpu(gpu, loaded, monkeypatch):
    monkeypatch.setattr(depth_network, "gpu_of", lambda threads: pytest.fail("of TensorFlow"))
    network = Network()
    network.gpu = gpu
    monkeypatch.setattr(depth_network, "load", lambda *_: network)
    model = dataclasses.replace(MODEL, kind=ONNX, file="net.onnx")
    found = DepthModelHandler("net.onnx", model, (32, 32), 1, 2, True).load_model()
    assert isinstance(found, NoGpu) == (gpu is None)


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
        assert "its network finds none on this worker" in depth.reason
    else:
        assert loaded == ["net.keras"] and isinstance(depth, np.ndarray)


def test_a_gpu_is_given_several_units_at_once(monkeypatch):
    told: list[int] = []
    monkeypatch.setattr(estimate_depth.meter, "batch", told.append)
    network = Network()
    one = handler(True, together=3)
    assert one.batch_elements_kwargs() == {"min_batch_size": 3, "max_batch_size": 3}
    found = list(one.run_inference([unit(1), unit(2, 3), unit(3, 1)], network))  # type: ignore[arg-type]
    assert levels(found) == {1: 1, 2: 2, 3: 3}
    assert [len(depth) for _, depth in found] == [2, 3, 1]  # type: ignore[arg-type]
    assert network.calls == told == [6]


def test_a_unit_that_fails_among_others_fails_alone():
    network = Network(bad=2)
    found = handler(True, together=3).run_inference([unit(1), unit(2), unit(3)], network)  # type: ignore[arg-type]
    by_unit = levels(found)
    assert by_unit[1] == 1 and by_unit[3] == 3 and "not finite" in by_unit[2]
    assert network.calls == [6, 2, 2, 2]


def test_a_processor_is_given_one_unit_at_a_time():
    one = handler(False)
    assert one.batch_elements_kwargs() == {"min_batch_size": 1, "max_batch_size": 1}


def test_a_gpu_that_does_not_come_back_costs_units_and_no_worker(monkeypatch):
    monkeypatch.setattr(watched_call, "FIRST_S", 0.3)
    monkeypatch.setattr(watched_call, "LATER_S", 0.3)
    network = Network(hangs=2)
    one = handler(True, together=2)
    assert levels(one.run_inference([unit(1)], network)) == {1: 1}  # type: ignore[arg-type]
    by_unit = levels(one.run_inference([unit(2), unit(3)], network))  # type: ignore[arg-type]
    assert all("the GPU has not come back from a call" in why for why in by_unit.values())
    # While it hangs no call is made, and none waits.
    assert "an earlier call" in levels(one.run_inference([unit(4)], network))[4]  # type: ignore[arg-type]
    assert network.calls == [2, 4]
    network.freed.set()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if levels(one.run_inference([unit(5)], network)) == {5: 5}:  # type: ignore[arg-type]
            break
        time.sleep(0.01)
    else:
        pytest.fail("it is not used again")


def test_the_first_call_may_take_longer(monkeypatch):
    """The driver compiles then."""
    monkeypatch.setattr(watched_call, "FIRST_S", 60.0)
    monkeypatch.setattr(watched_call, "LATER_S", 0.2)
    network = Network(hangs=1)
    threading.Timer(1.0, network.freed.set).start()
    assert levels(handler(True).run_inference([unit(1)], network)) == {1: 1}  # type: ignore[arg-type]


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
