"""The rooms of the house: which may import which, read from the imports themselves."""

from __future__ import annotations

import ast
import functools
import sys
from pathlib import Path

import pytest

from tests.helpers.data_sets import ROOT

# Lower rooms first; rooms of one line may not import each other.
ORDER = [
    ["fgbg.files"],
    ["fgbg.models"],
    ["fgbg.transforms.escaping", "fgbg.transforms.meter", "fgbg.transforms.quantities"],
    ["fgbg.transforms.job"],
    ["fgbg.transforms.pixels"],
    ["fgbg.transforms.records", "fgbg.transforms.cutout"],
    ["fgbg.transforms.dataset"],
    [
        *("fgbg.transforms.report", "fgbg.transforms.exports", "fgbg.transforms.collect"),
        "fgbg.transforms.label",
    ],
    ["fgbg.transforms.steps"],
    ["fgbg.pipeline"],
    ["fgbg"],
]
WITH_BEAM = (
    "fgbg.pipeline.",
    "fgbg.transforms.steps.",
    "fgbg.transforms.collect.",
    "fgbg.transforms.cutout.",
    "fgbg.transforms.label.",
    "fgbg.transforms.meter",  # where a worker counts: in Beam's metrics too
)
CUTOUT_USES = ("fgbg.files", "fgbg.models", "fgbg.transforms.job", "fgbg.transforms.pixels")
LIBRARIES_LOADED_LATE = {"tensorflow", "keras", "onnxruntime", "torch", "jax"}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    if parts[-1] == "__init__":
        parts = parts[:-1]
    return ".".join(parts if parts[0] in ("fgbg", "tools") else ("fgbg", *parts))


@functools.cache
def modules() -> dict[str, ast.Module]:
    """All modules of the packages and the workshop, by their name when installed."""
    folders = ("fgbg", "files", "models", "transforms", "pipeline", "tools")
    paths = (path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return {module_name(path): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def imported(tree: ast.AST) -> set[str]:
    """Names of modules that a tree imports, anywhere in it, but for types alone."""
    found = set()
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            pending += node.orelse
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                found.add(full if full in modules() else str(node.module))
        pending += ast.iter_child_nodes(node)
    return found


@functools.cache
def imports() -> dict[str, set[str]]:
    return {name: imported(tree) for name, tree in modules().items()}


def level(name: str) -> tuple[int, str]:
    """The place of a module in ORDER, and its room: the longest that it lies in."""
    rooms = [
        (len(room), place, room)
        for place, names in enumerate(ORDER)
        for room in names
        if name == room or name.startswith(f"{room}.")
    ]
    assert rooms, f"{name} is in no room"
    _, place, room = max(rooms)
    return place, room


def test_no_room_imports_a_higher_one_or_one_beside_it():
    wrong = []
    for name, targets in imports().items():
        if name.startswith("tools"):
            continue
        place, room = level(name)
        for target in targets:
            if target.split(".")[0] == "fgbg" and target != "fgbg":  # its version is for all
                other, beside = level(target)
                if other > place or (other == place and beside != room):
                    wrong.append(f"{name} imports {target}")
    assert not wrong


def test_no_module_is_imported_by_way_of_its_importer():
    """No circle, and none that is only broken by an import inside of a function."""
    graph = {
        name: {target for target in targets if target in modules() and target != name}
        for name, targets in imports().items()
    }
    left = dict(graph)
    while True:
        free = {name for name, targets in left.items() if not targets & set(left)}
        if not free:
            break
        for name in free:
            del left[name]
    # What is left is on a circle or imports one: say just the circles.
    while True:
        roots = {n for n in left if not any(n in left[m] for m in left)}
        if not roots:
            break
        for name in roots:
            del left[name]
    assert not left, f"these import each other: {sorted(left)}"


@pytest.mark.parametrize("name", sorted(n for n in modules() if n.startswith("fgbg.pipeline.c")))
def test_commands_do_not_import_commands(name):
    if name.startswith("fgbg.pipeline.commands."):
        other = {t for t in imports()[name] if t.startswith("fgbg.pipeline.commands.")}
        assert not other


def test_nothing_imports_the_workshop():
    users = [n for n, targets in imports().items() if any(t.startswith("tools") for t in targets)]
    assert all(name.startswith("tools") for name in users)


def test_cutout_uses_the_lower_rooms_only():
    own = ("fgbg.transforms.cutout", "fgbg.transforms.meter", "fgbg.transforms.quantities")
    for name, targets in imports().items():
        if name.startswith("fgbg.transforms.cutout"):
            ours = {t for t in targets if t.startswith("fgbg")}
            assert all(t.startswith(CUTOUT_USES + own) for t in ours), name


def test_beam_is_imported_where_graphs_are_made():
    users = {n for n, targets in imports().items() if any("apache_beam" in t for t in targets)}
    assert users
    assert [n for n in sorted(users) if not n.startswith(WITH_BEAM)] == []


def at_import(tree: ast.Module) -> set[str]:
    """What importing a module imports, not what its functions import when called."""
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    inner = {id(n) for function in functions for n in ast.walk(function)}
    top = [n for n in ast.walk(tree) if id(n) not in inner]
    return {
        alias.name if isinstance(n, ast.Import) else str(n.module)
        for n in top
        if isinstance(n, ast.Import | ast.ImportFrom)
        for alias in n.names
    }


def test_network_libraries_are_imported_where_a_network_is_loaded():
    users = {
        name
        for name, tree in modules().items()
        if {target.split(".")[0] for target in at_import(tree)} & LIBRARIES_LOADED_LATE
    }
    allowed = (
        "fgbg.models.depth.densedepth_layers",
        "fgbg.models.trained.",
        "fgbg.models.training.",
        "tools.",
    )
    assert [name for name in sorted(users) if not name.startswith(allowed)] == []


def test_top_level_names_of_the_checkout_are_not_imported():
    """They exist in a checkout alone; in site-packages they would be other projects' packages."""
    bare = {"pipeline", "transforms", "models", "files"}
    wrong = [
        (name, target)
        for name, targets in imports().items()
        for target in targets
        if target.split(".")[0] in bare
    ]
    assert not wrong


def test_no_test_module_imports_another():
    for path in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests"):
                assert node.module.startswith("tests.helpers"), f"{path}: {node.module}"


def test_the_standard_library_is_not_shadowed_by_a_package():
    assert "fgbg" not in sys.stdlib_module_names
