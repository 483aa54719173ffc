"""`fgbg networks`: the networks that are known by name."""

from __future__ import annotations

from fgbg.models import presets
from fgbg.models.presets import Preset
from fgbg.pipeline.exit_codes import OK
from fgbg.pipeline.options import parser as options
from fgbg.pipeline.progress import byte_size, tell


def _parser() -> options.Parser:
    return options.Parser(
        prog="fgbg networks",
        description="Lists the networks that --depth_model and fgbg cutout --method know by name: "
        "task, licence, size, unit, whether its file is here, speed where it was measured, origin.",
    )


def main(arguments: list[str]) -> int:
    """Runs `fgbg networks`.

    Args:
        arguments: The command line after the command's name.

    Returns:
        The exit code.
    """
    options.parse_all(_parser(), arguments)
    heads = ("name", "task", "licence", "size", "unit", "here", "speed")
    rows = [heads, *(_row(preset) for preset in presets.PRESETS.values())]
    widths = [max(len(row[i]) for row in rows) for i in range(len(heads))]
    for row in rows:
        tell("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    tell()
    for preset in presets.PRESETS.values():
        tell(f"{preset.name}: {preset.origin}")
    tell()
    tell("fgbg fetch NAME downloads one ahead; builtin comes with fgbg (Apache-2.0, depth).")
    return OK


def _row(preset: Preset) -> tuple[str, ...]:
    there = presets.cached(preset.name)
    size = preset.size or (there[1].stat().st_size if there else None)
    return (
        *(preset.name, preset.task, preset.licence, byte_size(size) if size else "not stated"),
        *(preset.unit, "yes" if there else "no", preset.speed),
    )
