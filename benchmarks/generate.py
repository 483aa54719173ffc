"""Throughput of `fgbg generate` beside a bare loop that does the same work without it.

    python benchmarks/generate.py --backgrounds DIR --foregrounds DIR

The bare loop is what somebody would write by hand who knows how: one process, inputs decoded
once, the same compositing, the same cv2 encoding, files written one after the other; no Beam, no
commit records, no checksums, no statistics, no manifest. Both run in turn, on the same inputs and
the same file system, with as many processes each. Figures of fgbg are of the whole command, from
the first import to the last line of the summary.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2

from transforms import catalogue, compositing, pictures, placement
from transforms.compositing import Background

SIZE, CANVAS, PLACEMENTS, QUALITY = (224, 224), (448, 448), 20, 95
FG_SCALE = (0.3, 0.6)


def bare_loop(
    backgrounds: list[str], foregrounds: list[str], output: str, index: int, processes: int
) -> None:
    """Makes every `processes`-th unit of the data set."""
    cv2.setNumThreads(1)
    canvases = {}
    cutouts = []
    for path in foregrounds:
        picture = pictures.read_picture(Path(path).read_bytes())
        cutouts.append(pictures.crop_foreground(picture, CANVAS))
    units = [
        (b, f, mirrored)
        for b in range(len(backgrounds))
        for f in range(len(foregrounds))
        for mirrored in (False, True)
    ][index::processes]
    for b, f, mirrored in units:
        if b not in canvases:
            picture = pictures.read_picture(Path(backgrounds[b]).read_bytes())
            canvases[b] = Background.of(pictures.fit_background(picture, CANVAS), SIZE)
        key = placement.generator_key(0, str(b), str(f), mirrored)
        cutout = cutouts[f]
        scale = placement.draw_scale(key, 0, FG_SCALE)
        size = placement.scaled_size((cutout.shape[1], cutout.shape[0]), CANVAS, scale)
        foreground = compositing.scale_foreground(cutout, size, mirrored)
        first = 1 + PLACEMENTS * mirrored
        boxes = [placement.place(key, first + k, size, CANVAS) for k in range(PLACEMENTS)]
        composed = compositing.compose_unit(canvases[b], foreground, boxes, SIZE, False)
        folder = f"{output}/bg{b + 1}/fg_{f + 1}"
        for kind, images in (("overlay", composed.overlays), ("mask", composed.masks)):
            os.makedirs(f"{folder}/{kind}", exist_ok=True)
            for k, image in enumerate(images):
                data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
                with open(f"{folder}/{kind}/{first + k}.jpg", "wb") as file:
                    file.write(data)


def time_bare(backgrounds: list[str], foregrounds: list[str], output: str, processes: int) -> float:
    """Seconds of the bare loop in as many processes."""
    context = multiprocessing.get_context("fork")
    start = time.perf_counter()
    running = [
        context.Process(target=bare_loop, args=(backgrounds, foregrounds, output, i, processes))
        for i in range(processes)
    ]
    for process in running:
        process.start()
    for process in running:
        process.join()
        if process.exitcode:
            raise RuntimeError("the bare loop failed")
    return time.perf_counter() - start


def time_fgbg(backgrounds: str, foregrounds: str, output: str, workers: int) -> tuple[float, dict]:
    """Seconds of the whole command, and what it says of its own run."""
    command = [sys.executable, "-m", "pipeline", "generate"]
    command += ["--backgrounds", backgrounds, "--foregrounds", foregrounds, "--output", output]
    command += ["--placements", str(PLACEMENTS), "--workers", str(workers)]
    command += ["--depth_model", "none"]
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    seconds = time.perf_counter() - start
    generation = json.loads(Path(output, "generation.json").read_text())
    return seconds, generation["timings"]["runs"][-1]


def links(paths: list[str], folder: str) -> str:
    """A folder with links to some pictures."""
    os.makedirs(folder)
    for path in paths:
        os.symlink(os.path.abspath(path), os.path.join(folder, os.path.basename(path)))
    return folder


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backgrounds", required=True, help="folder of photos")
    parser.add_argument("--foregrounds", required=True, help="folder of cut-outs")
    parser.add_argument("--count", type=int, default=10, help="backgrounds to use")
    parser.add_argument("--processes", default="1,2", help="numbers of processes to try")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each")
    parser.add_argument("--folder", help="where to write; default: the temporary folder")
    asked = parser.parse_args()
    backgrounds = catalogue.find(asked.backgrounds, "--backgrounds")[0][: asked.count]
    foregrounds = catalogue.find(asked.foregrounds, "--foregrounds")[0]
    samples = len(backgrounds) * len(foregrounds) * 2 * PLACEMENTS
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, OpenCV "
          f"{cv2.__version__}; {samples:,} samples of 224x224 composed at 448x448")  # fmt: skip
    print("processes  bare loop /s  fgbg /s  fgbg : bare loop  worker's peak memory")
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        chosen = links(backgrounds, f"{folder}/bg"), links(foregrounds, f"{folder}/fg")
        for processes in (int(n) for n in asked.processes.split(",")):
            bare, ours, peaks = [], [], []
            for turn in range(asked.rounds):
                output = f"{folder}/{processes}-{turn}"
                bare.append(time_bare(backgrounds, foregrounds, f"{output}-bare", processes))
                seconds, run = time_fgbg(*chosen, f"{output}-fgbg", processes)
                ours.append(seconds)
                peaks.append(run["peak_memory_of_a_worker_bytes"])
            ratio = statistics.median(b / o for b, o in zip(bare, ours, strict=True))
            print(
                f"{processes:9}  {samples / statistics.median(bare):12,.0f}  "
                f"{samples / statistics.median(ours):7,.0f}  {ratio:16.1%}  "
                f"{max(peaks) / 1e6:,.0f} MB"
            )
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3
    print(f"greatest memory of any process: {peak:,.0f} MB")


if __name__ == "__main__":
    main()
