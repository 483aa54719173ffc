"""Speed of `fgbg generate` beside loops written by hand, the encoder alone and bare writing.

    python benchmarks/generate.py --backgrounds DIR --foregrounds DIR

All make the same samples: same inputs, places, sizes and JPEG quality (the loops are in
benchmarks/loops.py). There are three parts:

    steps     CPU time a sample, inside of one process: units are made by fgbg's own functions
              (those that its DoFns call) as records, as an image tree and without storing
              anything, by all loops, and by the encoder alone. All take their turn at each unit,
              and the fastest of some rounds counts, so that other programs on the machine disturb
              them alike. The pixels of fgbg's files and records are compared with those of both
              OpenCV loops' files.
    files     The files of those units, written by fgbg's storage and by open() and write().
    commands  Whole commands with one worker, from the first import on, for each number of
              --samples: CPU time a sample and peak memory.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import io
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import loops
import numpy as np
from loops import Task

from fgbg.files import storage
from fgbg.pipeline.data_set.merge import merge
from fgbg.transforms.dataset import catalogue
from fgbg.transforms.dataset.catalogue import BACKGROUND, FOREGROUND
from fgbg.transforms.job import commit
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.job import IMAGES, TFRECORD, Configuration, Job
from fgbg.transforms.job.work_unit import WorkUnit
from fgbg.transforms.pixels import allocation, coding, encode_unit
from fgbg.transforms.records import file as tfrecord_file
from fgbg.transforms.records import record as records
from fgbg.transforms.records import shards
from fgbg.transforms.steps import compose, write

CANVAS, PLACEMENTS, QUALITY = (448, 448), 20, 95
FG_SCALE = (0.3, 0.6)
PARTS = ("steps", "files", "commands")
CV2, TUNED, PIL = "cv2 loop", "tuned cv2 loop", "PIL loop"
ENCODER, NOTHING = "encoder alone", "fgbg, nothing stored"
IN_FILES, IN_RECORDS = "fgbg, image tree", "fgbg, records"

Results = dict[tuple[Any, ...], float]


def new_data_set(
    folder: str, form: str, size: int, backgrounds: list[str], foregrounds: list[str]
) -> tuple[str, Job]:
    """A data set with its job and inputs, and no samples yet."""
    mask, depth = ("png", "png16") if form == TFRECORD else ("jpg", "jpg")
    configuration = Configuration(
        output_format=form,
        size=(size, size),
        canvas=CANVAS,
        placements=[PLACEMENTS],
        mirror=True,
        fg_scale=FG_SCALE,
        truncation=0.0,
        seed=0,
        image_quality=QUALITY,
        mask_format=mask,
        depth_format=depth,
        depth_range_m=10.0,
        depth_model=None,
        splits=[("train", 1.0)],
    )
    found = {
        kind: catalogue.check(paths, kind, CANVAS, {}, lambda: None)
        for kind, paths in ((BACKGROUND, backgrounds), (FOREGROUND, foregrounds))
    }
    job = merge(None, configuration, found[BACKGROUND], found[FOREGROUND], [])
    output = f"{folder}/{form}-{size}"
    jobs.write(output, job)
    paths = {(kind, c.file): c.path for kind, entries in found.items() for c in entries}
    catalogue.store_inputs(output, job, paths)
    return output, job


def make_unit(output: str, job: Job, version: str, unit: WorkUnit) -> None:
    """What the graph does with a unit."""
    composed = compose.compose(output, version, unit)
    commit.write(output, job, write.write_unit(output, job, composed, None))


def code_unit(output: str, job: Job, version: str, unit: WorkUnit) -> None:
    """The same without storing it."""
    encode_unit.encode_pixels(compose.compose(output, version, unit).pixels, job.configuration)


def differences(tree: str, blocks: str, job: Job, by_hand: str, task: Task, unit: WorkUnit) -> int:
    """How many pictures of a unit have other pixels than an OpenCV loop's.

    Args:
        tree: Data set with the unit's files.
        blocks: Data set with its block.
        job: The job of the latter.
        by_hand: Where the loop has written its files.
        task: What the loop was given.
        unit: The unit.
    """
    block = storage.storage_for(blocks).read(shards.block_path(blocks, job, unit))
    found = [records.of_record(data) for _, data in tfrecord_file.read_frames(io.BytesIO(block))]
    other = 0
    for record, number in zip(found, task.numbers, strict=True):
        for kind in ("overlay", "mask"):
            name = f"{task.folder}/{kind}/{number}.jpg"
            expected, ours = (loops.decode(Path(root, name)) for root in (by_hand, tree))
            other += not np.array_equal(ours, expected)
            if kind == "overlay":
                recorded = cv2.imdecode(np.frombuffer(record.overlay, np.uint8), -1)
                assert recorded is not None, name
            else:  # without loss there, so that only the JPEG is to be thresholded
                recorded = coding.decode_mask(record.mask_png)
                expected = np.where(expected >= 128, np.uint8(255), np.uint8(0))
            other += not np.array_equal(recorded, expected)
    return other


@dataclasses.dataclass(frozen=True)
class Prepared:
    """What the parts inside of one process work on.

    Attributes:
        trees: Data set of an image tree, its job and the job's version.
        blocks: The same of records.
        units: Units to make, spread over all inputs.
        folder: Where the loops write.
    """

    trees: tuple[str, Job, str]
    blocks: tuple[str, Job, str]
    units: list[WorkUnit]
    folder: str

    @classmethod
    def of(cls, folder: str, size: int, inputs: list[list[str]], count: int) -> Prepared:
        """Of inputs: files of backgrounds, of foregrounds."""
        made = [new_data_set(folder, form, size, *inputs) for form in (IMAGES, TFRECORD)]
        trees, blocks = ((output, job, jobs.version(job)) for output, job in made)
        # A few units on each background, as many of them mirrored; all foregrounds in turn.
        backgrounds, foregrounds = len(trees[1].backgrounds), len(trees[1].foregrounds)
        units = [
            WorkUnit(1 + i // 4 % backgrounds, 1 + 7 * i % foregrounds, bool(i % 2), 0)
            for i in range(count)
        ]
        return cls(trees, blocks, units, f"{folder}/by_hand-{size}")

    def task(self, unit: WorkUnit) -> Task:
        """What a loop is given."""
        return Task.of(*self.trees[:2], unit)


def encode_all(images: list[Any]) -> list[Any]:
    """The files of pictures, by OpenCV alone."""
    return [loops.encode(image, QUALITY) for image in images]


def measure_steps(prepared: Prepared, rounds: int) -> dict[str, float]:
    """CPU seconds a sample of each way."""
    spent: dict[str, float] = {}
    for unit in prepared.units:
        task = prepared.task(unit)
        images = [image for sample in loops.cv2_samples(task) for image in sample]
        ways: dict[str, Callable[[], Any]] = {
            CV2: functools.partial(loops.cv2_loop, task, f"{prepared.folder}/cv2"),
            TUNED: functools.partial(loops.tuned_loop, task, f"{prepared.folder}/tuned"),
            PIL: functools.partial(loops.pil_loop, task, f"{prepared.folder}/pil"),
            ENCODER: functools.partial(encode_all, images),
            NOTHING: functools.partial(code_unit, *prepared.blocks, unit),
            IN_RECORDS: functools.partial(make_unit, *prepared.blocks, unit),
            IN_FILES: functools.partial(make_unit, *prepared.trees, unit),
        }
        least = dict.fromkeys(ways, float("inf"))
        for turn in range(rounds + 1):  # the first decodes inputs and makes folders
            for name, way in ways.items():
                start = time.process_time()
                way()
                if turn:
                    least[name] = min(least[name], time.process_time() - start)
        for name, seconds in least.items():
            spent[name] = spent.get(name, 0.0) + seconds / len(prepared.units) / PLACEMENTS
        for loop in ("cv2", "tuned"):
            roots = *prepared.trees[:1], *prepared.blocks[:2], f"{prepared.folder}/{loop}"
            if other := differences(*roots, task, unit):
                raise RuntimeError(f"{unit.name}: {other} pictures are not those of {loop}")
    return spent


def show_steps(spent: dict[str, float], size: int, units: int) -> None:
    """Prints the table of one stored size."""
    print(f"\n{size}x{size} stored, composed at {CANVAS[0]}x{CANVAS[1]}; {units} units, pixels of "
          "fgbg and of both cv2 loops identical")  # fmt: skip
    print("way                   CPU us a sample  samples/s a core  : cv2 loop  : tuned")
    for name, seconds in spent.items():
        ratios = [spent[loop] / seconds for loop in (CV2, TUNED)]
        print(f"{name:21} {seconds * 1e6:15.0f}  {1 / seconds:16,.0f}  {ratios[0]:10.2f}  "
              f"{ratios[1]:7.2f}", flush=True)  # fmt: skip


def write_bare(files: list[tuple[str, bytes]]) -> None:
    """The same bytes by nothing but open() and write()."""
    for folder in {os.path.dirname(path) for path, _ in files}:
        os.makedirs(folder)
    for path, data in files:
        with open(path, "wb") as file:
            file.write(data)


def measure_files(prepared: Prepared, rounds: int, size: int) -> None:
    """Prints what writing an image tree takes, by fgbg's storage and barely."""
    output, job, version = prepared.trees
    tree = []
    for unit in prepared.units:
        make_unit(output, job, version, unit)
        task = prepared.task(unit)
        names = [f"{task.folder}/{k}/{n}.jpg" for k in ("overlay", "mask") for n in task.numbers]
        tree += [(name, Path(output, name).read_bytes()) for name in names]
    ways = {"fgbg": storage.storage_for(output).write_many, "bare": write_bare}
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for turn in range(rounds):
        for name, way in ways.items():
            root = f"{prepared.folder}/{name}-{turn}"
            files = [(f"{root}/{path}", data) for path, data in tree]
            start, cpu = time.perf_counter(), time.process_time()
            way(files)
            took[name].append((time.perf_counter() - start, time.process_time() - cpu))
        for name in ways:
            shutil.rmtree(f"{prepared.folder}/{name}-{turn}")
    for i, what in enumerate(("wall", "CPU")):
        ours, bare = (statistics.median(t[i] for t in took[name]) for name in ("fgbg", "bare"))
        per_file = [seconds / len(tree) * 1e6 for seconds in (ours, bare)]
        print(f"{size}: {what} time a file, us: fgbg {per_file[0]:.1f}, bare {per_file[1]:.1f}, "
              f"bare : fgbg {bare / ours:.1%}", flush=True)  # fmt: skip


def links(paths: list[str], folder: str) -> str:
    """A folder with links to some pictures."""
    os.makedirs(folder)
    for path in paths:
        os.symlink(os.path.abspath(path), os.path.join(folder, os.path.basename(path)))
    return folder


# Runs a command and prints its CPU seconds and its greatest process' peak in kilobytes. A process
# of its own, for a child's peak starts at that of the process that starts it. As a "subreaper"
# (prctl(2)) it inherits the server from which workers are forked, which its parent does not wait
# for: without that, none of the workers' time would be counted.
_WATCH = """
import ctypes, os, resource, subprocess, sys
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
try:
    while True:
        os.wait()
except ChildProcessError:
    pass
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
sys.exit(done.returncode)
"""


def run(command: list[str]) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds with all child processes, and the greatest one's peak in bytes."""
    root = str(Path(__file__).resolve().parent.parent)
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-S", "-c", _WATCH, sys.executable, *command],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": root},
    )
    cpu, peak = done.stdout.split()
    return time.perf_counter() - start, float(cpu), float(peak) * 1024


def measure_commands(
    folder: str, size: int, inputs: list[list[str]], samples: int, results: Results
) -> None:
    """Runs every way as a command and prints what it took."""
    pairs = -(-samples // (2 * PLACEMENTS))
    foregrounds = inputs[1][: min(pairs, len(inputs[1]))]
    backgrounds = inputs[0][: -(-pairs // len(foregrounds))]
    made = 2 * PLACEMENTS * len(backgrounds) * len(foregrounds)
    bg, fg = (links(p, f"{folder}/{n}") for p, n in ((backgrounds, "bg"), (foregrounds, "fg")))
    given = new_data_set(folder, IMAGES, size, backgrounds, foregrounds)[0]
    common = ["-m", "fgbg", "generate", "--backgrounds", bg, "--foregrounds", fg]
    common += ["--size", str(size), "--canvas", str(CANVAS[0]), "--placements", str(PLACEMENTS)]
    common += ["--depth_model", "none", "--workers", "1", "--splits", "train=1"]
    by_hand = [str(Path(loops.__file__)), "--data_set", given]
    commands = {
        IN_RECORDS: [*common, "--format", TFRECORD],
        IN_FILES: [*common, "--format", IMAGES],
        CV2: [*by_hand, "--loop", "cv2"],
        TUNED: [*by_hand, "--loop", "tuned"],
        PIL: [*by_hand, "--loop", "pil"],
    }
    for name, command in commands.items():
        output = f"{folder}/out"
        wall, cpu, peak = run([*command, "--output", output])
        shutil.rmtree(output)
        results[size, name, made] = cpu / made
        print(f"{size:4} {made:9,} {name:18} {wall:8.1f} {cpu / made * 1e6:16.0f} "
              f"{made / cpu:16,.0f} {peak / 1e6:9.0f}", flush=True)  # fmt: skip
    for name in ("bg", "fg", os.path.basename(given)):
        shutil.rmtree(f"{folder}/{name}")


def plot(results: Results, path: str) -> None:
    """Draws CPU time a sample over the number of samples, a chart for each stored size."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    sizes = sorted({key[0] for key in results})
    figure, axes = pyplot.subplots(
        1, len(sizes), figsize=(5 * len(sizes), 3.6), sharey=True, squeeze=False
    )
    for axis, size in zip(axes[0], sizes, strict=True):
        for name in dict.fromkeys(key[1] for key in results if key[0] == size):
            points = sorted((k[2], v * 1e6) for k, v in results.items() if k[:2] == (size, name))
            axis.plot(*zip(*points, strict=True), marker="o", label=name)
        axis.set(xscale="log", yscale="log", xlabel="samples", title=f"{size}x{size} stored")
        axis.grid(True, which="both", alpha=0.3)
    axes[0][0].set_ylabel("CPU time a sample, microseconds")
    axes[0][0].legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backgrounds", required=True, help="folder of photos")
    parser.add_argument("--foregrounds", required=True, help="folder of cut-outs")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--sizes", type=int, nargs="+", default=[224, 448], help="stored")
    parser.add_argument("--units", type=int, default=100, help="units inside of one process")
    parser.add_argument("--rounds", type=int, default=3, help="the fastest of so many counts")
    parser.add_argument("--samples", type=int, nargs="+", default=[400, 4000, 40000])
    parser.add_argument("--folder", help="where to write; default: the temporary folder")
    parser.add_argument("--plot", help="picture of the commands' times to write")
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    allocation.keep_freed_memory()  # as fgbg does in its workers
    inputs = [
        catalogue.find(getattr(asked, n), f"--{n}")[0] for n in ("backgrounds", "foregrounds")
    ]
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python "
          f"{platform.python_version()}, OpenCV {cv2.__version__}")  # fmt: skip
    results: Results = {}
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        if "commands" in asked.parts:
            print("size   samples way                  wall s  CPU us a sample  samples/s a core"
                  "  peak MB")  # fmt: skip
            for size in asked.sizes:
                for samples in asked.samples:
                    measure_commands(folder, size, inputs, samples, results)
        for size in asked.sizes:
            if not {"steps", "files"} & set(asked.parts):
                continue
            prepared = Prepared.of(folder, size, inputs, asked.units)
            if "steps" in asked.parts:
                show_steps(measure_steps(prepared, asked.rounds), size, asked.units)
            if "files" in asked.parts:
                measure_files(prepared, asked.rounds, size)
    if asked.plot and results:
        plot(results, asked.plot)


if __name__ == "__main__":
    main()
