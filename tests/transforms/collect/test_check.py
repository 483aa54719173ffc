"""What is a picture to be kept; perceptual hashes, measured; the choice as plain functions."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from fgbg.transforms.collect.candidate import GOOD, Candidate, Checks, Found, Query, Record
from fgbg.transforms.collect.check import Gallery, check, perceptual_hashes
from fgbg.transforms.collect.choose import choose, results_wanted, slug, targets
from fgbg.transforms.collect.contact_sheet import sheet, write_contact_sheets
from fgbg.transforms.collect.state import Chosen
from fgbg.transforms.pixels.pictures import PictureError
from tests.helpers.picture_service import photo_bytes

SMALL = Checks(min_side=32)


def encoded(image: Image.Image, kind: str = "PNG", **save) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **save)
    return buffer.getvalue()


def rejection(data: bytes, checks: Checks = SMALL, content_type: str = "") -> str:
    with pytest.raises(PictureError) as raised:
        check(data, checks, content_type)
    return str(raised.value)


def bits(hashes, others) -> tuple[int, int]:
    """Bits that differ, of the hash by frequency and of that by gradient."""
    frequency, gradient = (
        (int(a, 16) ^ int(b, 16)).bit_count() for a, b in zip(hashes[:2], others)
    )
    return frequency, gradient


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "an empty body"),
        (b"<!DOCTYPE html><html>404</html>", "an HTML page, not a picture"),
        (b"\n  <html><body>blocked</body>", "an HTML page"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "a drawing or XML"),
        (b"GIF89a", "not a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),
        (photo_bytes(1)[:900], "damaged or truncated"),
        (photo_bytes(1, kind="PNG")[:-200], "damaged or truncated"),
    ],
)
def test_what_is_no_whole_picture(data, words):
    assert words in rejection(data)


def test_the_server_is_not_believed_but_quoted():
    assert check(photo_bytes(1), SMALL, "text/html").ending == "jpg"
    assert "(the server called it 'image/jpeg')" in rejection(b"<html>", SMALL, "image/jpeg")


def test_programs_are_not_started_for_postscript(monkeypatch):
    from PIL import EpsImagePlugin

    def started(*arguments, **named):
        raise AssertionError("a program would have been started")

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", started)
    eps = encoded(Image.new("RGB", (64, 64), "red"), "EPS")
    assert "not a picture" in rejection(eps)


def test_sizes_aspects_and_pixels():
    wide = photo_bytes(1, 200, 50)
    assert "too small: 200x50" in rejection(wide, Checks(min_side=51))
    assert "wrong aspect: 200x50 is 4.00" in rejection(wide, Checks(min_side=50, aspect=(1, 2)))
    assert check(wide, Checks(min_side=50, aspect=(1, 4))).width == 200
    assert "more than 9,999 pixels" in rejection(wide, Checks(min_side=50, max_pixels=9_999))


def test_a_decompression_bomb_is_not_decoded():
    """A PNG of 30,000 x 30,000 in its header: 2.7 GB if anything decoded it."""
    import struct
    import zlib

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b""))
    assert "more than 64,000,000 pixels" in rejection(data)


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_blank_pictures(grey):
    noise = np.random.default_rng(1).normal(grey, 2, (80, 100, 3))
    image = Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8))
    assert "blank" in rejection(encoded(image, "JPEG"))
    captioned = np.full((300, 400, 3), grey, np.uint8)
    cv2.putText(captioned, "no image", (160, 150), 0, 0.4, (90, 60, 200), 1)
    assert "blank" in rejection(encoded(Image.fromarray(captioned)))


def test_dim_and_single_coloured_photos_are_not_blank():
    ramp = np.linspace(100, 140, 100)[None, :, None].repeat(80, 0).repeat(3, 2)
    assert check(encoded(Image.fromarray(ramp.astype(np.uint8))), SMALL).width == 100
    # Equal in grey, different in colour.
    colours = np.zeros((80, 100, 3), np.uint8)
    colours[:, :50], colours[:, 50:] = (200, 60, 60), (60, 131, 60)
    assert check(encoded(Image.fromarray(colours)), SMALL).width == 100


def test_transparency_is_kept_as_png_and_opaque_alpha_dropped():
    image = Image.open(io.BytesIO(photo_bytes(3))).convert("RGBA")
    assert check(encoded(image), SMALL).ending == "jpg"
    image.putpixel((0, 0), (0, 0, 0, 0))
    kept = check(encoded(image), SMALL)
    assert kept.ending == "png"
    again = np.array(Image.open(io.BytesIO(kept.encoded)))
    assert np.array_equal(again, np.array(image))
    invisible = Image.new("RGBA", (64, 64), (1, 2, 3, 0))
    assert "transparent everywhere" in rejection(encoded(invisible))


def test_orientation_is_applied_and_metadata_dropped():
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees to the right
    exif[0x010E] = "secret place"
    data = photo_bytes(4, 120, 80, exif=exif.tobytes(), comment=b"secret comment")
    assert b"secret" in data
    kept = check(data + b"secret appendix", SMALL)
    assert (kept.width, kept.height) == (80, 120)
    assert b"secret" not in kept.encoded
    stored = Image.open(io.BytesIO(kept.encoded))
    assert stored.size == (80, 120) and not dict(stored.getexif())
    expected = Image.open(io.BytesIO(data)).transpose(Image.Transpose.ROTATE_270)
    difference = np.abs(np.array(stored, float) - np.array(expected, float))
    assert difference.mean() < 2


def test_hashes_tell_the_same_from_different(shared_data):
    """On real photos: what thresholds must lie between, with room on both sides."""
    paths = sorted((shared_data / "bg").glob("*.*"))[:60]
    photos = [np.array(Image.open(p).convert("RGB").resize((640, 480))) for p in paths]
    hashes = [perceptual_hashes(photo) for photo in photos]
    gallery = Gallery()
    gallery_hashes = dict(zip((path.name for path in paths), hashes))
    for name, own in gallery_hashes.items():
        gallery.add(name, own)
    for i in range(len(hashes)):
        for j in range(i):
            dct, gradient = bits(hashes[i], hashes[j])
            assert max(dct - 10, gradient - 12) > 2, (paths[i].name, paths[j].name)
    for path, photo in zip(paths, photos):
        small = cv2.resize(photo, (237, 178), interpolation=cv2.INTER_AREA)
        jpeg = Image.open(io.BytesIO(encoded(Image.fromarray(small), "JPEG", quality=35)))
        again = perceptual_hashes(np.array(jpeg))
        assert gallery.like(again) == path.name
        dct, gradient = bits(again, gallery_hashes[path.name])
        assert dct <= 8 and gradient <= 8
        bright = np.clip(photo * 0.9 + 12, 0, 255).astype(np.uint8)
        assert gallery.like(perceptual_hashes(bright)) == path.name


def test_the_same_thing_in_another_colour_is_another_picture():
    red, blue = (np.full((100, 100, 4), 255, np.uint8) for _ in range(2))
    alpha = np.zeros((100, 100), np.uint8)
    cv2.circle(alpha, (50, 50), 40, 255, -1)
    red[..., :3], blue[..., :3] = (200, 60, 60), (60, 105, 220)  # equal in grey
    red[..., 3] = blue[..., 3] = alpha
    gallery = Gallery()
    gallery.add("red", perceptual_hashes(red))
    assert gallery.like(perceptual_hashes(blue)) is None
    assert gallery.like(perceptual_hashes(cv2.resize(red, (70, 70)))) == "red"


@pytest.mark.parametrize(
    ("count", "have", "ended", "expected"),
    [
        (10, [0], [False], [10]),
        (10, [0, 0, 0], [False] * 3, [4, 3, 3]),
        (10, [0, 2, 0], [False, True, False], [4, 2, 4]),
        (10, [9, 0, 0], [False] * 3, [9, 1, 0]),
        (10, [3, 3, 4], [False] * 3, [3, 3, 4]),
        (10, [20, 0], [False, False], [20, 0]),
        (5, [1, 2], [True, True], [1, 2]),
    ],
)
def test_topics_share_the_count(count, have, ended, expected):
    assert targets(count, have, ended) == expected


def test_more_results_are_looked_at_where_few_are_good():
    assert results_wanted(0, 5, 10) == 0
    assert results_wanted(30, 0, 0) == 40
    assert results_wanted(30, 5, 10) == 60
    assert results_wanted(30, 0, 50) == 120


def test_slugs():
    assert slug("Red  Apple!") == "red_apple"
    assert slug("Café à la crème") == "cafe_a_la_creme"
    assert slug("../../etc/passwd") == "etc_passwd"
    assert slug("台所").startswith("topic_") and slug("台所") != slug("庭")
    assert len(slug("x" * 300)) == 40


def record(search: str, rank: int, seed: int) -> Record:
    candidate = Candidate(search, "urls", f"http://example.com/{search}/{rank}")
    image = np.array(Image.open(io.BytesIO(photo_bytes(seed))))
    return Record(
        Found(0, search, rank, candidate), GOOD, "", ending="jpg", hashes=perceptual_hashes(image)
    )


def test_the_choice_depends_on_ranks_and_not_on_the_order_of_records():
    queries = [Query(0, "a", "a", 10), Query(1, "b", "b", 10)]
    records = [record("a", i, i) for i in range(6)] + [record("b", i, 100 + i) for i in range(6)]
    records[7] = dataclasses.replace(records[7], hashes=records[1].hashes)  # b's 1 is a's 1
    results = []
    for ordered in (records, records[::-1]):
        chosen = Chosen()
        choose(chosen, ordered, queries, [3, 2], Gallery(), ["a_0002.png"])
        results.append(chosen)
    assert results[0] == results[1]
    assert [named.file for named in results[0].named] == [
        *("a_0001.jpg", "b_0001.jpg", "a_0003.jpg", "a_0004.jpg", "b_0002.jpg")
    ]
    assert results[0].duplicates == {records[7].key: "a_0003.jpg"}


def test_the_sheet_shows_every_picture_in_its_cell(tmp_path):
    files = []
    for i in range(10):
        colour = (25 * i, 200, 255 - 20 * i)
        Image.new("RGB", (300, 200), colour).save(tmp_path / f"p_{i:04d}.png")
        files.append(f"p_{i:04d}.png")
    (tmp_path / "broken.jpg").write_bytes(b"nothing")
    drawn = sheet(str(tmp_path), [*files, "broken.jpg"])
    for i in range(10):
        x, y = i % 8 * 176 + 88, i // 8 * 152 + 60
        assert np.abs(drawn[y, x].astype(int) - (255 - 20 * i, 200, 25 * i)).max() <= 1


def test_many_pictures_take_several_sheets(tmp_path):
    Image.new("RGB", (30, 20), "red").save(tmp_path / "p.png")
    written = write_contact_sheets(str(tmp_path), ["p.png"] * 97)
    assert [Path(path).name for path in written] == ["contact.png", "contact_2.png"]
    assert len(write_contact_sheets(str(tmp_path), ["p.png"])) == 1
    assert [path.name for path in (tmp_path / "PlotImages").iterdir()] == ["contact.png"]
