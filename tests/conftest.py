"""Fixtures: small pictures, small data sets, and the real pictures where they are at hand."""

from __future__ import annotations

import contextlib
import functools
import importlib
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"

# Shells start what runs in the background with Ctrl-C ignored, and commands inherit that.
_ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN
if _ignored and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real photos, cut-outs and weights, which are not part of the project."""
    if not SHARED.is_dir():
        pytest.skip("the real pictures (../shared/data) are not at hand")
    return SHARED


@pytest.fixture(scope="module", autouse=True)
def _determinism_of_training_ends() -> Iterator[None]:
    """`fgbg train` switches TensorFlow to deterministic operations; other modules go without."""
    yield
    if "tensorflow" in sys.modules:
        from tensorflow.python.framework import config

        config.disable_op_determinism()


@pytest.fixture(scope="session", autouse=True)
def _drawings_are_kept() -> Iterator[None]:
    import kept_drawings

    with pytest.MonkeyPatch.context() as patch:
        kept_drawings.keep(patch)
        yield


@contextlib.contextmanager
def without_workers() -> Iterator[None]:
    """Commands run by main() do the work of their worker processes here, one slice after the other.

    For small data sets, whose processes take most of the time. What the workers do sees this
    process' environment. That workers make the same is proved where they are not left out.
    """
    from pipeline import processes

    def run(self, task, arguments, on_tick=None, on_death=None):  # type: ignore[no-untyped-def]
        from pipeline import worker

        counters = [0] * self._array_length
        worker.set_up(counters, 1)
        module, _, function = task.partition(":")
        try:
            results = [getattr(importlib.import_module(module), function)(a) for a in arguments]
        finally:
            worker.meter.share(None)
        return results, counters

    loggers = [logging.getLogger(), logging.getLogger("models")]
    levels = [logger.level for logger in loggers]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processes.ProcessGroup, "run", run)
        patch.setattr(processes, "warm_up", lambda: None)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


@pytest.fixture
def in_process() -> Iterator[None]:
    """`without_workers` for all of a test."""
    with without_workers():
        yield


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of copies and downloads, for one test alone."""
    monkeypatch.setenv("FGBG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def photo(seed: int, width: int = 96, height: int = 80) -> np.ndarray:
    """A smooth random photo: uint8 RGB [height, width, 3]."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (6, 7, 3), dtype=np.uint8))
    return np.array(small.resize((width, height), Image.Resampling.BICUBIC))


def disc(seed: int, width: int = 90, height: int = 120, soft: float = 4.0) -> np.ndarray:
    """A cut-out with a soft edge: uint8 RGBA [height, width, 4]."""
    colour = photo(1000 + seed, width, height)
    y, x = np.mgrid[0:height, 0:width]
    radius = np.hypot((x - width / 2 + 0.5) / width, (y - height / 2 + 0.5) / height) * 2
    alpha = np.clip((1 - radius) * min(width, height) / 2 / soft + 0.5, 0, 1)
    return np.dstack((colour, np.rint(alpha * 255).astype(np.uint8)))


@pytest.fixture(scope="session")
def small_inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three photos in bg/ and two cut-outs in fg/."""
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "bg").mkdir()
    (folder / "fg").mkdir()
    for i in range(3):
        Image.fromarray(photo(i)).save(folder / "bg" / f"room{i}.png")
    for i in range(2):
        Image.fromarray(disc(i)).save(folder / "fg" / f"thing{i}.png")
    return folder


def arguments(inputs: Path, output: Path, *more: str) -> list[str]:
    """A quick `generate` command line: 32x32 stored, 64x64 composed, without depth."""
    return [
        "generate",
        *("--backgrounds", str(inputs / "bg")),
        *("--foregrounds", str(inputs / "fg")),
        *("--output", str(output)),
        *("--size", "32"),
        *("--placements", "3"),
        *("--depth_model", "none"),
        *more,
    ]


def fgbg(*command: str, timeout: float = 120, **settings: object) -> subprocess.CompletedProcess:
    """Runs a command as a person would, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        **settings,  # type: ignore[call-overload]
    )


def tree(output: Path) -> dict[str, bytes]:
    """All files of a data set by name, but for what is allowed to differ between runs."""
    import json

    found = {}
    for folder, _, names in os.walk(output):
        for name in names:
            path = Path(folder) / name
            relative = path.relative_to(output).as_posix()
            data = path.read_bytes()
            if relative == "generation.json":
                content = json.loads(data)
                del content["timings"]
                data = json.dumps(content).encode()
            if relative == "index.html":
                before, _, rest = data.partition(b"<!-- timings -->")
                data = before + rest.partition(b"<!-- end of timings -->")[2]
            if relative != "_work/lock":
                found[relative] = data
    return found


def make_in_process(inputs: Path, output: Path, *more: str) -> Path:
    """Makes a data set without worker processes: quick, for tests that look at the result."""
    from pipeline import generate, options, worker
    from pipeline.graph_arguments import GraphArguments, SliceOfGenerate, SliceOfShards
    from transforms.summarise import summarise

    asked, _ = options.parse(options.generate_parser(), arguments(inputs, output, *more)[1:])
    configuration = generate._configuration(asked)
    request = generate._request(asked, configuration, generate.stored_job(asked), [])
    generate._store(request)
    graph = GraphArguments.of(request.output, request.job, request.depth_path, threads=1)
    worker.make_slice(SliceOfGenerate(graph, []))
    if graph.in_records:
        worker.join_slice(SliceOfShards(str(output), worker.plan_shards(str(output))))
    summarise(str(output))
    return output


@pytest.fixture(scope="session")
def small_data_set(small_inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of the small inputs; not to be changed by tests."""
    return make_in_process(small_inputs, tmp_path_factory.mktemp("data") / "set")


@pytest.fixture(scope="session")
def conspicuous_sets(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Data sets of report_sets by their options, each made once; not to be changed by tests."""
    from report_sets import make_conspicuous

    return functools.cache(
        lambda *more: make_conspicuous(tmp_path_factory.mktemp("conspicuous"), *more)
    )


MakeDataSet = Callable[..., Path]
