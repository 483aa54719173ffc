"""The main job as the Dataflow runner translates it: environments, shuffles, what is submitted."""

from __future__ import annotations

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners import pipeline_context

from fgbg.pipeline.graph import generate_and_summarise
from fgbg.transforms.steps.unit_coder import WorkUnitCoder
from tests.helpers.dataflow_graphs import IMAGE, OFFLINE, arguments, translated, workers

ACCELERATOR = common_urns.resource_hints.ACCELERATOR.urn
MIN_RAM = common_urns.resource_hints.MIN_RAM_BYTES.urn
T4 = (
    b"type:nvidia-tesla-t4;count:1;machine_type:n1-standard-4;install-nvidia-driver:5xx;"
    b"use_nvidia_mps"
)


@pytest.fixture(scope="module")
def job():
    """The job of the reference configuration with T4 workers."""
    return translated(workers("--gpu=t4"))


@pytest.fixture(scope="module")
def proto(job):
    return job.proto_pipeline


def steps(proto):
    """The transforms that do work, by their full name: those without parts of their own."""
    return {
        t.unique_name: t
        for t in proto.components.transforms.values()
        if not t.subtransforms and t.environment_id
    }


def hints_of(proto, step):
    return proto.components.environments[step.environment_id].resource_hints


def test_there_is_one_reshuffle_of_units_and_one_of_chunks(proto):
    found = [
        t.unique_name
        for t in proto.components.transforms.values()
        if t.spec.urn == common_urns.composites.RESHUFFLE.urn
    ]
    assert sorted(found) == ["Reshuffle", "SummariseChunks/Reshuffle"]


def test_what_is_grouped_besides_is_small_and_at_the_end(proto):
    found = {
        t.unique_name.partition("/")[0]
        for t in proto.components.transforms.values()
        if t.spec.urn == common_urns.primitives.GROUP_BY_KEY.urn
    }
    assert found == {"Reshuffle", "AllDone", "SummariseChunks"}


def test_only_keys_cross_the_reshuffle(proto):
    (shuffle,) = [
        t
        for t in proto.components.transforms.values()
        if t.spec.urn == common_urns.composites.RESHUFFLE.urn and t.unique_name == "Reshuffle"
    ]
    context = pipeline_context.PipelineContext(proto.components)
    for collection in (*shuffle.inputs.values(), *shuffle.outputs.values()):
        coder = proto.components.pcollections[collection].coder_id
        assert isinstance(context.coders.get_by_id(coder), WorkUnitCoder)


def test_every_step_of_generate_runs_beside_the_gpu(proto):
    inside = {name: s for name, s in steps(proto).items() if name.startswith("Generate/")}
    assert any("Compose" in name for name in inside)
    assert any("BeamML_RunInference" in name or "RunInference" in name for name in inside)
    assert any("Write" in name for name in inside)
    without = [n for n, s in inside.items() if hints_of(proto, s).get(ACCELERATOR) != T4]
    assert not without


def test_generate_is_one_environment(proto):
    inside = {s.environment_id for n, s in steps(proto).items() if n.startswith("Generate/")}
    assert len(inside) == 1


def test_no_other_step_asks_for_the_gpu(proto):
    others = {n: s for n, s in steps(proto).items() if not n.startswith("Generate/")}
    assert {"WorkUnits", "DropCommitted", "SummariseChunks", "Conclude"} <= {
        n.partition("/")[0] for n in others
    }
    assert not [n for n, s in others.items() if hints_of(proto, s)]


def test_generate_asks_for_memory(proto):
    (step, *_) = [s for n, s in steps(proto).items() if n.startswith("Generate/")]
    assert hints_of(proto, step)[MIN_RAM] == b"12000000000"


def test_every_environment_is_our_image(proto):
    for environment in proto.components.environments.values():
        payload = beam_runner_api_pb2.DockerPayload.FromString(environment.payload)
        assert payload.container_image == IMAGE


def test_without_a_gpu_no_step_has_a_hint():
    proto = translated(workers()).proto_pipeline
    assert not [n for n, s in steps(proto).items() if hints_of(proto, s)]


def test_shards_are_joined_without_a_gpu():
    proto = translated(workers("--gpu=t4"), in_records=True).proto_pipeline
    joining = {n: s for n, s in steps(proto).items() if n.startswith("JoinShards")}
    assert joining and not [n for n, s in joining.items() if hints_of(proto, s)]


def test_the_batch_of_the_gpu_reaches_the_handler_and_not_the_job():
    from fgbg.pipeline.graph import _handler

    chosen = workers("--gpu=l4")
    graph = arguments(chosen, needs_gpu=True, together=chosen.together)
    handler = _handler(graph)
    assert handler is not None and handler._model.batch_size == chosen.batch
    assert handler.batch_elements_kwargs()["min_batch_size"] == chosen.together > 1
    assert handler._unit_size == chosen.together * 20
    assert graph.depth_model is not None and graph.depth_model.batch_size is None


def test_a_template_is_written_to_a_local_path(tmp_path):
    """One megabyte is what Dataflow's launcher takes; the reference job's graph is far below."""
    chosen = workers("--gpu=t4")
    path = tmp_path / "job.json"
    options = [
        *OFFLINE,
        *chosen.beam_options,
        f"--temp_location={tmp_path}",
        f"--staging_location={tmp_path}",
        f"--template_location={path}",
        "--dataflow_endpoint=http://localhost:9",  # so that Beam takes local paths; not called
    ]
    root = beam.Pipeline(options=PipelineOptions(options))
    generate_and_summarise(root, arguments(chosen))
    root.run()
    text = path.read_text()
    assert len(text) < 1_000_000
    assert IMAGE in text
    assert (tmp_path / "pipeline.pb").stat().st_size < 1_000_000


def test_building_the_graph_opens_no_connection(monkeypatch):
    import socket

    def refuse(*arguments):
        raise AssertionError("a connection while the graph is built")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    root = beam.Pipeline()
    generate_and_summarise(root, arguments(workers("--gpu=t4"), in_records=True))
    assert root.to_runner_api().components.transforms
