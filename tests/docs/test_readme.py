"""The commands in the README run as they are written."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.checkout import copy_checkout
from tests.helpers.data_sets import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands() -> list[str]:
    """All lines of the README's shell blocks, continuation lines joined."""
    blocks = re.findall(r"```(?:bash|sh|console)\n(.*?)```", README, flags=re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line.partition(" #")[0].strip() for line in lines if line.strip()]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project's sources, where the commands may write."""
    return copy_checkout(tmp_path_factory.mktemp("commands") / "checkout")


@pytest.mark.slow
def test_the_commands_run_as_written(checkout):
    written = commands()
    assert any(line.startswith("fgbg generate") for line in written)
    assert any(line.startswith("fgbg verify") for line in written)
    programs = checkout / "bin"
    programs.mkdir()
    starter = programs / "fgbg"
    starter.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m fgbg "$@"\n')
    starter.chmod(0o755)
    path = os.pathsep.join([str(programs), os.path.dirname(sys.executable), os.environ["PATH"]])
    for line in written:
        if line.startswith(("make", "git", "cd", "pip", "python3 -m venv", ". ")):
            continue  # setting up is what runs these tests
        result = subprocess.run(
            line,
            shell=True,
            cwd=checkout,
            env={**os.environ, "PATH": path, "PYTHONPATH": str(checkout)},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert result.returncode == 0, f"{line}\n{result.stdout}\n{result.stderr}"


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_the_makes_that_are_named_exist(page):
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?:^|`)make ([a-z]+)", (ROOT / page).read_text(), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_every_option_named_in_the_docs_exists():
    from fgbg.pipeline.options.beam import beam_option_names
    from fgbg.pipeline.options.parser import generate_parser

    known = set(generate_parser()._option_string_actions) | beam_option_names()
    texts = [README, *(path.read_text() for path in (ROOT / "docs").glob("*.md"))]
    others = {"--workers", "--help", "--version"}
    for text in texts:
        for line in re.findall(r"fgbg generate[^`\n]*(?:\\\n[^`\n]*)*", text):
            for option in re.findall(r"--[a-z_]+", line):
                assert option in known | others, option


def test_links_in_the_docs_lead_somewhere():
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"
