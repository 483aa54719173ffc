"""From the options to a depth network: fetched if need be, checked, described."""

from __future__ import annotations

import argparse
from typing import Any

from fgbg.files import fetch, storage
from fgbg.files.fetch import FetchError
from fgbg.models import network_files
from fgbg.models.depth import depth_card
from fgbg.models.depth.depth_card import DepthModel, DepthModelError
from fgbg.pipeline.exit_codes import UserError


def choose(asked: argparse.Namespace) -> tuple[DepthModel | None, str | None]:
    """The depth network that is asked for, and where it comes from. Nothing is loaded yet.

    Args:
        asked: The options of fgbg.pipeline.options.parser.add_depth_model.

    Returns:
        What the network is, and its source: a local path, a gs:// path or an http address, of
        which fgbg.models.network_files.on_this_machine makes a local path on any machine. None and
        None for "none".

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
    source, address = name, None
    try:
        if published:
            source, path = _download(published, asked.depth_model_url)
            address = source
        else:
            path = network_files.local_copy(name)
        model = depth_card.inspect(
            path,
            {key: value for key, value in overrides.items() if value is not None},
            published=published,
            precision=asked.depth_precision,
            batch_size=asked.depth_batch_size,
            address=address,
        )
    except FetchError as error:
        advice = (
            ". --depth_model_url gives another address; a file that is there already is given by "
            "its path"
        )
        raise UserError(f"--depth_model {name}: {error}{advice if published else ''}") from error
    except DepthModelError as error:
        raise UserError(str(error)) from error
    return model, source


def _download(published: str, url: str | None) -> tuple[str, str]:
    """The address of a published network, and the path of its file in the cache."""
    address = fetch.published_address(published, url)
    if storage.is_gcs(address):
        return address, network_files.local_copy(address)
    return address, str(fetch.fetch_published(published, url=url))
