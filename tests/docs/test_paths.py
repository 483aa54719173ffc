"""Files, folders and versions that the project's pages name are those that there are."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.helpers.data_sets import ROOT

PAGES = ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{p.name}" for p in ROOT.glob("docs/*.md"))]
FOLDERS = ["fgbg", "files", "models", "transforms", "pipeline", "tools", "templates", "samples"]
FOLDERS += ["tests", "benchmarks", "docs"]
# Of other projects, whose files the pages tell about.
FOREIGN = {"model.py", "utils.py"}


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def paths(page: str) -> list[str]:
    """What begins with a folder of the checkout in a page's text, but for the unit samples/s."""
    tops = "|".join([*FOLDERS, r"\.ci", r"\.github"])
    return re.findall(rf"(?<![\w/.:-])(?:{tops})/(?!s\b)[\w/.*-]*(?<![.])", text(page))


@pytest.mark.parametrize("page", PAGES)
def test_every_path_that_is_named_exists(page):
    assert [path for path in paths(page) if not any(ROOT.glob(path.rstrip("/")))] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_module_that_is_named_exists(page):
    """Modules that are named without their folder, `like_this.py`."""
    named = set(re.findall(r"`(\w+\.py)`", text(page))) - FOREIGN
    there = {path.name for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")}
    there |= {path.name for path in ROOT.glob("*.py")}
    assert named - there == set()


def test_paths_are_found_in_the_pages():
    """The tests above look at something."""
    assert {"pipeline/graph.py", "transforms/pixels/jpeg", "fgbg/"} <= set(
        paths("docs/architecture.md")
    )
    assert "models/depth/depth_card.py" in paths("CONTRIBUTING.md")


def test_every_folder_of_the_package_is_in_both_layouts():
    rooms = ["files", "models", "transforms", "pipeline"]
    folders = [
        path.relative_to(ROOT)
        for room in rooms
        for path in (ROOT / room, *(ROOT / room).iterdir())
        if (path / "__init__.py").exists()
    ]
    assert len(folders) > 20
    layout = text("docs/architecture.md").partition("## Folders")[2].partition("## ")[0]
    table = text("CONTRIBUTING.md").partition("## Layout")[2].partition("## ")[0]
    assert [str(f) for f in folders if f"{f.name}/" not in layout] == []
    assert [str(f) for f in folders if f"`{f}`" not in table and f"`{f}/`" not in table] == []


def test_the_versions_of_python_are_the_same_everywhere():
    setup = text("setup.py")
    versions = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', setup)
    first, last = versions[0], versions[-1]
    following = f"3.{int(last.partition('.')[2]) + 1}"
    assert f'python_requires=">={first},<{following}"' in setup
    for page in ("README.md", "CONTRIBUTING.md"):
        assert f"Python {first} to {last}" in text(page)
    matrix = ", ".join(f'"{version}"' for version in versions)
    assert f"python: [{matrix}]" in text(".github/workflows/test.yml")
    tools = tomllib.loads(text("pyproject.toml"))["tool"]
    assert tools["ruff"]["target-version"] == f"py{first.replace('.', '')}"
    assert tools["mypy"]["python_version"] == first


def test_the_hooks_have_the_pinned_versions_of_the_tools():
    pinned = dict(re.findall(r"^([a-z]+)==(\S+)$", text("requirements-dev.txt"), re.MULTILINE))
    configuration = text(".pre-commit-config.yaml")
    hooks = re.findall(r"/(ruff|codespell)(?:-\S+)?\n +rev: v(\S+)", configuration)
    assert hooks == [(tool, pinned[tool]) for tool in ("ruff", "codespell")]
