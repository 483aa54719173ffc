"""`fgbg train` with its data set, its folder and its first weights on gs://: the same bits."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from fgbg.files import storage
from fgbg.pipeline.__main__ import main
from fgbg.pipeline.training import folder as training_folder
from tests.helpers import training_sets
from tests.helpers.gcs import download, put
from tests.helpers.training_sets import state, train_arguments

pytestmark = pytest.mark.usefixtures("cache")


class KilledError(BaseException):
    """Ends a command at once: a fault that no command names, as a kill is none."""


@pytest.fixture(scope="module")
def data_set(small_inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training_sets.make(small_inputs, tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def trained(data_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "model"
    assert main(train_arguments(data_set, folder)) == 0
    return folder


def without_times(folder: Path) -> dict[str, object]:
    """What a training has left, but for times and files with times in them."""
    kept = {n: (folder / n).read_bytes() for n in ("curve.png", "metrics.json", "predictions.png")}
    run = (folder / "_work" / "run.json").read_bytes()
    history = json.loads((folder / "history.json").read_text())
    card = json.loads((folder / "card.json").read_text())
    del card["sha256"], card["training"]["seconds"]
    rows = (folder / "history.csv").read_text().splitlines()
    names = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    return {
        **kept,
        "run": run,
        "history": [{**row, "seconds": 0} for row in history],
        "rows": [row.rpartition(",")[0] for row in rows],
        "card": card,
        "names": {name for name in names if not name.startswith("logs/")} - {"_work/lock"},
        "logs": sorted(name.rpartition("/")[0] for name in names if name.startswith("logs/")),
    }


def test_a_killed_training_goes_on_on_another_machine_with_the_same_bits(
    bucket, data_set, trained, cache, tmp_path, monkeypatch, capsys
):  # fmt: skip
    folder = f"{bucket}/model"
    put(data_set, f"{bucket}/set")
    command = train_arguments(f"{bucket}/set", folder)  # type: ignore[arg-type]
    put_epoch = training_folder.put_epoch

    def killed(*arguments: str) -> None:
        put_epoch(*arguments)
        raise KilledError

    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(training_folder, "put_epoch", killed)
        main(command)
    names = set(storage.storage_for(folder).walk(folder))
    assert {"_work/checkpoint.npz", "_work/run.json"} <= names
    assert {name.partition("/")[0] for name in names} == {"_work", "logs"}
    # What a machine has of it counts for nothing.
    (left,) = (cache / "trainings").iterdir()
    (left / "_work" / "checkpoint.npz").write_bytes(b"of a killed run")
    (left / "saved_model.part").mkdir()
    shutil.rmtree(cache / "data_sets")
    capsys.readouterr()
    assert main(command) == 0
    told = capsys.readouterr()
    assert f"{folder}: going on after epoch 1 of 2" in told.err
    assert "108 files" in told.err and str(cache / "data_sets") in told.err
    assert f"look at {folder}/predictions.png" in told.out
    made = download(folder, tmp_path / "made")
    assert without_times(made) == without_times(trained)
    for name in ("weights", "optimizer", "best"):
        pairs = zip(getattr(state(made), name), getattr(state(trained), name), strict=True)
        assert all(np.array_equal(a, b) for a, b in pairs)
    assert [p.name for p in left.rglob("*") if p.is_file()] == ["lock"]
    # Now it is finished: nothing is read but what began it.
    assert main(command) == 0
    assert "finished" in capsys.readouterr().err
    assert main([*command, "--seed", "4"]) == 2
    assert "--seed: 0 there, 4 asked for" in capsys.readouterr().err


def test_first_weights_on_gs_are_those_of_the_local_folder(
    bucket, data_set, trained, tmp_path, capsys
):  # fmt: skip
    put(trained, f"{bucket}/first")
    command = train_arguments(data_set, tmp_path / "next", "--epochs", "1", "--init")
    assert main([*command, f"{bucket}/first"]) == 0
    row = json.loads((tmp_path / "next" / "history.json").read_text())[0]
    assert row["loss"] < json.loads((trained / "history.json").read_text())[0]["loss"]
    # The same training by the settings that it stored.
    assert main([*command, str(trained)]) == 0
    assert "finished" in capsys.readouterr().err
