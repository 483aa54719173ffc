"""From the options to a depth network: downloaded if need be, checked, described."""

from __future__ import annotations

import argparse
from typing import Any

from models import depth_card, fetch
from models.depth_card import DepthModel, DepthModelError
from models.fetch import FetchError
from pipeline.exit_codes import UserError


def choose(asked: argparse.Namespace) -> tuple[DepthModel | None, str | None]:
    """The depth network that is asked for, and where it lies. Nothing is loaded yet.

    Args:
        asked: The options of pipeline.options.add_depth_model.

    Returns:
        What the network is and its path; None and None for "none".

    Raises:
        UserError: It cannot be had, or is none that can be used.
    """
    name = asked.depth_model
    published = name if name in fetch.PUBLISHED else None
    if asked.depth_model_url is not None and published is None:
        raise UserError(
            f"--depth_model_url goes with --depth_model {' or '.join(fetch.PUBLISHED)}, not with "
            f"{name}"
        )
    if name == "none":
        return None, None
    overrides: dict[str, Any] = {
        "input_range": asked.depth_input_range,
        "metres_per_unit": asked.depth_output_unit,
        "max_depth_m": asked.depth_max,
    }
    path, address = name, None
    if published:
        path, address = _download(published, asked.depth_model_url)
    try:
        model = depth_card.inspect(
            path,
            {key: value for key, value in overrides.items() if value is not None},
            published=published,
            precision=asked.depth_precision,
            batch_size=asked.depth_batch_size,
            address=address,
        )
    except DepthModelError as error:
        raise UserError(str(error)) from error
    return model, path


def _download(published: str, url: str | None) -> tuple[str, str]:
    """The file of a published network in the cache, and its address."""
    try:
        path = str(fetch.fetch_published(published, url=url))
    except FetchError as error:
        raise UserError(
            f"--depth_model {published}: {error}. --depth_model_url gives another address; a file "
            "that is there already is given by its path"
        ) from error
    return path, str(fetch.read_record(path).get("url", url))
