"""Verify, one sample: what is told of its pictures, to the pixel and the millimetre."""

from __future__ import annotations

import dataclasses
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from fgbg.transforms import meter
from fgbg.transforms.job import job as jobs
from fgbg.transforms.job.job import InputPicture, Job
from fgbg.transforms.pixels import pictures
from fgbg.transforms.pixels.coding import encode
from fgbg.transforms.steps.verify_pictures import check_pictures
from tests.helpers.pixel_oracles import configuration

WIDTH, HEIGHT = 96, 64
CHECKSUM = "its checksum is not that of its commit record: the file has changed"


def png(image: np.ndarray) -> bytes:
    """Without loss, so that a test decides each pixel; readers go by content, not by name."""
    return cv2.imencode(".png", image)[1].tobytes()


def decoded(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


@dataclasses.dataclass
class Sample:
    """A sample with a foreground, a box of 20 x 12 pixels at x = 40, y = 24, and its data set."""

    output: str
    version: str
    row: dict
    background: np.ndarray
    images: dict[str, np.ndarray]
    coded: dict[str, bytes] = dataclasses.field(default_factory=dict)

    def problems(self) -> list[tuple[str, str]]:
        """Of the images as they are now, with their checksums, unless they are coded by a test."""
        coded = {kind: png(image) for kind, image in self.images.items()} | self.coded
        crcs = {f"{kind}_crc32": zlib.crc32(data) for kind, data in coded.items()}
        return list(check_pictures(self.output, self.version, crcs | self.row, coded))


@pytest.fixture
def counted(monkeypatch) -> list[tuple[str, int]]:
    """What is counted, without Beam."""
    found: list[tuple[str, int]] = []
    monkeypatch.setattr(meter, "count", lambda name, amount=1: found.append((name, amount)))
    return found


@pytest.fixture
def make(tmp_path: Path, counted):
    def sample(ratio: int = 1, **changes) -> Sample:
        canvas = (ratio * WIDTH, ratio * HEIGHT)
        values = dict(size=(WIDTH, HEIGHT), canvas=canvas, depth_model={}, depth_format="png16")
        c = configuration(**{**values, **changes})
        picture = InputPicture(1, "room.png", "ab" * 32, *canvas)
        job = Job(c, [picture], [picture])
        output = str(tmp_path)
        jobs.write(output, job)
        noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        smooth = cv2.blur(noise, (9, 9))
        background = np.repeat(np.repeat(smooth, ratio, axis=0), ratio, axis=1)
        (tmp_path / "backgrounds").mkdir()
        stored = pictures.encode_background(background)
        (tmp_path / "backgrounds/bg1.jpg").write_bytes(stored)
        # What an overlay shows where nothing is pasted: the stored background, reduced and coded.
        blocks = decoded(stored).reshape(HEIGHT, ratio, WIDTH, ratio, 3).astype(int)
        area = ratio * ratio
        reduced = (2 * blocks.sum(axis=(1, 3)) + area) // (2 * area)
        without = decoded(encode("overlay", reduced.astype(np.uint8), c))
        overlay = without.copy()
        overlay[24:36, 40:60] = 0
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        mask[24:36, 40:60] = 255
        depth = np.full((HEIGHT, WIDTH), 4000, np.uint16)
        depth[0, 0], depth[0, 1] = 1000, 7000
        row = {
            "key": "bg1/fg_1/1", "bg": 1, "x": 40, "y": 24, "width": 20, "height": 12,
            "mask_area": 240, "depth_min_m": 1.0, "depth_max_m": 7.0, "depth_mean_m": 4.0,
            "canvas_x": 40 * ratio, "canvas_y": 24 * ratio,
            "canvas_width": 20 * ratio, "canvas_height": 12 * ratio,
        }  # fmt: skip
        images = {"overlay": overlay, "mask": mask, "depth": depth}
        return Sample(output, jobs.version(job), row, without, images)

    return sample


@pytest.mark.parametrize("ratio", [1, 2])
def test_a_sample_that_is_as_its_row_says_has_no_problem(ratio, make, counted):
    sample = make(ratio)
    assert sample.problems() == []
    sizes = [len(png(image)) for image in sample.images.values()]
    assert counted == [("bytes", size) for size in sizes]


@pytest.mark.parametrize("kind", ["overlay", "mask", "depth"])
def test_a_checksum_that_differs_is_told_of_its_picture_alone(kind, make):
    sample = make()
    for other in (0, zlib.crc32(png(sample.images[kind])) + 1):
        sample.row[f"{kind}_crc32"] = other
        assert sample.problems() == [(kind, CHECKSUM)]


@pytest.mark.parametrize("kind", ["overlay", "mask", "depth"])
def test_what_cannot_be_decoded_is_told_with_its_size(kind, make):
    sample = make()
    sample.coded[kind] = b"no picture"
    assert sample.problems() == [(kind, "cannot be decoded (10 bytes)")]
    sample.row[f"{kind}_crc32"] = 1
    assert sample.problems() == [(kind, f"{CHECKSUM} (cannot be decoded (10 bytes))")]


@pytest.mark.parametrize("kind", ["overlay", "mask", "depth"])
def test_a_picture_that_is_not_there_is_not_looked_at(kind, make):
    sample = make()
    del sample.images[kind]
    assert sample.problems() == []
    # The others are, all the same.
    others = list(sample.images)
    sample.row |= {f"{other}_crc32": 0 for other in others}
    assert sample.problems() == [(other, CHECKSUM) for other in others]


@pytest.mark.parametrize("kind", ["overlay", "mask", "depth"])
def test_a_damaged_picture_hides_no_other(kind, make):
    sample = make()
    others = [other for other in sample.images if other != kind]
    sample.row |= {f"{other}_crc32": 0 for other in others}
    for damaged in (png(np.zeros((1, 1), np.uint8)), b"no picture"):
        sample.coded[kind] = damaged
        told = sample.problems()
        assert sorted(other for other, _ in told) == sorted([kind, *others])
        assert [other for other, words in told if words == CHECKSUM] == others


@pytest.mark.parametrize("kind", ["overlay", "mask", "depth"])
def test_a_picture_of_another_shape_is_told(kind, make):
    channels = (3,) if kind == "overlay" else ()
    expected = (64, 96, *channels)
    wrong = [(63, 96, *channels), (64, 97, *channels), (96, 64, *channels)]
    wrong.append((64, 96) if channels else (64, 96, 3))
    sample = make()
    for shape in wrong:
        sample.images[kind] = np.zeros(shape, np.uint8)
        assert sample.problems() == [(kind, f"has shape {shape}, not {expected}")]


def test_masks_in_records_are_0_and_1(make):
    sample = make(output_format="tfrecord", mask_format="png")
    assert sample.problems() == [
        ("mask", f"cannot be decoded ({len(png(sample.images['mask']))} bytes)")
    ]
    sample.images["mask"] //= 255
    assert sample.problems() == []


def test_overlays_and_depth_of_records_are_as_in_files(make):
    sample = make(output_format="tfrecord", mask_format="png")
    sample.images["mask"] //= 255
    sample.images["overlay"][0, 0] ^= 128
    sample.row["depth_min_m"] = 2.0
    assert [kind for kind, _ in sample.problems()] == ["overlay", "depth"]


@pytest.mark.parametrize(
    ("value", "binary"),
    [(0, True), (110, True), (111, False), (144, False), (145, True), (255, True)],
)
def test_a_mask_is_binary_where_it_is_within_110_of_black_or_white(value, binary, make):
    sample = make()
    sample.images["mask"][30, 50] = value  # inside of the shape
    sample.images["mask"][0, 7] = value  # and outside
    sample.row["mask_area"] = 240
    told = [problem for _, problem in sample.problems() if "binary" in problem]
    assert told == ([] if binary else ["not binary: 2 pixels are neither dark nor bright"])


def test_a_masks_pixels_are_those_of_128_and_more(make):
    sample = make()
    sample.images["mask"][30, 50] = 127
    assert ("mask", "has 239 pixels, the manifest says 240") in sample.problems()
    sample.images["mask"][30, 50] = 128
    assert [p for _, p in sample.problems() if "manifest" in p] == []


@pytest.mark.parametrize("name", ["x", "y", "width", "height"])
def test_a_masks_box_is_compared_side_by_side(name, make):
    sample = make()
    for change in (-1, 1):
        row = dict(sample.row)
        sample.row[name] += change
        expected = tuple(sample.row[n] for n in ("x", "y", "width", "height"))
        words = f"its box (x, y, width, height) is (40, 24, 20, 12), the manifest says {expected}"
        assert sample.problems() == [("mask", words)]
        sample.row = row


@pytest.mark.parametrize("change", [-1, 1])
def test_a_masks_area_is_compared(change, make):
    sample = make()
    sample.row["mask_area"] += change
    words = f"has 240 pixels, the manifest says {240 + change}"
    assert sample.problems() == [("mask", words)]


def test_a_large_mask_has_its_area(make):
    sample = make()
    sample.images["mask"][24:36, 40:80] = 255
    sample.row |= {"mask_area": int("480"), "width": 40}
    assert sample.problems() == []


def test_the_box_of_an_empty_mask_is_all_zeros(make):
    sample = make()
    sample.images["mask"][:] = 0
    sample.row |= {"mask_area": 0, "x": 0, "y": 0, "width": 0, "height": 0}
    assert sample.problems() == []


@pytest.mark.parametrize("channel", [0, 1, 2])
@pytest.mark.parametrize("sign", [-1, 1])
def test_outside_of_the_foreground_a_pixel_may_differ_by_six(sign, channel, make):
    sample = make()
    at = (60, 5, channel)
    background = int(sample.images["overlay"][at])
    assert 7 <= background <= 248
    sample.images["overlay"][at] = background + sign * 6
    assert sample.problems() == []
    sample.images["overlay"][at] = background + sign * 7
    words = "differs from its background by 7 at x=5, y=60, outside the foreground"
    assert sample.problems() == [("overlay", words)]


def told_columns(sample: Sample, axis: str) -> list[int]:
    """Columns (or rows) in which a single changed pixel is told."""
    found = []
    for i in range(WIDTH if axis == "x" else HEIGHT):
        kept = sample.images["overlay"].copy()
        y, x = (30, i) if axis == "x" else (i, 50)
        sample.images["overlay"][y, x] ^= 128
        found += [i] if sample.problems() else []
        sample.images["overlay"] = kept
    return found


@pytest.mark.parametrize(
    ("first", "length", "ratio", "inside"),
    [
        # Blocks of 16 that the foreground reaches, it being a pixel larger each way (and one more
        # after it), and two pixels further: smooth chroma. 40..59: from 32 to 64.
        (40, 20, 1, (30, 66)),
        (33, 14, 1, (30, 66)),  # 32..49 with what is beside it
        (33, 13, 1, (30, 50)),  # 32..48
        (32, 14, 1, (14, 50)),  # 31..48
        (17, 1, 1, (14, 34)),
        (16, 1, 1, (0, 34)),
        (-5, 10, 1, (0, 18)),
        (0, 14, 1, (0, 18)),
        (0, 15, 1, (0, 34)),
        (81, 15, 1, (78, 96)),
        (60, 30, 1, (46, 96)),
        # At half the canvas.
        (80, 40, 2, (30, 66)),
        (66, 26, 2, (30, 50)),
        (67, 26, 2, (30, 50)),  # 33.5..46.5: parts of pixels count
        (65, 26, 2, (14, 50)),  # from 32.5 - 1
        (66, 28, 2, (30, 66)),
        (66, 29, 2, (30, 66)),
    ],
)
def test_inside_are_the_blocks_that_the_foreground_reaches(first, length, ratio, inside, make):
    sample = make(ratio)
    sample.row |= {"canvas_x": first, "canvas_width": length}
    sample.images["overlay"] = sample.background
    assert told_columns(sample, "x") == [x for x in range(96) if not inside[0] <= x < inside[1]]


@pytest.mark.parametrize(
    ("first", "length", "ratio", "inside"),
    [
        (24, 12, 1, (14, 50)),
        (17, 13, 1, (14, 34)),
        (16, 13, 1, (0, 34)),
        (17, 14, 1, (14, 50)),
        (49, 15, 1, (46, 64)),
        (-9, 10, 1, (0, 18)),
        (34, 26, 2, (14, 34)),
        (33, 26, 2, (0, 34)),
        (34, 28, 2, (14, 50)),
    ],
)
def test_inside_is_the_same_for_rows(first, length, ratio, inside, make):
    sample = make(ratio)
    sample.row |= {"canvas_y": first, "canvas_height": length}
    sample.images["overlay"] = sample.background
    assert told_columns(sample, "y") == [y for y in range(64) if not inside[0] <= y < inside[1]]


@pytest.mark.parametrize("what", ["min", "max", "mean"])
@pytest.mark.parametrize(("change", "told"), [(0.0008, False), (0.0012, True)])
def test_16_bit_depth_may_differ_by_a_millimetre(what, change, told, make):
    sample = make()
    stated = sample.row[f"depth_{what}_m"]
    for value in (stated - change, stated + change):
        sample.row[f"depth_{what}_m"] = value
        words = f"its {what} is {stated:.3f} m, the manifest says {value:.3f} m"
        assert sample.problems() == ([("depth", words)] if told else [])


def test_16_bit_depth_is_cut_at_what_16_bits_hold(make):
    sample = make()
    sample.images["depth"][0, 1] = 65535
    mean = 4.0 + (65.535 - 7.0) / (WIDTH * HEIGHT)
    sample.row |= {"depth_max_m": 70.0, "depth_mean_m": mean}
    assert sample.problems() == []
    sample.images["depth"][0, 1] = 65533
    assert sample.problems() == [("depth", "its max is 65.533 m, the manifest says 65.535 m")]


def eight_bits(make, range_m: float = 10.0) -> Sample:
    """Depth of 8 bits: 2 m and 8 m, one pixel each, on 5.098 m."""
    sample = make(depth_format="jpg", depth_range_m=range_m)
    depth = np.full((HEIGHT, WIDTH), 130, np.uint8)
    depth[0, 0], depth[0, 1] = 51, 204
    sample.images["depth"] = depth
    metre = range_m / 10
    mean = metre * (130 * (WIDTH * HEIGHT - 2) + 255) / 25.5 / (WIDTH * HEIGHT)
    row = {"depth_min_m": 2 * metre, "depth_max_m": 8 * metre, "depth_mean_m": mean}
    sample.row |= row
    return sample


@pytest.mark.parametrize("range_m", [10.0, 80.0])
@pytest.mark.parametrize(("what", "share"), [("min", 0.2), ("max", 0.2), ("mean", 0.025)])
def test_8_bit_depth_may_differ_by_a_share_of_its_range(what, share, range_m, make):
    sample = eight_bits(make, range_m)
    assert sample.problems() == []
    right = sample.row[f"depth_{what}_m"]
    for sign in (-1, 1):
        stated = right + sign * 0.99 * share * range_m
        sample.row[f"depth_{what}_m"] = min(stated, range_m)
        assert sample.problems() == []
        stated = right + sign * 1.01 * share * range_m
        if stated <= range_m:
            sample.row[f"depth_{what}_m"] = stated
            words = f"its {what} is {right:.3f} m, the manifest says {stated:.3f} m"
            assert sample.problems() == [("depth", words)]


def test_8_bit_depth_is_cut_at_its_range(make):
    sample = eight_bits(make)
    sample.images["depth"][0, 1] = 255
    # The mean of depth that is cut is below the manifest's, by however much.
    sample.row |= {"depth_max_m": 30.0, "depth_mean_m": 9.0}
    assert sample.problems() == []
    sample.row |= {"depth_mean_m": 15.0}
    assert sample.problems() == []
    # But never above it,
    sample.row |= {"depth_mean_m": 4.0}
    assert sample.problems() == [("depth", "its mean is 5.098 m, the manifest says 4.000 m")]
    # nor below it where nothing was cut.
    for largest in (10.0, 9.0):
        sample.row |= {"depth_max_m": largest, "depth_mean_m": 9.0}
        assert sample.problems() == [("depth", "its mean is 5.098 m, the manifest says 9.000 m")]
    # The others are cut as the mean is.
    sample.row |= {"depth_max_m": 30.0, "depth_mean_m": 5.1, "depth_min_m": 4.5}
    assert sample.problems() == [("depth", "its min is 2.000 m, the manifest says 4.500 m")]
