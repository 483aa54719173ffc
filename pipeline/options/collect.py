"""The command line of `fgbg collect`: every option, its check and its default."""

from __future__ import annotations

import argparse

from fgbg import __version__
from fgbg.files.paths import trim_slash
from fgbg.pipeline.exit_codes import UserError
from fgbg.pipeline.options import parser as options
from fgbg.transforms.collect.candidate import Checks, Downloads, Searching, Settings
from fgbg.transforms.collect.providers import PROVIDERS

COUNT = 100


def parser() -> options.Parser:
    """The parser of `fgbg collect`."""
    notes = "; ".join(f"{name}: {kind.note}" for name, kind in PROVIDERS.items())
    keys = sorted({key for kind in PROVIDERS.values() for key in (*kind.needs, *kind.takes)})
    made = options.Parser(
        prog="fgbg collect",
        description="Searches pictures of topics, downloads them with care, checks them and "
        "writes them with their sources to a folder that `fgbg generate` takes. The same command "
        "again goes on where it was, and replaces pictures that were deleted by hand. Keys are "
        f"read from the environment only: {', '.join(keys)}.",
    )
    add = made.add_argument
    add(
        "topics",
        nargs="+",
        metavar="TOPIC",
        help="what to search for; several topics share the count. With --provider urls: a file",
    )
    add("--output", required=True, metavar="FOLDER", help="folder for the pictures, local or gs://")
    add(
        "--count",
        type=options.number(1, 1_000_000, int),
        metavar="N",
        help=f"pictures wanted of these topics; None: {COUNT}, with --provider urls all",
    )
    add(
        "--provider",
        choices=sorted(PROVIDERS),
        default="openverse",
        help=f"where to search; {notes}",
    )
    searching = made.add_argument_group("searching").add_argument
    options.add_switch(
        searching,
        "--rights_filter",
        "ask only for pictures that may be used, also commercially, and changed",
        default=True,
    )
    searching("--base_url", metavar="URL", help="the service's address; None: the provider's own")
    searching(
        "--search_interval",
        type=options.number(0, 3600),
        metavar="SECONDS",
        help="least time between two requests; None: the provider's own rule",
    )
    searching(
        "--contact",
        metavar="TEXT",
        help="e-mail or web address sent in the User-Agent, as Wikimedia asks for",
    )
    _add_downloads(made)
    _add_checks(made)
    return made


def _add_downloads(made: options.Parser) -> None:
    add = made.add_argument_group("downloads").add_argument
    default = Downloads()
    add(
        "--downloads",
        type=options.number(1, 64, int),
        default=default.at_once,
        metavar="N",
        help="at once",
    )
    add(
        "--per_host",
        type=options.number(1, 64, int),
        default=default.per_host,
        metavar="N",
        help="of those, from one host",
    )
    add(
        "--timeout",
        type=options.number(0.1, 3600),
        default=default.timeout_s,
        metavar="SECONDS",
        help="longest time for one, redirects included",
    )
    add(
        "--max_megabytes",
        type=options.number(0.001, 1000),
        default=default.max_bytes / 1e6,
        metavar="MB",
        help="largest body, as sent and as decompressed",
    )
    add(
        "--tries",
        type=options.number(1, 20, int),
        default=default.tries,
        metavar="N",
        help="of what fails in a way that may pass",
    )
    add(
        "--retry_wait",
        type=options.number(0, 600),
        default=default.retry_wait_s,
        metavar="SECONDS",
        help="before the second try, doubled before each further one; Retry-After goes before it",
    )
    options.add_switch(
        add,
        "--allow_private_addresses",
        "download also from private, loopback and other addresses that are not public",
    )


def _add_checks(made: options.Parser) -> None:
    add = made.add_argument_group("checks").add_argument
    default = Checks()
    add(
        "--min_side",
        type=options.number(1, 20000, int),
        default=default.min_side,
        metavar="PIXELS",
        help="least length of a picture's shorter side",
    )
    add(
        "--aspect",
        type=_aspect,
        metavar="MIN,MAX",
        help="least and greatest width / height, such as 1,2; None: any",
    )
    add(
        "--max_megapixels",
        type=options.number(0.01, 64),
        default=default.max_pixels / 1e6,
        metavar="N",
        help="larger pictures are not decoded",
    )
    add(
        "--jpeg_quality",
        type=options.number(1, 100, int),
        default=default.jpeg_quality,
        metavar="N",
        help="of the pictures written",
    )


def _aspect(text: str) -> tuple[float, float]:
    least, greatest = options.numbers(2, "MIN,MAX, such as 1,2")(text)
    if not 0 < least <= greatest:
        raise argparse.ArgumentTypeError(f"{text!r}: 0 < MIN <= MAX must hold")
    return least, greatest


def settings_of(asked: argparse.Namespace) -> Settings:
    """The settings of a command line."""
    contact = f"; {asked.contact}" if asked.contact else ""
    if not contact.isascii() or not contact.isprintable():
        raise UserError("--contact: only ASCII can be sent in a User-Agent")
    if asked.base_url is not None and not asked.base_url.lower().startswith(
        ("http://", "https://")
    ):
        raise UserError(f"--base_url {asked.base_url}: not an http or https address")
    return Settings(
        trim_slash(asked.output),
        Searching(asked.provider, asked.base_url, asked.rights_filter, asked.search_interval),
        Downloads(
            asked.downloads,
            asked.per_host,
            asked.timeout,
            round(asked.max_megabytes * 1e6),
            asked.tries,
            asked.retry_wait,
            allow_private=asked.allow_private_addresses,
            user_agent=f"fgbg/{__version__} (collects pictures for data sets{contact})",
        ),
        Checks(asked.min_side, asked.aspect, round(asked.max_megapixels * 1e6), asked.jpeg_quality),
    )
