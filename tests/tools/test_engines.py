"""The scripts for engines on this machine: a whole Flink cluster, and what Kubernetes is given."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.helpers.data_sets import ROOT
from tools.engines import flink, programs, servers

TEMPLATE = ROOT / "templates" / "flink.yaml"
_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
}


def problems(schema: dict[str, Any], value: Any, place: str) -> Iterator[str]:
    """What is wrong with a value by a schema of a custom resource, as the API server sees it."""
    if schema.get("x-kubernetes-int-or-string"):
        if not isinstance(value, (int, str)):
            yield f"{place}: neither a number nor a text"
        return
    if "type" in schema and not isinstance(value, _TYPES[schema["type"]]):
        yield f"{place}: no {schema['type']}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{place}: {value} is none of {schema['enum']}"
    if isinstance(value, list):
        for number, entry in enumerate(value):
            yield from problems(schema.get("items", {}), entry, f"{place}[{number}]")
    if isinstance(value, dict):
        for name in schema.get("required", []):
            if name not in value:
                yield f"{place}: {name} is missing"
        known = schema.get("properties", {})
        others = schema.get("additionalProperties")
        for name, entry in value.items():
            if name in known:
                yield from problems(known[name], entry, f"{place}.{name}")
            elif isinstance(others, dict):
                yield from problems(others, entry, f"{place}.{name}")
            elif schema.get("type") == "object" and known:
                yield f"{place}.{name}: unknown"


def test_a_schema_finds_what_is_wrong():
    schema = {
        "type": "object",
        "required": ["a"],
        "properties": {
            "a": {"type": "string", "enum": ["x"]},
            "b": {"type": "array", "items": {"type": "integer"}},
        },
    }
    assert not list(problems(schema, {"a": "x", "b": [1]}, "s"))
    assert list(problems(schema, {"b": ["1"], "c": 1}, "s")) == [
        "s: a is missing",
        "s.b[0]: no integer",
        "s.c: unknown",
    ]
    assert list(problems(schema, {"a": "y"}, "s")) == ["s.a: y is none of ['x']"]


@pytest.mark.engine
def test_the_deployment_is_one_by_the_operators_schema():
    yaml = pytest.importorskip("yaml")
    try:
        crd = yaml.safe_load(programs.operator_crd(programs.cache_folder()))
    except programs.NotServedError as error:
        pytest.skip(str(error))
    documents = list(yaml.safe_load_all(TEMPLATE.read_text()))
    deployment = documents[0]
    assert deployment["kind"] == crd["spec"]["names"]["kind"] == "FlinkDeployment"
    versions = {version["name"]: version for version in crd["spec"]["versions"]}
    group, _, version = deployment["apiVersion"].partition("/")
    assert group == crd["spec"]["group"]
    schema = versions[version]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert not list(problems(schema, deployment["spec"], "spec"))
    pods = deployment["spec"]["taskManager"]["podTemplate"]["spec"]["containers"]
    assert [pod["name"] for pod in pods] == ["flink-main-container", "fgbg-workers"]
    service, server = documents[2]["spec"], documents[1]["spec"]
    assert service["selector"] == server["template"]["metadata"]["labels"]


@pytest.mark.slow
@pytest.mark.engine
def test_a_cluster_of_two_task_managers_comes_up_loses_one_and_ends(tmp_path):
    try:
        jars = programs.flink(programs.cache_folder())
    except programs.NotServedError as error:
        pytest.skip(str(error))
    if shutil.which("java") is None:
        pytest.skip("there is no java here")
    cluster = flink.Cluster(tmp_path / "cluster")
    try:
        cluster.start(jars, None)
        started = servers.pids(cluster.folder)
        assert set(started) == {"jobmanager", "pool", "taskmanager1", "taskmanager2"}
        assert cluster.overview()["taskmanagers"] == 2
        os.kill(started["taskmanager2"], signal.SIGKILL)
        servers.wait_until(lambda: cluster.overview().get("taskmanagers") == 1, "its end")
        cluster.start_task_manager(jars, 2)
        servers.wait_until(lambda: cluster.overview().get("slots-total") == 2, "its return")
    finally:
        cluster.stop()
    assert not servers.pids(cluster.folder)
    assert not cluster.overview()


def test_a_server_outlives_its_starter_and_ends_with_what_it_started(tmp_path):
    code = "import subprocess, time; subprocess.Popen(['sleep', '60']); time.sleep(60)"
    servers.start(tmp_path, "one", [sys.executable, "-c", code])
    assert set(servers.pids(tmp_path)) == {"one"}
    servers.stop(tmp_path)
    assert not servers.pids(tmp_path) and not list(tmp_path.glob("*.pid"))


def test_a_download_of_another_content_is_refused(tmp_path):
    path = tmp_path / "program"
    path.write_bytes(b"right")
    programs.check(path, hashlib.sha256(b"right").hexdigest())
    with pytest.raises(programs.NotServedError, match="SHA-256"):
        programs.check(path, hashlib.sha256(b"other").hexdigest())
    assert not path.exists()


def test_what_cannot_be_had_is_told_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("FGBG_FLINK_JOB_SERVER", raising=False)
    for program, words in ((programs.prism, "no go here"), (programs.job_server, "no mvn here")):
        with pytest.raises(programs.NotServedError, match=words):
            program(tmp_path / "cache")
    monkeypatch.setenv("FGBG_FLINK_JOB_SERVER", "absent.jar")
    with pytest.raises(programs.NotServedError, match=r"absent\.jar: no such file"):
        programs.job_server(tmp_path)
    cluster = flink.Cluster(tmp_path / "nothing")
    assert flink.main(["status", str(cluster.folder)]) == 1
