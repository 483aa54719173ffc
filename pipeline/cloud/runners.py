"""The runner that is asked for, tried before anything is written: its name, options and service."""

from __future__ import annotations

import difflib
import importlib
import json
import re

from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    PipelineOptions,
    PortableOptions,
    SparkRunnerOptions,
    StandardOptions,
)
from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator
from apache_beam.runners.runner import PipelineRunner

from fgbg.pipeline.cloud import programs, services
from fgbg.pipeline.exit_codes import UserError

_PORTABLE = ("PortableRunner", "FlinkRunner", "SparkRunner", "PrismRunner")
_ENVIRONMENTS = ("DOCKER", "PROCESS", "EXTERNAL", "LOOPBACK")
# Beam's names for a Flink master that it starts itself.
_FLINK_HERE = ("[local]", "[auto]")
_LOCAL_SPARK = re.compile(r"local(\[.+\])?")


def canonical(name: str) -> str:
    """A runner's name as Beam writes it: "flink" is FlinkRunner; a path with dots stays.

    Raises:
        UserError: There is no such runner, it cannot be imported, or is none for us.
    """
    known = {path.rpartition(".")[2]: path for path in StandardOptions.ALL_KNOWN_RUNNERS}
    by_lower = {short.lower(): short for short in known}
    by_lower |= {lower.removesuffix("runner"): short for lower, short in by_lower.items()}
    short = by_lower.get(name.lower())
    if short is None and "." not in name:
        near = difflib.get_close_matches(name.lower(), by_lower, n=1)
        hint = f"; did you mean {by_lower[near[0]]}?" if near else ""
        raise UserError(f"--runner {name}: unknown runner{hint}")
    if (short or name).rpartition(".")[2] == "InteractiveRunner":
        raise UserError(
            f"--runner {name}: is for notebooks, and runs no job of a command; leave --runner "
            "out to use this machine's cores"
        )
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


def check(runner: str, beam_options: list[str]) -> list[str]:
    """Tries what can be tried of a runner without handing it a job.

    Args:
        runner: From `canonical`.
        beam_options: Beam's options, complete.

    Returns:
        Options to add to them.

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
    if short in ("DirectRunner", "SwitchingDirectRunner"):
        return _direct(options)
    if short not in _PORTABLE:
        return []
    _check_environment(short, options)
    endpoint = options.view_as(PortableOptions).job_endpoint
    if endpoint:
        if endpoint != "embed":
            services.job_service(f"--job_endpoint {endpoint}", endpoint)
    elif short == "PortableRunner":
        raise UserError("--runner PortableRunner: --job_endpoint HOST:PORT is missing")
    elif short == "FlinkRunner":
        _check_flink(options)
    elif short == "SparkRunner":
        _check_spark(options)
    else:
        programs.check_prism(options)
    return []


def _direct(options: PipelineOptions) -> list[str]:
    """What Beam makes of DirectRunner: Prism where it is to be had, else FnApiRunner.

    Beam finds out by a download without a limit of time, which a firewall may swallow.
    """
    try:
        programs.check_prism(options)
    except UserError:
        return ["--runner=FnApiRunner"]
    return []


def writes_elsewhere(runner: str, beam_options: list[str]) -> bool:
    """Whether workers are started elsewhere, and are not sure to see this machine's files."""
    options = PipelineOptions(beam_options)
    portable = options.view_as(PortableOptions)
    return (
        runner.rpartition(".")[2] in _PORTABLE
        and not _all_here(runner.rpartition(".")[2], options)
        and portable.environment_type != "LOOPBACK"
    )


def _all_here(short: str, options: PipelineOptions) -> bool:
    """Whether the engine itself is started by this command, on this machine."""
    endpoint = options.view_as(PortableOptions).job_endpoint
    if endpoint:
        return bool(endpoint == "embed")
    if short == "FlinkRunner":
        return options.view_as(FlinkRunnerOptions).flink_master.strip() in _FLINK_HERE
    if short == "SparkRunner":
        spark = options.view_as(SparkRunnerOptions)
        return _LOCAL_SPARK.fullmatch(spark.spark_master_url) is not None
    return short == "PrismRunner"


def _check_environment(short: str, options: PipelineOptions) -> None:
    """Refuses workers that cannot be started, or have no fgbg."""
    portable = options.view_as(PortableOptions)
    kind, config = portable.environment_type, portable.environment_config
    if not kind:
        if short == "PrismRunner" or (short != "PortableRunner" and _all_here(short, options)):
            return  # Beam takes LOOPBACK: this process
        raise UserError(
            "--environment_type is missing: without it the workers are containers of Beam's own "
            "image, which has no fgbg in it; give EXTERNAL with --environment_config HOST:PORT of "
            "a worker pool, or DOCKER with an image of yours (docs/engines.md)"
        )
    if kind.startswith("beam:env:"):
        return
    if kind not in _ENVIRONMENTS:
        raise UserError(f"--environment_type {kind}: is none of {', '.join(_ENVIRONMENTS)}")
    if config and config.lstrip().startswith("{"):
        try:
            parsed = json.loads(config)
        except ValueError as error:
            raise UserError(f"--environment_config {config}: is no JSON: {error}") from error
    elif kind == "PROCESS" and config:
        raise UserError(
            f"--environment_config {config}: PROCESS takes JSON, such as "
            '\'{"command": "/opt/fgbg/boot"}\''
        )
    else:
        parsed = {"url": config}
    if kind == "DOCKER" and not (
        config or portable.lookup_environment_option("docker_container_image")
    ):
        raise UserError(
            "--environment_config is missing: DOCKER without it takes Beam's own image, which has "
            "no fgbg in it; give the name of one that has"
        )
    if kind == "EXTERNAL":
        place = parsed.get("url") or portable.lookup_environment_option("external_service_address")
        if not place:
            raise UserError(
                "--environment_config HOST:PORT of a worker pool is missing; docs/engines.md says "
                "how one is started"
            )
        if _all_here(short, options):  # elsewhere the address is the workers', and not ours
            services.connect(f"--environment_config {place}", place)
    if kind == "PROCESS" and not (
        parsed.get("command") or portable.lookup_environment_option("process_command")
    ):
        raise UserError('--environment_config: PROCESS takes JSON with a "command"')


def _check_flink(options: PipelineOptions) -> None:
    from apache_beam.runners.portability.flink_runner import FlinkJarJobServer

    flink = options.view_as(FlinkRunnerOptions)
    master = flink.flink_master.strip()
    if master not in _FLINK_HERE:
        services.connect(f"--flink_master {master}", master.partition("://")[2] or master, 8081)
    java = not flink.flink_submit_uber_jar or master in _FLINK_HERE
    jar = flink.flink_job_server_jar
    programs.check_jar("--flink_job_server_jar", jar, FlinkJarJobServer, options)
    if java:
        programs.check_java(options)


def _check_spark(options: PipelineOptions) -> None:
    from apache_beam.runners.portability.spark_runner import SparkJarJobServer

    spark = options.view_as(SparkRunnerOptions)
    if spark.spark_submit_uber_jar:
        if not spark.spark_rest_url:
            raise UserError("--spark_submit_uber_jar: --spark_rest_url is missing")
        services.address(f"--spark_rest_url {spark.spark_rest_url}", spark.spark_rest_url)
    elif not _LOCAL_SPARK.fullmatch(spark.spark_master_url):
        master = spark.spark_master_url
        services.address(f"--spark_master_url {master}", master)
    jar = spark.spark_job_server_jar
    programs.check_jar("--spark_job_server_jar", jar, SparkJarJobServer, options)
    if not spark.spark_submit_uber_jar:
        programs.check_java(options)
