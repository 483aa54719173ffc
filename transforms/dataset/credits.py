"""Whose pictures a data set is made of, and under which licences, as exports hand it on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from fgbg.files.licences import NOT_STATED
from fgbg.transforms.job.job import InputPicture, Job

_CREATIVE_COMMONS = re.compile(r"CC (BY(?:-NC)?(?:-SA|-ND)?) (\d\.\d)")
_DEEDS = "https://creativecommons.org"


def inputs(job: Job) -> Iterator[tuple[str, InputPicture]]:
    """Every input by its name in the data set: bg1, bg2 .. fg_1, fg_2 .."""
    for background in job.backgrounds:
        yield f"bg{background.number}", background
    for foreground in job.foregrounds:
        yield f"fg_{foreground.number}", foreground


def licences(job: Job) -> list[str]:
    """Names of all licences, sorted; NOT_STATED is one of them where an input has none."""
    return sorted({picture.licence or NOT_STATED for _, picture in inputs(job)})


def labels(job: Job) -> tuple[str, str]:
    """Licence and origin of the network that made the depth; "" where the job does not say them."""
    model = job.configuration.depth_model or {}
    return model.get("licence", ""), model.get("origin", "")


def licence_address(name: str) -> str:
    """Where a licence can be read; "" where that is not known."""
    match = _CREATIVE_COMMONS.fullmatch(name)
    if match:
        return f"{_DEEDS}/licenses/{match[1].lower()}/{match[2]}/"
    if name in ("CC0", "CC0 1.0"):
        return f"{_DEEDS}/publicdomain/zero/1.0/"
    return ""


def credit(picture: InputPicture) -> dict[str, Any]:
    """File, author, licence and page of an input; without those that are not known."""
    known = {"author": picture.author, "licence": picture.licence, "page": picture.page}
    return {"file": picture.file, **{name: text for name, text in known.items() if text}}
