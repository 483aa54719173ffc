"""Worker processes: what their launcher is told when one cannot begin."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.helpers.data_sets import ROOT

_RUN = """
import fgbg.pipeline.workers.processes as p
if __name__ == "__main__":
    p.run_alone("fgbg.pipeline.workers.tasks:make_slice")
"""


def test_an_import_that_fails_is_told_once_and_not_tried_again(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(_RUN)
    # Found first, and not to be imported.
    (tmp_path / "apache_beam.py").write_text("raise ImportError('no such library')\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1
    assert done.stderr.count("ImportError: no such library") == 1
    assert "WorkerError" in done.stderr and "died" not in done.stderr
