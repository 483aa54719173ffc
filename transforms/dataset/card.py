"""The data set's card: a README.md that says what the data set is and how to read it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from fgbg.transforms.dataset import credits, precision
from fgbg.transforms.escaping import markdown, markdown_address, markdown_code
from fgbg.transforms.job.job import Job

# Sources listed in the card; generation.json has them all.
_SOURCES_SHOWN = 500


def card(job: Job, generation: dict[str, Any]) -> str:
    """The card's text.

    Args:
        job: The data set's job.
        generation: What generation.json will hold.
    """
    c = job.configuration
    counts = generation["counts"]
    kinds = "overlay, mask and depth map" if c.depth_model else "overlay and mask"
    directions = "as given and mirrored left-right" if c.mirror else "as given"
    splits = "\n".join(
        f"| {name} | {sum(b.split == name for b in job.backgrounds):,} | {samples:,} |"
        for name, samples in counts["splits"].items()
    )
    return f"""# {counts["samples"]:,} composed pictures with {kinds}

Made by fgbg: {counts["foregrounds"]:,} foreground cut-outs, {directions}, each pasted at
{sum(c.placements):,} random positions on {counts["backgrounds"]:,} backgrounds. Pictures are
{c.size[0]}x{c.size[1]} pixels (composed at {c.canvas[0]}x{c.canvas[1]}). Seed {c.seed}.
{_incomplete(counts)}
![Samples](PlotImages/rows.png)

## Files

| path | what |
| --- | --- |
{_sample_files(job)}| `backgrounds/bgN.jpg`, `foregrounds/fg_M.png` | the inputs as used |
| `manifest.parquet` | one row per sample: where it is, split, box, area, placement, depth |
| `generation.json` | configuration, input hashes, versions, statistics, timings |
| `index.html` | the report: samples, distributions, warnings, how to load it |
| `PlotImages/` | sample sheets |

{_numbering(job)}
{_depth_section(job, generation.get("depth"))}
## Splits

Whole backgrounds are held out: none stands in two splits.

| split | backgrounds | samples |
| --- | --- | --- |
{splits}

## Statistics

Overlays and masks in 0..255, before JPEG coding.

| kind | mean | standard deviation |
| --- | --- | --- |
{_statistics(generation["statistics"])}

## Check it

```
fgbg verify .
```

## Sources

{_sources(job)}
"""


def _sources(job: Job) -> str:
    """Licences and authors of the inputs, as far as their sources.csv told."""
    text = (
        "The licences of the pictures that it was made from apply to it. generation.json names\n"
        "every one with its SHA-256."
    )
    inputs = [*job.backgrounds, *job.foregrounds]
    known = [picture for picture in inputs if picture.licence or picture.author]
    if not known:
        return text + " No sources.csv stood beside them."
    licences = Counter(picture.licence or "not stated" for picture in known)
    counted = ", ".join(f"{markdown(name)} ({count})" for name, count in sorted(licences.items()))
    text += f"\n\n{len(known)} of {len(inputs)} have a known source. Licences: {counted}.\n"
    rows = [
        f"| {markdown(p.file)} | {markdown(p.author)} | {markdown(p.licence)} | "
        f"{markdown_address(p.page)} |"
        for p in known[:_SOURCES_SHOWN]
    ]
    if len(known) > _SOURCES_SHOWN:
        rows.append(f"| and {len(known) - _SOURCES_SHOWN} more in generation.json | | | |")
    head = ["| file | author | licence | page |", "| --- | --- | --- | --- |"]
    return text + "\n" + "\n".join([*head, *rows])


def _incomplete(counts: dict[str, Any]) -> str:
    missing = counts["samples_planned"] - counts["samples"]
    if not missing:
        return ""
    return f"\n**Incomplete: {missing:,} samples are missing, see errors.jsonl.**\n"


def _numbering(job: Job) -> str:
    c = job.configuration
    texts = []
    first = 1
    for count in c.placements:
        text = f"samples {first}..{first + count - 1} as given"
        first += count
        if c.mirror:
            text += f", {first}..{first + count - 1} mirrored"
            first += count
        texts.append(text)
    return f"Numbers inside a folder: {'; '.join(texts)}."


def _sample_files(job: Job) -> str:
    c = job.configuration
    if c.in_records:
        depth = "depth/encoded the depth as 16-bit PNG, " if c.depth_model else ""
        return (
            "| `tfrecord/fgbg-SPLIT.tfrecord-*` | one tf.Example a sample: image/encoded is the "
            f"overlay, image/object/mask its mask as PNG (1 is foreground), {depth}with the keys "
            "of the TF Object Detection API |\n"
            "| `tfrecord/*.json`, `tfrecord/schema.pbtxt` | what "
            '`tfds.builder_from_directory("tfrecord")` and tfx-bsl read them by |\n'
        )
    lines = [
        "| `bgN/fg_M/overlay/K.jpg` | background N with foreground M |",
        f"| `bgN/fg_M/mask/K.{c.mask_format}` | 255 is foreground (at least half opaque); "
        "threshold at 128 |",
    ]
    if c.depth_model is not None:
        ending = "png" if c.depth_format == "png16" else "jpg"
        lines.append(f"| `bgN/fg_M/depth/K.{ending}` | depth of the overlay |")
    return "\n".join(lines) + "\n"


def _depth_section(job: Job, depth: dict[str, Any] | None) -> str:
    c = job.configuration
    if c.depth_model is None:
        return ""
    scale = (
        "16-bit millimetres: `metres = value.astype(numpy.float32) / 1000`"
        if c.depth_format == "png16"
        else f"8 bits over 0..{c.depth_range_m:g} m, the same scale in every picture: "
        f"`metres = value.astype(numpy.float32) * {c.depth_range_m:g} / 255`"
    )
    loss = precision.remarks(depth)
    about_loss = f"{loss}\n" if loss else ""
    return f"""
## Depth

Metres, far is larger; {scale}.
{about_loss}Estimated from each overlay by {markdown_code(c.depth_model["file"])}
(SHA-256 `{c.depth_model["sha256"]}`): an estimate by a network, not a measurement.
{_labels(job)}"""


def _labels(job: Job) -> str:
    """The licence of the network that made the depth, where it is known."""
    licence, origin = credits.labels(job)
    if not licence:
        return ""
    whose = f" ({markdown(origin)})" if origin else ""
    return f"The network's licence: {markdown(licence)}{whose}.\n"


def _statistics(statistics: dict[str, Any]) -> str:
    rows = [(f"overlay, {name}", s) for name, s in statistics["overlay"].items()]
    rows.append(("mask", statistics["mask"]))
    if "depth_m" in statistics:
        rows.append(("depth, metres", statistics["depth_m"]))
    return "\n".join(f"| {name} | {s['mean']:.4f} | {s['std']:.4f} |" for name, s in rows)
