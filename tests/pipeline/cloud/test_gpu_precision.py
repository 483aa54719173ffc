"""What DenseDepth computes in: as asked for, as the data set has it, or as its device has it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from fgbg.pipeline.data_set import request
from fgbg.pipeline.data_set.merge import merge
from fgbg.pipeline.options import parser as options
from fgbg.transforms.job.job import Job
from tests.helpers.small_networks import densedepth_h5


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(densedepth_h5(tmp_path_factory.mktemp("network") / "net.h5"))


def configured(network: str, *more: str, stored: str | None = None) -> str:
    """The precision of a new job, or of one that is there with another."""
    command = ["--backgrounds=b", "--foregrounds=f", "--output=o", f"--depth_model={network}"]
    asked, _ = options.parse(options.generate_parser(), [*command, *more])
    job = None
    if stored is not None:
        before = request._configuration(asked, None)
        model = {**(before.depth_model or {}), "precision": stored}
        job = Job(dataclasses.replace(before, depth_model=model), [], [])
    found = request._configuration(asked, job)
    if job is not None and not any(word.startswith("--depth_precision") for word in more):
        assert merge(job, found, [], [], []).configuration == job.configuration
    assert found.depth_model is not None
    return str(found.depth_model["precision"])


def test_a_gpu_computes_in_16_bits_and_says_so(network, capsys):
    assert configured(network, "--gpu=t4") == "float16"
    assert "DenseDepth computes in float16" in capsys.readouterr().err
    assert configured(network, "--gpu=t4", "--depth_precision=float32") == "float32"
    assert capsys.readouterr().err == ""


def test_a_processor_computes_as_ever(network, capsys):
    assert configured(network) == "float32"
    assert configured(network, "--depth_precision=bfloat16") == "bfloat16"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("gpu", [(), ("--gpu=l4",)])
@pytest.mark.parametrize("stored", ["float32", "float16", "bfloat16"])
def test_a_data_set_keeps_the_precision_that_it_was_begun_with(stored, gpu, network):
    assert configured(network, *gpu, stored=stored) == stored


def test_other_networks_are_as_they_were_saved():
    assert configured("builtin", "--gpu=t4") == "float32"


def test_depth_of_pictures_is_in_32_bits_unless_asked(network, tmp_path: Path):
    from fgbg.pipeline.commands import depth
    from fgbg.pipeline.options import depth_model

    command = ["a.png", f"--output={tmp_path}", f"--depth_model={network}"]
    model, _ = depth_model.choose(options.parse_all(depth._parser(), command))
    assert model is not None and model.precision == "float32"
