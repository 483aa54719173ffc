"""From --gpu to machines, hints, processes and batches; what is refused, and what is kept."""

from __future__ import annotations

import dataclasses

import pytest

from fgbg.pipeline.__main__ import main
from fgbg.pipeline.cloud import gpus
from fgbg.pipeline.cloud import workers as cloud_workers
from fgbg.pipeline.exit_codes import WRONG_USE, UserError
from tests.helpers.data_sets import ROOT, arguments
from tests.helpers.dataflow_graphs import OFFLINE, asked, workers


@pytest.mark.parametrize(
    ("gpu", "machine", "accelerator"),
    [
        ("t4", "n1-standard-4", "type:nvidia-tesla-t4;count:1;"),
        ("l4", "g2-standard-4", "type:nvidia-l4;count:1;"),
        ("a100", "a2-highgpu-1g", "type:nvidia-tesla-a100;count:1;"),
        ("a100-80gb", "a2-ultragpu-1g", "type:nvidia-a100-80gb;count:1;"),
        ("h100", "a3-highgpu-1g", "type:nvidia-h100-80gb;count:1;"),
    ],
)
def test_a_gpu_brings_its_machine_and_hint(gpu, machine, accelerator):
    chosen = workers(f"--gpu={gpu}")
    assert not [option for option in chosen.beam_options if "machine" in option]
    driver = "install-nvidia-driver:5xx;use_nvidia_mps"
    assert chosen.accelerator == f"{accelerator}machine_type:{machine};{driver}"


@pytest.mark.parametrize("gpu", gpus.GPUS.values(), ids=lambda gpu: gpu.name)
def test_the_images_libraries_have_code_for_every_gpu(gpu):
    assert gpus.runs(gpu) is not None
    # With PTX alone the first use takes minutes: docs/dataflow.md names these.
    page = (ROOT / "docs" / "dataflow.md").read_text()
    assert (gpus.runs(gpu) == "compute_90") == (f"on {gpu.name.upper()} TensorFlow" in page)


def test_the_libraries_are_those_of_the_image_and_know_their_own_code():
    pins = (ROOT / "templates" / "requirements.txt").read_text()
    # Another cuDNN: look up in its release notes what it has code for.
    assert f"nvidia-cudnn-cu12=={gpus.CUDNN_VERSION}." in pins
    tf = pytest.importorskip("tensorflow")
    build = tf.sysconfig.get_build_info()
    if not build["is_cuda_build"] or f"tensorflow=={tf.__version__}" not in pins:
        pytest.skip("the TensorFlow that is installed is not the image's")
    assert tuple(build["cuda_compute_capabilities"]) == gpus.TENSORFLOW_ARCHITECTURES


def test_a_v100_is_none_for_these_libraries():
    volta = dataclasses.replace(gpus.GPUS["t4"], capability=(7, 0))
    pascal = dataclasses.replace(gpus.GPUS["t4"], capability=(6, 1))
    newer = dataclasses.replace(gpus.GPUS["h100"], capability=(10, 0))
    assert gpus.runs(volta) is None and gpus.runs(pascal) is None
    assert gpus.runs(newer) == "compute_90"
    assert [gpus.runs(gpus.GPUS[name]) for name in ("t4", "a100", "l4")] == [
        *("sm_70", "sm_80", "sm_89")
    ]
    assert "v100" not in gpus.NAMES


@pytest.mark.parametrize("prime", ["--dataflow_service_options", "--experiments"])
def test_prime_has_one_process_on_a_gpu(prime):
    beam_options = [*OFFLINE, f"{prime}=enable_prime"]
    chosen = workers("--gpu=l4", beam_options=beam_options)
    assert chosen.processes == 1 and "mps" not in (chosen.accelerator or "mps")
    hint = "--accelerator=type:nvidia-l4;count:1;use_nvidia_mps"
    for more in ("--gpu_processes=4", hint):
        with pytest.raises(UserError, match="Dataflow Prime does not have"):
            workers("--gpu=l4", more, beam_options=beam_options)


@pytest.mark.parametrize("runner", ["DirectRunner", "FlinkRunner", "prism"])
def test_other_runners_give_no_gpu_and_say_so(runner, small_inputs, tmp_path, capsys):
    command = arguments(small_inputs, tmp_path / "set", "--gpu=t4", f"--runner={runner}")
    command[command.index("none")] = "builtin"
    assert main(command) == WRONG_USE
    (line,) = capsys.readouterr().err.splitlines()
    assert "only Dataflow gives workers a GPU" in line and "Leave --gpu out" in line
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("gpu", gpus.GPUS)
def test_the_processes_fit_into_the_gpu(gpu):
    chosen = workers(f"--gpu={gpu}")
    each = cloud_workers._GPU_PER_PROCESS + cloud_workers._GPU_PER_PICTURE * (chosen.batch or 0)
    assert chosen.processes * each <= gpus.GPUS[gpu].memory_gib
    assert chosen.processes == chosen.machine.vcpus


@pytest.mark.parametrize("gpu", gpus.GPUS)
def test_the_memory_that_is_asked_for_is_the_machines(gpu):
    chosen = workers(f"--gpu={gpu}")
    assert chosen.min_ram is not None
    assert float(chosen.min_ram.removesuffix("GB")) <= chosen.machine.memory_gib


def test_many_processes_on_a_gpu_have_one_thread_each():
    assert "--number_of_worker_harness_threads=1" in workers("--gpu=t4").beam_options


def test_one_process_on_a_gpu_is_asked_of_dataflow():
    chosen = workers("--gpu=t4", "--gpu_processes=1")
    assert "--experiments=no_use_multiple_sdk_containers" in chosen.beam_options
    assert chosen.accelerator is not None and "mps" not in chosen.accelerator


def test_a_number_of_processes_chooses_the_machine_with_as_many_cores():
    chosen = workers("--gpu=l4", "--gpu_processes=8")
    assert (chosen.machine.name, chosen.processes) == ("g2-standard-8", 8)


def test_larger_pictures_come_in_smaller_batches():
    options = asked("--gpu=l4", "--gpu_processes=1")
    batches = [
        cloud_workers.choose(options, OFFLINE, (side, side), True).batch for side in (448, 1792)
    ]
    assert batches == [18, 1]


@pytest.mark.parametrize(
    ("option", "beam", "name", "expected"),
    [
        ("--depth_batch_size=3", None, "batch", 3),
        ("--min_ram=9GB", None, "min_ram", "9GB"),
        (
            "--accelerator=type:nvidia-tesla-t4;count:1;install-nvidia-driver:525",
            None,
            "accelerator",
            "type:nvidia-tesla-t4;count:1;install-nvidia-driver:525",
        ),
        ("--seed=0", "--machine_type=n1-highmem-8", "processes", 8),
        ("--seed=0", "--experiments=no_use_multiple_sdk_containers", "processes", 1),
    ],
)
def test_what_is_given_is_kept(option, beam, name, expected):
    beam_options = [*OFFLINE, *([beam] if beam else [])]
    assert getattr(workers("--gpu=t4", option, beam_options=beam_options), name) == expected


def test_a_given_machine_is_not_given_again():
    beam_options = [*OFFLINE, "--worker_machine_type=n1-standard-8"]
    chosen = workers("--gpu=t4", beam_options=beam_options)
    assert ";machine_type:n1-standard-8;" in (chosen.accelerator or "")
    assert not [o for o in chosen.beam_options if "machine_type" in o]


@pytest.mark.parametrize(
    ("options", "beam", "message"),
    [
        (["--gpu=t4"], "--machine_type=g2-standard-4", "of the series n1"),
        (["--gpu=l4"], "--machine_type=n1-standard-4", "of the series g2"),
        (["--gpu=l4"], "--machine_type=g2-standard-24", "a machine with one L4"),
        (["--gpu=t4", "--depth_model=none"], None, "--depth_model is none"),
        (["--gpu=t4", "--depth_model=net.tflite"], None, "runs on the processor alone"),
        (
            ["--gpu=t4"],
            "--dataflow_service_options=worker_accelerator=type:nvidia-l4;count:1",
            "takes one of them",
        ),
        (["--gpu=t4"], "--resource_hints=accelerator=type:x", "every step"),
        (["--gpu=t4"], "--flexrs_goal=COST_OPTIMIZED", "no resource hints"),
        (["--gpu=t4", "--gpu_processes=3"], None, "allow 1, 2, 4, 8, 16, 32"),
        (["--gpu=a100", "--gpu_processes=4"], None, "has 12 cores"),
        (
            ["--gpu=t4", "--gpu_processes=4"],
            "--experiments=no_use_multiple_sdk_containers",
            "which means one",
        ),
        (["--gpu=t4"], "--machine_type=n1-standard-32", "--gpu_processes 1"),
        (["--gpu=t4", "--accelerator=type:nvidia-l4;count:1"], None, "type:nvidia-tesla-t4"),
        (["--gpu=t4", "--accelerator=type:nvidia-tesla-t4;count:2"], None, "count:1"),
        (["--gpu=t4", "--min_ram=much"], None, "such as 12GB"),
        (["--accelerator=type:nvidia-l4;count:1"], None, "goes with --gpu"),
        (["--gpu_processes=2"], None, "goes with --gpu"),
    ],
)
def test_contradictions_are_refused_with_what_to_do(options, beam, message):
    with pytest.raises(UserError, match=message):
        workers(*options, beam_options=[*OFFLINE, *([beam] if beam else [])])


def test_a_gpu_is_not_chosen_for_this_machine(small_inputs, tmp_path, capsys):
    assert main(arguments(small_inputs, tmp_path / "set", "--gpu=t4")) == WRONG_USE
    assert "add --runner DataflowRunner" in capsys.readouterr().err


def test_a_contradiction_is_wrong_use_and_writes_nothing(small_inputs, tmp_path, capsys):
    command = arguments(small_inputs, tmp_path / "set", "--gpu=t4", *OFFLINE)
    command[command.index("none")] = "nyu"
    assert main([*command, "--dry_run=True", "--machine_type=g2-standard-4"]) == WRONG_USE
    assert "Leave --machine_type out to have n1-standard-4" in capsys.readouterr().err
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    ("dropped", "message"),
    [("--sdk_container_image", "--sdk_container_image is missing"), ("--project", "project")],
)
def test_what_dataflow_needs_is_asked_for(small_inputs, tmp_path, dropped, message, capsys):
    beam = [option for option in OFFLINE if not option.startswith(dropped)]
    more = ("--dry_run=True", "--temp_location=gs://fgbg-bucket/tmp")
    assert main(arguments(small_inputs, tmp_path / "set", *beam, *more)) == WRONG_USE
    assert message in capsys.readouterr().err


def test_workers_elsewhere_are_not_sent_to_a_folder_of_this_machine(small_inputs, tmp_path, capsys):
    assert main(arguments(small_inputs, tmp_path / "set", *OFFLINE)) == WRONG_USE
    assert "give gs://BUCKET/FOLDER" in capsys.readouterr().err


def test_every_gpu_is_in_the_page_and_has_a_speed():
    page = (ROOT / "docs" / "dataflow.md").read_text()
    for name in gpus.GPUS:
        w = workers(f"--gpu={name}")
        assert f"| {name} | {w.machine.name} | {w.processes} | {w.batch} | {w.together} |" in page
        assert gpus.DEPTH_SPEED[name] > 0


def test_a_given_hint_brings_its_machine_or_is_given_one():
    hint = "--accelerator=type:nvidia-tesla-t4;count:1;install-nvidia-driver:5xx"
    assert "--machine_type=n1-standard-4" in workers("--gpu=t4", hint).beam_options
    chosen = workers("--gpu=t4", f"{hint};machine_type:n1-standard-8")
    assert chosen.processes == 8
    assert not [option for option in chosen.beam_options if "machine" in option]
    with pytest.raises(UserError, match="of the series n1"):
        workers("--gpu=t4", f"{hint};machine_type:g2-standard-4")
