"""Damages files of finished data sets at random, for as long as you like: `make fuzz MINUTES=60`.

After each damage `fgbg verify` must not pass unless every byte is as it was, `fgbg generate` and
`fgbg verify --repair` must end without a traceback, and what they call whole must be whole. A
failure prints the seed of its case, which `--seed N --cases 1` repeats.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from fgbg.files.sealed import DamagedError, seal, unseal
from fgbg.pipeline.__main__ import main as fgbg
from tests.helpers.data_sets import arguments, make_in_process, tree, without_workers
from tests.helpers.pictures import disc, photo
from tests.helpers.tfrecord_sets import RECORDS

FORMS: dict[str, tuple[str, ...]] = {"images": (), "tfrecord": RECORDS}
# Files that no run makes again to the byte: times, and what people only look at.
_FREE = ("generation.json", "index.html", "_work/drawn.json", "_work/lock")


def _flip(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 20))):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _repeat(data: bytes, rng: random.Random) -> bytes:
    at, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return data[:end] + data[at:]


def _zero(data: bytes, rng: random.Random) -> bytes:
    at, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return data[:at] + bytes(end - at) + data[end:]


def _edit_json(data: bytes, rng: random.Random) -> bytes:
    """One value of a JSON file changed, with a right checksum where there was one."""
    try:
        content, sealed = unseal(data, ""), True
    except DamagedError:
        try:
            content, sealed = json.loads(data), False
        except ValueError:
            return _flip(data, rng)
    places = list(_places(content))
    if not places:
        return _flip(data, rng)
    holder, key = rng.choice(places)
    holder[key] = rng.choice((None, -1, 0, 7, 10**18, 0.5, "", "x", [], {}, True))
    return seal(content) if sealed else json.dumps(content).encode()


def _places(content: object):  # type: ignore[no-untyped-def]
    if isinstance(content, dict | list):
        for key in content if isinstance(content, dict) else range(len(content)):
            yield content, key
            yield from _places(content[key])  # type: ignore[index]


CHANGES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "flip": _flip,
    "cut": _cut,
    "repeat": _repeat,
    "zero": _zero,
    "edit": _edit_json,
    "empty": lambda data, rng: b"",
    "braces": lambda data, rng: b"{}\n",
}


def damage(output: Path, rng: random.Random) -> str:
    """Damages one file. Returns what was done, in words."""
    kinds: dict[str, list[Path]] = {}
    for path in sorted(p for p in output.rglob("*") if p.is_file()):
        parts = path.relative_to(output).parts
        kind = "/".join(part.strip("0123456789") for part in parts[:2]) + path.suffix
        kinds.setdefault(kind, []).append(path)
    path = rng.choice(kinds[rng.choice(sorted(kinds))])
    name = path.relative_to(output).as_posix()
    how = rng.choice([*CHANGES, "delete", "replace", "copy"])
    if how == "delete":
        path.unlink()
    elif how == "replace":
        others = [p for paths in kinds.values() for p in paths if p.suffix == path.suffix]
        path.write_bytes(rng.choice(others).read_bytes())
    elif how == "copy":
        path.with_name(f"{path.stem} (1){path.suffix}").write_bytes(path.read_bytes())
    else:
        path.write_bytes(CHANGES[how](path.read_bytes(), rng))
    return f"{how} {name}"


def run(*command: str) -> tuple[int, str]:
    """A command in this process: its exit code, and all that it said."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            with without_workers():
                code = fgbg(list(command))
        except SystemExit as error:
            code = int(error.code or 0)
    return code, said.getvalue()


def _same(output: Path, whole: dict[str, bytes]) -> bool:
    found = tree(output)
    names = (found.keys() | whole.keys()) - set(_FREE)
    return all(found.get(name) == whole.get(name) for name in names)


def case(inputs: Path, finished: Path, form: str, folder: Path, seed: int) -> tuple[str, str]:
    """One case. Returns what was done, and what is wrong with how it was taken; "" if nothing."""
    rng = random.Random(seed)
    output = folder / "set"
    shutil.rmtree(output, ignore_errors=True)
    shutil.copytree(finished, output)
    done = "; ".join(damage(output, rng) for _ in range(rng.choice((1, 1, 1, 2))))
    whole = tree(finished)
    commands = [("verify", str(output)), ("verify", str(output), "--repair")]
    generate = tuple(arguments(inputs, output, *FORMS[form]))
    if rng.random() < 0.5:
        commands.insert(1, generate)
    for command in commands:
        try:
            code, said = run(*command)
        except BaseException:
            return done, f"{command[0]} raised\n{traceback.format_exc()}"
        if code not in (0, 1, 2) or "Traceback" in said:
            return done, f"{command[0]} ended with {code}: {said[-2000:]}"
        if code and not said.strip():
            return done, f"{command[0]} ended with {code} and said nothing"
        if code == 0 and command[0] == "verify" and not _same(output, whole):
            return done, f"{' '.join(command)} passed, and bytes differ:\n{said[-1000:]}"
    return done, ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=int, default=10**9)
    asked = parser.parse_args()
    end = time.monotonic() + 60 * asked.minutes
    counted: Counter[str] = Counter()
    failures = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind, make, count in (("bg", photo, 3), ("fg", disc, 2)):
            (folder / "in" / kind).mkdir(parents=True)
            for i in range(count):
                Image.fromarray(make(i)).save(folder / "in" / kind / f"{kind}{i}.png")
        with contextlib.redirect_stderr(io.StringIO()):
            sets = {
                form: make_in_process(folder / "in", folder / form, *more)
                for form, more in FORMS.items()
            }
        for seed in range(asked.seed, asked.seed + asked.cases):
            if time.monotonic() > end:
                break
            form = sorted(FORMS)[seed % 2]
            done, wrong = case(folder / "in", sets[form], form, folder, seed)
            counted[done.partition(" ")[0]] += 1
            if wrong:
                failures += 1
                print(f"--seed {seed} ({form}): {done}: {wrong}", flush=True)
    print(f"{counted.total()} cases, {failures} failures; {dict(counted)}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
