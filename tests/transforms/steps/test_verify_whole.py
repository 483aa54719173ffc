"""Verify, a data set as a whole: generation.json, card, errors, commit records, stray files."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from fgbg.transforms.dataset import generation
from fgbg.transforms.dataset.card import card
from fgbg.transforms.dataset.generation import Totals
from fgbg.transforms.job import commit
from fgbg.transforms.job.work_unit import WorkUnit
from fgbg.transforms.records import shards
from fgbg.transforms.records.plan import Plan
from fgbg.transforms.steps.problem import Problem
from fgbg.transforms.steps.verify_whole import check_beside, check_commits, check_foreign
from tests.helpers.drawn_jobs import Finished, drawn_inputs, finish, make_units

UNIT = WorkUnit(2, 1, True, 0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Finished]:
    """Eight samples of each form; not to be changed."""
    folder = tmp_path_factory.mktemp("verify")
    inputs = drawn_inputs(tmp_path_factory.mktemp("drawn"))
    found = {}
    for form in ("images", "tfrecord"):
        make_units(inputs, folder / form, "--placements", "2", "--format", form)
        found[form] = finish(folder / form)
    return found


@pytest.fixture(params=["images", "tfrecord"])
def data_set(request, whole, tmp_path) -> Finished:
    """One of them, to be damaged."""
    of = whole[request.param]
    shutil.copytree(of.output, tmp_path / "set")
    return Finished(tmp_path / "set", of.job, of.rows)


def pairs(problems) -> list[tuple[str, str]]:
    return [(problem.file, problem.problem) for problem in problems]


@dataclasses.dataclass
class Beside:
    """A data set with what stands beside its samples, and what is known of its records."""

    of: Finished
    totals: Totals
    plan: Plan | None

    def content(self) -> dict[str, Any]:
        versions = {"python": "3", "numpy": "2", "pyarrow": "1"}
        made = generation.content(self.of.job, self.totals, 0, self.plan, versions)
        return made | {"timings": {"runs": []}}

    def told(self, content: Any, sums: bool = True) -> list[tuple[str, str]]:
        (self.of.output / "generation.json").write_text(json.dumps(content))
        totals = self.totals if sums else None
        return pairs(check_beside(str(self.of.output), self.of.job, totals, self.plan))


@pytest.fixture
def beside(data_set) -> Beside:
    output, job = str(data_set.output), data_set.job
    totals = Totals()
    for unit in sorted(commit.committed(output, job)):
        totals.add(job, commit.read(output, job, unit))
    # The card names the network.
    network = {"file": "drawn.onnx", "sha256": "0"}
    configuration = dataclasses.replace(job.configuration, depth_model=network)
    named = dataclasses.replace(job, configuration=configuration)
    plan = shards.read_plan(output) if job.in_records else None
    found = Beside(Finished(data_set.output, named, data_set.rows), totals, plan)
    (data_set.output / "README.md").write_text(card(named, found.content()), encoding="utf-8")
    return found


def test_an_undamaged_data_set_has_no_problem(beside, data_set):
    assert beside.told(beside.content()) == []
    assert beside.totals.levels.median() is not None
    ended, problems = check_commits(str(data_set.output), data_set.job)
    assert ended.units == 4 and problems == []


@pytest.mark.parametrize(
    ("section", "name"),
    [("counts", "samples"), ("bytes", "mask"), ("depth", "levels_median"), ("counts", "splits")],
)
def test_each_number_is_compared(section, name, beside):
    content = json.loads(json.dumps(beside.content()))
    if name == "levels_median" and beside.of.job.configuration.depth_format == "png16":
        # Nothing is lost, so nothing is said of it.
        assert name not in content[section]
        content[section][name] = 1
        assert beside.told(content) == [("generation.json", f"{section}/{name} is 1, not None")]
        return
    right = content[section][name]
    path = f"{section}/{name}"
    if isinstance(right, dict):
        name, right = "test", right["test"]
        content[section]["splits"][name] += 1
        path += f"/{name}"
    else:
        content[section][name] += 1
    told = beside.told(content)
    assert told == [("generation.json", f"{path} is {right + 1}, not {right}")]
    # Sums over records that are lost are not known.
    assert beside.told(content, sums=False) == []


@pytest.mark.parametrize("by", [-2e-6, 2e-6])
def test_the_mean_of_the_masks_is_compared(by, beside):
    content = json.loads(json.dumps(beside.content()))
    content["statistics"]["mask"]["mean"] += by
    ((file, words),) = beside.told(content)
    assert file == "generation.json" and words.startswith("statistics/mask/mean is ")


def test_sections_that_lack_and_those_of_others_are_told(beside):
    content = beside.content()
    del content["inputs"]
    content["mine"] = 1
    assert beside.told(content) == [
        ("generation.json", "has no inputs"),
        ("generation.json", "has mine, which is not fgbg's"),
    ]
    ((_, words),) = beside.told([])
    assert words.startswith("cannot be read: ")


def test_lost_files_beside_the_samples_are_told(beside):
    (beside.of.output / "README.md").unlink()
    (beside.of.output / "errors.jsonl").write_bytes(b"{}")
    assert beside.told(beside.content()) == [
        ("errors.jsonl", "does not name just the units that failed"),
        ("README.md", "missing"),
    ]


def commits_told(of: Finished) -> list[tuple[str, str]]:
    return pairs(check_commits(str(of.output), of.job)[1])


def test_lost_and_failed_units_are_told(data_set):
    output, job = str(data_set.output), data_set.job
    record = commit.read(output, job, UNIT)
    name = Path(commit.record_path(output, job, UNIT)).relative_to(output).as_posix()
    more = "fgbg generate makes what is missing"
    commit.withdraw(output, job, [UNIT])
    lost = (name, f"missing: 3 of 4 units are done, 0 failed: {more}")
    assert commits_told(data_set) == [lost]
    # One that failed is accounted for, and is a problem all the same.
    commit.write_failure(output, UNIT, "Compose", "a reason")
    failed = (name, f"missing: 3 of 4 units are done, 1 failed: {more}")
    assert commits_told(data_set) == [failed]
    commit.write(output, job, record)
    done = ("_work/commits", f"missing: 4 of 4 units are done, 1 failed: {more}")
    assert commits_told(data_set) == [done]
    commit.clear_failures(output)
    assert commits_told(data_set) == []


def test_copies_of_commit_records_are_left_alone(data_set):
    path = Path(commit.record_path(str(data_set.output), data_set.job, UNIT))
    copy_of = path.with_name("mirrored_0 (1).json")
    shutil.copyfile(path, copy_of)
    name = copy_of.relative_to(data_set.output).as_posix()
    other = "is no commit record of this job, but another one's, a copy or somebody's file"
    assert commits_told(data_set) == [(name, f"{other}; it is left alone")]


def test_files_of_others_are_told(data_set):
    def foreign() -> list[Problem]:
        return list(check_foreign(str(data_set.output), data_set.job))

    before = foreign()
    names = ["bg17/fg_1/mask/1.jpg", "bgx/1.jpg", "holiday.jpg", "bg1/fg_1/x.jpg"]
    for name in names:
        path = data_set.output / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    # What stands in the folder of a background is told with its samples; records have no such
    # folders at all.
    expected = names if data_set.job.in_records else names[:-1]
    problems = [problem for problem in foreign() if problem not in before]
    assert sorted(problem.file for problem in problems) == sorted(expected)
    assert {p.problem for p in problems} == {"is no file of this data set; it is left alone"}
