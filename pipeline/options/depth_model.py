"""From the options to a depth network: fetched if need be, checked, described."""

from __future__ import annotations

import argparse
from typing import Any

from fgbg.files import fetch, storage
from fgbg.files.fetch import FetchError
from fgbg.models import network_files, presets
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
    preset = presets.PRESETS.get(name)
    if preset is not None and preset.task != presets.DEPTH:
        raise UserError(
            f"--depth_model {name}: this network cuts out; those for depth are "
            f"{', '.join(presets.of_task(presets.DEPTH))}"
        )
    if asked.depth_model_url is not None and preset is None:
        raise UserError(
            f"--depth_model_url goes with the names {', '.join(presets.of_task(presets.DEPTH))}, "
            f"not with {name}"
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
        if preset is not None:
            source, path = _download(name, asked.depth_model_url)
            address = source
        else:
            path = network_files.local_copy(name)
        model = depth_card.inspect(
            path,
            {key: value for key, value in overrides.items() if value is not None},
            published=name if name in fetch.PUBLISHED else None,
            precision=asked.depth_precision or "float32",
            batch_size=asked.depth_batch_size,
            address=address,
            known=preset.entries() if preset is not None else None,
        )
    except FetchError as error:
        advice = ". --depth_model_url gives another address"
        raise UserError(f"--depth_model {name}: {error}{advice if preset else ''}") from error
    except DepthModelError as error:
        raise UserError(str(error)) from error
    return model, source


def check_metric(name: str, model: DepthModel | None) -> None:
    """Raises UserError for a network without a unit, where what is stored is metres.

    Args:
        name: What the user calls it.
        model: What it is; None for no depth.
    """
    if model is not None and not model.card.metric:
        raise UserError(
            f"{name}: this network gives relative inverse depth, which has no unit; what is stored "
            "is metres: take a network that says metres"
        )


def _download(name: str, url: str | None) -> tuple[str, str]:
    """The address of a network known by name, and the path of its file in the cache."""
    address = presets.addresses(name, url)[0]
    if storage.is_gcs(address):
        return address, network_files.local_copy(address)
    address, path = presets.obtain(name, url)
    return address, str(path)
