"""tf.Examples and TFRecord files as TensorFlow makes and reads them; which block goes where."""

from __future__ import annotations

import io
import subprocess
import sys
from collections import Counter

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fgbg.transforms.job.job import Configuration, InputPicture, Job
from fgbg.transforms.job.work_unit import sample_numbers, unit_of_sample, units_of_background
from fgbg.transforms.pixels import codec, coding
from fgbg.transforms.records import example as tf_example
from fgbg.transforms.records import file as tfrecord_file
from fgbg.transforms.records import record as records
from fgbg.transforms.records.example import BYTES, FLOAT, INT64
from fgbg.transforms.records.file import OVERHEAD, RecordError, frame, read_frames, unframe
from fgbg.transforms.records.plan import TARGET_BYTES, Block, Plan, draw_up, share_out

FLOATS = st.floats(allow_nan=False, width=32)
VALUES = (
    st.lists(st.binary(max_size=40)) | st.lists(st.integers(-(2**63), 2**63 - 1)) | st.lists(FLOATS)
)


def by_tensorflow(features: dict[str, list], kinds: dict[str, str]) -> bytes:
    import tensorflow as tf

    made = {}
    for name, values in features.items():
        kind = kinds[name]
        made[name] = tf.train.Feature(
            bytes_list=tf.train.BytesList(value=values) if kind == BYTES else None,
            float_list=tf.train.FloatList(value=values) if kind == FLOAT else None,
            int64_list=tf.train.Int64List(value=values) if kind == INT64 else None,
        )
    example = tf.train.Example(features=tf.train.Features(feature=made))
    return example.SerializeToString(deterministic=True)


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=20), VALUES, max_size=8))
def test_an_example_is_what_tensorflow_makes(features):
    kinds = {
        name: BYTES
        if values and isinstance(values[0], bytes)
        else INT64
        if values and isinstance(values[0], int)
        else FLOAT
        for name, values in features.items()
    }
    data = tf_example.encode(features, kinds)
    assert data == by_tensorflow(features, kinds)
    assert tf_example.decode(data) == features
    assert tf_example.encode(dict(reversed(features.items())), kinds) == data


def test_what_is_no_example_is_refused():
    with pytest.raises(ValueError, match="are no tf"):
        tf_example.decode(b"\xff" * 9)
    with pytest.raises(TypeError):
        tf_example.encode({"mixed": [1, b"2"]})  # type: ignore[dict-item]


def test_neither_tensorflow_nor_beam_is_needed():
    script = (
        "import sys; from fgbg.transforms.records import description, file, record, shards; "
        "print({'tensorflow', 'apache_beam', 'tensorflow_datasets'} & set(sys.modules))"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == "set()"


@settings(deadline=None, max_examples=30)
@given(st.lists(st.binary(max_size=200), min_size=1, max_size=5), st.data())
def test_a_file_is_what_tensorflow_reads_and_damage_is_found(payloads, data):
    framed = [frame(payload) for payload in payloads]
    whole = b"".join(framed)
    assert [d for _, d in read_frames(io.BytesIO(whole))] == payloads
    assert [unframe(f) for f in framed] == payloads
    assert len(whole) == sum(len(p) + OVERHEAD for p in payloads)
    at = data.draw(st.integers(0, len(whole) - 1))
    bit = 1 << data.draw(st.integers(0, 7))
    flipped = whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :]
    starts = np.cumsum([0] + [len(f) for f in framed])
    damaged = int(np.searchsorted(starts, at, side="right")) - 1
    for broken in (flipped, whole[:at]):
        if broken == whole[: starts[damaged]]:
            continue  # cut between two records: only the file's length tells
        with pytest.raises(RecordError) as caught:
            list(read_frames(io.BytesIO(broken)))
        assert caught.value.index == damaged
        assert caught.value.offset == starts[damaged]
        assert f"record {damaged} (at byte {starts[damaged]})" in str(caught.value)


def test_tensorflow_reads_a_file(tmp_path):
    import tensorflow as tf

    payloads = [b"", b"a" * 100_000, bytes(range(256))]
    path = tmp_path / "file"
    path.write_bytes(b"".join(map(tfrecord_file.frame, payloads)))
    assert [r.numpy() for r in tf.data.TFRecordDataset(str(path))] == payloads


@pytest.mark.parametrize(
    ("cut", "words"),
    [
        (lambda f: f[:7], "truncated: 7 bytes of its header"),
        (lambda f: f[:20], "truncated: 8 of its 50 bytes are there"),
        (lambda f: b"\0" + f[1:], "the checksum of its length is wrong"),
        (lambda f: f[:20] + b"!" + f[21:], "the checksum of its bytes is wrong"),
    ],
)
def test_errors_say_what_is_wrong(cut, words):
    with pytest.raises(RecordError, match=words):
        list(read_frames(io.BytesIO(cut(frame(b"x" * 50)))))


def job_of(
    backgrounds: int = 12, foregrounds: int = 5, shards: int | None = None, seed: int = 0
) -> Job:
    splits = [("train", 0.75), ("test", 0.25)]
    configuration = Configuration(
        "tfrecord", (32, 24), (64, 48), [3, 2], True, (0.3, 0.6), 0.0, seed, 95, "png", "png16",
        10.0, None, splits, shards,
    )  # fmt: skip

    def picture(number: int, split: str) -> InputPicture:
        return InputPicture(number, f"{number}.png", f"{number:064d}", 9, 9, split)

    return Job(
        configuration,
        [picture(n, "test" if n % 4 == 0 else "train") for n in range(1, backgrounds + 1)],
        [picture(n, "") for n in range(1, foregrounds + 1)],
    )


def blocks_of(job: Job, size: int = 1000) -> list[Block]:
    c = job.configuration
    return [
        Block(unit, len(sample_numbers(c.placements, c.mirror, unit)), size)
        for background in job.backgrounds
        for unit in units_of_background(
            background.number, len(job.foregrounds), c.mirror, len(c.placements)
        )
    ]


def test_every_block_stands_in_one_shard_of_its_split_and_backgrounds_are_mixed():
    job = job_of(shards=8)
    blocks = blocks_of(job)
    plan = draw_up(job, blocks)
    assert plan.complete
    assert [shard.name for shard in plan.shards if shard.split == "test"] == [
        "fgbg-test.tfrecord-00000-of-00002",
        "fgbg-test.tfrecord-00001-of-00002",
    ]
    assert len(plan.shards) == 8
    placed = [block.unit for shard in plan.shards for block in shard.blocks]
    assert sorted(placed) == sorted(block.unit for block in blocks)
    for shard in plan.shards:
        numbers = [block.unit.background for block in shard.blocks]
        assert {job.backgrounds[n - 1].split for n in numbers} == {shard.split}
        # Every background of the split is there, as often as any other, and not in order.
        times = Counter(numbers)
        assert len(times) == (9 if shard.split == "train" else 3)
        assert max(times.values()) - min(times.values()) <= 1
        assert numbers != sorted(numbers)


def test_the_plan_depends_on_nothing_else():
    job = job_of(shards=8)
    blocks = blocks_of(job)
    plan = draw_up(job, blocks)
    assert draw_up(job, reversed(blocks)) == plan
    assert Plan.from_bytes(plan.to_bytes(), "plan.json") == plan
    assert draw_up(job_of(shards=8, seed=1), blocks) != plan
    assert not draw_up(job, blocks[1:]).complete


def test_places_are_where_the_records_begin():
    plan = draw_up(job_of(shards=8), blocks_of(job_of(), 1234))
    places = plan.places()
    for shard in plan.shards:
        index = offset = 0
        for block in shard.blocks:
            assert places[block.unit] == (shard, index, offset)
            index, offset = index + block.records, offset + block.bytes
        assert (index, offset) == (shard.records, shard.bytes)


def test_shards_follow_the_size_unless_a_number_is_given():
    job = job_of()
    blocks = blocks_of(job, TARGET_BYTES // 40)
    plan = draw_up(job, blocks)
    counts = Counter(shard.split for shard in plan.shards)
    assert counts == {"train": 5, "test": 2}  # 180 and 60 blocks
    assert all(shard.bytes < 1.1 * TARGET_BYTES for shard in plan.shards)
    assert len(draw_up(job, blocks_of(job, 1)).shards) == 2
    # A unit is not divided, however large.
    assert len(draw_up(job, blocks_of(job, 9 * TARGET_BYTES)).shards) == len(blocks)


@given(st.dictionaries(st.text(max_size=3), st.integers(1, 50), min_size=1, max_size=5), st.data())
def test_shards_are_shared_out(units, data):
    total = sum(units.values())
    asked = data.draw(st.integers(len(units), total))
    counts = share_out(asked, units)
    assert sum(counts.values()) == asked
    assert all(1 <= counts[name] <= units[name] for name in units)


def test_the_unit_of_a_sample():
    for placements, mirror in (([20], True), ([3, 2], True), ([1, 4], False)):
        for unit in units_of_background(1, 1, mirror, len(placements)):
            for i, number in enumerate(sample_numbers(placements, mirror, unit)):
                assert unit_of_sample(placements, mirror, 1, 1, number) == (unit, i)
    with pytest.raises(ValueError, match="has no sample 41"):
        unit_of_sample([20], True, 1, 1, 41)


ROW = {
    "bg": 3, "fg": 4, "number": 7, "mirrored": True, "x": 5, "y": 6, "width": 26, "height": 17,
    "mask_area": 300, "canvas_x": -9, "canvas_y": 12, "canvas_width": 60, "canvas_height": 33,
    "depth_min_m": 0.5, "depth_max_m": 65.5,
}  # fmt: skip


def test_a_record_is_read_back():
    job = job_of()
    mask = np.zeros((24, 32), np.uint8)
    mask[6:23, 5:31] = 255
    depth = np.arange(24 * 32, dtype=np.uint16).reshape(24, 32) * 80
    png = coding.encode_mask(mask)
    coded = cv2.imencode(".png", depth)[1].tobytes()
    found = records.of_record(records.to_record(job, ROW, b"a JPEG", png, coded))
    assert {name: getattr(found, name) for name in ROW} == ROW
    assert (found.key, found.size) == ("bg3/fg_4/7", (32, 24))
    assert found.file == "bg3/fg_4/overlay/7.jpg"
    assert (found.overlay, found.mask_png, found.depth_png) == (b"a JPEG", png, coded)
    np.testing.assert_array_equal(coding.decode_mask(found.mask_png), mask)
    np.testing.assert_array_equal(codec.decode(coded, "depth"), depth)
    # In the order of the manifest: (bg, fg, number), 10 samples a pair, 5 pairs a background.
    assert found.id == (2 * 5 + 3) * 10 + 7


def test_a_sample_without_object_has_no_object_and_without_depth_no_depth():
    row = ROW | dict.fromkeys(("x", "y", "width", "height", "mask_area"), 0)
    data = records.to_record(job_of(), row, b"a JPEG", b"never stored", None)
    features = tf_example.decode(data)
    assert all(not features[name] for name in features if name.startswith("image/object/"))
    assert features.keys() == records.KEYS.keys()
    found = records.of_record(data)
    assert found.depth_png is found.depth_min_m is found.depth_max_m is None
    assert (found.x, found.y, found.width, found.height, found.mask_area) == (0, 0, 0, 0, 0)
    assert coding.decode_mask(found.mask_png).shape == (24, 32)
    assert not coding.decode_mask(found.mask_png).any()


def test_boxes_come_back_to_the_pixel_at_every_size():
    for width in (8, 224, 640, 1023, 8192):
        for x in range(0, width, max(1, width // 50)):
            assert round(float(np.float32(x / width)) * width) == x


def test_another_programs_record_is_refused():
    with pytest.raises(ValueError, match="not a record of fgbg"):
        records.of_record(tf_example.encode({"image/encoded": [b"x"]}))
