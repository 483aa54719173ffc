"""Networks of others are tried in a process of their own: what dies there is a message."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from fgbg.models.depth import depth_card
from fgbg.models.depth.depth_card import DepthModelError
from fgbg.pipeline import faults
from fgbg.pipeline.__main__ import main
from fgbg.pipeline.exit_codes import UserError
from fgbg.pipeline.workers import memory, trial
from tests.helpers.data_sets import arguments, tree
from tests.helpers.onnx_networks import depth_network
from tests.helpers.small_networks import tflite_file

SIZE = (32, 32)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tflite_file(tmp_path_factory.mktemp("network") / "net.tflite", SIZE)


def mutated(content: bytes, seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    data = bytearray(content)
    for place in rng.integers(8, len(data), rng.integers(1, 9)):
        data[place] = rng.integers(256)
    return bytes(data[: rng.integers(9, len(data))] if seed % 5 == 4 else data)


def fuzz(network: Path, folder: Path, seeds: range, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "PATIENCE_S", 15.0)
    for seed in seeds:
        path = folder / f"{seed}{network.suffix}"
        path.write_bytes(mutated(network.read_bytes(), seed))
        try:
            trial.depth(str(path), depth_card.inspect(str(path)), SIZE)
        except (UserError, DepthModelError) as error:
            assert str(path) in str(error) and "\n" not in str(error)


@pytest.fixture(scope="module")
def onnx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return depth_network(tmp_path_factory.mktemp("onnx") / "net.onnx", SIZE, outputs=1)


def test_damaged_networks_end_no_command(network, tmp_path, monkeypatch):
    fuzz(network, tmp_path, range(4), monkeypatch)


def test_damaged_onnx_networks_end_no_command(onnx, tmp_path, monkeypatch):
    fuzz(onnx, tmp_path, range(6), monkeypatch)


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("FGBG_TEST_ALL_DAMAGE"),
    reason="takes minutes: FGBG_TEST_ALL_DAMAGE=1 asks for it",
)
@pytest.mark.timeout(1200)
def test_many_damaged_onnx_networks_end_no_command(onnx, shared_data, tmp_path, monkeypatch):
    fuzz(onnx, tmp_path, range(100), monkeypatch)
    fuzz(shared_data / "weights" / "u2netp.onnx", tmp_path, range(100, 200), monkeypatch)


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("FGBG_TEST_ALL_DAMAGE"),
    reason="takes minutes: FGBG_TEST_ALL_DAMAGE=1 asks for it",
)
@pytest.mark.timeout(1200)
def test_many_damaged_networks_end_no_command(network, tmp_path, monkeypatch):
    fuzz(network, tmp_path, range(4, 64), monkeypatch)


def die() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def hang() -> None:
    time.sleep(1000)


def eat() -> None:
    """Takes memory without end; to spare the machine should nobody watch, up to 3 GB."""
    eaten = []
    for _ in range(300):
        eaten.append(bytearray(b"\1") * (10 << 20))
        time.sleep(0.01)


def refuse() -> None:
    raise ValueError("net: it does not fit")


@pytest.mark.parametrize(
    "what, words",
    [
        (die, r"net: .*kills the process .*SIGSEGV"),
        (hang, "net: .*not opened"),
        (refuse, "net: it"),
    ],
)
def test_what_dies_hangs_or_does_not_fit_is_one_line(what, words, monkeypatch):
    monkeypatch.setattr(trial, "PATIENCE_S", 8.0)
    with pytest.raises(UserError, match=words):
        trial._run("net", what)


def test_a_network_that_takes_all_memory_is_stopped(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 1 << 30)
    started = time.monotonic()
    with pytest.raises(UserError, match=r"net: .* more than 805\.3 MB of memory, of 1\.1 GB"):
        trial._run("net", eat)
    assert time.monotonic() - started < 30


def test_the_memory_of_this_machine_is_known():
    if not os.path.exists("/proc/meminfo"):
        pytest.skip("no /proc here")
    free, taken = memory.available(), memory.resident(os.getpid())
    assert free is not None and taken is not None
    assert 10 << 20 < taken < 64 << 30 and 1 << 20 < free < 1 << 50
    assert memory.resident(2**22 + 1) is None


def test_a_containers_limit_counts(tmp_path, monkeypatch):
    (tmp_path / "memory.max").write_text("3000\n")
    (tmp_path / "memory.current").write_text("2500\n")
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 200\n")
    names = (tmp_path, "memory.max", "memory.current", "inactive_file")
    monkeypatch.setattr(memory, "_CGROUPS", (names,))
    assert memory.available() == 700
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.available() != 700
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "none")
    assert memory.available() is None


@pytest.mark.parametrize("limited", [False, True])
def test_short_memory_is_not_the_networks_fault(limited, monkeypatch):
    monkeypatch.setattr(faults, "memory_is_limited", lambda: limited)
    with pytest.raises(MemoryError if limited else UserError):
        trial._run("net", die)
    with pytest.raises(MemoryError):
        trial._run("net", starve)


def starve() -> None:
    raise ValueError("net: libtensorflow_cc.so.2: failed to map segment from shared object")


def test_generate_deletes_nothing_for_a_network_that_dies(
    network, small_inputs, small_data_set, tmp_path, capsys, monkeypatch
):
    output = tmp_path / "set"
    shutil.copytree(small_data_set, output)
    before = tree(output)
    monkeypatch.setattr(trial, "_depth", _dies)
    command = arguments(small_inputs, output, "--overwrite", "--depth_model", str(network))
    assert main(command) == 2
    assert f"{network}: this network kills the process" in capsys.readouterr().err
    assert tree(output) == before
    command = ["depth", str(small_inputs / "bg"), "--output", str(tmp_path / "depth")]
    assert main([*command, "--depth_model", str(network)]) == 2
    assert not (tmp_path / "depth").exists()


def _dies(*arguments: object) -> None:
    die()
