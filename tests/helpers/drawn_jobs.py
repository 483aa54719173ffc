"""Small jobs made without Beam and networks: inputs and depth are drawn, with integers."""

from __future__ import annotations

import dataclasses
import struct
import zlib
from pathlib import Path

import numpy as np

from fgbg.transforms.dataset import manifest
from fgbg.transforms.job import commit
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.job import Job
from fgbg.transforms.job.work_unit import units_of_background
from fgbg.transforms.records import shards
from fgbg.transforms.records.description import descriptions
from fgbg.transforms.steps.compose import compose
from fgbg.transforms.steps.write import write_unit
from tests.helpers.data_sets import job_of, store_job


def ppm(rgb: np.ndarray) -> bytes:
    return b"P6\n%d %d\n255\n" % (rgb.shape[1], rgb.shape[0]) + rgb.tobytes()


def stored_png(rgba: np.ndarray) -> bytes:
    """A PNG whose zlib stream is one stored block: the same bytes whatever the compressor."""
    rows = b"".join(b"\0" + row.tobytes() for row in rgba)
    stream = b"\x78\x01\x01" + struct.pack("<HH", len(rows), 65535 - len(rows)) + rows
    stream += struct.pack(">I", zlib.adler32(rows))
    header = struct.pack(">IIBBBBB", rgba.shape[1], rgba.shape[0], 8, 6, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", stream), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def drawn_inputs(folder: Path) -> Path:
    """Two backgrounds of the canvas' size, and a cut-out as high as it is placed, softly edged."""
    (folder / "bg").mkdir()
    (folder / "fg").mkdir()
    y, x = np.mgrid[0:64, 0:64]
    for i in (1, 2):
        rgb = np.stack((x * 3 + y, x * y // 16 + 40 * i, 255 - 2 * y), axis=-1) % 256
        (folder / "bg" / f"room{i}.ppm").write_bytes(ppm(rgb.astype(np.uint8)))
    y, x = np.mgrid[0:32, 0:24]
    distance = (2 * x - 23) ** 2 * 16 + (2 * y - 31) ** 2 * 9  # an ellipse, 144 * 64 at its edge
    alpha = np.clip((9600 - distance) // 8, 0, 255)
    rgba = np.stack((200 - 3 * x, 60 + 5 * y, 20 * (x // 3), alpha), axis=-1) % 256
    (folder / "fg" / "thing.png").write_bytes(stored_png(rgba.astype(np.uint8)))
    return folder


def drawn_depth(number: int) -> np.ndarray:
    """Eighths of metres, more than the range of 8 bits among them: float32 [32, 32]."""
    y, x = np.mgrid[0:32, 0:32]
    return ((x * 5 + y * 3 + 7 * number) % 101 / np.float32(8)).astype(np.float32)


def make_units(inputs: Path, output: Path, *more: str) -> list[list[dict]]:
    """Makes all units by the functions of the graph's steps, with drawn depth.

    Returns:
        The manifest's rows of each background; none where samples are records, whose blocks are
        not joined.
    """
    store_job(inputs, output, "--fg_scale", "0.5,0.5", "--splits", "train=0.5,test=0.5", *more)
    stored = job_of(output)
    # With depth, but of no network.
    c = dataclasses.replace(stored.configuration, depth_model={})
    job = dataclasses.replace(stored, configuration=c)
    jobs.write(str(output), job)
    groups = []
    for background in range(1, len(job.backgrounds) + 1):
        records = []
        for unit in units_of_background(background, len(job.foregrounds), c.mirror, 1):
            composed = compose(str(output), jobs.version(job), unit)
            depth = np.stack([drawn_depth(10 * background + n) for n in composed.numbers])
            records.append(write_unit(str(output), job, composed, depth))
            commit.write(str(output), job, records[-1])
        if not c.in_records:
            groups.append(manifest.table(job, records).to_pylist())
    return groups


@dataclasses.dataclass(frozen=True)
class Finished:
    """A data set as verify finds it, without what only people read.

    Attributes:
        output: Its folder.
        job: Its job, with depth.
        rows: Rows of its manifest.
    """

    output: Path
    job: Job
    rows: list[dict]

    @property
    def manifest(self) -> str:
        return str(self.output / manifest.MANIFEST)


def finish(output: Path) -> Finished:
    """Joins the blocks and writes manifest and descriptions of what `make_units` made."""
    job = job_of(output)
    places = None
    if job.in_records:
        names = shards.prepare(str(output))
        plan = shards.read_plan(str(output))
        assert plan is not None
        for name in names:
            shards.join(str(output), plan, name)
        shards.finish(str(output))
        for name, data in descriptions(job, plan).items():
            (output / "tfrecord" / name).write_bytes(data)
        places = plan.places()
    rows = []
    with manifest.ManifestWriter(str(output / manifest.MANIFEST)) as writer:
        for background in range(1, len(job.backgrounds) + 1):
            done = sorted(commit.committed(str(output), job))
            units = [unit for unit in done if unit.background == background]
            records = [commit.read(str(output), job, unit) for unit in units]
            table = manifest.table(job, records, places)
            writer.write(table)
            rows += table.to_pylist()
    return Finished(output, job, rows)
