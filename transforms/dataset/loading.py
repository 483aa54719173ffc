"""A data set in a training program: `fgbg.load` for TensorFlow, `fgbg.torch_dataset` for PyTorch.

Both return the same values for either form of data set, image files or TFRecords:

=========  =======  ===========================================================
overlay    uint8    RGB
mask       uint8    1 where the foreground covers the background, 0 elsewhere
depth      float32  metres, far is larger; absent from a data set without depth
key        string   bgN/fg_M/K, as in the manifest
=========  =======  ===========================================================
"""

from __future__ import annotations

import os
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fgbg.files import storage
from fgbg.transforms.dataset import manifest
from fgbg.transforms.dataset.samples import open_reader
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.job import Job


def load(path: str | os.PathLike[str], split: str, seed: int | None = None) -> Any:
    """Opens a split of a data set for TensorFlow.

    Args:
        path: The data set's folder, on a local disk.
        split: The split's name, such as "train".
        seed: None for samples in the order in which they are stored, where those of a background
            stand together. A whole number for another order: image files are shuffled as a whole,
            records by shard and within a window of 2,048. Every pass over the result has the
            same order: for another one in each epoch, load with another seed.

    Returns:
        A tf.data.Dataset of dictionaries, one per sample: "overlay" uint8 [height, width, 3], RGB;
        "mask" uint8 [height, width, 1], 0 or 1; "depth" float32 [height, width, 1], metres;
        "key" string.

    Raises:
        ValueError: There is no data set, it is not finished or not local, or has no such split.
    """
    from fgbg.models.training import input_pipeline
    from fgbg.models.training.samples import DataSet, Files, Records

    folder, job, table = _rows(path, split)
    c = job.configuration
    has_depth = c.depth_model is not None
    rows = table.to_pydict()
    samples: Files | Records
    if c.in_records:
        shards = sorted({record.rpartition("#")[0] for record in rows["overlay"]})
        samples = Records(rows["key"], [storage.join(folder, shard) for shard in shards])
    else:
        kinds = ("overlay", "mask", "depth") if has_depth else ("overlay", "mask")
        files = {kind: [storage.join(folder, name) for name in rows[kind]] for kind in kinds}
        backgrounds = [number - 1 for number in rows["bg"]]
        samples = Files(
            rows["key"], files["overlay"], files["mask"], files.get("depth", []), backgrounds
        )
    data = DataSet(c.size, {split: samples}, has_depth, c.depth_range_m)
    return input_pipeline.stored_samples(data, split, seed)


def torch_dataset(path: str | os.PathLike[str], split: str) -> Any:
    """Opens a split of a data set for PyTorch.

    Args:
        path: The data set's folder, on a local disk.
        split: The split's name, such as "train".

    Returns:
        A map-style torch.utils.data.Dataset of dictionaries in the manifest's order: "overlay"
        uint8 [3, height, width], RGB; "mask" uint8 [1, height, width], 0 or 1; "depth" float32
        [1, height, width], metres; "key" str. Its samples raise SampleError where their files are
        missing or damaged.

    Raises:
        ValueError: There is no data set, it is not finished or not local, or has no such split.
    """
    import torch.utils.data

    folder, job, table = _rows(path, split)
    reader = open_reader(folder, job)

    class Samples(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return table.num_rows

        def __getitem__(self, i: int) -> dict[str, Any]:
            # Rows stay in Arrow's memory, which forked workers share; as Python's objects each
            # worker would copy them all.
            sample = reader.sample(table.take([range(len(self))[i]]).to_pylist()[0])
            bgr = sample.decode("overlay", sample.overlay())
            images = {
                "overlay": cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB).transpose(2, 0, 1),
                "mask": (sample.mask() // 255)[None],
            }
            if sample.has_depth:
                images["depth"] = sample.metres()[None]
            found = {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in images.items()}
            return {**found, "key": sample.row["key"]}

        def __reduce__(self) -> tuple[Any, ...]:
            return torch_dataset, (folder, split)  # workers that are spawned open it anew

    return Samples()


def _rows(path: str | os.PathLike[str], split: str) -> tuple[str, Job, pa.Table]:
    """A data set's folder and job, and the rows of its manifest for a split."""
    folder = os.fspath(path)
    if "://" in folder:
        raise ValueError(f"{folder}: copy it to a local disk: gcloud storage cp -r {folder} .")
    job = jobs.read(folder)
    if job is None:
        raise ValueError(f"{folder}: no data set of fgbg (no {jobs.JOB_FILE})")
    local = storage.join(folder, manifest.MANIFEST)
    try:
        table = pq.read_table(local, filters=[("split", "=", split)])
    except FileNotFoundError as error:
        raise ValueError(f"{folder}: not finished; run fgbg generate again") from error
    if not table.num_rows:
        names = ", ".join(sorted(set(manifest.columns(local, ["split"])["split"]))) or "none"
        raise ValueError(f"{folder}: no sample in split {split!r}; it has {names}")
    return folder, job, table
