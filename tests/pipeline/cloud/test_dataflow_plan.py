"""`--plan` of a data set on Cloud Storage: hours and money, and what they rest on."""

from __future__ import annotations

import dataclasses
import re

import pytest

from fgbg.pipeline.__main__ import main
from fgbg.pipeline.cloud import plan as cloud_plan
from fgbg.pipeline.cloud import prices
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
    hour, _ = prices.worker_hour(chosen)
    return cloud_plan.cost(reference(**settings), ONE, chosen, 10, hour, depth_speed)


def test_a_gpus_speed_decides_where_depth_is_slower_than_the_rest():
    cost = estimate("--gpu=t4", depth_speed=25)
    busy = 400_000 / 25 / 3600
    starting = 10 * prices.START_MINUTES["gpu"] / 60
    assert cost.worker_hours == pytest.approx(busy + starting)
    assert cost.wall_hours == pytest.approx(busy / 10 + starting / 10)


def test_without_a_gpu_depth_is_made_by_the_cores():
    cost = estimate()
    assert cost.worker_hours == pytest.approx(400_000 * 0.5 / 4 / 3600, rel=0.1)


def test_the_rest_decides_where_the_gpu_is_faster():
    fast, faster = (estimate("--gpu=h100", depth_speed=s).worker_hours for s in (1e5, 1e6))
    assert fast == faster


def test_every_file_is_a_write_to_be_paid():
    cost = estimate(depth_speed=25)
    assert cost.writes_usd == pytest.approx((3 * 400_000 + 20_000) / 1000 * prices.WRITES_1000.usd)
    assert estimate(depth_speed=25, records=True).writes_usd < cost.writes_usd / 20


def test_a_workers_price_is_its_parts():
    hour, lines = prices.worker_hour(workers("--gpu=t4"))
    assert hour == pytest.approx(4 * 0.056 + 15 * 0.003557 + 50 * 0.000054 + 0.35)
    assert len(lines) == 4 and all("https://" in line for line in lines)


def test_every_price_says_where_it_is_from():
    found = [v for v in vars(prices).values() if isinstance(v, prices.Price)]
    found += prices.GPU_HOUR.values()
    assert len(found) >= 10
    for price in found:
        assert price.source.startswith("https://cloud.google.com/")
        assert price.checked.startswith(("seen ", "from memory, not verified"))


def test_a_price_and_a_speed_can_be_given(capsys):
    import argparse

    asked = argparse.Namespace(price_per_hour=2.0, depth_speed=100.0)
    chosen = workers("--gpu=t4")
    cloud_plan.show(reference(), ONE, chosen, asked, ["--num_workers=5"])
    said = capsys.readouterr().out
    hours = 400_000 / 100 / 3600 + 5 * prices.START_MINUTES["gpu"] / 60
    assert f"about ${hours * 2:,.2f} for workers" in said
    assert "5 workers" in said and "(--price_per_hour)" in said and "(--depth_speed;" in said


def test_the_plan_of_a_job_in_the_cloud_tells_money_and_writes_nothing(
    bucket, small_inputs, capsys
):
    from fgbg.files import storage

    command = ["generate", *upload_inputs(small_inputs, bucket), f"--output={bucket}/planned"]
    more = ("--size=32", "--placements=3", "--plan", "--max_num_workers=3")
    assert main([*command, *more]) == 0
    told = capsys.readouterr().out
    assert "On Dataflow with 3 workers (n1-standard-4, 4 processes each)" in told
    assert re.search(r"about \$\d+\.\d\d for workers", told)
    assert f"table of {prices.DATE}" in told
    assert "not verified" in told and prices.REGION in told
    assert not list(storage.storage_for(bucket).walk(f"{bucket}/planned"))


def test_larger_pictures_take_a_gpu_longer(capsys):
    import argparse

    job = reference()
    large = dataclasses.replace(
        job, configuration=dataclasses.replace(job.configuration, canvas=(896, 896))
    )
    for each in (job, large):
        asked = argparse.Namespace(price_per_hour=None, depth_speed=None)
        cloud_plan.show(each, ONE, workers("--gpu=t4"), asked, [])
    said = capsys.readouterr().out
    assert "depth of 25.0 pictures" in said and "depth of 6.2 pictures" in said
