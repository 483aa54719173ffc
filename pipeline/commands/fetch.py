"""`fgbg fetch`: networks downloaded ahead, for machines that will have no network."""

from __future__ import annotations

from fgbg.files.fetch import FetchError
from fgbg.models import presets
from fgbg.pipeline.exit_codes import OK, SOME_FAILED, UserError
from fgbg.pipeline.options import parser as options
from fgbg.pipeline.progress import say, tell


def _parser() -> options.Parser:
    parser = options.Parser(
        prog="fgbg fetch",
        description="Downloads networks ahead, into $FGBG_CACHE (~/.cache/fgbg), where "
        "--depth_model and fgbg cutout --method find them. fgbg networks lists the names.",
    )
    parser.add_argument("names", nargs="+", metavar="NAME", help="networks by name")
    parser.add_argument(
        "--url", default=None, metavar="ADDRESS", help="another address, for one network"
    )
    return parser


def main(arguments: list[str]) -> int:
    """Runs `fgbg fetch`.

    Args:
        arguments: The command line after the command's name.

    Returns:
        The exit code.
    """
    asked = options.parse_all(_parser(), arguments)
    names = list(dict.fromkeys(asked.names))
    for name in names:
        if name not in presets.PRESETS:
            raise UserError(
                f"{name}: no network of this name; known are {', '.join(presets.PRESETS)}"
            )
    if asked.url is not None and len(names) > 1:
        raise UserError("--url is the address of one network; name one")
    problems = []
    for name in names:
        try:
            address, path = presets.obtain(name, asked.url)
        except FetchError as error:
            problems.append(f"{name}: {error}")
            continue
        preset = presets.PRESETS[name]
        tell(f"{name}: {path} (licence {preset.licence}; from {address.partition('#')[0]})")
    for problem in problems:
        say(problem)
    return SOME_FAILED if problems else OK
