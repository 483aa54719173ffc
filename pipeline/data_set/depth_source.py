"""The depth network of a data set that is there: found by itself, or checked where it is given."""

from __future__ import annotations

import os

from fgbg.files import fetch, storage
from fgbg.files.fetch import FetchError
from fgbg.models import network_files
from fgbg.models.depth import depth_card
from fgbg.models.depth.depth_card import BUILTIN, DepthModel, DepthModelError
from fgbg.transforms.job.job import DEPTH_MODEL, Job


class NotHad(ValueError):
    """The network cannot be had; the message says which, and what to do."""


def depth_source(job: Job, given: str | None, output: str | None = None) -> str | None:
    """Where the depth network of a job is; None for a data set without depth.

    Args:
        job: The data set's job.
        given: The path that a person gives; None: it is looked for, and nothing is downloaded.
        output: The data set, which may have a copy for workers elsewhere.

    Raises:
        NotHad: It is not on this machine, or what is given is another one.
    """
    content = job.configuration.depth_model
    if content is None:
        return None
    model = DepthModel.from_dict(content)
    if given is not None:
        return _checked(given, model)
    if model.kind == BUILTIN:
        return _checked(BUILTIN, model)
    candidates = []
    if model.address is not None and network_files.is_address(model.address):
        candidates.append(str(fetch.default_cache_dir() / fetch.cache_name(model.address)))
    if output is not None and not storage.is_gcs(output):
        candidates.append(os.path.join(output, DEPTH_MODEL, model.file))
    for path in candidates:
        if os.path.exists(path) and depth_card.sha256_of(path) == model.sha256:
            return path
    raise NotHad(
        f"the depth network {model.file} (SHA-256 {model.sha256[:16]}...) is not on this machine; "
        "give its path by --depth_model"
    )


def _checked(path: str, model: DepthModel) -> str:
    try:
        local = network_files.local_copy(path)
        found = depth_card.inspect(local, {}).sha256 if path == BUILTIN else _sha256(local)
    except (DepthModelError, FetchError, OSError) as error:
        raise NotHad(f"--depth_model {path}: {error}") from error
    if found != model.sha256:
        raise NotHad(
            f"--depth_model {path}: its SHA-256 is {found}, the data set was made with "
            f"{model.file} of {model.sha256}"
        )
    return path


def _sha256(path: str) -> str:
    if not os.path.exists(path):
        raise DepthModelError("no such file or folder")
    return depth_card.sha256_of(path)
