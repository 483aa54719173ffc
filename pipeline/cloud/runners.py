"""The runner that is asked for, tried before anything is written: its name, options and service."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import os
import re
import shutil
import socket
import urllib.parse

from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    JobServerOptions,
    PipelineOptions,
    PortableOptions,
    PrismRunnerOptions,
    SparkRunnerOptions,
    StandardOptions,
)
from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator
from apache_beam.runners.runner import PipelineRunner

from fgbg.pipeline.exit_codes import UserError

# A service that does not take a connection for so long, in seconds, is not there.
_PATIENCE_S = 5.0
# Beam's names for a Flink master that it starts itself.
_FLINK_HERE = ("[local]", "[auto]")
_LOCAL_SPARK = re.compile(r"local(\[.+\])?")


def canonical(name: str) -> str:
    """A runner's name as Beam writes it: "flink" is FlinkRunner; a path with dots stays.

    Raises:
        UserError: There is no such runner, or it cannot be imported.
    """
    known = {path.rpartition(".")[2]: path for path in StandardOptions.ALL_KNOWN_RUNNERS}
    by_lower = {short.lower(): short for short in known}
    by_lower |= {lower.removesuffix("runner"): short for lower, short in by_lower.items()}
    short = by_lower.get(name.lower())
    if short is None and "." not in name:
        near = difflib.get_close_matches(name.lower(), by_lower, n=1)
        hint = f"; did you mean {by_lower[near[0]]}?" if near else ""
        raise UserError(f"--runner {name}: unknown runner{hint}")
    _class_of(name, known[short] if short else name)
    return short or name


def _class_of(name: str, path: str) -> type[PipelineRunner]:
    module, _, attribute = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(f"--runner {name}: cannot be imported: {error}") from error
    if not (isinstance(found, type) and issubclass(found, PipelineRunner)):
        raise UserError(f"--runner {name}: is no runner of Beam")
    return found


def check(runner: str, beam_options: list[str]) -> None:
    """Tries what can be tried of a runner without handing it a job.

    Args:
        runner: From `canonical`.
        beam_options: Beam's options, complete.

    Raises:
        UserError: Options are wrong or missing, or what the runner needs is not there.
    """
    options = PipelineOptions(beam_options)
    paths = {path.rpartition(".")[2]: path for path in StandardOptions.ALL_KNOWN_RUNNERS}
    made = _class_of(runner, paths.get(runner, runner))()
    errors = PipelineOptionsValidator(options, made).validate()
    if errors:
        raise UserError("; ".join(" ".join(str(error).split()) for error in errors))
    short = runner.rpartition(".")[2]
    if short not in ("PortableRunner", "FlinkRunner", "SparkRunner", "PrismRunner"):
        return
    endpoint = options.view_as(PortableOptions).job_endpoint
    if endpoint:
        if endpoint != "embed":
            _connect(f"--job_endpoint {endpoint}", endpoint)
    elif short == "PortableRunner":
        raise UserError("--runner PortableRunner: --job_endpoint HOST:PORT is missing")
    elif short == "FlinkRunner":
        _check_flink(options)
    elif short == "SparkRunner":
        _check_spark(options)
    else:
        location = options.view_as(PrismRunnerOptions).prism_location
        if location and not os.path.exists(location):
            _check_address(f"--prism_location {location}", location)


def _check_flink(options: PipelineOptions) -> None:
    from apache_beam.runners.portability.flink_runner import FlinkJarJobServer

    flink = options.view_as(FlinkRunnerOptions)
    master = flink.flink_master.strip()
    if master not in _FLINK_HERE:
        _connect(f"--flink_master {master}", master.partition("://")[2] or master, 8081)
    java = not flink.flink_submit_uber_jar or master in _FLINK_HERE
    _check_jar("--flink_job_server_jar", flink.flink_job_server_jar, FlinkJarJobServer, options)
    if java:
        _check_java(options)


def _check_spark(options: PipelineOptions) -> None:
    from apache_beam.runners.portability.spark_runner import SparkJarJobServer

    spark = options.view_as(SparkRunnerOptions)
    if spark.spark_submit_uber_jar:
        if not spark.spark_rest_url:
            raise UserError("--spark_submit_uber_jar: --spark_rest_url is missing")
        _check_address(f"--spark_rest_url {spark.spark_rest_url}", spark.spark_rest_url)
    elif not _LOCAL_SPARK.fullmatch(spark.spark_master_url):
        _check_address(f"--spark_master_url {spark.spark_master_url}", spark.spark_master_url)
    _check_jar("--spark_job_server_jar", spark.spark_job_server_jar, SparkJarJobServer, options)
    if not spark.spark_submit_uber_jar:
        _check_java(options)


def _check_java(options: PipelineOptions) -> None:
    java = options.view_as(JobServerOptions).job_server_java_launcher
    if shutil.which(java) is None:
        raise UserError(
            f"--job_server_java_launcher {java}: no such program; the job server needs Java"
        )


def _check_jar(option: str, jar: str | None, server: type, options: PipelineOptions) -> None:
    """Looks for the job server's jar; one that Beam would download is downloaded now."""
    if jar and os.path.exists(jar):
        return
    if jar and not urllib.parse.urlparse(jar).scheme:
        raise UserError(f"{option} {jar}: no such file")
    made = server(options)
    try:
        where = made.path_to_jar()
        cache = options.view_as(JobServerOptions).jar_cache_dir
        if not os.path.exists(where) and not _is_cached(where, cache):
            _check_address(f"the job server's jar {where}", where, f"; give a file by {option}")
            made.local_jar(where, cache)
    except UserError:
        raise
    except Exception as error:  # Beam's own kinds, of version and download
        raise UserError(f"{option}: the jar cannot be had: {_one_line(error)}") from error


def _is_cached(address: str, cache: str | None) -> bool:
    from apache_beam.utils.subprocess_server import JavaJarServer

    folder = cache or JavaJarServer.JAR_CACHE
    return os.path.exists(os.path.join(folder, os.path.basename(address)))


def _check_address(what: str, address: str, advice: str = "") -> None:
    parts = urllib.parse.urlparse(address)
    if not parts.scheme or not parts.hostname:
        raise UserError(f"{what}: no such file, and no address{advice}")
    port = {"http": 80, "https": 443, "spark": 7077}.get(parts.scheme)
    _connect(what, parts.netloc, port, advice)


def _connect(what: str, place: str, port: int | None = None, advice: str = "") -> None:
    """Raises a UserError if nobody listens at HOST:PORT, or HOST with a port that is usual."""
    parts = urllib.parse.urlparse(f"//{place}")
    try:
        port = parts.port or port
    except ValueError:
        port = None
    if not parts.hostname or not port:
        raise UserError(f"{what}: HOST:PORT is expected{advice}")
    try:
        with contextlib.closing(socket.create_connection((parts.hostname, port), _PATIENCE_S)):
            pass
    except OSError as error:
        raise UserError(
            f"{what}: nobody answers there: {error.strerror or error}{advice}"
        ) from error


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
