"""Commands with every path on gs:// write what they write with local paths.

`fgbg train` is in test_train_cloud.py and `fgbg collect` in test_collect_cloud.py.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from fgbg.files import storage
from fgbg.pipeline.__main__ import main
from tests.helpers.data_sets import fgbg, tree
from tests.helpers.gcs import BUCKET, download, upload
from tests.helpers.pictures import photo
from tests.helpers.small_networks import tflite_file
from tests.helpers.trained_folder import save

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def pictures(tmp_path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(2):
        Image.fromarray(photo(i, 80, 48)).save(folder / f"room{i}.png")
    return folder


def same(local: Path, remote: str, tmp_path: Path) -> bool:
    return tree(local) == tree(download(remote, tmp_path / "down"))


def test_predict(bucket, pictures, tmp_path):
    model = save(tmp_path / "model", "overlay", ("depth", "mask"))
    away = f"gs://{BUCKET}/predict"
    upload(pictures, f"{away}/pictures")
    upload(model, f"{away}/model")
    assert main(["predict", str(pictures), "--model", str(model), "--output", f"{tmp_path}/o"]) == 0
    command = ["predict", f"{away}/pictures", "--model", f"{away}/model"]
    assert main([*command, "--output", f"{away}/o"]) == 0
    assert same(tmp_path / "o", f"{away}/o", tmp_path)


def test_depth_and_its_evaluation(bucket, pictures, tmp_path, capsys):
    network = tflite_file(tmp_path / "net.tflite", (64, 64))
    pairs = tmp_path / "pairs"
    pairs.mkdir()
    Image.fromarray(photo(5, 64, 64)).save(pairs / "a_rgb.png")
    cv2.imwrite(str(pairs / "a_depth.png"), np.full((64, 64), 2000, np.uint16))
    away = f"gs://{BUCKET}/depth"
    for folder in (pictures, pairs):
        upload(folder, f"{away}/{folder.name}")
    told = {}
    for where, model, output in (
        (str(tmp_path), str(network), str(tmp_path / "o")),
        (away, upload(network, f"{away}/net.tflite"), f"{away}/o"),
    ):
        command = ["depth", f"{where}/pictures", "--depth_model", model]
        assert main([*command, "--output", output]) == 0
        capsys.readouterr()
        command = ["depth", "--evaluate", f"{where}/pairs", "--depth_model", model]
        assert main([*command, "--output", f"{output}/e"]) == 0
        told[where] = [line for line in capsys.readouterr().out.splitlines() if "abs_rel" in line]
    assert told[away] and told[away] == told[str(tmp_path)]
    assert same(tmp_path / "o", f"{away}/o", tmp_path)


def test_cutout(bucket, tmp_path):
    things = tmp_path / "things"
    things.mkdir()
    rgb = np.full((96, 96, 3), 230, np.uint8)
    rgb[24:72, 30:66] = (40, 90, 160)
    Image.fromarray(rgb).save(things / "box.png")
    away = f"gs://{BUCKET}/cutout"
    upload(things, f"{away}/things")
    assert main(["cutout", str(things), "--output", str(tmp_path / "o")]) == 0
    # In a process of its own: the one that workers are forked from keeps its first environment.
    made = fgbg("cutout", f"{away}/things", "--output", f"{away}/o")
    assert made.returncode == 0, made.stderr
    local, remote = tree(tmp_path / "o"), tree(download(f"{away}/o", tmp_path / "down"))
    assert sorted(local) == sorted(remote)
    assert [local[n] for n in local if n.endswith(".png")] == [
        remote[n] for n in local if n.endswith(".png")
    ]


def test_missing_credentials_are_wrong_use_in_one_line(monkeypatch, capsys, tmp_path):
    from google.auth.exceptions import DefaultCredentialsError

    def none(*_: object, **__: object) -> None:
        raise DefaultCredentialsError("none were found")

    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setattr("google.cloud.storage.Client", none)
    storage.forget_client()
    try:
        given = ["--backgrounds", "gs://some-bucket/bg", "--foregrounds", "gs://some-bucket/fg"]
        assert main(["generate", *given, "--output", str(tmp_path / "out")]) == 2
    finally:
        storage.forget_client()
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "no credentials" in told and "gcloud auth" in told
