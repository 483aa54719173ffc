"""Writing and reading `--format tfrecord` beside the image tree, of the same samples.

    python benchmarks/tfrecord.py --backgrounds DIR --foregrounds DIR --samples 10000,100000

For every number of samples, both forms are written by `fgbg generate` (without depth), each timed
as a whole command, from the first import to the last line, joining of shards included; peaks of
memory are of the processes, as generation.json tells them. Then both are read, overlay and mask of
every sample decoded: the image tree by tf.data from a list of its files, the records by tf.data
with a parse function, and by tfx-bsl's TFExampleRecord, which decodes no picture.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from fgbg.transforms.dataset import catalogue

PLACEMENTS = 20
FORMS = ("images", "tfrecord")


def links(paths: list[str], folder: str) -> str:
    """A folder with links to some pictures."""
    os.makedirs(folder)
    for path in paths:
        os.symlink(os.path.abspath(path), os.path.join(folder, os.path.basename(path)))
    return folder


def write(inputs: tuple[str, str], output: str, form: str, workers: int) -> dict[str, Any]:
    """Makes a data set: seconds of the command, and what it says of its own run."""
    command = [sys.executable, "-m", "fgbg", "generate", "--format", form]
    command += ["--backgrounds", inputs[0], "--foregrounds", inputs[1], "--output", output]
    command += ["--depth_model", "none", "--splits", "train=1", "--workers", str(workers)]
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    seconds = time.perf_counter() - start
    generation = json.loads(Path(output, "generation.json").read_text())
    files = sum(len(names) for _, _, names in os.walk(output))
    run = generation["timings"]["runs"][-1]
    return {**run, "seconds": seconds, "files": files, "total": _size(output)}


def _size(folder: str) -> int:
    return sum(
        os.path.getsize(os.path.join(where, name))
        for where, _, names in os.walk(folder)
        for name in names
    )


def read_tree(output: str) -> float:
    """Seconds to decode overlay and mask of every sample of an image tree by tf.data."""
    import pyarrow.parquet as pq
    import tensorflow as tf

    columns = ["overlay", "mask"]
    rows = pq.read_table(os.path.join(output, "manifest.parquet"), columns=columns).to_pydict()
    paths = [[f"{output}/{name}" for name in rows[column]] for column in columns]

    def load(overlay: Any, mask: Any) -> tuple[Any, Any]:
        return (
            tf.io.decode_jpeg(tf.io.read_file(overlay), channels=3),
            tf.io.decode_jpeg(tf.io.read_file(mask), channels=1),
        )

    data = tf.data.Dataset.from_tensor_slices(tuple(paths))
    return _drain(data.map(load, num_parallel_calls=tf.data.AUTOTUNE), len(paths[0]))


def read_records(output: str) -> float:
    """Seconds to decode overlay and mask of every record by tf.data."""
    import tensorflow as tf

    keys = {
        "image/encoded": tf.io.FixedLenFeature([], tf.string),
        "image/object/mask": tf.io.FixedLenSequenceFeature([], tf.string, allow_missing=True),
    }

    def parse(example: Any) -> tuple[Any, Any]:
        found = tf.io.parse_single_example(example, keys)
        overlay = tf.io.decode_jpeg(found["image/encoded"], channels=3)
        masks = found["image/object/mask"]
        mask = tf.cond(
            tf.size(masks) > 0,
            lambda: tf.io.decode_png(masks[0], channels=1),
            lambda: tf.zeros(tf.concat([tf.shape(overlay)[:2], [1]], 0), tf.uint8),
        )
        return overlay, mask

    shards = tf.data.Dataset.list_files(f"{output}/tfrecord/fgbg-*", shuffle=False)
    data = shards.interleave(tf.data.TFRecordDataset, cycle_length=8)
    return _drain(data.map(parse, num_parallel_calls=tf.data.AUTOTUNE), _samples(output))


def _drain(data: Any, samples: int) -> float:
    start = time.perf_counter()
    count = sum(1 for _ in data.batch(64).prefetch(2).unbatch().batch(1000))
    seconds = time.perf_counter() - start
    if count != -(-samples // 1000):
        raise RuntimeError("not all samples were read")
    return seconds


def _samples(output: str) -> int:
    return json.loads(Path(output, "generation.json").read_text())["counts"]["samples"]


def read_tfx(output: str) -> float:
    """Seconds to get every record as tensors by tfx-bsl; pictures stay coded."""
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2
    from tfx_bsl.public import tfxio

    text = Path(output, "tfrecord", "schema.pbtxt").read_text()
    schema = text_format.Parse(text, schema_pb2.Schema())
    records = tfxio.TFExampleRecord(f"{output}/tfrecord/fgbg-*", schema=schema)
    options = tfxio.TensorFlowDatasetOptions(batch_size=64, shuffle=False, num_epochs=1)
    start = time.perf_counter()
    count = sum(int(b["image/height"].shape[0]) for b in records.TensorFlowDataset(options))
    seconds = time.perf_counter() - start
    if count != _samples(output):
        raise RuntimeError("not all samples were read")
    return seconds


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backgrounds", required=True, help="folder of photos")
    parser.add_argument("--foregrounds", required=True, help="folder of cut-outs")
    parser.add_argument("--samples", default="10000,100000", help="sizes of data sets to make")
    parser.add_argument("--forms", default=",".join(FORMS), help="forms to write and read")
    parser.add_argument("--workers", type=int, default=2, help="processes that write")
    parser.add_argument("--foregrounds_used", type=int, default=50, help="cut-outs to use")
    parser.add_argument("--folder", help="where to write; default: the temporary folder")
    asked = parser.parse_args()
    backgrounds = catalogue.find(asked.backgrounds, "--backgrounds")[0]
    foregrounds = catalogue.find(asked.foregrounds, "--foregrounds")[0][: asked.foregrounds_used]
    for samples in (int(n) for n in asked.samples.split(",")):
        count = samples // (len(foregrounds) * 2 * PLACEMENTS)
        if not 1 <= count <= len(backgrounds):
            parser.error(f"{samples} samples would need {count} photos of {len(backgrounds)}")
        with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
            chosen = (
                links(backgrounds[:count], f"{folder}/bg"),
                links(foregrounds, f"{folder}/fg"),
            )
            _measure(folder, chosen, asked.forms.split(","), asked.workers)


def _measure(folder: str, inputs: tuple[str, str], forms: list[str], workers: int) -> None:
    print("form      samples  wrote/s  joining s  files  bytes  worker  joiner  launcher (peak MB)")
    for form in forms:
        output = f"{folder}/{form}"
        run = write(inputs, output, form, workers)
        peaks = [
            run.get(f"peak_memory_of_{who}_bytes", 0) / 1e6
            for who in ("a_worker", "a_joiner", "the_launcher")
        ]
        print(
            f"{form:8} {run['samples']:8,} {run['samples'] / run['seconds']:8,.0f} "
            f"{run.get('join_s', 0):10.1f} {run['files']:6,} {run['total'] / 1e9:5.2f}G "
            f"{peaks[0]:7,.0f} {peaks[1]:7,.0f} {peaks[2]:7,.0f}",
            flush=True,
        )
    for name, read, form in (
        ("image tree, tf.data", read_tree, "images"),
        ("records, tf.data", read_records, "tfrecord"),
        ("records, tfx-bsl, not decoded", read_tfx, "tfrecord"),
    ):
        if form not in forms:
            continue
        output = f"{folder}/{form}"
        print(f"read {name}: {_samples(output) / read(output):,.0f} a second", flush=True)
        if name == "image tree, tf.data":
            shutil.rmtree(output)  # makes room


if __name__ == "__main__":
    main()
