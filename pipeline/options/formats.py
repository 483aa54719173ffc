"""How the pictures of a data set are coded, by options that two commands have."""

from __future__ import annotations

import argparse

from fgbg.pipeline.exit_codes import UserError
from fgbg.transforms.job import job as jobs


def formats(asked: argparse.Namespace) -> tuple[str, str]:
    """Coding of masks and depth: a choice in an image tree, without loss in records.

    Args:
        asked: Options with format, mask_format, depth_format and shards.

    Returns:
        Format of the masks, and of the depth.

    Raises:
        UserError: They contradict each other.
    """
    chosen = {"mask": asked.mask_format, "depth": asked.depth_format}
    if asked.format == jobs.IMAGES:
        if asked.shards is not None:
            raise UserError("--shards: only --format tfrecord has shards")
        return chosen["mask"] or "jpg", chosen["depth"] or "jpg"
    lossless = {"mask": "png", "depth": "png16"}
    for kind, value in chosen.items():
        if value not in (None, lossless[kind]):
            raise UserError(
                f"--{kind}_format {value}: records hold {kind} as {lossless[kind]}, without loss; "
                "leave the option out"
            )
    return lossless["mask"], lossless["depth"]
