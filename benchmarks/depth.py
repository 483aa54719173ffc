"""How fast DenseDepth is: ours, Keras' own ways, the machine's limit, and inside the main job.

    python benchmarks/depth.py                          480x640 and 448x448, batches 1, 4, 16
    python benchmarks/depth.py --precision bfloat16     on processors that have it
    python benchmarks/depth.py --backend jax            any Keras backend, on a GPU too
    python benchmarks/depth.py --batches= --job 448     only `fgbg generate` against the network

Weights are random: speed does not depend on them. Rates are in multiply-adds of the published
network, times two, whatever the variant computes: a variant that needs fewer shows a higher rate.
The share is of a large matrix product's rate in the same precision, measured in the same run.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fgbg.models.depth.densedepth import Architecture, layer_specs, multiply_adds

Run = Callable[[np.ndarray], Any]
_MATRIX = 4096


@dataclasses.dataclass
class Variant:
    """A way to run a network: uint8 pictures [batch, height, width, 3] in, depth out."""

    name: str
    precision: str
    run: Run


def random_arrays(architecture: Architecture) -> dict[str, tuple[np.ndarray, ...]]:
    """Arrays of the right shapes, scaled so that maps keep their size from layer to layer."""
    rng = np.random.default_rng(0)
    arrays = {}
    for spec in layer_specs(architecture):
        found = []
        for role, shape in zip(spec.roles, spec.shapes, strict=True):
            deviation = (2 / np.prod(shape[:-1])) ** 0.5 if role == "kernel" else 0.1
            centre = 1.0 if role in ("gamma", "moving_variance") else 0.0
            noise = rng.standard_normal(shape, dtype=np.float32) * np.float32(deviation)
            found.append(np.abs(noise + np.float32(centre)) if centre else noise)
        arrays[spec.name] = tuple(found)
    return arrays


def compiled(function: Callable[[Any], Any]) -> Run:
    """A function of a uint8 batch, compiled as the backend does it, its result fetched."""
    import keras

    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        traced = tf.function(function, autograph=False)
        return lambda pictures: traced(tf.constant(pictures)).numpy()
    if backend == "jax":
        import jax

        jitted = jax.jit(function)
        return lambda pictures: np.asarray(jitted(pictures))
    import torch

    faster = torch.compile(function) if torch.cuda.is_available() else function

    def run(pictures: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return keras.ops.convert_to_numpy(faster(keras.ops.convert_to_tensor(pictures)))

    return run


def variants(arrays: dict[str, tuple[np.ndarray, ...]], precisions: list[str]) -> list[Variant]:
    """Ours in each precision, then Keras' ways with the published network."""
    import keras

    from fgbg.models.depth.densedepth_layers import build_network, metres_from_raw

    def depth(network: Any) -> Callable[[Any], Any]:
        return lambda u: metres_from_raw(network(keras.ops.cast(u, "float32") / 255.0), 10.0)

    found = []
    for precision in precisions:
        network = build_network(Architecture(), arrays, dtype=precision)
        found.append(Variant("ours", precision, compiled(depth(network))))
    for precision in precisions:
        plain = build_network(Architecture(), arrays, fold=False, convolve_first=0, dtype=precision)
        for jit in (True, False):
            # Keras compiles by XLA unless told otherwise; a model of its own keeps the two apart.
            model = build_network(
                Architecture(), arrays, fold=False, convolve_first=0, dtype=precision
            )
            model.compile(jit_compile=jit)
            found.append(
                Variant(f"(a) predict{'' if jit else ', no XLA'}", precision, _predict(model))
            )
        call = depth(plain)
        found.append(Variant("(b) called eagerly", precision, _eager(call)))
    return found


def _predict(model: Any) -> Run:
    def run(u: np.ndarray) -> np.ndarray:
        fed = u.astype(np.float32) / np.float32(255)
        return model.predict(fed, batch_size=len(u), verbose=0)

    return run


def _eager(function: Callable[[Any], Any]) -> Run:
    import keras

    def run(u: np.ndarray) -> np.ndarray:
        return keras.ops.convert_to_numpy(function(keras.ops.convert_to_tensor(u)))

    return run


def seconds_per_call(run: Run, pictures: np.ndarray, budget_s: float) -> float:
    """The median time of a call, after one that compiles and one that warms up."""
    run(pictures)
    start = time.perf_counter()
    run(pictures)
    first = time.perf_counter() - start
    times = [first]
    for _ in range(min(30, int((budget_s - first) / first))):
        start = time.perf_counter()
        run(pictures)
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def matrix_peak(precision: str) -> float:
    """FLOP/s of a large matrix product."""
    import keras

    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((_MATRIX, _MATRIX), dtype=np.float32)
    a = keras.ops.cast(matrix, precision)

    # Summed up: of the product only one number is fetched.
    def product(u: Any) -> Any:
        return keras.ops.sum(keras.ops.matmul(a, a)) + keras.ops.cast(keras.ops.sum(u), a.dtype)

    run = compiled(product)
    return 2 * _MATRIX**3 / seconds_per_call(run, np.zeros(1, np.uint8), 3.0)


def compare(sizes: list[tuple[int, int]], batches: list[int], asked: argparse.Namespace) -> None:
    """Prints one row per size, batch and way."""
    arrays = random_arrays(Architecture())
    peaks = {}
    for precision in asked.precision:
        peaks[precision] = matrix_peak(precision)
        print(f"matrix product, {precision}: {peaks[precision] / 1e9:,.0f} GFLOP/s", flush=True)
    if not batches:
        return
    ways = variants(arrays, asked.precision)
    print(
        f"{'size':>9} {'batch':>5} {'precision':>9} {'way':20} {'ms/image':>9} {'images/s':>9} "
        f"{'GFLOP/s':>9} {'of peak':>8} {'times (a)':>9}"
    )
    for width, height in sizes:
        flop = 2 * multiply_adds(Architecture(), height, width)
        for batch in batches:
            pictures = np.random.default_rng(0).integers(
                0, 256, (batch, height, width, 3), dtype=np.uint8
            )
            times = [seconds_per_call(way.run, pictures, asked.seconds) / batch for way in ways]
            for way, each in zip(ways, times, strict=True):
                a = min(
                    t
                    for w, t in zip(ways, times, strict=True)
                    if w.name.startswith("(a)") and w.precision == way.precision
                )
                print(
                    f"{f'{width}x{height}':>9} {batch:5d} {way.precision:>9} {way.name:20} "
                    f"{each * 1e3:9.1f} {1 / each:9.2f} {flop / each / 1e9:9,.0f} "
                    f"{flop / each / peaks[way.precision]:8.0%} {a / each:9.2f}",
                    flush=True,
                )


def bare(path: str, model_json: str, side: int, seconds: float, ready: Any, rate: Any) -> None:
    """What a process of the bare network does: predicts units of 20 pictures, tells its rate."""
    from fgbg.models.depth import depth_network
    from fgbg.models.depth.depth_card import DepthModel

    model = DepthModel.from_dict(json.loads(model_json))
    network = depth_network.load(path, model, (side, side), 1, 20)
    pictures = np.random.default_rng(0).integers(0, 256, (20, side, side, 3), dtype=np.uint8)
    network.predict(pictures[:4])
    ready.wait()
    start, made = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        network.predict(pictures)
        made += len(pictures)
    rate.put(made / (time.perf_counter() - start))


def job(
    side: int, precision: str, workers: int, backgrounds: tuple[int, int], seconds: float
) -> None:
    """Prints the rate inside `fgbg generate` beside the bare network's, process for process."""
    from fgbg.models.depth import depth_card
    from tests.helpers.densedepth_file import densedepth, write

    with tempfile.TemporaryDirectory() as folder:
        path = str(write(densedepth(), Path(folder) / "random.h5"))
        model = depth_card.inspect(path, precision=precision)
        worker = multiprocessing.get_context("spawn").Process(
            target=in_one_worker, args=(path, precision, side, 1)
        )
        worker.start()
        worker.join()
        before = _bare_rate(path, model, side, workers, seconds)
        # The difference of a long and a short job: without what starting and ending cost.
        short, long = (_generate(folder, path, side, precision, workers, n) for n in backgrounds)
        after = _bare_rate(path, model, side, workers, seconds)
    if long[1] < 1.5 * short[1]:
        print("the longer job took hardly longer than the short one: give more --backgrounds")
        return
    rate = (long[0] - short[0]) / (long[1] - short[1])
    network = (before + after) / 2
    print(
        f"fgbg generate, canvas {side}, {precision}, {workers} workers: {rate:.2f} samples/s; the "
        f"bare network in as many processes: {before:.2f} images/s before, {after:.2f} after; "
        f"{rate / network:.0%}. Of the workers' time in the longer job, depth took {long[2]:.1%}; "
        f"starting and ending, once: {short[1] - short[0] / rate:.1f} s"
    )


def _bare_rate(path: str, model: Any, side: int, workers: int, seconds: float) -> float:
    """Images a second of the network alone, in several processes at once."""
    context = multiprocessing.get_context("spawn")
    ready, rates = context.Barrier(workers), context.Queue()
    text = json.dumps(model.to_dict())
    processes = [
        context.Process(target=bare, args=(path, text, side, seconds, ready, rates))
        for _ in range(workers)
    ]
    for process in processes:
        process.start()
    total = sum(rates.get(timeout=600) for _ in processes)
    for process in processes:
        process.join()
    return total


def in_one_worker(path: str, precision: str, side: int, backgrounds: int) -> None:
    """Prints the CPU time of the main job beside the bare network's, in one process.

    Unlike wall time it tells the same on a machine that others use too. What a job costs once (the
    graph's start, the sample sheets) drops out as the difference of two jobs.
    """
    from fgbg.models.depth import depth_card, depth_network
    from tests.helpers.data_sets import make_in_process

    model = depth_card.inspect(path, precision=precision)
    network = depth_network.load(path, model, (side, side), 1, 20)
    pictures = np.random.default_rng(0).integers(0, 256, (20, side, side, 3), dtype=np.uint8)

    def bare_cpu() -> float:
        start = time.process_time()
        network.predict(pictures)
        return (time.process_time() - start) / len(pictures)

    def job_cpu(folder: str, backgrounds: int, placements: int = 20) -> float:
        inputs = _inputs(Path(folder), backgrounds)
        more = [*_job_options(path, precision, side), "--placements", str(placements)]
        start = time.process_time()
        make_in_process(inputs, Path(folder) / f"out{backgrounds}", *more)
        return time.process_time() - start

    bare_cpu()
    with tempfile.TemporaryDirectory() as folder:
        job_cpu(f"{folder}/first", 1, placements=1)  # imports what the others then have
        before = bare_cpu()
        short, long = (job_cpu(folder, n) for n in (1, 1 + backgrounds))
        after = bare_cpu()
    each = (long - short) / (40 * backgrounds)
    print(
        f"CPU time of a sample in a worker, {precision}: {each * 1e3:.0f} ms; of a picture in the "
        f"bare network: {before * 1e3:.0f} ms before, {after * 1e3:.0f} ms after; "
        f"{(before + after) / 2 / each:.0%}",
        flush=True,
    )


def _job_options(path: str, precision: str, side: int) -> list[str]:
    return [
        *("--size", str(side // 2), "--canvas", str(side)),
        *("--depth_model", path, "--depth_precision", precision),
    ]


def _inputs(folder: Path, backgrounds: int) -> Path:
    """Backgrounds in bg/ and one foreground in fg/ of a new folder."""
    import cv2

    from tests.helpers.pictures import disc, photo

    inputs = folder / f"in{backgrounds}"
    for name in ("bg", "fg"):
        (inputs / name).mkdir(parents=True)
    for i in range(backgrounds):
        cv2.imwrite(str(inputs / "bg" / f"{i}.png"), photo(i, 640, 480))
    cv2.imwrite(str(inputs / "fg" / "disc.png"), disc(0))
    return inputs


def _generate(
    folder: str, path: str, side: int, precision: str, workers: int, backgrounds: int
) -> tuple[int, float, float]:
    """Samples, wall time and depth's share of the workers' time of one job."""
    from fgbg.pipeline.__main__ import main

    inputs, output = _inputs(Path(folder), backgrounds), Path(folder) / f"out{backgrounds}"
    start = time.perf_counter()
    code = main(
        [
            "generate",
            *("--backgrounds", str(inputs / "bg"), "--foregrounds", str(inputs / "fg")),
            *("--output", str(output), "--workers", str(workers)),
            *_job_options(path, precision, side),
        ]
    )
    if code:
        raise SystemExit(code)
    wall = time.perf_counter() - start
    run = json.loads((output / "generation.json").read_text())["timings"]["runs"][0]
    share = run["depth_s"] / (run["compose_s"] + run["depth_s"] + run["write_s"])
    return run["samples"], wall, share


def _sizes(text: str) -> list[tuple[int, int]]:
    return [(int(w), int(h)) for w, h in (part.split("x") for part in text.split(","))]


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]


def main() -> None:
    """Runs what the options ask for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--sizes", type=_sizes, default="640x480,448x448", help="WxH,...: pictures fed")
    add("--batches", type=_numbers, default="1,4,16", help="pictures in a call; empty: none")
    add("--precision", type=lambda t: t.split(","), default="float32", help="of ours and Keras'")
    add("--backend", default="tensorflow", choices=("tensorflow", "jax", "torch"))
    add("--seconds", type=float, default=3.0, help="spent on each row, at least two calls")
    add("--threads", type=int, default=os.cpu_count(), help="TensorFlow's threads on the CPU")
    add("--job", type=int, default=0, help="canvas of the measured `fgbg generate`; 0: none")
    add("--workers", type=int, default=os.cpu_count(), help="processes of --job")
    add("--backgrounds", type=_numbers, default="1,5", help="of the short and the long job")
    asked = parser.parse_args()
    os.environ["KERAS_BACKEND"] = asked.backend
    if asked.backend == "tensorflow":
        from fgbg.models import tensorflow_process

        tensorflow_process.start(asked.threads)
    import keras

    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, Keras "
        f"{keras.__version__} on {asked.backend}, {asked.threads} threads",
        flush=True,
    )
    compare(asked.sizes, asked.batches, asked)
    if asked.job:
        short, long = asked.backgrounds
        for precision in asked.precision:
            job(asked.job, precision, asked.workers, (short, long), max(10.0, asked.seconds))


if __name__ == "__main__":
    main()
