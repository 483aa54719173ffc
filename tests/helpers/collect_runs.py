"""Command lines of `fgbg collect` for tests, and what they left in the folder."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from pathlib import Path

from tests.helpers.picture_service import Service

QUICK = ("--min_side", "64", "--search_interval", "0", "--retry_wait", "0.05", "--timeout", "5")


def command(service: Service, output: Path, *more: str, private: bool = True) -> list[str]:
    allowed = ["--allow_private_addresses"] if private else []
    return ["collect", "--output", str(output), *QUICK, *allowed, *more]


def search_command(service: Service, output: Path, *more: str) -> list[str]:
    return command(service, output, "--base_url", f"{service.url}/v1/images/", *more)


def list_command(service: Service, output: Path, paths: list[str], *more: str) -> list[str]:
    listed = output.parent / "list.txt"
    listed.write_text("\n".join(f"{service.url}{p}" if p[0] == "/" else p for p in paths))
    return command(service, output, str(listed), "--provider", "urls", *more)


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))


def pictures(output: Path) -> list[str]:
    return sorted(p.name for p in output.iterdir() if p.suffix in (".jpg", ".png"))


def contents(output: Path) -> dict[str, str]:
    """File names and bytes of all that a person sees, but for times."""
    found = {}
    for path in output.rglob("*"):
        name = path.relative_to(output).as_posix()
        if path.is_file() and not name.startswith("_work/"):
            data = path.read_bytes()
            if path.suffix == ".csv":
                data = json.dumps([{**r, "fetched": ""} for r in rows(path)]).encode()
            found[name] = hashlib.sha256(data).hexdigest()
    return found
