"""The engines' programs, had from package registries once and kept in a cache folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

FLINK = "2.2.1"
BEAM = "2.77.0"
_FLINK_WHEEL = f"apache_flink_libraries-{FLINK}-py2.py3-none-any.whl"
_FLINK_SHA256 = "74dc5546fbd9add8fbcdf1222a237e09491f9b80296241aef8676ec56f8e686e"
_PRISM = "github.com/apache/beam/sdks/v2/go/cmd/prism"
OPERATOR = "1.10.0"
_OPERATOR = "flink-kubernetes-operator-api"
_OPERATOR_SHA256 = "b1f44814e17514fa8395c61b329a3ee9087123a5bda5b21fe1a495d5182c30b6"
_CRD = "META-INF/fabric8/flinkdeployments.flink.apache.org-v1.yml"
_JOB_SERVER = "beam-runners-flink-2.2-job-server"


class NotServedError(Exception):
    """A program cannot be had here: why, in words."""


def cache_folder() -> Path:
    """Where programs are kept: $FGBG_CACHE/engines, else ~/.cache/fgbg/engines."""
    base = os.environ.get("FGBG_CACHE") or "~/.cache/fgbg"
    return Path(base).expanduser() / "engines"


def flink(cache: Path) -> Path:
    """The folder with Flink's jars, from PyPI.

    Raises:
        NotServedError: It cannot be had.
    """
    folder = cache / f"flink-{FLINK}"
    if (folder / "pyflink" / "lib").is_dir():
        return folder / "pyflink"
    part = cache / f"flink-{FLINK}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    _run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(part),
         f"apache-flink-libraries=={FLINK}"],
        "Flink",
    )  # fmt: skip
    wheel = part / _FLINK_WHEEL
    check(wheel, _FLINK_SHA256)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(part)
    wheel.unlink()
    part.rename(folder)
    return folder / "pyflink"


def job_server(cache: Path) -> Path:
    """Beam's job server for Flink: the file that FGBG_FLINK_JOB_SERVER names, else by Maven.

    There is no checksum to hold it against: Maven's own, of the registry, is all that is compared.

    Raises:
        NotServedError: It cannot be had.
    """
    given = os.environ.get("FGBG_FLINK_JOB_SERVER")
    if given:
        if not os.path.isfile(given):
            raise NotServedError(f"FGBG_FLINK_JOB_SERVER={given}: no such file")
        return Path(given)
    name = f"{_JOB_SERVER}-{BEAM}.jar"
    jar = cache / name
    if jar.is_file():
        return jar
    cache.mkdir(parents=True, exist_ok=True)
    _run(
        ["mvn", "-B", "-q", "dependency:copy", f"-DoutputDirectory={cache}",
         f"-Dartifact=org.apache.beam:{_JOB_SERVER}:{BEAM}"],
        "Beam's job server for Flink",
    )  # fmt: skip
    return jar


def operator_crd(cache: Path) -> str:
    """The definition of FlinkDeployment by Flink's Kubernetes operator, YAML, by Maven.

    Raises:
        NotServedError: It cannot be had.
    """
    jar = cache / f"{_OPERATOR}-{OPERATOR}.jar"
    if not jar.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        _run(
            ["mvn", "-B", "-q", "dependency:copy", f"-DoutputDirectory={cache}",
             f"-Dartifact=org.apache.flink:{_OPERATOR}:{OPERATOR}"],
            "the operator's API",
        )  # fmt: skip
        check(jar, _OPERATOR_SHA256)
    with zipfile.ZipFile(jar) as archive:
        return archive.read(_CRD).decode()


def prism(cache: Path) -> Path:
    """Prism, built by Go; its module's checksum is Go's to compare.

    Raises:
        NotServedError: It cannot be had.
    """
    folder = cache / f"prism-{BEAM}"
    if not (folder / "prism").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        _run(["go", "install", f"{_PRISM}@v{BEAM}"], "Prism", {"GOBIN": str(folder)})
    return folder / "prism"


def check(path: Path, sha256: str) -> None:
    """Raises NotServedError for a file that has another checksum, and deletes it."""
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        path.unlink()
        raise NotServedError(f"{path.name}: SHA-256 {found} instead of {sha256}")


def _run(command: list[str], what: str, environment: dict[str, str] | None = None) -> None:
    if shutil.which(command[0]) is None:
        raise NotServedError(f"{what}: there is no {command[0]} here")
    result = subprocess.run(
        command,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if result.returncode:
        text = result.stdout
        wrong = [line for line in text.splitlines() if "ERROR" in line or "rror:" in line]
        line = (wrong or text.splitlines() or ["no message"])[0]
        line = line.rpartition("standalone-pom: ")[2]  # Maven's name for no project
        raise NotServedError(f"{what} is not served here: {line[:300]}")
