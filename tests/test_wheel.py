"""The wheel: what is in it, and that it works once installed, beside any project's packages."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

import fgbg
from tests.helpers.checkout import copy_checkout
from tests.helpers.data_sets import ROOT

pytestmark = pytest.mark.slow

ROOMS = ("files", "models", "transforms", "pipeline")
# A project's own package of a name that also is a folder of fgbg's checkout.
OWN_PACKAGE = """
import os
if "OWN_PACKAGES" not in os.environ:
    raise RuntimeError(f"{__name__} of the project was imported by fgbg")
OWN = True
"""


def pip(*command: str | Path) -> None:
    """Runs pip without dependencies and network, and without seeing the checkout as installed."""
    start = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    settings = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1"}
    subprocess.run([*start, *command], env={**environment, **settings}, check=True)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    source = copy_checkout(folder / "source")
    pip("wheel", "--no-build-isolation", "--wheel-dir", folder, source)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    """The files in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if not name.endswith("/")}


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel, and with the packages of the environment that tests run in.

    Their folder is named in a .pth file. Python reads no .pth files there, so that an fgbg that is
    installed there by reference is not found.
    """
    folder = tmp_path_factory.mktemp("environment").resolve() / "venv"
    venv.create(folder, with_pip=False, symlinks=True)
    program = folder / "bin" / "python"
    pip("--python", program, "install", wheel)
    (packages,) = folder.glob("lib/python*/site-packages")
    paths = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (packages / "dependencies.pth").write_text("\n".join(sorted(paths)) + "\n")
    return program


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody's project with packages of its own, which have the names of fgbg's folders."""
    folder = tmp_path_factory.mktemp("project")
    for name in (*ROOMS, "tools", "tests"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(OWN_PACKAGE)
    return folder


def run(project: Path, *command: str | Path, **environment: str) -> str:
    """Runs a command in the project, with the project first on the path; returns its output."""
    result = subprocess.run(
        command,
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project), **environment},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_it_holds_nothing_but_the_package(names):
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"fgbg", f"fgbg-{fgbg.__version__}.dist-info"}
    inside = {name.split("/")[1] for name in names if name.startswith("fgbg/")}
    assert inside == {"__init__.py", "__main__.py", "py.typed", *ROOMS}


def test_it_holds_every_file_of_the_packages(names):
    """Modules, and the files beside them that setup.py has to name."""
    sources = {f"fgbg/{path.name}" for path in (ROOT / "fgbg").iterdir() if path.is_file()}
    for room in ROOMS:
        sources |= {
            f"fgbg/{path.relative_to(ROOT).as_posix()}"
            for path in (ROOT / room).rglob("*")
            if path.is_file() and path.suffix != ".pyc"
        }
    assert {"fgbg/models/depth/builtin.npz", "fgbg/transforms/report/page.css"} < sources
    assert {name for name in names if name.startswith("fgbg/")} == sources


def test_it_is_imported_from_where_it_is_installed(python, project):
    code = "import fgbg, fgbg.pipeline.graph as g; print(*fgbg.__path__, fgbg.__file__, g.__file__)"
    package, *files = map(Path, run(project, python, "-c", code).split())
    assert package.is_relative_to(python.parent.parent)
    assert all(file.is_relative_to(package) for file in files)


def test_it_makes_and_checks_a_data_set_beside_any_packages(python, project, small_inputs):
    program = python.parent / "fgbg"
    assert run(project, program, "--version").strip() == f"fgbg {fgbg.__version__}"
    assert "generate" in run(project, python, "-m", "fgbg", "--help")
    inputs = ("--backgrounds", small_inputs / "bg", "--foregrounds", small_inputs / "fg")
    run(project, program, "generate", *inputs, "--output", "made", "--size=32", "--placements=1")
    assert "12 samples" in run(project, program, "verify", "made")
    report = (project / "made" / "index.html").read_text(encoding="utf-8")
    assert (ROOT / "transforms" / "report" / "page.css").read_text(encoding="utf-8") in report


@pytest.mark.parametrize("first", ["fgbg.pipeline.graph, fgbg.models.depth", "sys"])
def test_a_projects_own_packages_stay_its_own(python, project, first):
    names = ", ".join((*ROOMS, "tools", "tests"))
    code = f"import {first}, fgbg, {names}\nfor m in ({names}): print(m.OWN, m.__file__)"
    lines = run(project, python, "-c", code, OWN_PACKAGES="1").splitlines()
    assert [line.startswith(f"True {project}") for line in lines] == [True] * 6


def test_its_types_are_seen(python, project):
    script = project / "script.py"
    script.write_text(
        "from fgbg.files.paths import is_gcs\nreveal_type(is_gcs('gs://bucket'))\nis_gcs(1)\n"
    )
    result = subprocess.run(
        [sys.executable, "-m", "mypy", "--python-executable", str(python), script.name],
        cwd=project,
        env={**os.environ, "MYPYPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 'Revealed type is "bool"' in result.stdout.replace("builtins.", "")
    assert re.findall(r"\[([a-z-]+)\]$", result.stdout, flags=re.MULTILINE) == ["arg-type"]
