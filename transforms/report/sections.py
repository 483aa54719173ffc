"""The parts of the report about the data set as a whole: what it is, how it came about, numbers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fgbg.transforms.dataset import credits, precision
from fgbg.transforms.job.job import InputPicture, Job
from fgbg.transforms.quantities import byte_size, duration
from fgbg.transforms.report.bands import Band
from fgbg.transforms.report.findings import Findings
from fgbg.transforms.report.loading import Example
from fgbg.transforms.report.markup import Html, element, join, table
from fgbg.transforms.report.words import count

# Inputs listed with their sources; generation.json has them all.
_INPUTS_SHOWN = 500
# What stands between is the only part of the page that differs when a data set is made again.
TIMINGS_BEGIN, TIMINGS_END = Html("<!-- timings -->"), Html("<!-- end of timings -->")


def section(name: str, title: str, *content: object) -> Html:
    """A part of the page with its heading."""
    heading = element("h2", title, id=f"{name}-title")
    return element("section", heading, *content, id=name, aria_labelledby=f"{name}-title")


def summary(job: Job) -> str:
    """What was pasted on what, in a sentence or two."""
    c = job.configuration
    directions = "as given and mirrored left-right" if c.mirror else "as given"
    text = (
        f"{count(len(job.foregrounds), 'foreground')}, {directions}, pasted at "
        f"{count(sum(c.placements), 'random position')} on each of "
        f"{count(len(job.backgrounds), 'background')}. Pictures are {c.size[0]} x {c.size[1]} "
        f"pixels, composed at {c.canvas[0]} x {c.canvas[1]}; seed {c.seed}."
    )
    if c.depth_model is not None:
        text += f" Depth is an estimate by the network {c.depth_model['file']}, in metres."
    return text


def findings(found: Findings) -> Html:
    """The warnings, or that there are none; and all that was looked for."""
    looked_for = f"Looked for: {', '.join(found.looked_for)}."
    if not found.warnings:
        return element("p", "Nothing conspicuous. ", looked_for, class_="fine")
    warnings = element("ul", *(element("li", text) for text in found.warnings), class_="warnings")
    return join(warnings, element("p", looked_for, class_="faint"))


def made(job: Job, generation: dict[str, Any]) -> Html:
    """Counts, bytes, splits, files."""
    counts = generation["counts"]
    sizes = generation["bytes"]
    figures = [
        ("samples", "samples", f"{counts['samples']:,}"),
        ("pictures", "pictures", f"{counts['samples'] * len(sizes):,}"),
        ("bytes", "of pictures", byte_size(sum(sizes.values()))),
        ("units", "work units", f"{counts['units']:,}"),
        ("failed", "units failed", f"{counts['units_failed']:,}"),
        ("empty", "empty masks", f"{counts['empty_masks']:,}"),
    ]
    cards = [
        element(
            "div",
            element("dt", words),
            element("dd", value, id=f"number-{name}"),
        )
        for name, words, value in figures
    ]
    backgrounds = {name: 0 for name in counts["splits"]}
    for background in job.backgrounds:
        backgrounds[background.split] = backgrounds.get(background.split, 0) + 1
    splits = [
        [name, f"{backgrounds[name]:,}", f"{samples:,}", _share(samples, counts["samples"])]
        for name, samples in counts["splits"].items()
    ]
    kinds = [
        [kind, byte_size(size), byte_size(size / max(1, counts["samples"]))]
        for kind, size in sorted(sizes.items(), key=lambda item: _KINDS.index(item[0]))
    ]
    return join(
        element("dl", *cards, class_="figures"),
        element(
            "div",
            element(
                "div",
                element("h3", "Splits"),
                element("p", "Whole backgrounds are held out: none stands in two splits."),
                table(["split", "backgrounds", "samples", "share"], splits, {1, 2, 3}),
            ),
            element(
                "div",
                element("h3", "Pictures"),
                element("p", _form(job, generation)),
                table(["kind", "bytes", "each"], kinds, {1, 2}),
            ),
            element("div", element("h3", "Time"), timings(generation)),
            class_="columns",
        ),
    )


_KINDS = ("overlay", "mask", "depth")
_MASKS = {"jpg": "JPEG", "png": "PNG"}


def _form(job: Job, generation: dict[str, Any]) -> str:
    c = job.configuration
    if c.in_records:
        shards = len(generation.get("shards", {}))
        return f"One tf.Example a sample, in {count(shards, 'TFRecord shard')}."
    text = f"Files: overlays as JPEG of quality {c.image_quality}, masks as {_MASKS[c.mask_format]}"
    if c.depth_model is None:
        return text + "."
    if c.depth_format == "png16":
        return text + ", depth as 16-bit PNG in millimetres."
    text += f", depth as 8-bit JPEG over 0 to {c.depth_range_m:g} m."
    loss = precision.remarks(generation["depth"])
    return f"{text} {loss}"


def timings(generation: dict[str, Any]) -> Html:
    """Time and rate of each run that made the data set."""
    runs = generation.get("timings", {}).get("runs", [])
    rows = [
        [
            f"{run.get('samples', 0):,}",
            duration(run["wall_s"]),
            f"{run.get('samples', 0) / max(run['wall_s'], 1e-3):,.0f}",
            f"{run.get('workers', 1):,}",
        ]
        for run in runs
        if "wall_s" in run
    ]
    if rows:
        # The command's closing line has the whole time: statistics and this page come after it.
        text = "Making the samples, without the statistics and this page."
        if len(rows) > 1:
            text += " The last line is the run that finished it."
        head: list[object] = ["samples", "time", "a second", "processes"]
        content = join(element("p", text), table(head, rows, {0, 1, 2, 3}))
    else:
        content = element("p", "Not recorded.")
    return join(TIMINGS_BEGIN, element("div", content, id="timings"), TIMINGS_END)


def statistics(bands: list[Band]) -> Html:
    """Means and deviations beside the bands that they should lie in."""
    rows: list[list[object]] = []
    for band in bands:
        unit = f" {band.unit}" if band.unit else ""
        rows.append(
            [
                band.kind,
                band.what,
                f"{band.value:.4f}{unit}",
                f"{band.low:g} to {band.high:g}{unit}",
                _gauge(band),
                element("span", "in its band", class_="fine")
                if band.inside
                else element("strong", "outside", class_="outside"),
            ]
        )
    return join(
        element(
            "p",
            "Over all pixels of all samples, overlays and masks in 0..255 before JPEG coding. "
            "The bands are what photos with things on them usually have.",
        ),
        table(["kind", "", "value", "usual", "", ""], rows, {2}),
    )


def _gauge(band: Band) -> Html:
    """The band on a scale of twice its width, and a mark where the value is."""
    margin = (band.high - band.low) / 2
    start = band.low - margin
    at = min(max((band.value - start) / (4 * margin), 0.01), 0.99) * 100
    return Html(
        '<svg class="gauge" viewBox="0 0 100 10" aria-hidden="true">'
        '<rect class="scale" y="3" width="100" height="4"/>'
        '<rect class="band" x="25" y="1" width="50" height="8"/>'
        f'<rect class="mark" x="{at - 1:.1f}" width="2" height="10"/></svg>'
    )


def loading(examples: list[Example]) -> Html:
    """Code that loads the data set."""
    parts = []
    for example in examples:
        parts.append(
            element(
                "div",
                element("h3", example.title),
                element("p", example.text),
                element("pre", element("code", example.code), tabindex="0"),
            )
        )
    intro = (
        "Run in the data set's folder, or change the path. Without fgbg, records are read as "
        "docs/tfrecord.md shows. A data set on Cloud Storage is fetched first, from its own "
        "address: "
    )
    fetched = element("code", "gcloud storage cp -r gs://BUCKET/FOLDER .")
    return join(element("p", intro, fetched), *parts)


def licences(job: Job) -> Html:
    """The licences of the inputs, and each input with its source."""
    by_name: dict[str, int] = {}
    for _, picture in credits.inputs(job):
        name = picture.licence or credits.NOT_STATED
        by_name[name] = by_name.get(name, 0) + 1
    counted = [[_licence(name), f"{count:,}"] for name, count in sorted(by_name.items())]
    parts = [
        element("p", "The licences of the pictures that a data set was made from apply to it."),
        table(["licence", "inputs"], counted, {1}),
    ]
    licence, origin = credits.labels(job)
    if licence:
        whose = f" ({origin})" if origin else ""
        words = f"Its depth was made by a network under {licence}{whose}."
        parts.append(element("p", words))
    return join(*parts)


def inputs(title: str, pictures: list[InputPicture], columns: dict[str, Iterable[object]]) -> Html:
    """All inputs of a kind, with where they come from.

    Args:
        title: Of the list.
        pictures: The inputs.
        columns: More about each of them by a title each: number of samples etc.
    """
    shown = pictures[:_INPUTS_SHOWN]
    cells: dict[str, list[object]] = {
        "": [picture.number for picture in shown],
        "file": [picture.file for picture in shown],
        **{head: list(values)[: len(shown)] for head, values in columns.items()},
        "author": [picture.author for picture in shown],
        "licence": [_licence(picture.licence) for picture in shown],
        "page": [_page(picture) for picture in shown],
    }
    # Columns of nothing leave no room on a phone for the others.
    cells = {head: column for head, column in cells.items() if any(map(str, column))}
    rows = [list(row) for row in zip(*cells.values(), strict=True)]
    if len(pictures) > len(shown):
        more = f"and {len(pictures) - len(shown):,} more in generation.json"
        rows.append(["", more, *[""] * (len(cells) - 2)])
    numeric = {i for i, head in enumerate(cells) if head in ("", "samples")}
    return element(
        "details",
        element("summary", f"{title} ({len(pictures):,})"),
        table(list(cells), rows, numeric),
    )


def _licence(name: str) -> Html:
    address = credits.licence_address(name)
    return _link(address, name) if address else join(name)


def _page(picture: InputPicture) -> Html:
    # Only what a browser opens as a page: never javascript: or data: of somebody's table.
    if picture.page.startswith(("https://", "http://")):
        return _link(picture.page, picture.page.partition("://")[2])
    return join(picture.page)


def _link(address: str, text: str) -> Html:
    return element("a", text, href=address, rel="noopener noreferrer nofollow")


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"
