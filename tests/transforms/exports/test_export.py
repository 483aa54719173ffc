"""`fgbg export`: what COCO's and WebDataset's own readers find in what was written."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
import webdataset
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from fgbg.pipeline.__main__ import main
from fgbg.transforms.job import job as jobs
from tests.helpers.damage import commit_file, flip_a_bit
from tests.helpers.data_sets import ROOT, job_of, make_in_process, tree
from tests.helpers.licensed_inputs import BACKGROUNDS, FOREGROUNDS, FORMS, write_inputs
from tests.helpers.small_networks import keras_file

SPLITS = ("train", "validation", "test")
SAMPLES = 4 * 2 * 2 * 3


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> dict[str, Path]:
    """One data set in every form; 4 backgrounds x 2 foregrounds x 2 x 3, with depth."""
    folder = tmp_path_factory.mktemp("sets")
    inputs = write_inputs(folder / "inputs")
    network = keras_file(folder / "network.keras")
    more = ("--depth_model", str(network), "--splits", "train=0.5,validation=0.25,test=0.25")
    return {
        form: make_in_process(inputs, folder / form, *more, *options)
        for form, options in FORMS.items()
    }


def rows_of(output: Path) -> dict[str, dict]:
    return {row["key"]: row for row in pq.read_table(output / "manifest.parquet").to_pylist()}


def true_mask(sets, key: str) -> np.ndarray:
    folder, _, number = key.rpartition("/")
    return cv2.imread(str(sets["png"] / folder / "mask" / f"{number}.png"), cv2.IMREAD_UNCHANGED)


def true_overlay(sets, row: dict) -> bytes:
    folder = sets["jpg"] / f"bg{row['bg']}" / f"fg_{row['fg']}" / "overlay"
    return (folder / f"{row['number']}.jpg").read_bytes()


def export(capsys, *command: str) -> str:
    assert main(["export", *command]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("form", FORMS)
def test_coco_reads_every_mask_box_and_licence(form, sets, tmp_path, capsys):
    told = export(capsys, "coco", str(sets[form]), "--output", str(tmp_path))
    assert f"{SAMPLES // 2} annotations of {SAMPLES} pictures" in told
    root = tmp_path if form == "tfrecord" else sets[form]
    rows = rows_of(sets[form])
    seen = {}
    for split in SPLITS:
        file = tmp_path / f"instances_{split}.json"
        content = json.loads(file.read_text())
        assert list(content) == [
            *("info", "licenses", "categories", "sources", "images", "annotations")
        ]
        licences = {entry["id"]: entry for entry in content["licenses"]}
        sources = {entry["id"]: entry for entry in content["sources"]}
        coco = COCO(str(file))
        assert [c["name"] for c in coco.loadCats(coco.getCatIds())] == ["foreground"]
        for image in coco.loadImgs(coco.getImgIds()):
            key = list(rows)[image["id"] - 1]
            seen[key] = split
            row = rows[key]
            assert row["split"] == split
            overlay = (root / image["file_name"]).read_bytes()
            assert overlay == true_overlay(sets, row)
            assert Image.open(io.BytesIO(overlay)).size == (image["width"], image["height"])
            author, licence, page = BACKGROUNDS[row["bg_file"]]
            assert licences[image["license"]]["name"] == (licence or "not stated")
            background = sources[image["background"]]
            assert (background.get("author", ""), background.get("page", "")) == (author, page)
            check_annotations(coco, image, row, true_mask(sets, key), licences, sources)
            if form != "tfrecord":
                assert image["depth_file_name"] == row["depth"]
    assert seen == {key: row["split"] for key, row in rows.items()}
    addresses = {entry["name"]: entry["url"] for entry in licences.values()}
    assert addresses == {
        "CC BY 4.0": "https://creativecommons.org/licenses/by/4.0/",
        "CC BY-SA 3.0": "https://creativecommons.org/licenses/by-sa/3.0/",
        "CC0 1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
        "not stated": "",
    }


def check_annotations(coco, image, row, mask, licences, sources) -> None:
    found = coco.loadAnns(coco.getAnnIds(imgIds=[image["id"]]))
    if row["fg_file"] == "faint.png":
        assert found == [] and not mask.any()
        return
    (annotation,) = found
    decoded = coco.annToMask(annotation)
    assert np.array_equal(decoded * 255, mask)
    area = np.count_nonzero(mask)
    assert annotation["area"] == area == coco_mask.area(annotation["segmentation"])
    ys, xs = np.nonzero(mask)
    box = [xs.min(), ys.min(), xs.max() - xs.min() + 1, ys.max() - ys.min() + 1]
    assert annotation["bbox"] == box == coco_mask.toBbox(annotation["segmentation"]).tolist()
    assert all(isinstance(value, float) for value in annotation["bbox"])
    assert annotation["iscrowd"] == 0
    assert annotation["mirrored"] == row["mirrored"]
    foreground = sources[annotation["foreground"]]
    author, licence, page = FOREGROUNDS["ball.png"]
    assert (foreground["file"], foreground["author"]) == ("ball.png", author)
    assert (foreground["page"], licences[foreground["license"]]["name"]) == (page, licence)


def samples_of(folder: Path, split: str) -> list[dict]:
    shards = sorted(str(path) for path in folder.glob(f"fgbg-{split}-*.tar"))
    return list(webdataset.WebDataset(shards, shardshuffle=False, empty_check=False))


@pytest.mark.parametrize("form", FORMS)
def test_webdataset_reads_equal_pixels(form, sets, tmp_path, capsys):
    told = export(
        capsys, "webdataset", str(sets[form]), "--output", str(tmp_path), "--shard_size", "0.05"
    )
    assert f"{SAMPLES} samples in " in told
    rows = rows_of(sets[form])
    index = json.loads((tmp_path / "index.json").read_text())
    keys = []
    for split in SPLITS:
        found = samples_of(tmp_path, split)
        assert sum(shard["samples"] for shard in index[split]) == len(found)
        for sample in found:
            kinds = {name for name in sample if not name.startswith("__")}
            assert kinds == {"overlay.jpg", "mask.png", "depth.png", "json"}
            key = sample["__key__"].replace("_fg_", "/fg_")
            key = "/".join(key.rsplit("_", 1))
            keys.append(key)
            row = rows[key]
            assert row["split"] == split
            assert sample["overlay.jpg"] == true_overlay(sets, row)
            mask = np.array(Image.open(io.BytesIO(sample["mask.png"])))
            assert np.array_equal(mask, true_mask(sets, key))
            depth = cv2.imdecode(np.frombuffer(sample["depth.png"], np.uint8), -1)
            assert depth.dtype == np.uint16
            assert np.array_equal(depth, true_depth(sets, row, form))
            told = json.loads(sample["json"])
            for name in set(rows[key]) & set(told):
                assert told[name] == row[name]
            assert {"key", "split", "x", "mask_area", "canvas_x", "depth_mean_m"} <= set(told)
            assert told["background"]["file"] == row["bg_file"]
            assert told["background"].get("licence", "") == BACKGROUNDS[row["bg_file"]][1]
            assert told["foreground"].get("author", "") == FOREGROUNDS[row["fg_file"]][0]
    assert sorted(keys) == sorted(rows)
    train = [key.split("/")[0] for key in keys if rows[key]["split"] == "train"]
    assert train != sorted(train)  # backgrounds are mixed


def true_depth(sets, row: dict, form: str) -> np.ndarray:
    folder = f"bg{row['bg']}/fg_{row['fg']}/depth"
    if form == "jpg":
        stored = cv2.imread(str(sets["jpg"] / folder / f"{row['number']}.jpg"), -1)
        return np.rint(stored * (10_000 / 255)).astype(np.uint16)
    return cv2.imread(str(sets["png"] / folder / f"{row['number']}.png"), -1)


def test_webdataset_decodes_by_itself(sets, tmp_path):
    assert main(["export", "webdataset", str(sets["png"]), "--output", str(tmp_path)]) == 0
    pictures = webdataset.WebDataset(
        str(tmp_path / "fgbg-train-000000.tar"), shardshuffle=False, empty_check=False
    )
    decoded = next(iter(pictures.decode("pil").to_tuple("overlay.jpg", "mask.png", "json")))
    assert decoded[0].size == decoded[1].size == (32, 32)
    assert decoded[2]["split"] == "train"


def test_shards_keep_to_their_size_and_are_plain_tar(sets, tmp_path):
    command = ["export", "webdataset", str(sets["png"]), "--output", str(tmp_path)]
    assert main([*command, "--shard_size", "0.05"]) == 0
    shards = sorted(tmp_path.glob("fgbg-train-*.tar"))
    assert len(shards) > 2
    for path in shards:
        assert path.stat().st_size <= 50_000
        with tarfile.open(path) as archive:
            for member in archive:
                assert (member.mtime, member.uid, member.gid, member.mode) == (0, 0, 0, 0o644)
                assert member.uname == member.gname == ""
                assert member.name.count(".") <= 2 and "/" not in member.name
    # Fewer and larger shards: those of before are not left beside them.
    assert main(command) == 0
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [*(f"fgbg-{split}-000000.tar" for split in sorted(SPLITS)), "index.json"]


@pytest.mark.parametrize("what", ["coco", "webdataset"])
def test_the_same_bytes_with_any_number_of_threads_and_from_either_form(what, sets, tmp_path):
    for name, form, workers in (("a", "png", "1"), ("b", "png", "7"), ("c", "tfrecord", "3")):
        target = str(tmp_path / name)
        command = ["export", what, str(sets[form]), "--output", target, "--workers", workers]
        assert main(command) == 0
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    if what == "webdataset":
        assert tree(tmp_path / "a") == tree(tmp_path / "c")


def test_what_is_beside_the_data_set_does_not_disturb_it(sets, tmp_path):
    output = tmp_path / "set"
    shutil.copytree(sets["tfrecord"], output)
    for what in ("coco", "webdataset"):
        assert main(["export", what, str(output)]) == 0
        assert (output / what).is_dir()
    assert main(["verify", str(output)]) == 0


WRONG = {
    "no data set": (lambda o: shutil.rmtree(o / "_work"), (), "no data set of fgbg"),
    "no manifest": (lambda o: (o / "manifest.parquet").unlink(), (), "is not finished"),
    "no generation.json": (lambda o: (o / "generation.json").unlink(), (), "is not finished"),
    "being extended": (
        lambda o: grow(o),
        (),
        "is not finished; run fgbg generate again",
    ),
    "a broken manifest": (
        lambda o: (o / "manifest.parquet").write_bytes(b"PAR1 no more"),
        (),
        "cannot be read",
    ),
    "a missing mask": (
        lambda o: (o / "bg1/fg_1/mask/2.jpg").unlink(),
        (),
        "bg1/fg_1/mask/2.jpg: missing. The export is not complete; fgbg verify",
    ),
    "a missing overlay": (
        lambda o: (o / "bg2/fg_1/overlay/2.jpg").unlink(),
        (),
        "bg2/fg_1/overlay/2.jpg: missing",
    ),
    "a flipped bit": (
        lambda o: flip_a_bit(o / "bg1/fg_1/mask/2.jpg"),
        (),
        "bg1/fg_1/mask/2.jpg: its checksum is not the manifest's",
    ),
    "a file in the way": (
        lambda o: (o / "coco").write_text("mine"),
        (),
        "coco: a file, not a folder",
    ),
}


def grow(output: Path) -> None:
    """Stores the job of an extension that has not been made yet."""
    job = job_of(output)
    c = dataclasses.replace(job.configuration, placements=[*job.configuration.placements, 2])
    jobs.write(str(output), dataclasses.replace(job, configuration=c))


@pytest.mark.parametrize("name", WRONG)
def test_wrong_use_is_told(name, sets, tmp_path, capsys):
    output = tmp_path / "set"
    shutil.copytree(sets["jpg"], output)
    damage, more, words = WRONG[name]
    damage(output)
    assert main(["export", "coco", str(output), *more]) == 2
    assert words in capsys.readouterr().err
    assert not list(output.rglob("*.part"))


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (("cocoa", "OUT"), "unknown format cocoa, known are coco, webdataset; did you mean coco?"),
        (("coco", "OUT", "--shard_size", "9"), "--shard_size is for webdataset only"),
        (("coco",), "required: OUT"),
        (("coco", "OUT", "--outptu", "x"), "did you mean --output?"),
    ],
)
def test_a_wrong_command_line_is_told(command, words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["export", *command])
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("what", ["coco", "webdataset"])
def test_a_damaged_record_is_named(what, sets, tmp_path, capsys):
    output = tmp_path / "set"
    shutil.copytree(sets["tfrecord"], output)
    shard = sorted((output / "tfrecord").glob("fgbg-test*"))[0]
    flip_a_bit(shard)
    assert main(["export", what, str(output)]) == 2
    told = capsys.readouterr().err
    assert f"tfrecord/{shard.name}#" in told and "checksum" in told
    shard.unlink()
    assert main(["export", what, str(output)]) == 2
    assert f"{shard.name}" in capsys.readouterr().err
    assert not list((output / what).glob("*test*")) and not list(output.rglob("*.part"))


INTERRUPTED = """
import sys, os, json
from fgbg.transforms.exports import {module} as module
from fgbg.pipeline.__main__ import main
inner, calls = module.{function}, []
def stop(*arguments):
    calls.append(1)
    if len(calls) > 5:
        {how}
    return inner(*arguments)
module.{function} = stop
sys.exit(main(json.loads(sys.argv[1])))
"""


@pytest.mark.parametrize(
    ("what", "module", "function"),
    [("coco", "coco", "run_lengths"), ("webdataset", "webdataset", "_png")],
)
@pytest.mark.parametrize("how", ["raise KeyboardInterrupt", "os._exit(9)"])
def test_an_interrupted_export_has_nothing_half_written(
    what, module, function, how, sets, tmp_path
):
    command = ["export", what, str(sets["png"]), "--output", str(tmp_path / "new")]
    script = INTERRUPTED.format(module=module, function=function, how=how)
    ended = subprocess.run(
        [sys.executable, "-c", script, json.dumps(command)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    # Killed while the first pictures are coded, there is no folder yet.
    left = sorted(p.name for p in (tmp_path / "new").glob("*"))
    if how == "os._exit(9)":
        assert ended.returncode == 9
        assert all(name.endswith(".part") for name in left)
    else:
        assert ended.returncode == 130, ended.stderr
        assert "interrupted" in ended.stderr and "Traceback" not in ended.stderr
        assert left == []
    assert main(command) == 0
    assert main([*command[:-1], str(tmp_path / "calm")]) == 0
    assert tree(tmp_path / "new") == tree(tmp_path / "calm")


def test_samples_that_were_not_made_are_told(sets, tmp_path, capsys):
    from fgbg.transforms.job.commit import write_failure
    from fgbg.transforms.job.work_unit import WorkUnit
    from fgbg.transforms.steps.summarise import summarise

    output = tmp_path / "set"
    shutil.copytree(sets["jpg"], output)
    unit = WorkUnit(1, 1, True, 0)
    commit_file(output, unit.name).unlink()
    write_failure(str(output), unit, "Compose", "a reason")
    summarise(str(output))
    assert main(["export", "coco", str(output)]) == 0
    told = capsys.readouterr()
    assert f"Warning: 3 of {SAMPLES} samples were not made" in told.err
    assert f"of {SAMPLES - 3} pictures" in told.out
    split = rows_of(output)["bg1/fg_1/1"]["split"]
    content = json.loads((output / "coco" / f"instances_{split}.json").read_text())
    # The identifiers of the others are what they are in the whole data set.
    assert [image["id"] for image in content["images"]][:6] == [1, 2, 3, 7, 8, 9]
