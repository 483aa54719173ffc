"""Planted damage of every kind of file, in both formats: found, named, mended, nothing else."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fgbg.pipeline.__main__ import main
from fgbg.pipeline.workers import tasks
from fgbg.transforms.steps.verify import CheckBackground
from tests.helpers import planted_damage as planted
from tests.helpers.data_sets import arguments, make_in_process, tree, without_workers

FORMATS = {
    "images": (),
    "tfrecord": ("--format", "tfrecord", "--shards", "3", "--splits", "train=1"),
}
CASES = [
    *(("images", name, damage) for name, damage in {**planted.BOTH, **planted.IMAGES}.items()),
    *(("tfrecord", name, damage) for name, damage in {**planted.BOTH, **planted.RECORDS}.items()),
]

# All of them take minutes. By default every third of each form, spread over the kinds of files.
ALL = "FGBG_TEST_ALL_DAMAGE"
_LEFT = pytest.mark.skipif(not os.environ.get(ALL), reason=f"one of three runs; all: {ALL}=1")


def of_cases() -> Iterator:
    for form in FORMATS:
        own = [case for case in CASES if case[0] == form]
        for i, (_, name, damage) in enumerate(own):
            marks = [_LEFT] if i % 3 else []
            yield pytest.param(form, damage, id=f"{form}-{name}", marks=marks)


def of_both(table: dict) -> list:
    return [
        pytest.param(form, damage, id=f"{form}-{name}")
        for form in FORMATS
        for name, damage in table.items()
    ]


def check_without_beam(part, given, backgrounds, folder) -> None:
    """tasks.verify_slice without a pipeline around it, which takes longer than all that it does."""
    step = CheckBackground(given)
    step.setup()
    lines = [line for n in range(1, backgrounds + 1) if part.has(n) for line in step.process(n)]
    (Path(folder) / str(part.index)).write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture(scope="module", autouse=True)
def _quick() -> Iterator[None]:
    with without_workers(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "verify_slice", check_without_beam)
        yield


@pytest.fixture(scope="module")
def made(small_inputs, tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("made")
    return {
        form: make_in_process(small_inputs, folder / form, *more) for form, more in FORMATS.items()
    }


@pytest.fixture
def damaged(made, tmp_path) -> Callable[[str, planted.Plant], Path]:
    def plant(form: str, damage: planted.Plant) -> Path:
        output = tmp_path / "set"
        shutil.copytree(made[form], output)
        damage(output)
        return output

    return plant


def run(capsys, *command: str) -> tuple[int, str]:
    """A command's exit code, and all that it says, in which there is no traceback."""
    code = main([*command, "--workers", "1"])
    said = capsys.readouterr()
    assert "Traceback" not in said.out + said.err
    return code, said.out + said.err


def test_there_are_enough_of_them():
    assert len(CASES) >= 120
    assert min(sum(form == f for f, _, _ in CASES) for form in FORMATS) >= 60


@pytest.mark.parametrize(("form", "damage"), of_cases())
def test_it_is_found_and_mended(form, damage, made, damaged, capsys):
    plant, words = damage
    output = damaged(form, plant)
    code, text = run(capsys, "verify", str(output), "--recompute", "0")
    assert code == 1
    assert words in text
    assert len(text.splitlines()) < 30
    code, text = run(capsys, "verify", str(output), "--repair")
    assert code == 0, text
    found, expected = tree(output), tree(made[form])
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == []


@pytest.mark.parametrize(("form", "damage"), of_both(planted.FOREIGN))
def test_files_of_others_are_named_and_left(form, damage, damaged, capsys):
    plant, words = damage
    output = damaged(form, plant)
    before = tree(output)
    code, text = run(capsys, "verify", str(output), "--recompute", "0")
    assert code == 1
    assert words in text
    assert "1 problems in 36 samples, 1 of them files of others" in text
    assert run(capsys, "verify", str(output), "--repair")[0] == 1
    assert tree(output) == before


@pytest.mark.parametrize(("form", "damage"), of_both(planted.ORIGINALS))
def test_inputs_are_named_with_what_mends_them(form, damage, made, damaged, small_inputs, capsys):
    plant, words = damage
    output = damaged(form, plant)
    before = tree(output)
    code, text = run(capsys, "verify", str(output), "--repair")
    assert code == 1
    assert words in text
    assert "fgbg generate --" in text
    assert tree(output) == before
    assert main(arguments(small_inputs, output, *FORMATS[form])) == 0
    assert run(capsys, "verify", str(output))[0] == 0
    assert tree(output) == tree(made[form])


@pytest.mark.parametrize(("form", "damage"), of_both(planted.OTHER_JOB))
def test_another_job_is_not_mended_into(form, damage, damaged, capsys):
    plant, words = damage
    output = damaged(form, plant)
    before = tree(output)
    code, text = run(capsys, "verify", str(output), "--recompute", "0")
    assert code == 1
    assert words in text
    assert "1 problems" in text
    code, text = run(capsys, "verify", str(output), "--repair")
    assert code == 2
    assert "Nothing was changed" in text
    assert tree(output) == before


@pytest.mark.parametrize("form", FORMATS)
def test_much_damage_at_once(form, made, damaged, small_inputs, capsys):
    table = planted.BOTH | (planted.IMAGES if form == "images" else planted.RECORDS)
    names = [f"{planted.COMMIT}: zeroed", f"{planted.JOB}: empty", "README.md: missing", "a mean"]
    names += ["manifest.parquet: bg", "_work/inputs.json: empty", "index.html: missing"]
    if form == "tfrecord":
        names += [f"{planted.SHARD}: missing", "tfrecord/schema.pbtxt: missing"]
    output = damaged(form, lambda o: [table[name][0](o) for name in names])
    (output / "holiday.jpg").write_bytes(b"mine")
    code, text = run(capsys, "verify", str(output), "--repair")
    assert code == 1
    assert "1 problems in 36 samples, 1 of them files of others" in text
    (output / "holiday.jpg").unlink()
    assert tree(output) == tree(made[form])
    assert main(arguments(small_inputs, output, *FORMATS[form])) == 0
    assert "nothing to do" in capsys.readouterr().err


@pytest.mark.parametrize("form", FORMATS)
def test_all_units_composed_again_are_the_same(form, made, capsys):
    code, text = run(capsys, "verify", str(made[form]), "--recompute", "all")
    assert code == 0, text
    assert "12 units composed again are the same" in text
