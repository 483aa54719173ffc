"""`fgbg verify` names the shard and the record of every kind of damage."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from fgbg.pipeline.__main__ import main
from fgbg.transforms.records import example as tf_example
from fgbg.transforms.records.file import frame
from tests.helpers.damage import commit_file, edit_generation, edit_row
from tests.helpers.data_sets import make_in_process
from tests.helpers.tfrecord_sets import read_shard

SHARD = "tfrecord/fgbg-train.tfrecord-00001-of-00003"


@pytest.fixture(scope="module")
def data_set(small_inputs, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("records") / "set"
    more = ("--format", "tfrecord", "--shards", "3", "--splits", "train=1")
    return make_in_process(small_inputs, output, *more)


def edit_shard(change: Callable[[bytes], bytes], name: str = SHARD) -> Callable[[Path], object]:
    return lambda output: (output / name).write_bytes(change((output / name).read_bytes()))


def flip(at: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:at] + bytes([data[at] ^ 16]) + data[at + 1 :]


def edit_record(index: int, change: Callable[[dict], dict]) -> Callable[[Path], object]:
    """Changes the features of one record; checksums and length stay right."""

    def edit(output: Path) -> None:
        payloads = read_shard(output / SHARD)
        before = tf_example.decode(payloads[index])
        after = tf_example.encode(change(dict(before)))
        payloads[index] = after
        (output / SHARD).write_bytes(b"".join(map(frame, payloads)))

    return edit


def swap(first: int, second: int) -> Callable[[Path], object]:
    """Exchanges two records of the same length, or says that there are none."""

    def edit(output: Path) -> None:
        payloads = read_shard(output / SHARD)
        payloads[first], payloads[second] = payloads[second], payloads[first]
        (output / SHARD).write_bytes(b"".join(map(frame, payloads)))

    return edit


def mask_of_another(features: dict) -> dict:
    # As long as it was, so that no later record moves.
    mask = cv2.imdecode(np.frombuffer(features["image/object/mask"][0], np.uint8), -1)
    png = cv2.imencode(".png", mask * 255)[1].tobytes()
    return features | {"image/object/mask": [png]}


def info(change: Callable[[dict], object], name: str = "dataset_info.json"):
    def edit(output: Path) -> None:
        path = output / "tfrecord" / name
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return edit


DAMAGE: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "a cut shard": (
        edit_shard(lambda data: data[:-100]),
        [f"{SHARD}: has ", f"{SHARD}: record 11 (at byte "],
    ),
    "a cut in the middle": (
        edit_shard(lambda data: data[: len(data) // 2]),
        [f"{SHARD}: record 11 (at byte ", f"{SHARD}: record 6 (at byte "],
    ),
    "a flipped bit": (
        edit_shard(flip(700)),
        [f"{SHARD}: record 0 (at byte 0): the checksum of its bytes is wrong"],
    ),
    "a flipped bit in a length": (
        edit_shard(flip(3)),
        [f"{SHARD}: record 0 (at byte 0): the checksum of its length is wrong"],
    ),
    "bytes too many": (edit_shard(lambda data: data + b"more"), [f"{SHARD}: has "]),
    "an empty shard": (edit_shard(lambda data: b""), [f"{SHARD}: record 5 (at byte "]),
    "a missing shard": (lambda o: (o / SHARD).unlink(), [f"{SHARD}: missing"]),
    "records in another order": (swap(0, 5), [f"{SHARD}: record 0", f"{SHARD}: record 5"]),
    "another number": (
        edit_record(4, lambda f: f | {"placement/x": [f["placement/x"][0] ^ 1]}),
        [f"{SHARD}: record 4: placement/x is ["],
    ),
    "another box": (
        edit_record(4, lambda f: f | {"image/object/bbox/xmin": [0.015625]}),
        [f"{SHARD}: record 4: image/object/bbox/xmin is [0.015625], its row gives ["],
    ),
    "another checksum inside": (
        edit_record(2, lambda f: f | {"image/key/sha256": [b"0" * 64]}),
        [f"{SHARD}: record 2: image/key/sha256 is"],
    ),
    "a mask of 0 and 255": (
        edit_record(7, mask_of_another),
        [f"{SHARD}: record 7"],
    ),
    "a row's area": (
        edit_row("bg2/fg_1/2", mask_area=7),
        ["the first is bg2/fg_1/2: mask_area is 7, not "],
    ),
    "a row's record": (
        edit_row("bg2/fg_1/2", overlay="tfrecord/fgbg-train.tfrecord-00000-of-00003#99"),
        ["bg2/fg_1/2: overlay is 'tfrecord/fgbg-train.tfrecord-00000-of-00003#99', not "],
    ),
    "a stray shard": (
        lambda o: shutil.copy(o / SHARD, o / f"{SHARD[:-1]}9"),
        [f"{SHARD[:-1]}9: belongs to no shard"],
    ),
    "a block left": (
        lambda o: (
            (o / "_work/blocks/bg1").mkdir(parents=True)
            or (o / "_work/blocks/bg1/x.tfrecord").write_bytes(b"")
        ),
        ["_work/blocks/bg1/x.tfrecord: is no file of fgbg; it is left alone"],
    ),
    "files of image form": (
        lambda o: (o / "bg1").mkdir() or (o / "bg1" / "x.jpg").write_bytes(b""),
        ["bg1/x.jpg: is no file of this data set; it is left alone"],
    ),
    "a lost shard record": (
        lambda o: (o / "_work/shards" / f"{Path(SHARD).name}.json").unlink(),
        [f"{SHARD}: its shard record is missing"],
    ),
    "a lost plan": (
        lambda o: (o / "_work/shards/plan.json").unlink(),
        ["_work/shards/plan.json: the plan of the shards is missing"],
    ),
    "wrong counts for TFDS": (
        info(lambda i: i["splits"][0].update(shardLengths=["1"])),
        ["tfrecord/dataset_info.json: does not describe these shards; splits is"],
    ),
    "other features for TFDS": (
        info(lambda i: i["content"]["features"].pop("image"), "features.json"),
        ["tfrecord/features.json: does not describe these shards; content/features/image is None"],
    ),
    "no schema": (
        lambda o: (o / "tfrecord/schema.pbtxt").unlink(),
        ["tfrecord/schema.pbtxt: missing"],
    ),
    "wrong bytes": (
        lambda o: edit_generation(o, lambda g: g["bytes"].update(mask=1)),
        ["generation.json: bytes/mask is 1, not "],
    ),
    "a lost commit record": (
        lambda o: commit_file(o, "bg1/fg_1/as_given_0").unlink(),
        [": missing: 11 of 12 units are done"],
    ),
}


def test_an_undamaged_data_set_is_clean(data_set, capsys):
    assert main(["verify", str(data_set)]) == 0
    assert "all 36 samples are as the manifest says" in capsys.readouterr().out


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_found_and_named(name, data_set, tmp_path, capsys, in_process):
    output = tmp_path / "set"
    shutil.copytree(data_set, output)
    damage, words = DAMAGE[name]
    damage(output)
    assert main(["verify", str(output)]) == 1
    text = capsys.readouterr().out
    for expected in words:
        assert expected in text


def test_one_damaged_record_hides_no_other(data_set, tmp_path, capsys, in_process):
    output = tmp_path / "set"
    shutil.copytree(data_set, output)
    edit_shard(flip(700))(output)
    assert main(["verify", str(output)]) == 1
    text = capsys.readouterr().out
    # The pictures of that record could not be counted either.
    assert text.count(f"{SHARD}: record") == 1
