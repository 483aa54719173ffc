"""Mutation run: would the unit tests notice if one operator, number or branch were another?

    make mutation                                      # all modules of MODULES
    make mutation ARGS="--module transforms/job/job.py --most 0"

Mutants are Cosmic Ray's. Each is compiled in a process of its own, forked from one that has loaded
the libraries, and the module's own tests run there until the first failure; nothing on the disk
changes. Results are appended to build/mutation, so that a run goes on where it was stopped; they
are dropped when the module or its tests change. docs/testing.md has the last score.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import hashlib
import importlib
import importlib.machinery
import importlib.util
import json
import os
import random
import re
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import cosmic_ray.plugins
from cosmic_ray.ast import ast_nodes, get_ast_from_path
from cosmic_ray.mutating import mutate_code

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "build" / "mutation"
_PIXELS, _JPEG = "tests/transforms/pixels/", "tests/transforms/pixels/jpeg/"
_JOB, _STEPS = "tests/transforms/job/", "tests/transforms/steps/"
# Which tests are meant for which module.
MODULES = {
    "transforms/pixels/placement.py": [_PIXELS + "test_placement.py"],
    "transforms/pixels/coding.py": [_PIXELS + "test_coding.py"],
    "transforms/pixels/compositing.py": [_PIXELS + "test_compositing.py"],
    "transforms/pixels/encode_unit.py": [_PIXELS + "test_encode_unit.py"],
    "transforms/pixels/png_mask.py": [_PIXELS + "test_png_mask.py"],
    "transforms/pixels/jpeg/stream.py": [_JPEG + "test_stream.py"],
    "transforms/pixels/jpeg/stacks.py": [_JPEG + "test_stacks.py"],
    "transforms/pixels/jpeg/splice.py": [_JPEG + "test_splice.py"],
    "transforms/job/commit.py": [_JOB + "test_commit.py"],
    "transforms/job/job.py": [_JOB + "test_job.py"],
    "transforms/job/splits.py": [_JOB + "test_job.py"],
    "transforms/job/work_unit.py": [_JOB + "test_work_unit.py"],
    "transforms/steps/verify.py": [_STEPS + "test_verify.py"],
    "transforms/steps/verify_background.py": [_STEPS + "test_verify_background.py"],
    "transforms/steps/verify_commits.py": [_STEPS + "test_verify_commits.py"],
    "transforms/steps/verify_manifest.py": [_STEPS + "test_verify_manifest.py"],
    "transforms/steps/verify_recompute.py": [_STEPS + "test_verify_recompute.py"],
    "transforms/steps/verify_pictures.py": [_STEPS + "test_verify_pictures.py"],
    "transforms/steps/verify_records.py": [_STEPS + "test_verify_records.py"],
    "transforms/steps/verify_whole.py": [_STEPS + "test_verify_whole.py"],
}
_HELPER = re.compile(r"^from tests\.helpers\.(\w+) import", re.M)
_LIBRARIES = ("numpy", "cv2", "PIL.Image", "pytest", "hypothesis.extra.numpy", "apache_beam")
# Tests of other libraries' readers, which take long to load, and of the machine's speed.
_NOT = "not tensorflow"
_KILLED, _SURVIVED, _TIMEOUT, _INCOMPETENT = "killed", "survived", "timeout", "incompetent"
_MEMORY = 8 << 30
_NO_PROGRESS_S = 900  # a deadlock: on a busy machine tests may take long, but not so long


@dataclasses.dataclass(frozen=True)
class Place:
    """Where an operator of Cosmic Ray can change a module.

    Attributes:
        operator: Its name.
        occurrence: Which of its places in the module, from 0.
        line: Where that is.
    """

    operator: str
    occurrence: int
    line: int

    @property
    def name(self) -> str:
        return f"{self.operator.removeprefix('core/')} {self.occurrence}"


def places(path: Path) -> list[Place]:
    """Where a module can be changed.

    Type annotations are left out: they are never evaluated (`from __future__ import annotations`).
    """
    spans = list(_annotations(path.read_text(encoding="utf-8")))
    nodes = list(ast_nodes(get_ast_from_path(path)))
    found = []
    for name in cosmic_ray.plugins.operator_names():
        kind = cosmic_ray.plugins.get_operator(name)
        if kind.arguments():  # one that has to be told what to change
            continue
        starts = [start for node in nodes for start, _ in kind().mutation_positions(node)]
        for i, start in enumerate(starts):
            if not any(first <= start < end for first, end in spans):
                found.append(Place(name, i, start[0]))
    return found


def _annotations(code: str) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    for node in ast.walk(ast.parse(code)):
        note = getattr(node, "returns", None) or getattr(node, "annotation", None)
        if isinstance(note, ast.expr):
            yield (note.lineno, note.col_offset), (note.end_lineno or 0, note.end_col_offset or 0)


def mutated(code: str, place: Place) -> str | None:
    """A module's source, changed in one place; None where the operator fails."""
    operator = cosmic_ray.plugins.get_operator(place.operator)()
    try:
        source = mutate_code(code.encode(), operator, place.occurrence)
    except AttributeError:  # Cosmic Ray 8.7 replaces no `except module.Error`
        return None
    return source.decode() if isinstance(source, bytes) else source


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads a module with the source of a mutant in the place of its own."""

    mutated = ""

    def get_code(self, fullname: str):  # type: ignore[no-untyped-def]
        return compile(self.mutated, self.path, "exec")


class _Finder:
    def __init__(self, module: str, path: Path, source: str) -> None:
        self._module, self._path, self._source = module, path, source

    def find_spec(self, name: str, path: object = None, target: object = None):  # type: ignore[no-untyped-def]
        if name != self._module:
            return None
        loader = _Loader(name, str(self._path))
        loader.mutated = self._source
        return importlib.util.spec_from_file_location(name, self._path, loader=loader)


def _run_tests(module: str, source: str, tests: list[str], cpu_s: float | None) -> int:
    """Runs tests on a source in this process, which ends with it."""
    import pytest
    from hypothesis import Phase, settings

    # The same examples each time, and no search for the smallest one that fails.
    settings.register_profile(
        "mutation", derandomize=True, database=None, phases=(Phase.explicit, Phase.generate)
    )
    settings.load_profile("mutation")
    if cpu_s:
        resource.setrlimit(resource.RLIMIT_CPU, (int(cpu_s) + 1, int(cpu_s) + 2))
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    name = "fgbg." + module.removesuffix(".py").replace("/", ".")
    sys.meta_path.insert(0, _Finder(name, ROOT / module, source))  # type: ignore[arg-type]
    options = ["-x", "-q", "--noconftest", "-p", "no:cacheprovider", "-k", _NOT]
    options += ["-W", "ignore", "--rootdir", str(ROOT)]
    return int(pytest.main([*options, *tests]))


def run(module: str, source: str, tests: list[str], cpu_s: float | None) -> tuple[str, float]:
    """Runs a module's tests on a source of it: what came of it, and the CPU seconds that it took.

    Args:
        module: The module's path in the checkout.
        source: What it is replaced by.
        tests: Files of tests.
        cpu_s: CPU seconds after which it counts as an endless loop; None: no limits.
    """
    try:
        compile(source, module, "exec")
    except (SyntaxError, ValueError):
        return _INCOMPETENT, 0.0
    child = os.fork()
    if not child:
        code = 70
        try:
            os.setpgid(0, 0)
            silent = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silent, 1)
            os.dup2(silent, 2)
            code = _run_tests(module, source, tests, cpu_s)
        finally:
            os._exit(code)
    started = time.monotonic()
    while True:
        ended, status, usage = os.wait4(child, os.WNOHANG)
        if ended:
            break
        if time.monotonic() - started > _NO_PROGRESS_S:
            os.kill(child, 9)
        time.sleep(0.01)
    taken = usage.ru_utime + usage.ru_stime
    if os.WIFSIGNALED(status):
        return _TIMEOUT, taken
    return (_SURVIVED if os.WEXITSTATUS(status) == 0 else _KILLED), taken


def check(module: str, most: int, seed: int) -> Iterator[dict[str, object]]:
    """Runs the mutants of a module that are not done yet; gives the results of all.

    Args:
        module: The module's path in the checkout.
        most: How many mutants at most, drawn by the seed; 0 for all.
        seed: Seed of the draw.
    """
    path, tests = ROOT / module, MODULES[module]
    code = path.read_text(encoding="utf-8")
    found = chosen = places(path)
    if most and len(found) > most:
        chosen = sorted(random.Random(seed).sample(found, most), key=lambda place: place.line)
    state = _state(module)
    log = RESULTS / (module.removesuffix(".py").replace("/", ".") + ".jsonl")
    done: dict[str, dict[str, object]] = {}
    if log.exists():
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        done = {line["name"]: line for line in lines if line["state"] == state}
    outcome, cpu_s = run(module, code, tests, None)
    if outcome != _SURVIVED:
        raise SystemExit(f"{module}: its tests fail without a mutation")
    print(f"{module}: {len(chosen)} of {len(found)} mutants, {len(done)} done; its tests take "
          f"{cpu_s:.1f} s", file=sys.stderr, flush=True)  # fmt: skip
    RESULTS.mkdir(parents=True, exist_ok=True)
    with log.open("a") as file:
        for place in chosen:
            result = done.get(place.name)
            if result is None:
                source = mutated(code, place)
                outcome = _INCOMPETENT
                if source is not None:
                    outcome, _ = run(module, source, tests, 5 * cpu_s + 5)
                result = {
                    "module": module, "state": state, "name": place.name,
                    "line": place.line, "outcome": outcome, "change": _change(code, source or ""),
                }  # fmt: skip
                file.write(json.dumps(result) + "\n")
                file.flush()
            yield {**result, "all": len(found)}


def _state(module: str) -> str:
    """A short name of a module, its tests, and the helpers of these, as they are."""
    digest = hashlib.sha256((ROOT / module).read_bytes())
    for test in MODULES[module]:
        text = (ROOT / test).read_text(encoding="utf-8")
        digest.update(text.encode())
        for helper in sorted(_HELPER.findall(text)):
            digest.update((ROOT / f"tests/helpers/{helper}.py").read_bytes())
    return digest.hexdigest()[:16]


def _change(code: str, source: str) -> str:
    """The first line that differs, before and after."""
    for before, after in zip(code.splitlines(), source.splitlines(), strict=False):
        if before != after:
            return f"{before.strip()}  ->  {after.strip()}"
    return ""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.mutation", description=__doc__)
    parser.add_argument("--module", action="append", choices=MODULES, help="only this one")
    parser.add_argument("--most", type=int, default=100, help="mutants of a module; 0: all")
    parser.add_argument("--seed", type=int, default=0, help="which are drawn, of more")
    asked = parser.parse_args(arguments)
    os.chdir(ROOT)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    sys.path.insert(0, str(ROOT))
    for library in _LIBRARIES:
        importlib.import_module(library)
    print("| module | mutants | run | killed | score |")
    print("|---|---|---|---|---|")
    whole: Counter[str] = Counter()
    survivors = []
    for module in asked.module or MODULES:
        results = list(check(module, asked.most, asked.seed))
        counts = Counter(str(result["outcome"]) for result in results)
        counts["all"] = int(str(results[0]["all"]))
        print(_line(module, counts), flush=True)
        whole += counts
        survivors += [result for result in results if result["outcome"] == _SURVIVED]
    print(_line("together", whole))
    for result in survivors:
        print(f"{result['module']}:{result['line']}: {result['name']}: {result['change']}")
    return 0


def _line(name: str, counts: Counter[str]) -> str:
    """A row of the table; an endless loop is noticed, a mutant that does not compile is none."""
    killed = counts[_KILLED] + counts[_TIMEOUT]
    ran = killed + counts[_SURVIVED]
    return f"| {name} | {counts['all']} | {ran} | {killed} | {100 * killed / max(1, ran):.1f} % |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
