"""The Flex Template: its metadata, its launcher, its image's recipe and its build."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
import venv

import pytest

from fgbg.pipeline.exit_codes import OK, WRONG_USE
from fgbg.pipeline.options import parser as options
from fgbg.pipeline.options import template_metadata
from tests.helpers.data_sets import ROOT, fgbg
from tests.helpers.dataflow_fakes import bucket, cloud_storage, upload_inputs
from tests.helpers.dataflow_graphs import IMAGE, network_file

__all__ = ["bucket", "cloud_storage"]
METADATA = ROOT / "templates" / "metadata.json"
DOCKERFILE = ROOT / "templates" / "Dockerfile"
REQUIREMENTS = ROOT / "templates" / "requirements.txt"
# Runs the template's main file and tells what it cost, when it has ended.
PROBE = """
import json, os, resource, runpy, sys
code = None
try:
    runpy.run_path(os.environ["FLEX_TEMPLATE_PYTHON_PY_FILE"], run_name="__main__")
except SystemExit as stop:
    code = stop.code
# Not ru_maxrss, which a process inherits from the one that started it.
status = open("/proc/self/status").read()
own = int(status.partition("VmHWM:")[2].split()[0])
children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
heavy = sorted({name.partition(".")[0] for name in sys.modules} & {"tensorflow", "keras", "jax"})
print("PROBE" + json.dumps({"code": code, "kib": own, "children": children, "heavy": heavy}))
"""


@pytest.fixture(scope="module")
def metadata():
    return json.loads(METADATA.read_text())


def parameters(metadata):
    return {p["name"]: p for p in metadata["parameters"]}


def test_the_stored_metadata_is_what_the_command_prints():
    result = fgbg("template-metadata")
    assert result.stdout == METADATA.read_text(), (
        "stale: python -m fgbg template-metadata > templates/metadata.json"
    )


def test_every_option_is_a_parameter(metadata):
    known = {a.dest for a in options.generate_parser()._actions}
    assert known == (set(parameters(metadata)) & known) | set(template_metadata.NOT_IN_TEMPLATE)


def test_every_parameter_says_what_it_takes(metadata):
    for name, p in parameters(metadata).items():
        assert p["label"] and p["helpText"] and p["paramType"], name
        assert p.get("regexes") or p.get("enumOptions"), name


def test_every_default_is_a_value_that_the_parameter_takes(metadata):
    for name, p in parameters(metadata).items():
        default = p.get("defaultValue")
        assert p["isOptional"] or default is None, name
        if default is not None and "enumOptions" in p:
            assert default in [o["value"] for o in p["enumOptions"]], name
        elif default is not None:
            assert re.fullmatch(p["regexes"][0], default), name


def test_defaults_are_those_of_the_options(metadata):
    found = parameters(metadata)
    for action in options.generate_parser()._actions:
        if action.dest in found and action.default is not None:
            default = found[action.dest]["defaultValue"]
            parse = action.type or str
            assert callable(parse), action.dest
            expected = action.default
            expected = parse(expected) if isinstance(expected, str) else expected
            assert parse(default) == expected, action.dest


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("size", ["224", "640x480"], ["big", "224x"]),
        ("splits", ["train=1", "a=0.5,b=0.5", "a=0.5, b=0.5"], ["train", "a=1;b=0"]),
        ("fg_scale", ["0.3,0.6"], ["0.3"]),
        ("output", ["gs://bucket/set"], ["/home/me/set", "gs://B/x"]),
        ("depth_model", ["nyu", "gs://bucket/net.h5"], ["net.h5"]),
        ("mirror", ["true", "false"], ["yes"]),
        ("placements", ["20"], ["2.5", "-1"]),
        ("truncation", ["0", "0.25", "1e-3"], ["a quarter"]),
    ],
)
def test_a_form_refuses_what_the_command_would(metadata, name, good, bad):
    (regex,) = parameters(metadata)[name]["regexes"]
    assert [v for v in good if not re.fullmatch(regex, v)] == []
    assert [v for v in bad if re.fullmatch(regex, v)] == []


def test_the_metadata_is_dataflows_format(metadata):
    from google.cloud import dataflow_v1beta3
    from google.protobuf import json_format

    message = dataflow_v1beta3.TemplateMetadata.pb()()
    json_format.ParseDict(metadata, message)
    assert len(message.parameters) == len(metadata["parameters"])
    assert all(p.param_type for p in message.parameters)


def launch(*parameters: str, **environment: str) -> tuple[dict, float, str]:
    """Runs the template's main file as the launcher does: what it cost, seconds, what it said."""
    before = time.monotonic()
    result = subprocess.run(
        [sys.executable, "-c", PROBE, *parameters],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "FLEX_TEMPLATE_PYTHON_PY_FILE": str(ROOT / "templates" / "main.py"),
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    seconds = time.monotonic() - before
    lines = [line for line in result.stdout.splitlines() if line.startswith("PROBE")]
    assert lines, result.stderr
    return json.loads(lines[0].removeprefix("PROBE")), seconds, result.stderr


@pytest.fixture
def launched(bucket, small_inputs, tmp_path, metadata):
    """A launch with a value for every parameter, as strings, and the options of the launcher."""
    from fgbg.files import storage

    network = f"{bucket}/net.keras"
    local = network_file(tmp_path / "net.keras")
    storage.storage_for(network).write(network, local.read_bytes())
    sources = dict(
        option.removeprefix("--").split("=") for option in upload_inputs(small_inputs, bucket)
    )
    given = {
        **{n: p["defaultValue"] for n, p in parameters(metadata).items() if "defaultValue" in p},
        **sources,
        "output": f"{bucket}/launched",
        "format": "tfrecord",
        "shards": "3",
        "overwrite": "true",
        "size": "32",
        "canvas": "64x64",
        "placements": "3",
        "mirror": "false",
        "mask_format": "png",
        "depth_format": "png16",
        "depth_model": network,
        "depth_batch_size": "3",
        "depth_precision": "float32",
        "depth_input_range": "0,1",
        "depth_output_unit": "0.5",
        "depth_max": "8",
        "depth_range": "8",
        "gpu": "t4",
        "gpu_processes": "4",
        "accelerator": "type:nvidia-tesla-t4;count:1;install-nvidia-driver",
        "min_ram": "12GB",
        "dataflow_service_options": "enable_google_cloud_profiler",
        "disk_size_gb": "70",
        "number_of_worker_harness_threads": "2",
        "subnetwork": "regions/us-central1/subnetworks/inner",
        "no_use_public_ips": "true",
        "labels": "team=depth",
    }
    given.pop("sdk_container_image", None)
    left_out = set(parameters(metadata)) - set(given)
    assert left_out == {"depth_model_url", "sdk_container_image"}  # of nyu, kitti; by the image
    path = tmp_path / "job_object"
    own = [
        "--project=fgbg-project",
        "--region=us-central1",
        "--job_name=fgbg-launched",
        f"--temp_location={tmp_path}",
        f"--staging_location={tmp_path}",
        f"--template_location={path}",
        "--dataflow_endpoint=http://localhost:9",  # so that Beam takes local paths; not called
        "--no_auth",
    ]
    command = [f"--{name}={value}" for name, value in given.items()]
    cost, seconds, said = launch(*own, *command, FGBG_IMAGE=IMAGE)
    return {"cost": cost, "seconds": seconds, "said": said, "path": path, "bucket": bucket}


def test_the_launcher_writes_the_job_within_its_means(launched):
    cost = launched["cost"]
    assert cost["code"] == OK, launched["said"]
    assert cost["heavy"] == []
    assert cost["kib"] + cost["children"] < 1_000_000
    assert launched["seconds"] < 30
    job = launched["path"].read_text()
    assert len(job) < 1_000_000
    (pool,) = json.loads(job)["environment"]["workerPools"]
    assert {i["containerImage"] for i in pool["sdkHarnessContainerImages"]} == {IMAGE}
    assert pool["machineType"] == "n1-standard-4"  # the hint that was given has none
    assert (pool["diskSizeGb"], pool["numThreadsPerWorker"]) == (70, 2)
    assert pool["subnetwork"] == "regions/us-central1/subnetworks/inner"
    assert pool["ipConfiguration"] == "WORKER_IP_PRIVATE"
    assert json.loads(job)["labels"]["team"] == "depth"


def test_a_launch_that_cannot_work_says_so_and_fails(bucket):
    cost, _, said = launch(
        "--runner=DataflowRunner",
        "--project=fgbg-project",
        f"--backgrounds={bucket}/nothing",
        f"--foregrounds={bucket}/nothing",
        f"--output={bucket}/unlaunched",
        "--mirror=maybe",
        FGBG_IMAGE=IMAGE,
    )
    assert cost["code"] == WRONG_USE
    assert "'maybe' is neither true nor false" in said


@pytest.fixture(scope="module")
def main_file():
    """The template's main file as a module."""
    spec = importlib.util.spec_from_file_location("template_main", ROOT / "templates" / "main.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_image_and_the_runner_are_filled_in(main_file):
    filled = ["generate", f"--sdk_container_image={IMAGE}", "--runner=DataflowRunner"]
    assert main_file.arguments([], IMAGE) == filled


def test_what_the_launcher_names_is_not_replaced(main_file):
    named = ["--sdk_container_image=other", "--runner=FnApiRunner"]
    assert main_file.arguments(named, IMAGE) == ["generate", *named]


def test_a_switch_of_beam_has_no_value(main_file):
    for value, expected in (("true", ["--no_use_public_ips"]), ("false", [])):
        made = main_file.arguments([f"--no_use_public_ips={value}", "--runner=x"], None)
        assert made == ["generate", *expected, "--runner=x"]


def test_an_option_that_only_the_launcher_knows_is_left_out(main_file, capsys):
    made = main_file.arguments(["--launchers_own=1", "--seed=3"], None)
    assert made == ["generate", "--seed=3", "--runner=DataflowRunner"]
    assert "--launchers_own" in capsys.readouterr().err


def test_the_dockerfile_passes_its_linter():
    linter = shutil.which("hadolint", path=os.path.dirname(sys.executable))
    if linter is None:
        pytest.skip("hadolint is not installed (there is none for this kind of machine)")
    result = subprocess.run(
        [linter, "--no-color", str(DOCKERFILE)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout


def test_the_image_holds_what_the_project_is_pinned_to():
    dockerfile = DOCKERFILE.read_text()
    pinned = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", REQUIREMENTS.read_text(), flags=re.MULTILINE))
    assert f"apache/beam_python3.11_sdk:{pinned['apache-beam']}" in dockerfile
    assert "FROM python:3.11-" in dockerfile
    others = (ROOT / "requirements.txt").read_text()
    own = {name for name in pinned if f"{name}=={pinned[name]}" not in others}
    assert {name.partition("-")[0] for name in own} == {"nvidia", "onnxruntime"}


def copied_files() -> list[str]:
    """What the Dockerfile copies out of the checkout."""
    lines = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE.read_text(), flags=re.MULTILINE)
    return [word for line in lines for word in line.split()[:-1]]


def test_every_file_that_the_dockerfile_copies_is_sent_to_the_build():
    copied = copied_files()
    sent = [
        line.removeprefix("!").removesuffix("/**")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    ]
    assert sorted(copied) == sorted(sent)
    assert all((ROOT / name).exists() for name in copied)


def test_the_launcher_finds_what_the_image_has():
    dockerfile = DOCKERFILE.read_text()
    assert "ENV FLEX_TEMPLATE_PYTHON_PY_FILE=/template/main.py" in dockerfile
    assert "WORKDIR /template\n" in dockerfile and "COPY templates/main.py main.py" in dockerfile
    assert 'ENTRYPOINT ["/opt/apache/beam/boot"]' in dockerfile
    instructions = re.sub(r"^#.*$", "", dockerfile, flags=re.MULTILINE)
    assert "REQUIREMENTS_FILE" not in instructions and "SETUP_FILE" not in instructions


def test_the_build_makes_the_image_and_the_template():
    yaml = pytest.importorskip("yaml")
    build = yaml.safe_load((ROOT / "templates" / "cloudbuild.yaml").read_text())
    steps = {step["id"]: step for step in build["steps"]}
    assert list(steps) == ["image", "push", "template"]
    for argument in steps["image"]["args"] + steps["template"]["args"]:
        if argument.startswith(("--file=", "--metadata-file=")):
            assert (ROOT / argument.partition("=")[2]).exists()
    assert "--build-arg=IMAGE=${_IMAGE}" in steps["image"]["args"]
    assert build["images"] == ["${_IMAGE}"]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(
    not os.environ.get("FGBG_TEST_IMAGE"),
    reason="downloads several GB: FGBG_TEST_IMAGE=1 asks for it",
)
def test_the_pip_layer_installs_into_an_empty_environment(tmp_path):
    venv.create(tmp_path / "venv", with_pip=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    source = tmp_path / "source"
    for name in copied_files():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name)
        else:
            shutil.copy(ROOT / name, source / name)
    pip = [python, "-m", "pip", "install", "--quiet", "--no-cache-dir"]
    subprocess.run([*pip, "--requirement", str(REQUIREMENTS)], check=True)
    own = ["--no-deps", "--no-build-isolation", str(source)]
    subprocess.run([*pip, *own], check=True)
    checked = subprocess.run(
        [python, "-m", "pip", "check"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout
    subprocess.run([python, "-c", "import fgbg.pipeline.workers.tasks"], cwd=tmp_path, check=True)
