"""Faults of the machine: one line that names the cause and the place, and never a traceback."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fgbg.pipeline import faults
from tests.helpers.data_sets import ROOT, arguments, fgbg


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
