"""tf.Example without TensorFlow: a mapping of names to lists, to and from its bytes.

The messages of TensorFlow's feature.proto and example.proto are built here, in a descriptor pool of
their own: TensorFlow registers the same names in the default one as soon as it is imported. What is
encoded is what tf.train.Example.SerializeToString(deterministic=True) gives.
"""

from __future__ import annotations

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
    example = _EXAMPLE()
    example.features.SetInParent()
    feature = example.features.feature
    for name, values in features.items():
        entry = feature[name]
        if not values:
            kind = (kinds or {}).get(name)
            if kind:
                getattr(entry, _LISTS[kind]).SetInParent()
        elif isinstance(values[0], bytes):
            entry.bytes_list.value.extend(values)
        elif isinstance(values[0], int):
            entry.int64_list.value.extend(values)
        else:
            entry.float_list.value.extend(values)
    return example.SerializeToString(deterministic=True)


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
