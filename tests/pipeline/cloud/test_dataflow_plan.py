"""`--plan` of a data set on Cloud Storage: hours and bytes, and what they rest on."""

from __future__ import annotations

import argparse
import dataclasses
import re

import pytest

from fgbg.pipeline.__main__ import main
from fgbg.pipeline.cloud import plan as cloud_plan
from fgbg.pipeline.data_set.plan import Estimate
from fgbg.transforms.job.job import Configuration, InputPicture, Job
from tests.helpers.dataflow_fakes import bucket, cloud_storage, upload_inputs
from tests.helpers.dataflow_graphs import workers

__all__ = ["bucket", "cloud_storage"]
# Of the processor in docs/benchmarks.md and docs/depth.md: 0.5 ms to compose, 0.5 s for depth.
ONE = Estimate(0.0005, 0.5, 40_000, 120)


def reference(depth: bool = True, records: bool = False) -> Job:
    """The reference job: 400,000 samples."""
    pictures = [InputPicture(n, f"{n}.jpg", "0" * 64, 640, 480) for n in range(1, 101)]
    configuration = Configuration(
        output_format="tfrecord" if records else "images",
        size=(224, 224),
        canvas=(448, 448),
        placements=[20],
        mirror=True,
        fg_scale=(0.3, 0.6),
        truncation=0,
        seed=0,
        image_quality=95,
        mask_format="jpg",
        depth_format="jpg",
        depth_range_m=10,
        depth_model={"kind": "densedepth"} if depth else None,
        splits=[("train", 1.0)],
    )
    return Job(configuration, pictures, pictures)


def estimate(*options: str, depth_speed: float | None = None, **settings: bool) -> cloud_plan.Cost:
    chosen = workers(*options)
    return cloud_plan.cost(reference(**settings), ONE, chosen, 10, depth_speed)


def test_a_gpus_speed_decides_where_depth_is_slower_than_the_rest():
    cost = estimate("--gpu=t4", depth_speed=25)
    busy = 400_000 / 25 / 3600
    starting = 10 * cloud_plan.START_MINUTES["gpu"] / 60
    assert cost.worker_hours == pytest.approx(busy + starting)
    assert cost.wall_hours == pytest.approx(busy / 10 + starting / 10)


def test_without_a_gpu_depth_is_made_by_the_cores():
    cost = estimate()
    assert cost.worker_hours == pytest.approx(400_000 * 0.5 / 4 / 3600, rel=0.1)


def test_the_rest_decides_where_the_gpu_is_faster():
    fast, faster = (estimate("--gpu=h100", depth_speed=s).worker_hours for s in (1e5, 1e6))
    assert fast == faster


def test_every_file_is_a_write():
    assert estimate(depth_speed=25).writes == 3 * 400_000 + 20_000
    assert estimate(depth_speed=25, records=True).writes == 2 * 20_000


def test_stored_bytes_are_those_of_all_samples():
    assert estimate(depth_speed=25).stored_bytes == 400_000 * ONE.bytes


def test_a_price_and_a_speed_can_be_given(capsys):
    asked = argparse.Namespace(price_per_hour=2.5, depth_speed=100.0)
    chosen = workers("--gpu=t4")
    cloud_plan.show(reference(), ONE, chosen, asked, ["--num_workers=5"])
    said = capsys.readouterr().out
    hours = 400_000 / 100 / 3600 + 5 * cloud_plan.START_MINUTES["gpu"] / 60
    assert f"  {hours:,.1f} worker hours" in said
    assert f"  {hours * 2.5:,.2f} for workers at 2.5 an hour (--price_per_hour)" in said
    assert "5 workers" in said and "(--depth_speed;" in said


@pytest.mark.parametrize("given", [(), ("--price_per_hour=0.5",)])
def test_the_plan_of_a_job_in_the_cloud_prints_hours_and_bytes_and_writes_nothing(
    bucket, small_inputs, capsys, given
):
    from fgbg.files import storage

    command = ["generate", *upload_inputs(small_inputs, bucket), f"--output={bucket}/planned"]
    more = ("--size=32", "--placements=3", "--plan", "--max_num_workers=3")
    assert main([*command, *more, *given]) == 0
    told = capsys.readouterr().out
    assert "On Dataflow with 3 workers (n1-standard-4, 4 processes each)" in told
    assert re.search(r"\d\.\d worker hours, \d+ min", told), told
    assert re.search(r"\d+ writes to Cloud Storage, [\d.]+ [kMG]?B stored", told), told
    assert "$" not in told, "no price of fgbg's own"
    assert ("for workers at 0.5 an hour" in told) == bool(given)
    assert not list(storage.storage_for(bucket).walk(f"{bucket}/planned"))


def test_larger_pictures_take_a_gpu_longer(capsys):
    job = reference()
    large = dataclasses.replace(
        job, configuration=dataclasses.replace(job.configuration, canvas=(896, 896))
    )
    for each in (job, large):
        asked = argparse.Namespace(price_per_hour=None, depth_speed=None)
        cloud_plan.show(each, ONE, workers("--gpu=t4"), asked, [])
    said = capsys.readouterr().out
    assert "depth of 25.0 pictures" in said and "depth of 6.2 pictures" in said
