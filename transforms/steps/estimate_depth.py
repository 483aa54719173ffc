"""EstimateDepth: Beam's RunInference with a handler of our own around a depth network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.ml.inference.base import ModelHandler, RunInference
from numpy.typing import NDArray

from fgbg.models import network_files
from fgbg.models.depth import depth_network
from fgbg.models.depth.depth_card import DepthModel
from fgbg.models.opening import ONNX
from fgbg.transforms import meter
from fgbg.transforms.steps.compose import ComposedUnit, FailedUnit, canvases_of
from fgbg.transforms.steps.watched_call import HungError, watched_call

# A composed unit with the depth of its canvases, float32 metres [K, h, w].
UnitWithDepth = tuple[ComposedUnit, NDArray[np.float32] | FailedUnit]


class NoGpu:
    """In the place of a depth network, where a GPU was asked for and is not there."""

    reason = (
        "the job asks for a GPU, and its network finds none on this worker: no depth is made by "
        "its processor. Look at the worker's log for its driver (--accelerator needs "
        "install-nvidia-driver:5xx), or leave --gpu out"
    )


class NoGpuError(RuntimeError):
    """A GPU was asked for and is not there."""


class DepthModelHandler(
    ModelHandler[ComposedUnit, UnitWithDepth, "depth_network.DepthNetwork | NoGpu"]
):
    """Runs a depth network on whole units.

    The network works in batches of a fixed size. On a processor one unit is given to it at a time,
    so that its bytes depend on no other. A GPU is filled by several units together; where that
    fails, each is tried alone, so that an error costs no other unit there either.

    Args:
        source: Where the network comes from: a local path, a gs:// path or an http address.
        model: What it is.
        canvas: Width and height of the canvases.
        threads: CPU threads that it may use.
        unit_size: Number of samples of a unit, to cut it into even batches; None if not known.
        needs_gpu: Whether no depth is to be made without a GPU.
        together: How many units are given to the network at once.
    """

    def __init__(
        self,
        source: str,
        model: DepthModel,
        canvas: tuple[int, int],
        threads: int,
        unit_size: int | None = None,
        needs_gpu: bool = False,
        together: int = 1,
    ) -> None:
        super().__init__(max_batch_size=together, min_batch_size=together)
        self._source = source
        self._model = model
        self._canvas = canvas
        self._threads = threads
        self._unit_size = unit_size
        self._needs_gpu = needs_gpu

    def load_model(self) -> depth_network.DepthNetwork | NoGpu:
        # Not raised: an error while a model is loaded ends the whole job, and says nothing of it.
        by_tensorflow = self._model.kind != ONNX
        if self._needs_gpu and by_tensorflow and depth_network.gpu_of(self._threads) is None:
            return NoGpu()
        path = network_files.on_this_machine(self._source, self._model)
        network = depth_network.load(
            path, self._model, self._canvas, self._threads, self._unit_size
        )
        # ONNX Runtime says which device it uses only when it has opened a network.
        return NoGpu() if self._needs_gpu and network.gpu is None else network

    def run_inference(
        self,
        batch: Sequence[ComposedUnit],
        model: depth_network.DepthNetwork | NoGpu,
        inference_args: dict[str, Any] | None = None,
    ) -> Iterable[UnitWithDepth]:
        if isinstance(model, NoGpu):
            return [self._failed(unit, NoGpuError(model.reason)) for unit in batch]
        try:
            return self._made(batch, model)
        except Exception as error:
            if len(batch) == 1 or isinstance(error, HungError):
                return [self._failed(unit, error) for unit in batch]
        found: list[UnitWithDepth] = []
        for unit in batch:
            try:
                found += self._made([unit], model)
            except Exception as error:
                found.append(self._failed(unit, error))
        return found

    def _made(
        self, units: Sequence[ComposedUnit], model: depth_network.DepthNetwork
    ) -> list[UnitWithDepth]:
        """Units with their depth."""
        canvases = [canvases_of(unit) for unit in units]
        pictures = canvases[0] if len(canvases) == 1 else np.concatenate(canvases)
        sizes: list[int] = []
        with meter.timed("depth_microseconds"):
            if self._needs_gpu:
                depths = watched_call(model, pictures, sizes.append)
            else:
                depths = model.predict(pictures, sizes.append)
        for size in sizes:  # here, for a step's counters are those of its thread
            meter.batch(size)
        ends = np.cumsum([len(pictures) for pictures in canvases])[:-1]
        for _ in units:
            meter.depth_made_on(model.gpu)
        return list(zip(units, np.split(depths, ends), strict=True))

    @staticmethod
    def _failed(unit: ComposedUnit, error: Exception) -> UnitWithDepth:
        return unit, FailedUnit.of(unit.unit, "EstimateDepth", error)

    def get_num_bytes(self, batch: Sequence[ComposedUnit]) -> int:
        # The default pickles the pixels to find out.
        return sum(canvases_of(unit).nbytes for unit in batch)

    def get_metrics_namespace(self) -> str:
        return meter.NAMESPACE


def _without_depth(unit: ComposedUnit) -> tuple[ComposedUnit, None]:
    return unit, None


class EstimateDepth(beam.PTransform):
    """ComposedUnit -> (ComposedUnit, depth): float32 metres, a FailedUnit, or None without depth.

    Args:
        handler: Of the depth network; None for data sets without depth.
    """

    def __init__(self, handler: DepthModelHandler | None) -> None:
        super().__init__()
        self._handler = handler

    def expand(self, units: beam.PCollection) -> beam.PCollection:
        if self._handler is None:
            return units | "NoDepth" >> beam.Map(_without_depth)
        return units | "RunInference" >> RunInference(self._handler)
