"""The encoder of a network in a TensorFlow Lite file.

A convolutional network that somebody has trained halves its pictures five times before it does
what it is for; the layers up to there are read from the file (schema.fbs of TensorFlow Lite,
version 3), weights of fewer bits as the real numbers that they stand for. trained.encoder_network
builds them again. Batch normalisation is part of the kernels in such a file.

A quantised activation cannot leave the range that its scale allows. Where a rectifier made it, the
upper end is kept as the rectifier's: else what the built network says differs from the file's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

SCALES = 5
_NONE, _RELU, _RELU6 = 0, 1, 3
_SAME = 0


class EncoderError(ValueError):
    """An encoder that cannot be read or built; the message says why."""


@dataclasses.dataclass(frozen=True)
class Layer:
    """One operation of the file.

    Attributes:
        kind: "conv", "depthwise", "pad", "add", "max_pool", "average_pool" or "rectify".
        inputs: Numbers of the tensors it takes; 0 is the picture.
        output: Number of the tensor it makes.
        arrays: Of convolutions, the kernel as Keras has it (float32 [height, width, in, out], of
            depthwise ones [height, width, in, multiplier]) and the bias.
        window: Height and width that are pooled.
        stride: Of convolutions and pooling.
        same: Whether they pad as Keras' "same" does.
        padding: Of "pad": rows before and after, columns before and after.
        rectified: Whether negative values become 0.
        greatest: What larger values become; None: they stay.
    """

    kind: str
    inputs: tuple[int, ...]
    output: int
    arrays: tuple[NDArray[np.float32], ...] = ()
    window: tuple[int, int] = (1, 1)
    stride: int = 1
    same: bool = False
    padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))
    rectified: bool = False
    greatest: float | None = None


@dataclasses.dataclass(frozen=True)
class Encoder:
    """What is needed to build an encoder.

    Attributes:
        layers: In the order in which they are run.
        levels: The tensors with the features at 1/2, 1/4, .. 1/32 of the picture's size.
        input_range: What the pixel values 0 and 255 become first; None: the file does not say it.
    """

    layers: tuple[Layer, ...]
    levels: tuple[int, ...]
    input_range: tuple[float, float] | None


def read(path: str) -> Encoder:
    """The encoder of a file.

    Its features at 1/32 are those of the last convolution over channels (or addition) among the
    widest of that size; those at 1/2 to 1/16 are the last ones of their size that lead there. What
    follows, a decoder or a classifier, is left.

    Args:
        path: A .tflite file of a network of one RGB picture.

    Raises:
        EncoderError: It cannot be read, or has no such encoder.
    """
    reader = _Reader(path, *_parse(path))
    reader.read()
    bottom = reader.bottom()
    used = _leading_to(bottom, reader.layers)
    levels = [reader.last_of(scale, used) for scale in range(1, SCALES)]
    return Encoder(tuple(used), (*levels, bottom), reader.input_range)


def _leading_to(output: int, layers: Sequence[Layer]) -> list[Layer]:
    """The layers that a tensor hangs on, in their order."""
    needed, found = {output}, []
    for layer in reversed(layers):
        if layer.output in needed:
            needed.update(layer.inputs)
            found.append(layer)
    return found[::-1]


def _parse(path: str) -> tuple[Any, list[Any], list[str]]:
    """The file's graph, its buffers and the names of its operations."""
    from tensorflow.lite.python import schema_py_generated as schema

    names = {
        code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)
    }
    try:
        with open(path, "rb") as file:
            data = file.read()
        if data[4:8] != b"TFL3":
            raise ValueError("it does not begin as one")
        model = schema.ModelT.InitFromPackedBuf(data, 0)
        graph = model.subgraphs[0]
        shapes = [list(graph.tensors[i].shape) for i in graph.inputs]
        codes = [
            names.get(max(code.builtinCode, code.deprecatedBuiltinCode), "an unknown operation")
            for code in model.operatorCodes
        ]
    except OSError as error:
        raise EncoderError(f"{path}: cannot be read: {error.strerror or error}") from error
    except Exception as error:  # flatbuffers raises whatever a damaged offset leads to
        raise EncoderError(f"{path}: not a TensorFlow Lite file: {error}") from error
    if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][3] != 3:
        raise EncoderError(f"{path}: its inputs are {shapes}, not one picture of three channels")
    return graph, model.buffers, codes


class _Reader:
    """Layers of the operations of one graph.

    Attributes:
        layers: Those that were understood, of all that hang on the picture by understood ones.
        input_range: As of `Encoder`.
    """

    def __init__(self, path: str, graph: Any, buffers: Sequence[Any], codes: list[str]) -> None:
        self._path, self._graph, self._buffers, self._codes = path, graph, buffers, codes
        self._picture = int(graph.inputs[0])
        # Numbers of the tensors, by their index in the file; constants that stand for others.
        self._numbers = {self._picture: 0}
        self._aliases: dict[int, int] = {}
        self._scales, self._channels = {0: 0}, {0: 3}
        # Tensors in which channels are mixed: not of depthwise convolutions and pooling.
        self._mixed: set[int] = set()
        self._left = ""
        self.layers: list[Layer] = []
        self.input_range = self._range_of(self._picture)

    def read(self) -> None:
        """Goes through all operations."""
        for place, operator in enumerate(self._graph.operators):
            name, output = self._codes[operator.opcodeIndex], int(operator.outputs[0])
            first = int(operator.inputs[0]) if len(operator.inputs) else -1
            if name in ("QUANTIZE", "DEQUANTIZE", "CAST"):  # other numbers for the same values
                if first in self._numbers:
                    self._numbers[output] = self._numbers[first]
                    if first == self._picture and self.input_range is None:
                        self.input_range = self._range_of(output)
                else:
                    self._aliases[output] = first
                continue
            given = [self._numbers[int(i)] for i in operator.inputs if int(i) in self._numbers]
            if not given:
                continue
            layer = self._layer(name, operator, given)
            if layer is None:
                self._left = self._left or f"{name} (operation {place})"
                continue
            self._numbers[output] = layer.output
            self._scales[layer.output] = max(self._scales[n] for n in given) + (layer.stride == 2)
            self._channels[layer.output] = int(self._graph.tensors[output].shape[3])
            after_mixing = layer.kind == "rectify" and given[0] in self._mixed
            if layer.kind in ("conv", "add") or after_mixing:
                self._mixed.add(layer.output)
            self.layers.append(layer)

    def bottom(self) -> int:
        """The tensor with the features at 1/32."""
        found = self._mixed_of(SCALES, self.layers)
        widest = max(self._channels[n] for n in found)
        return [n for n in found if self._channels[n] == widest][-1]

    def last_of(self, scale: int, layers: Sequence[Layer]) -> int:
        """The last tensor of a scale that some layers make."""
        return self._mixed_of(scale, layers)[-1]

    def _mixed_of(self, scale: int, layers: Sequence[Layer]) -> list[int]:
        outputs = [x.output for x in layers if x.output in self._mixed]
        found = [n for n in outputs if self._scales[n] == scale]
        if not found:
            left = f"; {self._left} is not understood, nor what follows it" if self._left else ""
            raise EncoderError(
                f"{self._path}: no features at 1/{2**scale} of the picture{left}. The file of a "
                "convolutional network that halves its picture five times is needed"
            )
        return found

    def _range_of(self, index: int) -> tuple[float, float] | None:
        """What the ends of a tensor of the picture's values stand for."""
        tensor = self._graph.tensors[index]
        dtype = _DTYPES.get(tensor.type)
        scale, zero = self._scale_of(tensor)
        if dtype not in (np.uint8, np.int8, np.float32):
            raise EncoderError(f"{self._path}: its picture is not of float32 or 8-bit numbers")
        if dtype is np.float32:
            return None
        if scale is None:
            if dtype is np.int8:
                raise EncoderError(f"{self._path}: its 8-bit picture has no scale")
            return 0.0, 255.0
        limits = np.iinfo(dtype)
        return float((limits.min - zero) * scale), float((limits.max - zero) * scale)

    def _layer(self, name: str, operator: Any, given: list[int]) -> Layer | None:
        """The layer of an operation; None if it is not understood."""
        options, inputs, number = operator.builtinOptions, operator.inputs, len(self.layers) + 1
        if name in ("RELU", "RELU6"):
            activation = _RELU if name == "RELU" else _RELU6
            return self._activated(operator, activation, "rectify", given, number)
        if name == "PAD" and len(given) == 1:
            amounts = self._real(inputs[1]).astype(int)
            if len(amounts) != 4 or amounts[0].any() or amounts[3].any():
                return None
            rows, columns = ((int(a), int(b)) for a, b in amounts[1:3])
            return Layer("pad", tuple(given), number, padding=(rows, columns))
        if name == "ADD":
            if len(given) != 2:
                return None
            return self._activated(operator, options.fusedActivationFunction, "add", given, number)
        if name in ("MAX_POOL_2D", "AVERAGE_POOL_2D"):
            if (options.strideH, options.strideW) != (2, 2):
                return None
            kind = "max_pool" if name == "MAX_POOL_2D" else "average_pool"
            fields: dict[str, Any] = {
                "window": (int(options.filterHeight), int(options.filterWidth))
            }
        elif name in ("CONV_2D", "DEPTHWISE_CONV_2D") and int(inputs[0]) in self._numbers:
            steps = options.strideH, options.strideW
            if steps not in ((1, 1), (2, 2)) or (
                options.dilationHFactor,
                options.dilationWFactor,
            ) != (1, 1):
                return None
            kind = "conv" if name == "CONV_2D" else "depthwise"
            arrays = self._weights(operator, kind)
            if arrays[0].shape[2] != self._channels[given[0]]:  # in groups
                return None
            fields = {"arrays": arrays}
        else:
            return None
        fields |= {"stride": int(options.strideH), "same": options.padding == _SAME}
        activation = options.fusedActivationFunction
        return self._activated(operator, activation, kind, given, number, **fields)

    def _weights(self, operator: Any, kind: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Kernel and bias of a convolution as Keras has them."""
        inputs = operator.inputs
        kernel = self._real(inputs[1])  # [out, height, width, in], depthwise [1, h, w, out]
        if len(inputs) > 2 and inputs[2] >= 0:
            bias = self._real(inputs[2])
        else:
            bias = np.zeros(self._graph.tensors[operator.outputs[0]].shape[3], np.float32)
        if kind == "conv":
            kernel = kernel.transpose(1, 2, 3, 0)
        else:
            each = operator.builtinOptions.depthMultiplier
            kernel = kernel[0].reshape(*kernel.shape[1:3], -1, each)
        if not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
            raise EncoderError(
                f"{self._path}: convolution {len(self.layers)} has weights that are not finite"
            )
        return np.ascontiguousarray(kernel), bias

    def _activated(
        self, operator: Any, activation: int, kind: str, given: list[int], number: int, **more: Any
    ) -> Layer | None:
        """A layer with what becomes of values below 0 and of large ones."""
        if activation not in (_NONE, _RELU, _RELU6):
            return None
        tensor = self._graph.tensors[operator.outputs[0]]
        ends = [6.0] if activation == _RELU6 else []
        rectified = activation != _NONE
        if tensor.type in _QUANTISED:
            scale, zero = self._scale_of(tensor)
            if scale is None:
                return None
            limits = np.iinfo(_DTYPES[tensor.type])
            ends.append(float((limits.max - zero) * scale))
            # A rectifier may be told by the range alone: nothing below 0 can be said.
            rectified |= limits.min == zero
        greatest = min(ends) if ends and rectified else None
        return Layer(
            kind, tuple(given), number, rectified=bool(rectified), greatest=greatest, **more
        )

    @staticmethod
    def _scale_of(tensor: Any) -> tuple[Any, Any]:
        about = tensor.quantization
        if about is None or about.scale is None or not len(about.scale):
            return None, None
        return about.scale[0], about.zeroPoint[0]

    def _real(self, index: int) -> NDArray[np.float32]:
        """A constant's values."""
        index = int(index)
        index = self._aliases.get(index, index)
        tensor = self._graph.tensors[index]
        data = self._buffers[tensor.buffer].data
        dtype = _DTYPES.get(tensor.type)
        if data is None or dtype is None:
            raise EncoderError(f"{self._path}: tensor {index} has no weights that can be read")
        values = np.asarray(data, np.uint8).view(dtype).reshape(tensor.shape)
        about = tensor.quantization
        if about is None or about.scale is None or not len(about.scale):
            return values.astype(np.float32)
        shape = [1] * values.ndim
        if len(about.scale) > 1:
            shape[about.quantizedDimension] = -1
        scale, zero = (np.reshape(a, shape) for a in (about.scale, about.zeroPoint))
        return ((values.astype(np.float64) - zero) * scale).astype(np.float32)


# TensorType of the schema.
_DTYPES: dict[int, Any] = {
    0: np.float32,
    1: np.float16,
    2: np.int32,
    3: np.uint8,
    4: np.int64,
    9: np.int8,
}
_QUANTISED = (3, 9)
