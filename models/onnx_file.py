"""What an ONNX file holds, read from its bytes: nothing of it is loaded or run.

A protobuf message is a row of fields, each with its number, its kind and often its length, so that
weights are stepped over: of a file of a gigabyte only the graph's few megabytes are looked at.
Field numbers are those of onnx.proto (github.com/onnx/onnx). Anything that could do more than
compute is refused by name: operators of other domains (libraries that somebody would have to load),
those of ONNX Runtime's own that read files or call Python, and files outside of the network's
folder.
"""

from __future__ import annotations

import dataclasses
import mmap
import os
from collections.abc import Iterator

from fgbg.models.opened import NetworkError

# A protobuf file cannot be larger; weights beyond it stand in files of their own.
LARGEST_FILE = 2**31 - 1
LARGEST_IN_ALL = 8 * 2**30
# More is no network of pictures: the largest that people use have some thousands of nodes.
MOST_NODES = 200_000
_MOST_DEPTH = 16
_MOST_FIELDS = 5_000_000
_STANDARD = ("", "ai.onnx", "ai.onnx.ml")
_RUNTIME = "com.microsoft"
# Operators of ONNX Runtime beside the standard ones that only compute.
_HARMLESS = frozenset(
    (
        *("Attention", "BiasAdd", "BiasGelu", "BiasSoftmax", "BiasSplitGelu", "CropAndResize"),
        *("DequantizeLinear", "DynamicQuantizeMatMul", "EmbedLayerNormalization", "FastGelu"),
        *("FusedConv", "FusedGemm", "FusedMatMul", "Gelu", "GridSample", "GroupNorm"),
        *("GroupQueryAttention", "Inverse", "Irfft", "MatMulInteger16", "MatMulIntegerToFloat"),
        *("MatMulNBits", "MultiHeadAttention", "NhwcConv", "NhwcFusedConv", "NhwcMaxPool"),
        *("PackedAttention", "PackedMultiHeadAttention", "QAttention", "QLinearAdd"),
        *("QLinearAveragePool", "QLinearConcat", "QLinearConv", "QLinearGlobalAveragePool"),
        *("QLinearLeakyRelu", "QLinearMul", "QLinearReduceMean", "QLinearSigmoid"),
        *("QLinearSoftmax", "QLinearWhere", "QuantizeLinear", "QuickGelu", "Rfft"),
        *("RelativePositionBias", "RotaryEmbedding", "SkipGroupNorm", "SkipLayerNormalization"),
        *("SkipSimplifiedLayerNormalization", "Trilu", "Unique"),
    )
)
# Of the messages: the numbers of the fields that are looked into.
_GRAPH, _OPSETS, _FUNCTIONS, _TRAINING, _IR = 7, 8, 25, 20, 1
_NODES, _INITIALIZERS, _SPARSE, _INPUTS, _OUTPUTS = 1, 5, 15, 11, 12
_OP_TYPE, _ATTRIBUTES, _NODE_DOMAIN = 4, 5, 7
_TENSOR, _SUBGRAPH, _TENSORS, _SUBGRAPHS, _SPARSE_ONE, _SPARSE_MANY = 5, 6, 10, 11, 22, 23
_EXTERNAL, _LOCATION = 13, 14
_FUNCTION_NAME, _FUNCTION_NODES, _FUNCTION_DOMAIN = 1, 7, 10
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class _Damaged(ValueError):
    """Bytes that are no protobuf message."""


@dataclasses.dataclass
class OnnxFile:
    """What an ONNX file holds.

    Attributes:
        path: The file.
        ir_version: Of the format.
        opsets: Version of each domain's operators.
        operators: (domain, name) of all operators, in subgraphs and functions too.
        functions: (domain, name) of the functions that the file itself is made of.
        external: Names of the files beside it that hold weights, sorted.
        nodes: How many.
    """

    path: str
    ir_version: int = 0
    opsets: dict[str, int] = dataclasses.field(default_factory=dict)
    operators: set[tuple[str, str]] = dataclasses.field(default_factory=set)
    functions: set[tuple[str, str]] = dataclasses.field(default_factory=set)
    external: set[str] = dataclasses.field(default_factory=set)
    nodes: int = 0

    @property
    def files(self) -> list[str]:
        """The file, and those beside it that hold its weights."""
        folder = os.path.dirname(self.path)
        return [self.path, *(os.path.join(folder, name) for name in sorted(self.external))]


def read(path: str) -> OnnxFile:
    """Looks through an ONNX file.

    Args:
        path: A local file.

    Raises:
        NetworkError: It is none, is too large, or could do more than compute.
    """
    size = os.path.getsize(path)
    if not size:
        raise NetworkError(f"{path}: an empty file, not an ONNX file")
    if size > LARGEST_FILE:
        raise NetworkError(f"{path}: {size:,} bytes are more than an ONNX file can have")
    found = OnnxFile(path)
    with open(path, "rb") as file:
        # Not closed by name: an error on its way holds views of it.
        content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    try:
        _model(content, found)
    except (_Damaged, UnicodeDecodeError) as error:
        what = str(error) if isinstance(error, _Damaged) else "a name that is no text"
        raise NetworkError(f"{path}: not an ONNX file, or a damaged one: {what}") from None
    if not found.nodes or not found.opsets:
        raise NetworkError(f"{path}: not an ONNX file: it holds no graph")
    _check_operators(found)
    _check_external(found)
    return found


def _check_operators(found: OnnxFile) -> None:
    refused = sorted(
        f"{domain}.{name}"
        for domain, name in found.operators
        if domain not in _STANDARD
        and (domain, name) not in found.functions
        and not (domain == _RUNTIME and name in _HARMLESS)
    )
    if refused:
        more = f" and {len(refused) - 5} more" if len(refused) > 5 else ""
        raise NetworkError(
            f"{found.path}: it holds operators that are not ONNX's own: {', '.join(refused[:5])}"
            f"{more}; export it without them"
        )


def _check_external(found: OnnxFile) -> None:
    folder = os.path.realpath(os.path.dirname(found.path) or ".")
    total = 0
    for name in sorted(found.external):
        place = os.path.realpath(os.path.join(folder, name))
        if os.path.isabs(name) or "\0" in name or os.path.dirname(place) != folder:
            raise NetworkError(
                f"{found.path}: its weights are said to be in {name!r}; only files in its own "
                "folder are read"
            )
        if not os.path.isfile(place):
            raise NetworkError(f"{found.path}: its weights are in {name}, which is not beside it")
        total += os.path.getsize(place)
    if total > LARGEST_IN_ALL:
        raise NetworkError(f"{found.path}: {total:,} bytes of weights are too many")


def _fields(content: memoryview) -> Iterator[tuple[int, int, memoryview, int]]:
    """The fields of a message: number, kind, bytes (of kind _BYTES), value (of kind _VARINT)."""
    at, end, count = 0, len(content), 0
    nothing = content[:0]
    while at < end:
        count += 1
        if count > _MOST_FIELDS:
            raise _Damaged(f"more than {_MOST_FIELDS:,} fields in one message")
        key, at = _varint(content, at, end)
        number, kind = key >> 3, key & 7
        if not number:
            raise _Damaged("a field without a number")
        if kind == _VARINT:
            value, at = _varint(content, at, end)
            yield number, kind, nothing, value
            continue
        if kind == _BYTES:
            length, at = _varint(content, at, end)
        elif kind in (_FIXED64, _FIXED32):
            length = 8 if kind == _FIXED64 else 4
        else:
            raise _Damaged(f"a field of kind {kind}")
        if length > end - at:
            raise _Damaged("it ends too early")
        yield number, kind, content[at : at + length], 0
        at += length


def _varint(content: memoryview, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < 70:
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise _Damaged("a number without an end")


def _messages(content: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The fields that are texts, bytes or messages."""
    for number, kind, value, _ in _fields(content):
        if kind == _BYTES:
            yield number, value


def _text(content: memoryview) -> str:
    return bytes(content).decode("utf-8")


def _model(content: memoryview, found: OnnxFile) -> None:
    for number, kind, value, plain in _fields(content):
        if number == _IR and kind == _VARINT:
            found.ir_version = plain
        elif kind != _BYTES:
            continue
        elif number == _GRAPH:
            _graph(value, found, 0)
        elif number == _OPSETS:
            _opset(value, found)
        elif number == _FUNCTIONS:
            _function(value, found)
        elif number == _TRAINING and len(value):
            raise NetworkError(f"{found.path}: it holds a training; export it for inference")


def _opset(content: memoryview, found: OnnxFile) -> None:
    domain, version = "", 0
    for number, kind, value, plain in _fields(content):
        if number == 1 and kind == _BYTES:
            domain = _text(value)
        elif number == 2 and kind == _VARINT:
            version = plain
    found.opsets[domain] = version


def _function(content: memoryview, found: OnnxFile) -> None:
    name = domain = ""
    for number, value in _messages(content):
        if number == _FUNCTION_NAME:
            name = _text(value)
        elif number == _FUNCTION_DOMAIN:
            domain = _text(value)
        elif number == _FUNCTION_NODES:
            _node(value, found, 0)
    found.functions.add((domain, name))


def _graph(content: memoryview, found: OnnxFile, depth: int) -> None:
    if depth > _MOST_DEPTH:
        raise NetworkError(f"{found.path}: its graphs are nested more than {_MOST_DEPTH} deep")
    for number, value in _messages(content):
        if number == _NODES:
            _node(value, found, depth)
        elif number == _INITIALIZERS:
            _tensor(value, found)
        elif number == _SPARSE:
            _sparse(value, found)


def _node(content: memoryview, found: OnnxFile, depth: int) -> None:
    found.nodes += 1
    if found.nodes > MOST_NODES:
        raise NetworkError(f"{found.path}: it has more than {MOST_NODES:,} nodes")
    name = domain = ""
    for number, value in _messages(content):
        if number == _OP_TYPE:
            name = _text(value)
        elif number == _NODE_DOMAIN:
            domain = _text(value)
        elif number == _ATTRIBUTES:
            _attribute(value, found, depth)
    found.operators.add((domain, name))


def _attribute(content: memoryview, found: OnnxFile, depth: int) -> None:
    for number, value in _messages(content):
        if number in (_TENSOR, _TENSORS):
            _tensor(value, found)
        elif number in (_SUBGRAPH, _SUBGRAPHS):
            _graph(value, found, depth + 1)
        elif number in (_SPARSE_ONE, _SPARSE_MANY):
            _sparse(value, found)


def _sparse(content: memoryview, found: OnnxFile) -> None:
    for number, value in _messages(content):
        if number in (1, 2):  # values, indices
            _tensor(value, found)


def _tensor(content: memoryview, found: OnnxFile) -> None:
    elsewhere, location = False, ""
    for number, kind, value, plain in _fields(content):
        if number == _LOCATION and kind == _VARINT:
            elsewhere = plain == 1
        elif number == _EXTERNAL and kind == _BYTES:
            entry = dict(_messages(value))
            if 1 in entry and _text(entry[1]) == "location":
                location = _text(entry.get(2, value[:0]))
    if elsewhere or location:
        found.external.add(location)
