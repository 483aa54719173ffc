"""Faults of the machine: one line that names the cause and the place, and never a traceback."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fgbg.pipeline import faults
from tests.helpers import small_networks
from tests.helpers.data_sets import ROOT, arguments, fgbg, tree


def limited(number: int, most: int):
    return lambda: resource.setrlimit(number, (most, most))


def told(done: subprocess.CompletedProcess) -> str:
    """The one line of a command that a fault has ended."""
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr and "usage:" not in done.stderr, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("fgbg ")]
    assert len(lines) == 1, done.stderr
    return lines[0]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 200 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        pytest.skip(f"no file system can be mounted here: {made.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("more", [(), ("--format", "tfrecord")])
def test_a_full_disk_is_named(more, small_disk, small_inputs):
    line = told(fgbg(*arguments(small_inputs, small_disk / "set", *more)))
    assert "the disk is full" in line and str(small_disk) in line


def test_a_limit_of_file_sizes_is_named(small_inputs, tmp_path):
    done = fgbg(
        *arguments(small_inputs, tmp_path / "set", "--workers", "1"),
        preexec_fn=limited(resource.RLIMIT_FSIZE, 2048),
    )
    line = told(done)
    assert "so large" in line and "ulimit -f" in line and str(tmp_path / "set") in line


def test_a_limit_of_open_files_is_named(small_inputs, tmp_path):
    done = fgbg(
        *arguments(small_inputs, tmp_path / "set"), preexec_fn=limited(resource.RLIMIT_NOFILE, 16)
    )
    assert "too many open files; allow more by ulimit -n" in told(done)
    assert not (tmp_path / "set").exists()


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One of each kind."""
    folder = tmp_path_factory.mktemp("networks")
    return {
        "net.keras": small_networks.keras_file(folder / "net.keras"),
        "net.tflite": small_networks.tflite_file(folder / "net.tflite", (64, 64)),
        "saved": small_networks.saved_model(folder / "saved"),
        "net.h5": small_networks.densedepth_h5(folder / "net.h5"),
    }


@pytest.mark.parametrize(
    "network, gib, words",
    [
        ("none", 0.4, "take 2 GiB of addresses; raise the limit"),
        ("none", 1.0, "take 2 GiB"),
        ("builtin", 0.4, "take 2 GiB"),
        ("builtin", 3.3, "memory is limited to 3.3 GiB here (ulimit -v), and TensorFlow's"),
        ("net.keras", 2.5, "take 4 GiB"),
        ("net.tflite", 3.0, "take 4 GiB"),
        ("saved", 2.2, "take 4 GiB"),
        ("net.h5", 3.0, "take 4 GiB"),
    ],
)
def test_a_limit_of_memory_is_named_before_any_work(
    network, gib, words, networks, small_inputs, tmp_path
):
    output = tmp_path / "set"
    network = str(networks.get(network, network))
    started = time.monotonic()
    done = fgbg(
        *arguments(small_inputs, output, "--depth_model", network, "--overwrite"),
        preexec_fn=limited(resource.RLIMIT_AS, int(gib * 2**30)),
        timeout=60,
    )
    assert words in told(done) and time.monotonic() - started < 60
    assert not output.exists()


@pytest.mark.slow
def test_a_limit_of_memory_that_suffices_is_no_fault(small_inputs, small_data_set, tmp_path):
    output = tmp_path / "set"
    done = fgbg(
        *arguments(small_inputs, output),
        preexec_fn=limited(resource.RLIMIT_AS, faults._LEAST_MEMORY[False]),
    )
    assert done.returncode == 0, done.stderr
    assert tree(output) == tree(small_data_set)


def test_a_thread_that_has_no_memory_to_begin_is_no_hang(monkeypatch):
    """As seen: the new thread dies of a MemoryError before it says that it runs."""
    name = "_start_new_thread" if sys.version_info < (3, 13) else "_start_joinable_thread"
    monkeypatch.setattr(faults, "_THREAD_S", 0.1)
    monkeypatch.setattr(faults, "memory_is_limited", lambda: True)
    monkeypatch.setattr(threading.Thread, "__init__", threading.Thread.__init__)
    faults.threads_start_or_fail()
    beats: list[int] = []
    thread = threading.Thread(target=beats.append, args=(1,))
    thread.start()
    thread.join()
    assert beats == [1]
    monkeypatch.setattr(threading, name, lambda *_, **named: None)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        threading.Thread(target=beats.append, args=(2,)).start()


def test_a_small_picture_is_not_to_blame_for_short_memory(small_inputs, monkeypatch):
    from fgbg.transforms.pixels import picture_error, pictures

    def fail(*_: object) -> None:
        raise MemoryError

    data = (small_inputs / "bg" / "room0.png").read_bytes()
    monkeypatch.setattr(pictures, "_read", fail)
    with pytest.raises(picture_error.PictureError, match="scale it down"):
        pictures.read_picture(data)
    monkeypatch.setattr(picture_error, "_LITTLE", 1 << 62)
    with pytest.raises(MemoryError):
        pictures.read_picture(data)


def test_reading_a_small_file_takes_little_memory(small_inputs):
    import tracemalloc

    from fgbg.files import foreign

    path = small_inputs / "bg" / "room0.png"
    tracemalloc.start()
    try:
        assert foreign.read(str(path)) == path.read_bytes()
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()


def test_a_low_limit_of_open_files_is_raised(small_inputs, tmp_path):
    def lower() -> None:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (16, hard))

    done = fgbg(*arguments(small_inputs, tmp_path / "set"), preexec_fn=lower)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "error, words",
    [
        (OSError(errno.ENOSPC, "No space left", "/a/b"), "/a/b: the disk is full; free"),
        (OSError(errno.EDQUOT, "quota"), "OUT or "),
        (OSError(errno.EROFS, "read-only", "/a"), "/a: the file system is read-only; give"),
        (MemoryError(), "memory is short; fewer --workers"),
        (
            RuntimeError(
                'Traceback (most recent call last):\n  File "x"\n'
                "OSError: [Errno 28] No space left on device: '/a/1.jpg' [while running 'Write']"
            ),
            "/a/1.jpg: the disk is full; free",
        ),
        (
            RuntimeError(
                "Traceback (most recent call last):\n  File\nKeyError: 3 [while running 'X']"
            ),
            "KeyError: 3",
        ),
        (ValueError("this\nand that"), "ValueError: this and that"),
        (KeyError(), "KeyError"),
        (FileNotFoundError(errno.ENOENT, "No such file", "/a"), "/a: No such file"),
    ],
)
def test_errors_are_one_line(error, words):
    line = faults.explain(error, "OUT")
    assert line.startswith(words) and "\n" not in line and "while running" not in line


_BROKEN = """
import sys
from fgbg.pipeline import __main__ as program
from fgbg.pipeline.commands import show
def main(arguments):
    {body}
show.main = main
if __name__ == "__main__":
    sys.exit(program.main())
"""


@pytest.mark.parametrize("wanted", ["0", "1"])
def test_what_nobody_expected_is_one_line_and_a_traceback_if_asked(wanted, tmp_path):
    script = tmp_path / "run.py"
    script.write_text(_BROKEN.format(body="raise KeyError('nothing of it')"))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), faults.TRACEBACK: wanted}
    done = subprocess.run(
        [sys.executable, str(script), "show", "x"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("fgbg show: KeyError: 'nothing of it'")
    assert ("Traceback" in done.stderr) == (wanted == "1")
    assert wanted == "1" or done.stderr.count("\n") == 1


def test_a_reader_of_the_output_that_has_gone_is_no_error(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(_BROKEN.format(body="print('x' * 1_000_000); return 0"))
    with subprocess.Popen(
        [sys.executable, str(script), "show"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 1


@pytest.mark.parametrize("pause", [0.5, 3.0])
def test_many_interrupts_leave_no_traceback(pause, small_inputs, tmp_path):
    command = arguments(small_inputs, tmp_path / "set", "--placements", "5000")
    with subprocess.Popen(
        [sys.executable, "-m", "fgbg", *command],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        time.sleep(pause)
        for _ in range(5):
            os.killpg(process.pid, signal.SIGINT)
            time.sleep(0.02)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == 130, said
    assert "Traceback" not in said and "KeyboardInterrupt" not in said
    assert said.count("interrupted") == 1
