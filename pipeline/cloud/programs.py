"""Programs that Beam starts for a runner, and would download: had before a job is built.

Beam asks the network without a limit of time, and tells of it in a dozen lines of warnings.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import socket
import urllib.parse
import zipfile
from collections.abc import Iterator

from apache_beam.options.pipeline_options import (
    JobServerOptions,
    PipelineOptions,
    PrismRunnerOptions,
)

from fgbg.pipeline.cloud import services
from fgbg.pipeline.exit_codes import UserError

# Linux, zip, Windows, macOS, scripts.
_PROGRAMS = (b"\x7fELF", b"PK", b"MZ", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"#!")
_PRISM = "github.com/apache/beam/sdks/v2/go/cmd/prism"


def check_java(options: PipelineOptions) -> None:
    """Raises a UserError where there is no Java."""
    java = options.view_as(JobServerOptions).job_server_java_launcher
    if shutil.which(java) is None:
        raise UserError(
            f"--job_server_java_launcher {java}: no such program; the job server needs Java"
        )


def check_jar(option: str, jar: str | None, server: type, options: PipelineOptions) -> None:
    """Looks for the job server's jar; one that Beam would download is downloaded now.

    Raises:
        UserError: It is not there, and cannot be had.
    """
    if jar and os.path.exists(jar):
        if not zipfile.is_zipfile(jar):
            raise UserError(f"{option} {jar}: is no jar")
        return
    if jar and not urllib.parse.urlparse(jar).scheme:
        raise UserError(f"{option} {jar}: no such file")
    made = server(options)
    advice = f"; download it elsewhere, and give the file by {option}"
    try:
        where = made.path_to_jar()
        cache = options.view_as(JobServerOptions).jar_cache_dir
        if not os.path.exists(where) and not _is_cached(where, cache):
            services.address(f"the job server's jar {where}", where, advice)
            with _quick_and_quiet():
                made.local_jar(where, cache)
    except UserError:
        raise
    except Exception as error:  # Beam's own kinds, of version and download
        raise UserError(f"{option}: the jar cannot be had: {_one_line(error)}{advice}") from error


def _is_cached(address: str, cache: str | None) -> bool:
    from apache_beam.utils.subprocess_server import JavaJarServer

    folder = cache or JavaJarServer.JAR_CACHE
    return os.path.exists(os.path.join(folder, os.path.basename(address)))


def check_prism(options: PipelineOptions) -> None:
    """Looks for Prism; where Beam would download it, it is downloaded now.

    Raises:
        UserError: It is not there, and cannot be had.
    """
    from apache_beam.runners.portability.prism_runner import PrismJobServer
    from apache_beam.version import __version__ as version

    location = options.view_as(PrismRunnerOptions).prism_location
    what = f"--prism_location {location}" if location else "Prism"
    advice = f"; build it by go install {_PRISM}@v{version}, and give the file by --prism_location"
    if location and os.path.exists(location):
        if not _is_program(location):
            raise UserError(f"{what}: is no program{advice}")
        return
    try:
        made = PrismJobServer(options)
        where = location or made.path_to_binary()
        cached = os.path.join(PrismJobServer.BIN_CACHE, os.path.basename(where))
        if not location and (os.path.exists(where) or os.path.exists(cached)):
            return
        services.address(f"{what}{'' if location else f' ({where})'}", where, advice)
        with _quick_and_quiet():
            made._get_executable_path()
    except UserError:
        raise
    except Exception as error:  # Beam's own kinds
        raise UserError(f"{what} cannot be had: {_one_line(error)}{advice}") from error


def _is_program(path: str) -> bool:
    """Whether a file begins as a program of some system does, or as an archive with one in it."""
    try:
        with open(path, "rb") as file:
            return file.read(4).startswith(_PROGRAMS)
    except OSError:
        return False


@contextlib.contextmanager
def _quick_and_quiet() -> Iterator[None]:
    """A download ends when nothing comes for a while, and says nothing on its way."""
    before = socket.getdefaulttimeout()
    logger = logging.getLogger("apache_beam")
    level = logger.level
    socket.setdefaulttimeout(services.PATIENCE_S)
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
        socket.setdefaulttimeout(before)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
