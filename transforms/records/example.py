"""tf.Example without TensorFlow: a mapping of names to lists, to and from its bytes.

The messages of TensorFlow's feature.proto and example.proto are built here, in a descriptor pool of
their own: TensorFlow registers the same names in the default one as soon as it is imported. What is
encoded is what tf.train.Example.SerializeToString(deterministic=True) gives.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

BYTES, FLOAT, INT64 = "bytes", "float", "int64"
_LISTS = {BYTES: "bytes_list", FLOAT: "float_list", INT64: "int64_list"}

Features = Mapping[str, Sequence[bytes] | Sequence[int] | Sequence[float]]


def _messages() -> Any:
    """The class of tensorflow.Example."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="fgbg/example.proto", package="tensorflow", syntax="proto3"
    )
    for name, kind in (
        ("BytesList", field.TYPE_BYTES),
        ("FloatList", field.TYPE_FLOAT),
        ("Int64List", field.TYPE_INT64),
    ):
        value = file.message_type.add(name=name).field.add(
            name="value", number=1, type=kind, label=field.LABEL_REPEATED
        )
        if kind != field.TYPE_BYTES:
            value.options.packed = True
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, name in enumerate(("BytesList", "FloatList", "Int64List"), 1):
        feature.field.add(
            name=name.replace("List", "_list").lower(),
            number=number,
            type=field.TYPE_MESSAGE,
            type_name=f".tensorflow.{name}",
            label=field.LABEL_OPTIONAL,
            oneof_index=0,
        )
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    for message, name, number, label, kind in (
        (entry, "value", 2, field.LABEL_OPTIONAL, "Feature"),
        (features, "feature", 1, field.LABEL_REPEATED, "Features.FeatureEntry"),
        (file.message_type.add(name="Example"), "features", 1, field.LABEL_OPTIONAL, "Features"),
    ):
        message.field.add(
            name=name,
            number=number,
            type=field.TYPE_MESSAGE,
            type_name=f".tensorflow.{kind}",
            label=label,
        )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.Example"))


_EXAMPLE = _messages()
_MESSAGE_OF_FEATURES = message_factory.GetMessageClass(
    _EXAMPLE.DESCRIPTOR.fields_by_name["features"].message_type
)
# Tags: number of a field and wire type 2, which a length follows.
_LENGTH_DELIMITED = bytes([1 << 3 | 2])  # Example.features, FeatureEntry.key, and so on
_FEATURE = bytes([2 << 3 | 2])  # FeatureEntry.value
_FLOAT = struct.Struct("<f")
_FLOAT_MAX = 3.4028234663852886e38  # of float32; beyond it protobuf says infinity
_SHORT = 16  # bytes that are kept, mostly the same words in every record


def encode(features: Features, kinds: Mapping[str, str] | None = None) -> bytes:
    """The bytes of a tf.Example; equal features are equal bytes.

    Args:
        features: Lists of bytes, of whole numbers (int64) or of floats (float32), by name.
        kinds: BYTES, FLOAT or INT64 by name, for lists that may be empty. Without it an empty list
            is a feature of no kind, which readers take for a missing one.

    Raises:
        TypeError: A list holds something else, or not all of one kind.
        ValueError: A number is outside int64.
    """
    # An Example is one Features message, and that is its entries one after the other, sorted by
    # their names if it is deterministic.
    entries = []
    for name in _sorted(tuple(features)):
        values = features[name]
        if len(values) == 1:
            value = values[0]
            if type(value) is int:
                entries.append(_whole_number(name, value))
                continue
            if type(value) is bytes:
                if len(value) <= _SHORT:
                    entries.append(_short_bytes(name, value))
                else:
                    entries += _bytes(name, value)
                continue
            if type(value) is float and -_FLOAT_MAX <= value <= _FLOAT_MAX:
                entries.append(_before_float(name) + _FLOAT.pack(value))
                continue
        entries.append(_entry(name, values, (kinds or {}).get(name)))
    return b"".join((_LENGTH_DELIMITED, _varint(sum(map(len, entries))), *entries))


def _entry(
    name: str, values: Sequence[bytes] | Sequence[int] | Sequence[float], kind: str | None
) -> bytes:
    """One feature, as it stands in a Features message."""
    message = _MESSAGE_OF_FEATURES()
    entry = message.feature[name]
    if not values:
        if kind:
            getattr(entry, _LISTS[kind]).SetInParent()
    elif isinstance(values[0], bytes):
        entry.bytes_list.value.extend(values)
    elif isinstance(values[0], int):
        entry.int64_list.value.extend(values)
    else:
        entry.float_list.value.extend(values)
    return message.SerializeToString(deterministic=True)


@functools.lru_cache(maxsize=4096)
def _whole_number(name: str, value: int) -> bytes:
    return _entry(name, [value], None)


def _bytes(name: str, value: bytes) -> tuple[bytes, ...]:
    """The same of one list of bytes, in pieces: pictures are copied once, into the Example."""
    field, key = _LENGTH_DELIMITED, _key(name)
    in_list = field + _varint(len(value))  # BytesList.value
    in_feature = field + _varint(len(in_list) + len(value)) + in_list  # Feature.bytes_list
    in_entry = _FEATURE + _varint(len(in_feature) + len(value)) + in_feature  # FeatureEntry.value
    total = _varint(len(key) + len(in_entry) + len(value))
    return b"".join((field, total, key, in_entry)), value


@functools.lru_cache(maxsize=4096)
def _short_bytes(name: str, value: bytes) -> bytes:
    return b"".join(_bytes(name, value))


@functools.lru_cache(maxsize=4096)
def _before_float(name: str) -> bytes:
    """The same of one float, without the float, which stands last."""
    return _entry(name, [0.0], None)[: -_FLOAT.size]


@functools.lru_cache(maxsize=64)
def _sorted(names: tuple[str, ...]) -> list[str]:
    """Names as protobuf sorts them: one stands after all that begin with it."""
    return sorted(names, key=lambda name: name.encode() + b"\xff")


@functools.lru_cache(maxsize=4096)
def _key(name: str) -> bytes:
    text = name.encode()
    return _LENGTH_DELIMITED + _varint(len(text)) + text


@functools.lru_cache(maxsize=4096)
def _varint(value: int) -> bytes:
    """A number as protocol buffers write it: 7 bits a byte, the lowest first."""
    data = bytearray()
    while value > 0x7F:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    data.append(value)
    return bytes(data)


def decode(data: bytes) -> dict[str, list[Any]]:
    """The features of a tf.Example: a list by name, sorted by name.

    Raises:
        ValueError: The bytes are no tf.Example.
    """
    from google.protobuf.message import DecodeError

    try:
        feature = _EXAMPLE.FromString(data).features.feature
    except DecodeError as error:
        raise ValueError(f"{len(data)} bytes that are no tf.Example: {error}") from error
    found: dict[str, list[Any]] = {}
    for name in sorted(feature):
        kind = feature[name].WhichOneof("kind")
        found[name] = list(getattr(feature[name], kind).value) if kind else []
    return found
