"""index.html: the report of a data set on one page that asks nothing of any network."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np

from fgbg.files import storage
from fgbg.transforms.dataset import manifest
from fgbg.transforms.job.job import REPORT, Job
from fgbg.transforms.report import charts, loading, sections
from fgbg.transforms.report.bands import bands
from fgbg.transforms.report.findings import Findings, findings
from fgbg.transforms.report.inputs import inspect
from fgbg.transforms.report.looks import Look, Looks, depth_pictures, look, png_address
from fgbg.transforms.report.markup import Html, element, join
from fgbg.transforms.report.sections import section
from fgbg.transforms.report.survey import Survey, survey
from fgbg.transforms.report.words import count

_WORDS = {"overlay": "overlay", "mask": "mask", "depth": "depth", "colours": "depth in colours"}
# Says so to the browser too: nothing from elsewhere, and no script at all.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def write(output: str, job: Job, generation: dict[str, Any], local: str | None = None) -> Findings:
    """Writes a data set's report.

    Args:
        output: The data set; its manifest is there.
        job: Its job.
        generation: The content of its generation.json.
        local: A local copy of its manifest, if there is one.

    Returns:
        What is conspicuous about it.
    """
    with contextlib.nullcontext(local) if local else manifest.local_copy(output) as path:
        text, found = page(output, job, generation, path)
    target = storage.join(output, REPORT)
    storage.storage_for(target).write_atomically(target, text.encode())
    return found


def page(
    output: str, job: Job, generation: dict[str, Any], manifest_path: str
) -> tuple[str, Findings]:
    """The page's text, and what is conspicuous.

    The text is the same for the same data set, but for what stands between the timings.
    """
    numbers = survey(job, manifest_path)
    looks = look(output, job, manifest_path)
    found = findings(job, generation, numbers, looks, inspect(output, job))
    counts = generation["counts"]
    kinds = "overlay and mask"
    if job.configuration.depth_model is not None:
        kinds = "overlay, mask and depth"
    title = f"{count(counts['samples'], 'sample')}: {kinds}"
    parts = [("warnings", f"Warnings ({len(found.warnings)})", sections.findings(found))]
    parts.append(("made", "What was made", sections.made(job, generation)))
    if counts["samples"]:
        split = next(name for name, count in counts["splits"].items() if count)
        drawn = element("div", *charts.all_charts(job, numbers, looks), class_="charts")
        code = sections.loading(loading.examples(split, job.configuration.depth_model is not None))
        parts += [
            ("samples", "Samples", _samples(looks)),
            ("distributions", "Distributions", drawn),
            (
                "statistics",
                "Mean and standard deviation",
                sections.statistics(bands(job, generation["statistics"])),
            ),
            ("loading", "Load it", code),
        ]
    parts.append(("inputs", "Inputs and their licences", _inputs(job, numbers)))
    links = [
        element("li", element("a", words.partition(" (")[0], href=f"#{name}"))
        for name, words, _ in parts
    ]
    body = element(
        "body",
        element(
            "header",
            element("h1", title),
            element("p", sections.summary(job)),
            element("nav", element("ul", *links), aria_label="On this page"),
        ),
        element("main", *(section(*part) for part in parts)),
        _footer(generation),
    )
    return f"<!doctype html>\n{element('html', _head(title), body, lang='en')}\n", found


def _head(title: str) -> Html:
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="color-scheme", content="light dark"),
        element("link", rel="icon", href="data:,"),
        element("title", f"fgbg: {title}"),
        element("style", Html(style)),
    )


def _samples(looks: Looks) -> Html:
    backgrounds = {look.row["bg"] for look in looks.shown}
    text = (
        f"{count(len(looks.shown), 'sample')} from all over the data set, on "
        f"{count(len(backgrounds), 'background')}, as stored."
    )
    has_depth = any("colours" in look.addresses for look in looks.shown)
    legend = [_depth_legend(looks)] if has_depth else []
    cards = [_sample(look) for look in looks.shown]
    return join(element("p", text), *legend, element("div", *cards, class_="samples"))


def _depth_legend(looks: Looks) -> Html:
    end_m = looks.depth_end_m
    ramp = np.linspace(0, end_m, 256, dtype=np.float32)[None]
    parts = []
    for words, picture in zip(("grey", "colours"), depth_pictures(ramp, end_m), strict=True):
        source = png_address(picture)
        parts.append(element("img", src=source, alt=f"{words} from 0 to {end_m:g} m", width=256))
    end = f"{end_m:g} m and more" if looks.depth_beyond else f"{end_m:g} m"
    scale = element("span", "0 m", *parts, end, class_="scale")
    text = "Depth has the same scale in all; its colours are for viewing only."
    return element("p", text, " ", scale, class_="legend")


def _sample(look: Look) -> Html:
    row = look.row
    size = row["width"], row["height"]
    numbers: list[tuple[str, str]] = [
        ("split", row["split"]),
        ("box", f"{size[0]} x {size[1]} at {row['x']}, {row['y']}"),
        ("area", f"{row['mask_area']:,} pixels"),
    ]
    if row["depth_mean_m"] is not None:
        depths = [row[f"depth_{kind}_m"] for kind in ("min", "mean", "max")]
        numbers.append(
            ("depth min / mean / max", " / ".join(f"{depth:.2f}" for depth in depths) + " m")
        )
    pictures = [
        element("img", src=address, alt=_alternative(kind, row), width=224, height=224)
        for kind, address in look.addresses.items()
    ]
    problem = [element("p", look.problem, class_="outside")] if look.problem else []
    pairs = [element("div", element("dt", name), element("dd", value)) for name, value in numbers]
    return element(
        "article",
        element("h3", row["key"], " ", element("small", f"{row['fg_file']} on {row['bg_file']}")),
        element("div", *pictures, class_="pictures"),
        *problem,
        element("dl", *pairs),
        class_="sample",
    )


def _alternative(kind: str, row: dict[str, Any]) -> str:
    if kind == "overlay":
        mirrored = "mirrored " if row["mirrored"] else ""
        return f"Overlay of {row['key']}: {mirrored}{row['fg_file']} on {row['bg_file']}"
    return f"{_WORDS[kind].capitalize()} of {row['key']}"


def _inputs(job: Job, numbers: Survey) -> Html:
    backgrounds = [f"{samples:,}" for samples in numbers.per_background]
    foregrounds = [f"{samples:,}" for samples in numbers.per_foreground]
    splits = [background.split for background in job.backgrounds]
    return join(
        sections.licences(job),
        sections.inputs("Backgrounds", job.backgrounds, {"split": splits, "samples": backgrounds}),
        sections.inputs("Foregrounds", job.foregrounds, {"samples": foregrounds}),
    )


def _footer(generation: dict[str, Any]) -> Html:
    versions = ", ".join(f"{name} {version}" for name, version in generation["versions"].items())
    return element(
        "footer",
        element("p", "Made with ", versions, "."),
        element("p", element("code", "fgbg report ."), " makes this page again; ",
                element("code", "fgbg verify ."), " reads every picture back; ",
                element("code", "fgbg show . --key bg1/fg_1/1"), " draws one sample. They run in "
                "the data set's folder, or with its path or gs:// address for the dot."),
    )  # fmt: skip
