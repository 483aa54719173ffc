"""Spliced JPEGs against whole pictures, encoded by OpenCV: byte for byte."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from fgbg.transforms.pixels import codec
from fgbg.transforms.pixels.jpeg import splice as jpeg_splice
from fgbg.transforms.pixels.jpeg import stacks as jpeg_stacks
from fgbg.transforms.pixels.jpeg import stream as jpeg_stream
from fgbg.transforms.pixels.placement import Box


def picture(rng: np.random.Generator, width: int, height: int, channels: int) -> np.ndarray:
    """Noise, or something smooth: long segments, or short ones."""
    shape = (height, width) if channels == 1 else (height, width, channels)
    noise = rng.integers(0, 256, shape, dtype=np.uint8)
    if rng.random() < 0.5 or not noise.size:
        return noise
    return cv2.blur(noise, (9, 9)).reshape(shape)


def pasted(background: np.ndarray, box: Box, patch: np.ndarray) -> np.ndarray:
    whole = background.copy()
    whole[box.y : box.y + box.height, box.x : box.x + box.width] = patch
    return whole


def reference(whole: np.ndarray, quality: int, interval: int) -> bytes:
    """What the module is measured by, told to OpenCV without any of its code."""
    flags = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_RST_INTERVAL, interval]
    return cv2.imencode(".jpg", whole, flags)[1].tobytes()


def check(background: np.ndarray, quality: int, interval: int, boxes: list[Box], rng) -> None:
    channels = 1 if background.ndim == 2 else 3
    patches = [picture(rng, box.width, box.height, channels) for box in boxes]
    prepared = jpeg_splice.prepare(background, quality, interval)
    assert prepared.offsets
    files = jpeg_splice.encode(prepared, boxes, patches)
    assert len(files) == len(boxes)
    for box, patch, file in zip(boxes, patches, files, strict=True):
        assert file == reference(pasted(background, box, patch), quality, interval)


def divisors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]


@st.composite
def boxes_inside(draw: st.DrawFn, width: int, height: int) -> Box:
    """Any box; borders, nothing, and the whole picture are as likely as all between."""
    x0, x1 = (draw(st.sampled_from([0, width]) | st.integers(0, width)) for _ in range(2))
    y0, y1 = (draw(st.sampled_from([0, height]) | st.integers(0, height)) for _ in range(2))
    return Box(min(x0, x1), min(y0, y1), abs(x1 - x0), abs(y1 - y0))


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_spliced_is_what_whole_pictures_give(data):
    width, height = data.draw(st.integers(1, 100)), data.draw(st.integers(1, 100))
    channels = data.draw(st.sampled_from([1, 3]))
    mcus = -(-width // (8 if channels == 1 else 16))
    interval = data.draw(st.sampled_from(divisors(mcus)))
    quality = data.draw(st.integers(1, 100))
    boxes = data.draw(st.lists(boxes_inside(width, height), max_size=6))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    check(picture(rng, width, height, channels), quality, interval, boxes, rng)


@pytest.mark.parametrize("channels", [1, 3])
def test_every_quality(channels):
    rng = np.random.default_rng(channels)
    width, height = 88, 56  # for 4:2:0 with blocks that the encoder adds at both edges
    boxes = [Box(40, 24, 48, 32), Box(3, 5, 30, 20), Box(0, 0, 88, 56), Box(7, 7, 0, 9)]
    for quality in range(1, 101):
        check(
            picture(rng, width, height, channels), quality, 2 if channels == 3 else 11, boxes, rng
        )


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("width, height", [(w, h) for w in range(33, 49) for h in (32, 39, 40, 47)])
def test_every_remainder_at_the_edges(width, height, channels):
    rng = np.random.default_rng(width * height)
    boxes = [Box(width - 20, height - 20, 20, 20), Box(0, height - 3, 9, 3), Box(0, 0, 20, 20)]
    boxes += [Box(width - 1, 0, 1, height), Box(width - 20, 1, 20, 20)]
    for interval in divisors(-(-width // (8 if channels == 1 else 16))):
        check(picture(rng, width, height, channels), 90, interval, boxes, rng)


@pytest.mark.parametrize("size", [224, 448])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_unit_of_the_usual_sizes(size, channels):
    rng = np.random.default_rng(size)
    width, height = int(0.31 * size), int(0.47 * size)
    boxes = [
        Box(int(rng.integers(0, size - width + 1)), int(rng.integers(0, size - height + 1)),
            width, height)
        for _ in range(40)
    ]  # fmt: skip
    interval = jpeg_splice.best_interval(size, channels)
    check(picture(rng, size, size, channels), 95, interval, boxes, rng)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("width, height", [(96, 64), (90, 70)])
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rows=st.sampled_from([32, 4096]))
def test_what_is_told_to_be_background_is_left_out(channels, width, height, seed, rows):
    rng = np.random.default_rng(seed)
    background = picture(rng, width, height, channels)
    boxes, patches, extents = [], [], []
    for _ in range(5):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        box = Box(x, y, int(rng.integers(1, width - x + 1)), int(rng.integers(1, height - y + 1)))
        # Rows with nothing in them have their first column after the last.
        extent = np.sort(rng.integers(0, box.width + 1, (2, box.height)), axis=0)
        extent[:, rng.random(box.height) < rng.choice([0, 0.5, 1])] = [[box.width], [0]]
        patch = background[y : y + box.height, x : x + box.width].copy()
        columns = np.arange(box.width)
        differs = (columns >= extent[0][:, None]) & (columns < extent[1][:, None])
        patch[differs] = rng.integers(0, 256, patch[differs].shape, dtype=np.uint8)
        boxes.append(box)
        patches.append(patch)
        extents.append(extent)
    for interval in divisors(-(-width // (8 if channels == 1 else 16))):
        prepared = jpeg_splice.prepare(background, 90, interval)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(jpeg_stacks, "STACK_ROWS", rows)
            files = jpeg_splice.encode(prepared, boxes, patches, extents)
        for box, patch, file in zip(boxes, patches, files, strict=True):
            assert file == reference(pasted(background, box, patch), 90, interval)


def test_stacks_are_split_where_they_grow_too_tall(monkeypatch):
    monkeypatch.setattr(jpeg_stacks, "STACK_ROWS", 48)
    rng = np.random.default_rng(0)
    boxes = [Box(int(x), int(y), 20, 30) for x, y in rng.integers(0, 40, (12, 2))]
    check(picture(rng, 64, 80, 3), 90, 2, boxes, rng)


def test_nothing_to_encode_is_the_background():
    background = picture(np.random.default_rng(0), 48, 32, 3)
    prepared = jpeg_splice.prepare(background, 90, 1)
    assert jpeg_splice.encode(prepared, [], []) == []
    empty = np.empty((0, 0, 3), np.uint8)
    (file,) = jpeg_splice.encode(prepared, [Box(5, 5, 0, 0)], [empty])
    assert file == jpeg_splice.encode_whole(background, 90, 1) == reference(background, 90, 1)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("width, height", [(96, 64), (90, 70)])
def test_pictures_that_show_nothing_but_the_background_are_the_background(channels, width, height):
    background = picture(np.random.default_rng(0), width, height, channels)
    boxes = [Box(3, 5, 40, 30), Box(width - 9, height - 9, 9, 9)]
    patches = [background[b.y : b.y + b.height, b.x : b.x + b.width] for b in boxes]
    extents = [np.tile([[b.width], [0]], (1, b.height)) for b in boxes]
    prepared = jpeg_splice.prepare(background, 90, 1)
    expected = [reference(background, 90, 1)] * 2
    assert jpeg_splice.encode(prepared, boxes, patches, extents) == expected


@pytest.mark.parametrize("interval", [0, 2, 4, 500])
def test_an_interval_that_does_not_divide_a_row_is_encoded_whole(interval):
    rng = np.random.default_rng(0)
    background = picture(rng, 48, 32, 3)  # three MCUs a row
    prepared = jpeg_splice.prepare(background, 90, interval)
    assert not prepared.offsets
    box, patch = Box(3, 4, 20, 10), picture(rng, 20, 10, 3)
    files = jpeg_splice.encode(prepared, [box, Box(0, 0, 0, 0)], [patch, patch[:0, :0]])
    assert files[0] == jpeg_splice.encode_whole(pasted(background, box, patch), 90, interval)
    assert files[1] == jpeg_splice.encode_whole(background, 90, interval)


def test_an_encoder_that_ignores_the_interval_is_not_spliced(monkeypatch):
    plain = codec.encode_to_array
    monkeypatch.setattr(
        codec, "encode_to_array", lambda e, image, flags: plain(e, image, flags[:2])
    )
    rng = np.random.default_rng(0)
    background, patch = picture(rng, 64, 64, 3), picture(rng, 10, 10, 3)
    prepared = jpeg_splice.prepare(background, 90, 2)
    assert not prepared.offsets
    (file,) = jpeg_splice.encode(prepared, [Box(1, 1, 10, 10)], [patch])
    whole = pasted(background, Box(1, 1, 10, 10), patch)
    assert file == cv2.imencode(".jpg", whole, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
    # One segment, as there would be with the interval: not what was asked for, all the same.
    assert not jpeg_splice.prepare(background[:16], 90, 4).offsets


def test_an_encoder_that_changes_its_tables_is_noticed(monkeypatch):
    # Optimised Huffman tables fit one picture: segments of another mean nothing beside them.
    plain = codec.encode_to_array
    optimise = (cv2.IMWRITE_JPEG_OPTIMIZE, 1)
    monkeypatch.setattr(
        codec, "encode_to_array", lambda e, image, flags: plain(e, image, (*flags, *optimise))
    )
    rng = np.random.default_rng(0)
    prepared = jpeg_splice.prepare(picture(rng, 64, 64, 3), 90, 2)
    with pytest.raises(ValueError, match="tables"):
        jpeg_splice.encode(prepared, [Box(1, 1, 10, 10)], [np.zeros((10, 10, 3), np.uint8)])


@pytest.mark.parametrize(("given", "noticed"), [(-1, True), (0, False), (3, False), (4, True)])
def test_a_stack_with_other_segments_than_its_runs_is_noticed(given, noticed, monkeypatch):
    # A last row of three may be filled up whole; a whole row more, or one too few, may not be.
    def wrong(grid, boxes, patches, extents):
        pixels = np.zeros((32, 48, 3), np.uint8)  # six segments
        yield jpeg_splice.Stack([0], pixels, [[(0, 6 - given)]])

    background = picture(np.random.default_rng(0), 48, 64, 3)
    prepared = jpeg_splice.prepare(background, 90, 1)
    monkeypatch.setattr(jpeg_splice, "stacks", wrong)

    def encode() -> list[bytes]:
        return jpeg_splice.encode(prepared, [Box(0, 0, 1, 1)], [background[:1, :1]])

    if noticed:
        with pytest.raises(ValueError, match=f"^6 segments in a JPEG that should have {6 - given}"):
            encode()
    else:
        assert len(encode()) == 1


def test_an_encoder_that_changes_its_quality_is_noticed(monkeypatch):
    # What stands before the picture's size, as the tables of a Huffman code stand after it.
    background = picture(np.random.default_rng(0), 64, 64, 3)
    prepared = jpeg_splice.prepare(background, 90, 2)
    plain, lower = cv2.imencode, (cv2.IMWRITE_JPEG_QUALITY, 50)
    monkeypatch.setattr(
        cv2, "imencode", lambda form, image, flags: plain(form, image, flags + lower)
    )
    with pytest.raises(ValueError, match="tables"):
        jpeg_splice.encode(prepared, [Box(1, 1, 10, 10)], [np.zeros((10, 10, 3), np.uint8)])


def test_an_encoder_that_leaves_out_a_segment_is_noticed(monkeypatch):
    background = picture(np.random.default_rng(0), 64, 64, 3)
    prepared = jpeg_splice.prepare(background, 90, 2)
    ends = jpeg_stream.segment_ends
    monkeypatch.setattr(jpeg_stream, "segment_ends", lambda data: ends(data)[:-1])
    with pytest.raises(ValueError, match="3 segments in a JPEG that should have 4"):
        jpeg_splice.encode(prepared, [Box(0, 0, 64, 32)], [np.zeros((32, 64, 3), np.uint8)])


def test_an_encoder_that_fails_is_noticed(monkeypatch):
    monkeypatch.setattr(cv2, "imencode", lambda *_: (False, np.empty(0, np.uint8)))
    with pytest.raises(ValueError, match=r"could not encode a .* of \(4, 5\)"):
        jpeg_splice.encode_whole(np.zeros((4, 5), np.uint8), 90, 1)


@pytest.mark.parametrize(
    ("width", "channels", "interval"),
    [
        # Overlays: MCUs of 16 pixels, segments of 32 at least, or the whole row.
        (1, 3, 1), (16, 3, 1), (17, 3, 2), (32, 3, 2), (48, 3, 3), (64, 3, 2), (80, 3, 5),
        (144, 3, 3), (224, 3, 2), (240, 3, 3), (448, 3, 2),
        # Masks: of 8 pixels, segments of 112 at least.
        (1, 1, 1), (8, 1, 1), (104, 1, 13), (112, 1, 14), (113, 1, 15), (224, 1, 14),
        (240, 1, 15), (256, 1, 16), (448, 1, 14), (520, 1, 65),
    ],
)  # fmt: skip
def test_the_best_interval_is_the_shortest_that_is_long_enough(width, channels, interval):
    assert jpeg_splice.best_interval(width, channels) == interval


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("width", [16, 224, 272, 320, 448, 500, 640])
def test_the_best_interval_divides_a_row(width, channels):
    interval = jpeg_splice.best_interval(width, channels)
    blank = np.zeros((32, width) if channels == 1 else (32, width, 3), np.uint8)
    assert jpeg_splice.prepare(blank, 90, interval).offsets


@pytest.mark.parametrize("channels", [1, 3])
@example(seed=0, quality=95)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), quality=st.integers(1, 100))
def test_pixels_are_those_without_restart_markers(channels, seed, quality):
    rng = np.random.default_rng(seed)
    background, patch = picture(rng, 90, 70, channels), picture(rng, 31, 33, channels)
    box = Box(40, 20, 31, 33)
    prepared = jpeg_splice.prepare(background, quality, 1)
    (file,) = jpeg_splice.encode(prepared, [box], [patch])
    plain = cv2.imencode(
        ".jpg", pasted(background, box, patch), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )[1]
    expected = cv2.imdecode(plain, cv2.IMREAD_UNCHANGED)
    assert np.array_equal(cv2.imdecode(np.frombuffer(file, np.uint8), -1), expected)
    ours, theirs = (np.asarray(Image.open(io.BytesIO(d))) for d in (file, plain.tobytes()))
    assert np.array_equal(ours, theirs)
    # Pillow brings a libjpeg of its own, and the same pixels.
    assert np.array_equal(ours if channels == 1 else ours[..., ::-1], expected)


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 3])
def test_tensorflow_reads_the_same_pixels(channels):
    tf = pytest.importorskip("tensorflow")
    rng = np.random.default_rng(channels)
    background, patch = picture(rng, 90, 70, channels), picture(rng, 31, 33, channels)
    box = Box(40, 20, 31, 33)
    for quality in (50, 95):
        prepared = jpeg_splice.prepare(background, quality, 3)
        (file,) = jpeg_splice.encode(prepared, [box], [patch])
        plain = cv2.imencode(
            ".jpg", pasted(background, box, patch), [cv2.IMWRITE_JPEG_QUALITY, quality]
        )[1].tobytes()
        ours, theirs = (tf.io.decode_jpeg(d).numpy() for d in (file, plain))
        assert np.array_equal(ours, theirs)
        accurate = tf.io.decode_jpeg(file, dct_method="INTEGER_ACCURATE").numpy()
        expected = cv2.imdecode(np.frombuffer(plain, np.uint8), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(
            accurate.squeeze(), expected if channels == 1 else expected[..., ::-1]
        )
