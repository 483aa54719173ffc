"""Fixtures: small pictures, small data sets, and the real pictures where they are at hand."""

from __future__ import annotations

import functools
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.helpers.data_sets import SHARED, make_in_process, without_workers
from tests.helpers.pictures import disc, photo

pytest_plugins = ["tests.helpers.gcs", "tests.helpers.built_in_training"]

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
def _downloads_of_this_machine_are_left_out(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[None]:
    """What somebody has fetched here would be taken by itself (`fgbg cutout`)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FGBG_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _drawings_are_kept() -> Iterator[None]:
    from tests.helpers import kept_drawings

    with pytest.MonkeyPatch.context() as patch:
        kept_drawings.keep(patch)
        yield


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


@pytest.fixture(scope="session")
def small_data_set(small_inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of the small inputs; not to be changed by tests."""
    return make_in_process(small_inputs, tmp_path_factory.mktemp("data") / "set")


@pytest.fixture(scope="session")
def conspicuous_sets(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Data sets of report_sets by their options, each made once; not to be changed by tests."""
    from tests.helpers.report_sets import make_conspicuous

    return functools.cache(
        lambda *more: make_conspicuous(tmp_path_factory.mktemp("conspicuous"), *more)
    )
