"""What the means and deviations of a data set should be."""

from __future__ import annotations

import dataclasses
from typing import Any

from fgbg.transforms.job.job import Job


@dataclasses.dataclass(frozen=True)
class Band:
    """A statistic and where it should lie.

    Attributes:
        kind: Such as "overlay, red".
        what: "mean" or "standard deviation".
        value: What it is.
        low: The least that is usual.
        high: The most that is usual.
        unit: Such as "m"; "" for values in 0..255.
        hint: What may be the cause where it lies outside.
    """

    kind: str
    what: str
    value: float
    low: float
    high: float
    unit: str
    hint: str

    @property
    def inside(self) -> bool:
        return self.low <= self.value <= self.high


def bands(job: Job, statistics: dict[str, Any]) -> list[Band]:
    """Mean and standard deviation of every kind, each with its band.

    Args:
        job: The data set's job.
        statistics: As generation.json has them.
    """
    found = []
    for name, values in statistics["overlay"].items():
        found += [
            Band(
                f"overlay, {name}", "mean", values["mean"], 50, 205, "",
                "very dark or very bright pictures, or a colour cast",
            ),
            Band(
                f"overlay, {name}", "standard deviation", values["std"], 25, 100, "",
                "pictures with next to no contrast, or nearly black and white",
            ),
        ]  # fmt: skip
    mask = statistics["mask"]
    found += [
        Band("mask", "mean", mask["mean"], 2.5, 128, "", "foregrounds very small or very large"),
        Band("mask", "standard deviation", mask["std"], 25, 127.5, "", "masks nearly empty"),
    ]
    if "depth_m" in statistics:
        depth = statistics["depth_m"]
        end = job.configuration.depth_range_m
        hint = "a depth network with another unit, or fed in another way"
        found += [
            Band("depth", "mean", depth["mean"], 0.02 * end, 0.9 * end, "m", hint),
            Band("depth", "standard deviation", depth["std"], 0.01 * end, 0.5 * end, "m", hint),
        ]
    return found
