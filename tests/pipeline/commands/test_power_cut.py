"""A power cut: what the disk holds of a running job, taken at some moments, is gone on with.

The job writes to a file system in a file (a loop device); a copy of that file holds just what the
kernel had written to the disk by then.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fgbg.pipeline.__main__ import main
from tests.helpers.data_sets import arguments, make_in_process, tree
from tests.helpers.killing import commits, gone, start, wait_for

MANY = ("--placements", "300", "--workers", "2")
MOMENTS = 3
_BYTES = 160 << 20


@contextlib.contextmanager
def mounted(image: Path, folder: Path) -> Iterator[Path]:
    """A file system in a file, as it is there or, if the file is new, an empty one."""
    if not image.exists():
        with open(image, "wb") as file:
            file.truncate(_BYTES)
        _run("mkfs.ext4", "-q", "-F", str(image))
    folder.mkdir(exist_ok=True)
    _run("mount", "-o", "loop", str(image), str(folder))
    try:
        yield folder
    finally:
        _run("umount", str(folder))


def _run(*command: str) -> None:
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]} is not here")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and command[0] == "mount":
        pytest.skip(f"no loop device can be mounted here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wanted(small_inputs, tmp_path_factory) -> dict[str, dict[str, bytes]]:
    return {
        form: tree(
            make_in_process(
                small_inputs, tmp_path_factory.mktemp(form) / "set", "--format", form, *MANY
            )
        )
        for form in ("images", "tfrecord")
    }


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a file system")
@pytest.mark.parametrize("form", ["images", "tfrecord"])
def test_what_the_disk_holds_at_a_power_cut_is_gone_on_with(
    form, small_inputs, wanted, tmp_path, capsys, in_process
):
    disk = tmp_path / "disk"
    with mounted(disk, tmp_path / "mounted") as folder:
        output = folder / "set"
        command = arguments(small_inputs, output, "--format", form, *MANY)
        process = start(*command)
        cuts = []
        for i in range(MOMENTS):
            wait_for(lambda i=i: commits(output) >= 1 + 3 * i or process.poll() is not None)
            cuts.append(tmp_path / f"cut{i}")
            shutil.copyfile(disk, cuts[-1])
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        wait_for(lambda: gone([process.pid]))
        # All at once, as by a crash of the kernel: nothing is written to the disk any more.
        subprocess.run(["sync", "-f", str(folder)], check=False)
    for cut in cuts:
        with mounted(cut, tmp_path / "mounted") as folder:
            output = folder / "set"
            claimed = commits(output) if output.exists() else 0
            assert main(arguments(small_inputs, output, "--format", form, *MANY)) == 0
            told = capsys.readouterr()
            assert "Traceback" not in told.err
            assert tree(output) == wanted[form], f"{cut.name}: {claimed} records were there"
