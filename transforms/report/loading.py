"""How to load a data set: code for that very data set, ready to copy.

Each piece runs as it is in the data set's folder.
"""

from __future__ import annotations

import dataclasses

from fgbg.transforms.job.job import Job


@dataclasses.dataclass(frozen=True)
class Example:
    """A way to load a data set.

    Attributes:
        title: With what.
        text: What to know before; "" if nothing.
        code: Python.
        command: What to run once before; "" if nothing.
    """

    title: str
    text: str
    code: str
    command: str = ""


def examples(job: Job, split: str) -> list[Example]:
    """Code that loads a data set.

    Args:
        job: The data set's job.
        split: The split that the code loads.
    """
    depth = job.configuration.depth_model is not None
    if job.configuration.in_records:
        return [
            Example("tf.data", "Overlay, mask and depth of every record.", _records(split, depth)),
            Example(
                "TensorFlow Datasets",
                "Splits, slices such as train[:10%] and decoding come with it.",
                _tfds(split, depth),
            ),
            Example(
                "PyTorch",
                "WebDataset reads tar shards without TensorFlow; they are written once.",
                _webdataset(split, depth),
                "fgbg export webdataset .",
            ),
        ]
    return [
        Example("tf.data", "By the manifest, so that no folder is listed.", _files(job, split)),
        Example("PyTorch", "By the manifest, with NumPy and Pillow.", _torch(job, split)),
        Example(
            "TensorFlow Datasets",
            "It reads records; they are written once, as a data set beside this one.",
            _tfds(split, depth, "../records/tfrecord"),
            "fgbg convert . --output ../records --format tfrecord",
        ),
    ]


def _files(job: Job, split: str) -> str:
    c = job.configuration
    depth = c.depth_model is not None
    kinds = ["overlay", "mask", *(["depth"] if depth else [])]
    arguments = ", ".join(kinds)
    mask = _tf_decoded("mask", c.mask_format)
    lines = [
        f"    overlay = {_tf_decoded('overlay', 'jpg', 3)}",
        f"    mask = {mask} >= 128",
    ]
    result = '"overlay": overlay, "mask": mask'
    if depth and c.depth_format == "png16":
        lines += [
            "    depth = tf.io.decode_png(read(depth), channels=1, dtype=tf.uint16)",
            "    depth_m = tf.cast(depth, tf.float32) / 1000",
        ]
    elif depth:
        lines += [
            f"    depth = {_tf_decoded('depth', 'jpg')}",
            f"    depth_m = tf.cast(depth, tf.float32) * {c.depth_range_m:g} / 255",
        ]
    result += ', "depth_m": depth_m' if depth else ""
    body = "\n".join(lines)
    return f"""import pyarrow.parquet as pq
import tensorflow as tf

folder = "."  # the data set's
kinds = {_list(kinds)}
rows = pq.read_table(
    f"{{folder}}/manifest.parquet", columns=kinds, filters=[("split", "=", "{split}")]
).to_pydict()


def read(name):
    return tf.io.read_file(folder + "/" + name)


def load({arguments}):
{body}
    return {{{result}}}


files = tf.data.Dataset.from_tensor_slices(tuple(rows[kind] for kind in kinds))
data = files.shuffle(len(rows["mask"]), seed=0)
data = data.map(load, num_parallel_calls=tf.data.AUTOTUNE).batch(32).prefetch(tf.data.AUTOTUNE)
"""


def _tf_decoded(kind: str, file_format: str, channels: int = 1) -> str:
    if file_format == "png":
        return f"tf.io.decode_png(read({kind}), channels={channels})"
    # TensorFlow's default is a faster and less exact transform.
    return (
        f"tf.io.decode_jpeg(\n        read({kind}), channels={channels}, "
        'dct_method="INTEGER_ACCURATE"\n    )'
    )


def _torch(job: Job, split: str) -> str:
    c = job.configuration
    depth = c.depth_model is not None
    kinds = ["overlay", "mask", *(["depth"] if depth else [])]
    factor = "/ 1000" if c.depth_format == "png16" else f"* {c.depth_range_m:g} / 255"
    depth_line = (
        '\n        found["depth_m"] = torch.from_numpy('
        f'self.read(row["depth"]).astype("float32") {factor})'
        if depth
        else ""
    )
    return f"""import numpy as np
import pyarrow.parquet as pq
import torch.utils.data
from PIL import Image


class Samples(torch.utils.data.Dataset):
    def __init__(self, folder, split):
        self.folder = folder
        self.rows = pq.read_table(
            f"{{folder}}/manifest.parquet",
            columns={_list(kinds)},
            filters=[("split", "=", split)],
        ).to_pylist()

    def __len__(self):
        return len(self.rows)

    def read(self, name):
        return np.array(Image.open(f"{{self.folder}}/{{name}}"))

    def __getitem__(self, i):
        row = self.rows[i]
        found = {{}}
        found["overlay"] = torch.from_numpy(self.read(row["overlay"])).permute(2, 0, 1)
        found["mask"] = torch.from_numpy(self.read(row["mask"]) >= 128){depth_line}
        return found


samples = Samples(".", "{split}")
data = torch.utils.data.DataLoader(samples, batch_size=32, shuffle=True)
"""


def _records(split: str, depth: bool) -> str:
    feature = '\n            "depth/encoded": one,' if depth else ""
    decoded = (
        '\n    depth = tf.io.decode_png(found["depth/encoded"], channels=1, dtype=tf.uint16)'
        if depth
        else ""
    )
    result = '"overlay": overlay, "mask": mask == 1'
    result += ', "depth_m": tf.cast(depth, tf.float32) / 1000' if depth else ""
    return f"""import tensorflow as tf


def parse(example):
    one = tf.io.FixedLenFeature([], tf.string)
    found = tf.io.parse_single_example(
        example,
        {{
            "image/encoded": one,{feature}
            # One, or none where the foreground covers no pixel.
            "image/object/mask": tf.io.FixedLenSequenceFeature([], tf.string, allow_missing=True),
        }},
    )
    overlay = tf.io.decode_jpeg(
        found["image/encoded"], channels=3, dct_method="INTEGER_ACCURATE"
    )
    masks = found["image/object/mask"]
    mask = tf.cond(
        tf.size(masks) > 0,
        lambda: tf.io.decode_png(masks[0], channels=1),
        lambda: tf.zeros(tf.concat([tf.shape(overlay)[:2], [1]], 0), tf.uint8),
    ){decoded}
    return {{{result}}}


shards = tf.data.Dataset.list_files("tfrecord/fgbg-{split}.tfrecord-*", shuffle=True, seed=0)
data = shards.interleave(tf.data.TFRecordDataset, cycle_length=16)
data = data.shuffle(1000, seed=0).map(parse, num_parallel_calls=tf.data.AUTOTUNE).batch(32)
"""


def _tfds(split: str, depth: bool, folder: str = "tfrecord") -> str:
    line = (
        '\n    depth_m = sample["depth"]["encoded"] / 1000  # of uint16 [height, width, 1]'
        if depth
        else ""
    )
    return f"""import tensorflow_datasets as tfds

builder = tfds.builder_from_directory("{folder}")
data = builder.as_dataset(split="{split}", shuffle_files=True)
for sample in data.take(1):
    overlay = sample["image"]["encoded"]  # uint8 [height, width, 3]
    masks = sample["image"]["object"]["mask"]  # uint8 [0 or 1, height, width, 1]{line}
"""


def _webdataset(split: str, depth: bool) -> str:
    line = (
        '\n    found["depth_m"] = torch.from_numpy(read("depth.png").astype("float32") / 1000)'
        if depth
        else ""
    )
    return f"""import glob
import io

import numpy as np
import torch.utils.data
import webdataset
from PIL import Image


def load(sample):
    def read(kind):
        return np.array(Image.open(io.BytesIO(sample[kind])))

    found = {{}}
    found["overlay"] = torch.from_numpy(read("overlay.jpg")).permute(2, 0, 1)
    found["mask"] = torch.from_numpy(read("mask.png") == 255){line}
    return found


shards = sorted(glob.glob("webdataset/fgbg-{split}-*.tar"))
samples = webdataset.WebDataset(shards, shardshuffle=False).shuffle(1000).map(load)
data = torch.utils.data.DataLoader(samples, batch_size=32)
"""


def _list(names: list[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"
