"""An ONNX file opened: run by ONNX Runtime, on the CPU, or on a GPU where its package for GPUs is.

Sums are split by the number of threads, which is why a worker has one, as for TensorFlow. On a GPU
inputs and outputs are bound once a call, so that one transfer each way is made for a batch.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from fgbg.models import onnx_file
from fgbg.models.opened import Array, NetworkError, Opened, Port, reason

_CUDA, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
_QUIET = 4  # only what is fatal; the rest comes as exceptions
_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(uint16)": np.uint16,
    "tensor(int16)": np.int16,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(uint32)": np.uint32,
    "tensor(uint64)": np.uint64,
    "tensor(bool)": np.bool_,
}


class OutOfMemory(MemoryError):
    """The device's memory does not suffice for a batch."""


class OnnxNetwork(Opened):
    """An ONNX file.

    Args:
        path: The file.
        threads: CPU threads that it may use.

    Attributes:
        gpu: Whether it runs on a GPU.

    Raises:
        NetworkError: It is none, or could do more than compute, or cannot be run.
    """

    def __init__(self, path: str, threads: int) -> None:
        onnx_file.read(path)
        import onnxruntime

        providers: list[Any] = [_CPU]
        if _CUDA in onnxruntime.get_available_providers():
            # CUDA's libraries lie in packages of their own, as TensorFlow's extra brings them.
            if hasattr(onnxruntime, "preload_dlls"):
                onnxruntime.preload_dlls()
            # Heuristics instead of trials: trials choose by the clock, and so other last bits.
            providers.insert(0, (_CUDA, {"cudnn_conv_algo_search": "HEURISTIC"}))
        try:
            self._session = onnxruntime.InferenceSession(
                path, _options(onnxruntime, threads), providers=providers
            )
        except Exception as error:  # each of its errors is a class of its own
            raise NetworkError(f"{path} cannot be loaded: {_said(error)}") from error
        self.gpu = self._session.get_providers()[0] == _CUDA
        super().__init__(
            path,
            [_port(path, given) for given in self._session.get_inputs()],
            [_port(path, output) for output in self._session.get_outputs()],
        )

    def call(self, given: Sequence[Array], wanted: Sequence[int]) -> list[Array]:
        fed = {
            port.name: np.ascontiguousarray(array, port.dtype)
            for port, array in zip(self.inputs, given, strict=True)
        }
        names = [self.outputs[index].name for index in wanted]
        try:
            if self.gpu:
                return self._bound(fed, names)
            return list(self._session.run(names, fed))
        except Exception as error:
            said = _said(error)
            if re.search("memory|alloc", said, re.IGNORECASE):
                raise OutOfMemory(f"{self.path}: {said}") from error
            raise NetworkError(f"{self.path}: {said}") from error

    def _bound(self, fed: dict[str, Array], names: list[str]) -> list[Array]:
        binding = self._session.io_binding()
        for name, array in fed.items():
            binding.bind_cpu_input(name, array)
        for name in names:
            binding.bind_output(name, "cpu")
        self._session.run_with_iobinding(binding)
        return list(binding.copy_outputs_to_cpu())


def _options(onnxruntime: Any, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.use_deterministic_compute = True
    options.log_severity_level = _QUIET
    # What was looked through was ONNX; the other format that it reads was not.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    # Threads that wait by spinning take the cores of the other workers.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _port(path: str, node: Any) -> Port:
    if node.type not in _TYPES:
        raise NetworkError(f"{path}: {node.name!r} is {node.type}, not a tensor of numbers")
    shape = [size if isinstance(size, int) and size >= 0 else None for size in node.shape or []]
    return Port(node.name, shape, np.dtype(_TYPES[node.type]))


def _said(error: Exception) -> str:
    """What ONNX Runtime says, without its numbers and the places in its own sources."""
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", reason(error))
    text = re.sub(r"Load model from \S+ failed:\s*", "", text)
    return re.sub(r"^\S*\.(?:cc|h):\d+ \S+ (?:\S.*?\) )?", "", text) or "no reason is given"
