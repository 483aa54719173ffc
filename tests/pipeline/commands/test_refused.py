"""What is refused is refused before anything is written or deleted."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fgbg.pipeline.__main__ import main
from fgbg.pipeline.exit_codes import UserError
from tests.helpers.damage import flip_a_bit
from tests.helpers.data_sets import ROOT, arguments, tree

# A zip file that is there, as a jar is one.
ZIP = str(ROOT / "models/depth/builtin.npz")
JAR = ("--flink_job_server_jar", ZIP)
LOOPBACK = ("--environment_type", "LOOPBACK")
EMBED = ("--runner", "PortableRunner", "--job_endpoint", "embed")


@pytest.fixture(scope="module")
def kept(small_data_set, tmp_path_factory) -> tuple[Path, dict[str, bytes]]:
    output = tmp_path_factory.mktemp("kept") / "set"
    shutil.copytree(small_data_set, output)
    return output, tree(output)


def refused(command: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Runs a command that must be refused by one line; returns it."""
    capsys.readouterr()
    try:
        code: object = main(command)
    except SystemExit as error:
        code = error.code
    told = capsys.readouterr().err
    assert code == 2, told
    lines = [line for line in told.splitlines() if not line.startswith(("Try: ", "Warning"))]
    assert len(lines) == 1 and "Traceback" not in told and "usage" not in told, told
    return lines[0]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize(
    "more, words",
    [
        (["--runner", "DirctRunner"], "unknown runner; did you mean DirectRunner?"),
        (["--runner", "flnk"], "did you mean FlinkRunner?"),
        (["--runner", "no.such.module.Runner"], "cannot be imported"),
        (["--runner", "json.JSONDecoder"], "is no runner of Beam"),
        (["--runner", "DirectRunner", "--max_num_workers", "many"], "--max_num_workers"),
        (["--runner", "DirectRunner", "--no_such_option"], "unknown option --no_such_option"),
        (["--max_num_workers", "many"], "--max_num_workers"),
        (["--runner", "InteractiveRunner"], "is for notebooks"),
        (["--runner", "portablerunner", *LOOPBACK], "--job_endpoint HOST:PORT is missing"),
        (
            ["--runner", "PortableRunner", *LOOPBACK, "--job_endpoint", "here"],
            "HOST:PORT is expected",
        ),
        (["--runner", "PortableRunner", "--job_endpoint=embed"], "--environment_type is missing"),
        (
            ["--runner", "flink", "--flink_master", "localhost:8081", *JAR],
            "--environment_type is missing",
        ),
        ([*EMBED, "--environment_type", "CONTAINER"], "is none of DOCKER, PROCESS, EXTERNAL"),
        ([*EMBED, "--environment_type", "DOCKER"], "has no fgbg in it"),
        ([*EMBED, "--environment_type", "EXTERNAL"], "external_service_address is required"),
        ([*EMBED, "--environment_type", "PROCESS", "--environment_config", "boot"], "takes JSON"),
        (
            [*EMBED, "--environment_type", "EXTERNAL", "--environment_config", "{"],
            "--environment_config {: is no JSON",
        ),
        (["--runner", "flink", "--flink_job_server_jar", "absent.jar"], "absent.jar: no such file"),
        (["--runner", "SparkRunner", "--spark_job_server_jar", "absent.jar"], "no such file"),
        (["--runner", "PrismRunner", "--prism_location", "absent"], "no such file"),
        (["--runner", "PrismRunner", "--prism_location", __file__], "is no program"),
        (["--runner", "FlinkRunner", "--flink_job_server_jar", __file__], "is no jar"),
        (
            ["--runner=flink", *JAR, "--job_server_java_launcher", "no-java"],
            "no-java: no such program",
        ),
        (["--depth_model", "absent.tflite"], "absent.tflite: no such file"),
        (["--shards", "3"], ""),
        (["--runner", "DataflowRunner"], "workers of Dataflow write to Cloud Storage"),
    ],
)
def test_overwrite_deletes_nothing_when_the_run_is_refused(more, words, kept, small_inputs, capsys):
    output, before = kept
    told = refused(arguments(small_inputs, output, "--overwrite", *more), capsys)
    assert words in told
    assert tree(output) == before


@pytest.mark.parametrize(
    "more",
    [
        ["--runner", "PortableRunner", *LOOPBACK, "--job_endpoint"],
        [*EMBED, "--environment_type", "EXTERNAL", "--environment_config"],
        ["--runner", "FlinkRunner", *JAR, *LOOPBACK, "--flink_master"],
        [
            *("--runner", "SparkRunner", *LOOPBACK),
            *("--spark_job_server_jar", ZIP, "--spark_master_url"),
        ],
        ["--runner", "FlinkRunner", "--flink_job_server_jar"],
        ["--runner", "PrismRunner", "--prism_location"],
    ],
)
def test_a_service_that_does_not_answer_is_told_before_the_deletion(
    more, kept, small_inputs, capsys
):
    output, before = kept
    place = f"127.0.0.1:{free_port()}"
    if more[-1].startswith("--spark"):
        place = f"spark://{place}"
    if more[-1].endswith(("_jar", "_location")):
        place = f"http://{place}/server.jar"
    told = refused(arguments(small_inputs, output, "--overwrite", *more, place), capsys)
    assert "nobody answers there" in told and place in told
    assert tree(output) == before


@pytest.fixture
def silent() -> Iterator[str]:
    """Somebody who takes connections and says nothing."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(20)
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize(
    "more, words",
    [
        (
            ["--runner", "PortableRunner", *LOOPBACK, "--job_endpoint", "{}"],
            "no job service of Beam answers",
        ),
        (["--runner", "FlinkRunner", "--flink_job_server_jar", "http://{}/a.jar"], "timed out"),
        (["--runner", "PrismRunner", "--prism_location", "http://{}/prism.zip"], "go install"),
    ],
)
def test_a_silent_service_is_refused_within_seconds(
    more, words, silent, kept, small_inputs, capsys, tmp_path, monkeypatch
):
    from fgbg.pipeline.cloud import services

    monkeypatch.setattr(services, "PATIENCE_S", 1.0)
    monkeypatch.setenv("HOME", str(tmp_path))
    output, before = kept
    began = time.monotonic()
    given = [word.format(silent) for word in more]
    told = refused(arguments(small_inputs, output, "--overwrite", *given), capsys)
    assert words in told
    assert time.monotonic() - began < 20
    assert tree(output) == before


def test_a_name_server_that_is_silent_holds_nobody_up(monkeypatch):
    from fgbg.pipeline.cloud import services

    ended = threading.Event()
    monkeypatch.setattr(services, "PATIENCE_S", 0.1)

    def silent(*_: object) -> None:
        ended.wait(60)
        raise OSError("too late")

    monkeypatch.setattr(socket, "create_connection", silent)
    try:
        with pytest.raises(UserError, match="nobody answers there: timed out"):
            services.connect("the service", "nowhere.example:80")
    finally:
        ended.set()


def test_direct_runner_does_not_wait_for_prism_behind_a_firewall(monkeypatch):
    from apache_beam.runners.portability.prism_runner import PrismJobServer

    from fgbg.pipeline.cloud import runners, services

    def dropped(*_: object) -> None:
        raise TimeoutError("timed out")

    monkeypatch.setattr(PrismJobServer, "BIN_CACHE", "absent")
    monkeypatch.setattr(services, "_problem", lambda *_: "timed out")
    monkeypatch.setattr(PrismJobServer, "_get_executable_path", dropped)
    assert runners.check("DirectRunner", ["--runner=DirectRunner"]) == ["--runner=FnApiRunner"]
    monkeypatch.setattr(services, "_problem", lambda *_: None)
    assert runners.check("DirectRunner", ["--runner=DirectRunner"]) == ["--runner=FnApiRunner"]
    monkeypatch.setattr(PrismJobServer, "_get_executable_path", lambda _: "prism")
    assert runners.check("DirectRunner", ["--runner=DirectRunner"]) == []


def test_inputs_that_overwrite_would_delete_are_refused(kept, capsys):
    output, before = kept
    command = arguments(Path("unused"), output, "--overwrite")
    for option, name in (("--backgrounds", "backgrounds"), ("--foregrounds", "foregrounds")):
        command[command.index(option) + 1] = str(output / name)
    assert "lies in --output" in refused(command, capsys)
    assert tree(output) == before


def test_a_new_folder_is_not_begun_when_the_run_is_refused(small_inputs, tmp_path, capsys):
    refused(arguments(small_inputs, tmp_path / "new", "--runner", "nothing"), capsys)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["fnapirunner", "FNAPI"])
def test_a_runner_is_known_in_any_case(name):
    from fgbg.pipeline.cloud.runners import canonical

    assert canonical(name) == "FnApiRunner"


@pytest.mark.parametrize("damage", [Path.unlink, flip_a_bit])
def test_convert_deletes_nothing_when_the_inputs_of_its_source_are_wrong(
    damage, kept, small_inputs, small_data_set, tmp_path, capsys
):
    source = tmp_path / "source"
    shutil.copytree(small_data_set, source)
    shutil.copytree(kept[0], tmp_path / "target")
    damage(source / "backgrounds" / "bg2.jpg")
    command = ["convert", str(source), "--output", str(tmp_path / "target")]
    told = refused([*command, "--format", "tfrecord", "--overwrite"], capsys)
    assert "bg2.jpg" in told
    assert tree(tmp_path / "target") == kept[1]


def test_cutout_writes_nothing_for_names_that_clash(tmp_path, small_inputs, capsys):
    from fgbg.transforms.cutout import record

    output = tmp_path / "out"
    other = small_inputs / "bg" / "room1.png"
    (output / record.RECORDS).mkdir(parents=True)
    record.write(str(output), record.Record("room0", str(other), "", "", record.MADE))
    before = tree(output)
    photo = str(small_inputs / "bg" / "room0.png")
    assert "another folder" in refused(["cutout", photo, "--output", str(output)], capsys)
    assert tree(output) == before and not (output / "_work" / "lock").exists()
