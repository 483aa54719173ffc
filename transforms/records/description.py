"""What stands beside the shards so that other people's readers know them without code of ours.

features.json and dataset_info.json are what TensorFlow Datasets keeps beside a data set;
schema.pbtxt is a schema of TensorFlow Metadata, as tfx-bsl and TFX read it. All are written as
text here: none of these libraries is needed to make a data set.
"""

from __future__ import annotations

import json
from typing import Any

from fgbg.transforms.job.job import Job
from fgbg.transforms.records.example import BYTES, FLOAT, INT64
from fgbg.transforms.records.plan import NAME, Plan
from fgbg.transforms.records.record import DEPTH_KEYS, KEYS, Key
from fgbg.transforms.records.shards import DATASET_INFO

FEATURES = "features.json"
SCHEMA = "schema.pbtxt"
# Of the records' layout: a change of a key's meaning is a new one.
VERSION = "1.0.0"
_CONNECTORS = "tensorflow_datasets.core.features"
_DTYPES = {FLOAT: "float32", INT64: "int64"}
_SCHEMA_TYPES = {BYTES: "BYTES", FLOAT: "FLOAT", INT64: "INT"}


def keys_of(job: Job) -> dict[str, Key]:
    """The features that a data set's records have, sorted by name."""
    keys = KEYS | (DEPTH_KEYS if job.configuration.depth_model is not None else {})
    return dict(sorted(keys.items()))


def descriptions(job: Job, plan: Plan) -> dict[str, bytes]:
    """The files beside the shards, by name; dataset_info.json last.

    Args:
        job: The data set's job.
        plan: Its shards.
    """
    return {
        FEATURES: _json(features(job)),
        SCHEMA: schema(job).encode(),
        DATASET_INFO: _json(dataset_info(job, plan)),
    }


def _json(content: dict[str, Any]) -> bytes:
    return json.dumps(content, indent=1, sort_keys=True).encode() + b"\n"


def features(job: Job) -> dict[str, Any]:
    """The content of features.json: a tree of feature connectors, split at each '/' of the keys."""
    tree: dict[str, Any] = {}
    for name, key in keys_of(job).items():
        *folders, leaf = name.split("/")
        node = tree
        for folder in folders:
            node = node.setdefault(folder, {})
        node[leaf] = key
    return {
        "type": f"{_CONNECTORS}.features_dict.FeaturesDict",
        "content": _folder(tree, job)["featuresDict"],
        "proto_cls": "tensorflow_datasets.FeaturesDict",
    }


def _folder(tree: dict[str, Any], job: Job) -> dict[str, Any]:
    connectors = {
        name: _connector(node, job) if isinstance(node, Key) else _folder(node, job)
        for name, node in tree.items()
    }
    return {
        "pythonClassName": f"{_CONNECTORS}.features_dict.FeaturesDict",
        "featuresDict": {"features": connectors},
    }


def _connector(key: Key, job: Job) -> dict[str, Any]:
    if key.picture:
        channels, dtype, coding = key.picture
        width, height = job.configuration.size
        dimensions = [str(n) for n in (height, width, channels)]
        found: dict[str, Any] = {
            "pythonClassName": f"{_CONNECTORS}.image_feature.Image",
            "image": {
                "shape": {"dimensions": dimensions},
                "dtype": dtype,
                "encodingFormat": coding,
            },
        }
    elif key.text:
        found = {"pythonClassName": f"{_CONNECTORS}.text_feature.Text", "text": {}}
    else:
        found = {
            "pythonClassName": f"{_CONNECTORS}.tensor_feature.Tensor",
            "tensor": {"shape": {}, "dtype": _DTYPES[key.kind], "encoding": "none"},
        }
    if not key.listed:
        return found
    return {
        "pythonClassName": f"{_CONNECTORS}.sequence_feature.Sequence",
        "sequence": {"feature": found, "length": "-1"},
    }


def dataset_info(job: Job, plan: Plan) -> dict[str, Any]:
    """The content of dataset_info.json: the shards of every split and their numbers of records."""
    c = job.configuration
    splits = []
    for name in dict.fromkeys(shard.split for shard in plan.shards):
        members = [shard for shard in plan.shards if shard.split == name]
        splits.append(
            {
                "name": name,
                "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
                "numBytes": str(sum(shard.bytes for shard in members)),
                "shardLengths": [str(shard.records) for shard in members],
            }
        )
    return {
        "name": NAME,
        "version": VERSION,
        "moduleName": NAME,
        "fileFormat": "tfrecord",
        "description": (
            f"{len(job.foregrounds)} foregrounds pasted on {len(job.backgrounds)} backgrounds, "
            f"{c.size[0]}x{c.size[1]} pixels. README.md in the folder above tells more."
        ),
        "splits": splits,
    }


def schema(job: Job) -> str:
    """The content of schema.pbtxt: a tensorflow.metadata.v0.Schema as text.

    A feature with exactly one value has a fixed shape; one with a value for each object has none,
    and reads as a sparse or ragged tensor.
    """
    lines = []
    for name, key in keys_of(job).items():
        lines += ["feature {", f'  name: "{name}"', f"  type: {_SCHEMA_TYPES[key.kind]}"]
        if key.listed:
            lines.append("  value_count { min: 0 max: 1 }")
        else:
            lines += ["  shape { }", "  presence { min_fraction: 1.0 min_count: 1 }"]
        lines.append("}")
    return "\n".join(lines) + "\n"
