"""The encoder of a network in a TensorFlow Lite file, as Keras layers that can be trained.

A convolutional network that somebody has trained halves its pictures five times before it does
what it is for; the layers up to there are read from the file (schema.fbs of TensorFlow Lite,
version 3), quantised weights as the real numbers that they stand for, and built again. Batch
normalisation is part of the kernels in such a file, and there is none here.

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
_RELU, _RELU6 = 1, 3
_SAME = 0


class EncoderError(ValueError):
    """A file whose encoder cannot be read; the message names the file and says why."""


@dataclasses.dataclass(frozen=True)
class Layer:
    """One operation of the file.

    Attributes:
        kind: "conv", "depthwise", "pad" or "add".
        inputs: Numbers of the tensors it takes; 0 is the picture.
        output: Number of the tensor it makes.
        arrays: Of convolutions, the kernel as Keras has it (float32 [height, width, in, out], of
            depthwise ones [height, width, in, multiplier]) and the bias.
        stride: Of convolutions.
        same: Whether they pad as Keras' "same" does.
        padding: Of "pad": rows before and after, columns before and after.
        rectified: Whether negative values become 0.
        greatest: What larger values become; None: they stay.
    """

    kind: str
    inputs: tuple[int, ...]
    output: int
    arrays: tuple[NDArray[np.float32], ...] = ()
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
        input_range: What the pixel values 0 and 1 become first.
    """

    layers: tuple[Layer, ...]
    levels: tuple[int, ...]
    input_range: tuple[float, float]


def read(path: str) -> Encoder:
    """The encoder of a file.

    Its features at 1/32 are those of the last convolution over channels (or addition) among the
    widest before the picture is enlarged again, or pooled to nothing.

    Args:
        path: A .tflite file of a network of one RGB picture. A quantised input says its own range;
            of others 0..1 is assumed.

    Raises:
        EncoderError: It cannot be read, or has no such encoder.
    """
    graph, buffers, codes = _parse(path)
    layers: list[Layer] = []
    height, width = (int(n) for n in graph.tensors[graph.inputs[0]].shape[1:3])
    if min(height, width) < 2**SCALES:
        raise EncoderError(f"{path}: its picture is {width}x{height}, too small for 1/32 of it")
    numbers = {int(graph.inputs[0]): 0}
    scales, channels = {0: 0}, {0: 3}
    reader = _Reader(path, graph, buffers)
    for operator in graph.operators:
        name, inputs = codes[operator.opcodeIndex], [int(i) for i in operator.inputs]
        output = int(operator.outputs[0])
        if name in ("QUANTIZE", "DEQUANTIZE", "CAST") and inputs[0] in numbers:
            numbers[output] = numbers[inputs[0]]  # other numbers for the same values
            continue
        given = [numbers[i] for i in inputs if i in numbers]
        layer = reader.layer(name, operator, given, len(numbers)) if given else None
        if layer is None:  # the end of what is understood: the decoder, or a classifier
            break
        numbers[output] = layer.output
        scales[layer.output] = max(scales[n] for n in given) + (layer.stride == 2)
        channels[layer.output] = int(graph.tensors[output].shape[3])
        layers.append(layer)
    levels = _levels(path, layers, scales, channels)
    used = [layer for layer in layers if layer.output <= levels[-1]]
    return Encoder(tuple(used), levels, reader.input_range())


def _levels(
    path: str, layers: list[Layer], scales: dict[int, int], channels: dict[int, int]
) -> tuple[int, ...]:
    found = []
    for scale in range(1, SCALES + 1):
        mixing = [
            x.output for x in layers if x.kind in ("conv", "add") and scales[x.output] == scale
        ]
        if not mixing:
            raise EncoderError(
                f"{path}: no features at 1/{2**scale} of the picture; the file of a convolutional "
                "network that halves its picture five times is needed"
            )
        if scale == SCALES:
            widest = max(channels[n] for n in mixing)
            mixing = [n for n in mixing if channels[n] == widest]
        found.append(mixing[-1])
    return tuple(found)


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
        if len(graph.inputs) != 1 or list(graph.tensors[graph.inputs[0]].shape)[3:] != [3]:
            raise ValueError("it does not take one picture of three channels")
        codes = [
            names.get(max(code.builtinCode, code.deprecatedBuiltinCode), "")
            for code in model.operatorCodes
        ]
    except OSError as error:
        raise EncoderError(f"{path}: cannot be read: {error.strerror or error}") from error
    except Exception as error:  # flatbuffers raises whatever a damaged offset leads to
        raise EncoderError(f"{path}: not a TensorFlow Lite file: {error}") from error
    return graph, model.buffers, codes


class _Reader:
    """Layers of the operations of one graph."""

    def __init__(self, path: str, graph: Any, buffers: Sequence[Any]) -> None:
        self._path, self._graph, self._buffers = path, graph, buffers

    def input_range(self) -> tuple[float, float]:
        tensor = self._graph.tensors[self._graph.inputs[0]]
        dtype = _DTYPES.get(tensor.type)
        if dtype not in (np.uint8, np.int8):
            return 0.0, 1.0
        scale, zero = tensor.quantization.scale[0], tensor.quantization.zeroPoint[0]
        limits = np.iinfo(dtype)
        return float((limits.min - zero) * scale), float((limits.max - zero) * scale)

    def layer(self, name: str, operator: Any, given: list[int], number: int) -> Layer | None:
        """The layer of an operation; None if it is of no kind that an encoder is built of."""
        options, inputs = operator.builtinOptions, operator.inputs
        if name == "PAD" and len(given) == 1:
            amounts = self._real(inputs[1]).astype(int)
            if amounts[0].any() or amounts[3].any():
                return None
            rows, columns = ((int(a), int(b)) for a, b in amounts[1:3])
            return Layer("pad", tuple(given), number, padding=(rows, columns))
        if name == "ADD" and len(given) == 2:
            return Layer("add", tuple(given), number, **self._activation(operator))
        if name not in ("CONV_2D", "DEPTHWISE_CONV_2D") or len(given) != 1:
            return None
        steps = options.strideH, options.strideW, options.dilationHFactor, options.dilationWFactor
        if steps not in ((1, 1, 1, 1), (2, 2, 1, 1)):
            return None
        kernel = self._real(inputs[1])  # [out, height, width, in], depthwise [1, h, w, out]
        bias = self._real(inputs[2]) if len(inputs) > 2 and inputs[2] >= 0 else None
        if bias is None:
            bias = np.zeros(self._graph.tensors[operator.outputs[0]].shape[3], np.float32)
        if name == "CONV_2D":
            kind, kernel = "conv", kernel.transpose(1, 2, 3, 0)
        else:
            kind, kernel = (
                "depthwise",
                kernel[0].reshape(*kernel.shape[1:3], -1, options.depthMultiplier),
            )
        if not (np.isfinite(kernel).all() and np.isfinite(bias).all()):
            raise EncoderError(f"{self._path}: operation {number} has weights that are not finite")
        return Layer(
            kind,
            tuple(given),
            number,
            (np.ascontiguousarray(kernel), bias),
            int(options.strideH),
            options.padding == _SAME,
            **self._activation(operator),
        )

    def _activation(self, operator: Any) -> dict[str, Any]:
        """Fields of a layer: what becomes of values below 0 and of large ones."""
        kind = operator.builtinOptions.fusedActivationFunction
        if kind not in (0, _RELU, _RELU6):
            raise EncoderError(f"{self._path}: activation {kind} is not known; 0, RELU, RELU6 are")
        tensor = self._graph.tensors[operator.outputs[0]]
        ends = [6.0] if kind == _RELU6 else []
        low = None
        if tensor.type in _QUANTISED:
            scale, zero = tensor.quantization.scale[0], tensor.quantization.zeroPoint[0]
            limits = np.iinfo(_DTYPES[tensor.type])
            low = (limits.min - zero) * scale
            ends.append(float((limits.max - zero) * scale))
        # A rectifier may be told by the range alone: nothing below 0 can be said.
        rectified = kind != 0 or low == 0
        return {"rectified": rectified, "greatest": min(ends) if ends and rectified else None}

    def _real(self, index: int) -> NDArray[np.float32]:
        """A constant's values."""
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


def build(encoder: Encoder, size: tuple[int, int], name: str = "encoder") -> Any:
    """The encoder as a network, with the file's weights.

    Args:
        encoder: Of `read`.
        size: Width and height of its pictures, multiples of 32.
        name: Of the network.

    Returns:
        A keras.Model from RGB in 0..1, [batch, height, width, 3], to the list of its features at
        1/2 to 1/32.
    """
    import keras
    from keras import layers

    picture = keras.Input((size[1], size[0], 3))
    low, high = encoder.input_range
    tensors = {0: layers.Rescaling(high - low, low)(picture)}
    for layer in encoder.layers:
        given = [tensors[n] for n in layer.inputs]
        if layer.kind == "pad":
            x = layers.ZeroPadding2D(layer.padding)(given[0])
        elif layer.kind == "add":
            x = layers.Add()(given)
        else:
            kernel, bias = layer.arrays
            padding = "same" if layer.same else "valid"
            if layer.kind == "conv":
                made = layers.Conv2D(kernel.shape[3], kernel.shape[:2], layer.stride, padding)
            else:
                made = layers.DepthwiseConv2D(
                    kernel.shape[:2], layer.stride, padding, depth_multiplier=kernel.shape[3]
                )
            x = made(given[0])
            made.set_weights([kernel, bias])
        if layer.rectified:
            x = layers.ReLU(layer.greatest)(x)
        tensors[layer.output] = x
    return keras.Model(picture, [tensors[n] for n in encoder.levels], name=name)
