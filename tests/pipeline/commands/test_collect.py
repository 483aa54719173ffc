"""`fgbg collect` end to end, over HTTP on the loopback."""

from __future__ import annotations

import hashlib
import io
import zlib

import numpy as np
import pytest
from PIL import Image

from fgbg.pipeline.__main__ import main
from tests.helpers import png_files
from tests.helpers.collect_runs import (
    command,
    contents,
    list_command,
    pictures,
    rows,
    search_command,
)
from tests.helpers.data_sets import fgbg
from tests.helpers.picture_service import (
    Service,
    body,
    drip,
    endless,
    google,
    gzip_bomb,
    in_json,
    openverse,
    photo_bytes,
    script,
    status,
)


@pytest.fixture
def service():
    made = Service()
    yield made
    made.shutdown()
    made.server_close()


def test_topics_to_a_folder_that_generate_takes(service, tmp_path, small_inputs, capsys):
    service.paths["/v1/images/"] = openverse(service.url, 60)
    output = tmp_path / "rooms"
    assert main(search_command(service, output, "kitchen", "living room", "--count", "9")) == 0
    assert pictures(output) == [
        *(f"kitchen_{i:04d}.jpg" for i in range(1, 6)),
        *(f"living_room_{i:04d}.jpg" for i in range(1, 5)),
    ]
    sources = rows(output / "sources.csv")
    assert [row["file"] for row in sources] == pictures(output)
    for row in sources:
        data = (output / row["file"]).read_bytes()
        assert row["sha256"] == hashlib.sha256(data).hexdigest()
        size = Image.open(io.BytesIO(data)).size
        assert (int(row["width"]), int(row["height"])) == size == (96, 72)
        assert row["licence"] == "CC BY 4.0" and row["author"].startswith("Author")
        assert row["provider"] == "openverse" and row["page"].startswith(service.url)
        assert row["fetched"].startswith("20") and row["fetched"].endswith("Z")
        original = photo_bytes(int(row["image_url"].rpartition("/")[2][:-4]))
        expected = np.array(Image.open(io.BytesIO(original)), float)
        assert np.abs(np.array(Image.open(io.BytesIO(data)), float) - expected).mean() < 3
    assert "9 of 9 pictures" in capsys.readouterr().out
    assert (output / "PlotImages" / "contact.png").stat().st_size > 10_000
    assert service.counts()["/v1/images/"] == 2  # one page each
    result = fgbg(
        *("generate", "--backgrounds", str(output), "--foregrounds", str(small_inputs / "fg")),
        *("--output", str(tmp_path / "set"), "--size", "32", "--placements", "1", "--plan"),
        *("--depth_model", "none"),
    )
    assert result.returncode == 0, result.stderr
    assert "9 backgrounds" in result.stdout + result.stderr


def test_the_same_command_again_asks_for_nothing(service, tmp_path):
    service.paths["/v1/images/"] = openverse(service.url, 60)
    asked = search_command(service, tmp_path / "out", "kitchen", "--count", "5")
    assert main(asked) == 0
    before, requests = contents(tmp_path / "out"), len(service.asked)
    assert main(asked) == 0
    assert contents(tmp_path / "out") == before and len(service.asked) == requests


def test_more_are_added_and_nothing_is_fetched_twice(service, tmp_path):
    service.paths["/v1/images/"] = openverse(service.url, 60)
    output = tmp_path / "out"
    for count in (4, 18):
        assert main(search_command(service, output, "kitchen", "--count", str(count))) == 0
        assert len(pictures(output)) == count
    counts = service.counts()
    assert counts.pop("/v1/images/") in (1, 2)
    assert set(counts.values()) == {1}
    direct = tmp_path / "direct"
    assert main(search_command(service, direct, "kitchen", "--count", "18")) == 0
    assert pictures(direct) == pictures(output)


def test_pictures_deleted_by_hand_are_replaced_by_others(service, tmp_path):
    service.paths["/v1/images/"] = openverse(service.url, 60)
    output = tmp_path / "out"
    asked = search_command(service, output, "kitchen", "--count", "6")
    assert main(asked) == 0
    old = {row["file"]: row["sha256"] for row in rows(output / "sources.csv")}
    (output / "kitchen_0002.jpg").unlink()
    assert main(asked) == 0
    new = {row["file"]: row["sha256"] for row in rows(output / "sources.csv")}
    assert set(new) - set(old) == {"kitchen_0007.jpg"}
    assert old["kitchen_0002.jpg"] not in new.values()
    reasons = [row["reason"] for row in rows(output / "rejected.csv")]
    assert reasons == ["removed by hand: kitchen_0002.jpg"]


BAD = {
    "/html.jpg": (body(b"<!doctype html><html>no</html>"), "an HTML page, not a picture"),
    "/cut.jpg": (body(photo_bytes(50)[:1200]), "damaged or truncated"),
    "/empty.jpg": (body(b""), "an empty body"),
    "/gone.jpg": (status(404), "the server answered 404"),
    "/forbidden.jpg": (status(403), "the server answered 403"),
    "/unnamed.jpg": (status(403, b"Please comply with our User-Agent policy"), "give --contact"),
    "/down.jpg": (status(503), "the server answered 503"),
    "/drip.jpg": (drip, "not finished within 1 s"),
    "/endless.jpg": (endless, "larger than 300,000 bytes"),
    "/bomb.jpg": (gzip_bomb(), "larger than 300,000 bytes when decompressed"),
    "/small.jpg": (body(photo_bytes(51, 60, 60)), "too small: 60x60"),
    "/wide.jpg": (body(photo_bytes(52, 400, 70)), "wrong aspect: 400x70"),
    "/blank.jpg": (body(b""), "blank"),
    "/same.jpg": (body(photo_bytes(1, 190, 143, quality=60)), "nearly the same as list_0001.jpg"),
    "/local.jpg": (status(302, Location="file:///etc/passwd"), "only http and https"),
    "/loop.jpg": (status(302, Location="/loop.jpg"), "more than 5 redirects"),
    "ftp://example.test/a.jpg": (None, "only http and https"),
}


def test_every_bad_picture_is_left_out_with_its_reason(service, tmp_path, capsys):
    blank = io.BytesIO()
    Image.new("RGB", (100, 100), "grey").save(blank, "JPEG")
    for path, (step, _) in BAD.items():
        if step is not None:
            service.paths[path] = step
    service.paths["/blank.jpg"] = body(blank.getvalue())
    service.paths["/odd"] = body(photo_bytes(3), "text/plain")
    service.paths["/moved"] = status(301, Location="/photo/4.jpg")
    service.paths["/alpha"] = body(cutout(5), "image/png")
    service.paths["/shaky"] = script(status(500), body(photo_bytes(6)))
    good = ["/photo/1.jpg", "/odd", "/moved", "/alpha", "/shaky"]
    output = tmp_path / "out"
    more = ["--aspect", "0.5,2", "--timeout", "1", "--tries", "2", "--max_megabytes", "0.3"]
    more += ["--per_host", "8"]
    asked = list_command(service, output, [good[0], *BAD, *good[1:]], *more)
    assert main(asked) == 1
    assert pictures(output) == [
        *("list_0001.jpg", "list_0002.jpg", "list_0003.jpg", "list_0004.png", "list_0005.jpg")
    ]
    reasons = {row["image_url"]: row["reason"] for row in rows(output / "rejected.csv")}
    assert len(reasons) == len(BAD)
    for path, (_, words) in BAD.items():
        address = path if path.startswith("ftp") else service.url + path
        assert words in reasons[address], path
    said = capsys.readouterr()
    assert "5 of 22 pictures" in said.out and "17 left out" in said.out
    # Again: what may pass is tried again, what cannot is not.
    before = service.counts()
    service.paths["/down.jpg"] = body(photo_bytes(60))
    assert main(asked) == 1
    after = service.counts()
    again = {path for path in after if after[path] > before[path]}
    assert again == {"/down.jpg", "/drip.jpg"}
    assert "list_0006.jpg" in pictures(output)


def cutout(seed: int) -> bytes:
    image = Image.open(io.BytesIO(photo_bytes(seed))).convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 30, 30))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def test_a_profile_that_is_not_used_is_said(service, tmp_path, capsys):
    output = tmp_path / "out"
    service.paths["/broken.png"] = body(photo_bytes(7, kind="PNG", icc_profile=b"rubbish" * 9))
    text = png_files.chunk(b"zTXt", b"prompt\0\0" + zlib.compress(bytes(9 << 20)))
    whole = photo_bytes(8, kind="PNG")
    service.paths["/text.png"] = body(whole[:33] + text + whole[33:])
    asked = list_command(service, output, ["/broken.png", "/photo/1.jpg", "/text.png"])
    assert main(asked) == 0
    words = f"Warning: {output}/list_0001.jpg: its colour profile is broken"
    said = capsys.readouterr().err
    assert words in said and said.count("Warning") == 1 and len(pictures(output)) == 3
    assert main(asked) == 0
    assert words in capsys.readouterr().err


def test_private_addresses_are_refused_unless_allowed(service, tmp_path):
    output = tmp_path / "out"
    asked = list_command(service, output, ["/photo/1.jpg", "/photo/2.jpg"])
    asked.remove("--allow_private_addresses")
    assert main(asked) == 1
    assert service.asked == [] and pictures(output) == []
    for row in rows(output / "rejected.csv"):
        assert "127.0.0.1, which is not an address of the public Internet" in row["reason"]


def test_near_duplicates_across_topics_and_with_what_is_there(service, tmp_path):
    output = tmp_path / "out"
    output.mkdir()
    mine = Image.open(io.BytesIO(photo_bytes(2))).resize((300, 225), Image.Resampling.BICUBIC)
    mine.save(output / "mine.png")
    (output / "notes.txt").write_text("not a picture")
    (output / "broken.jpg").write_bytes(b"nothing")
    first, second = tmp_path / "first.txt", tmp_path / "second.txt"
    first.write_text(f"{service.url}/photo/1.jpg\n{service.url}/photo/2.jpg\n")
    service.paths["/again.png"] = body(photo_bytes(1, 200, 150, kind="PNG"))
    second.write_text(
        f"{service.url}/again.png\n{service.url}/photo/3.jpg\n{service.url}/photo/1.jpg"
    )
    asked = command(service, output, str(first), str(second), "--provider", "urls")
    assert main(asked) == 1
    assert pictures(output) == ["broken.jpg", "first_0001.jpg", "mine.png", "second_0001.jpg"]
    reasons = {
        r["image_url"].rpartition("/")[2]: r["reason"] for r in rows(output / "rejected.csv")
    }
    assert reasons == {
        "2.jpg": "nearly the same as mine.png",
        "again.png": "nearly the same as first_0001.jpg",
    }
    assert service.counts()["/photo/1.jpg"] == 1


def test_earlier_sources_collect_the_same_again(service, tmp_path):
    service.paths["/v1/images/"] = openverse(service.url, 60)
    first, second = tmp_path / "first", tmp_path / "second"
    assert main(search_command(service, first, "kitchen", "garden", "--count", "6")) == 0
    sources = first / "sources.csv"
    assert main(command(service, second, str(sources), "--provider", "urls")) == 0
    assert contents(first) == contents(second)


def test_one_topic_fills_up_what_another_cannot_give(service, tmp_path):
    few, many = openverse(service.url, 3), openverse(service.url, 60)
    service.paths["/v1/images/"] = lambda handler: (
        few if handler.query()["q"] == "rare" else many
    )(handler)
    output = tmp_path / "out"
    assert main(search_command(service, output, "rare", "common", "--count", "20")) == 0
    names = pictures(output)
    assert len(names) == 20 and sum(name.startswith("rare") for name in names) == 3


def test_fewer_than_asked_for(service, tmp_path, capsys):
    service.paths["/v1/images/"] = openverse(service.url, 7)
    assert main(search_command(service, tmp_path / "out", "rare", "--count", "20")) == 1
    said = capsys.readouterr()
    assert "7 of 20 pictures" in said.out and "13 fewer than asked for" in said.err


def test_what_is_said_to_be_too_small_is_not_downloaded(service, tmp_path):
    service.paths["/v1/images/"] = openverse(service.url, 5)
    output = tmp_path / "out"
    assert main(search_command(service, output, "tiny", "--min_side", "100")) == 1
    assert list(service.counts()) == ["/v1/images/"]
    assert all("not downloaded" in row["reason"] for row in rows(output / "rejected.csv"))
    # Other checks look at them again.
    assert main(search_command(service, output, "tiny", "--min_side", "50", "--count", "5")) == 0
    assert len(pictures(output)) == 5


def test_a_used_up_quota_keeps_what_is_there_and_goes_on_later(service, tmp_path, capsys):
    answering = openverse(service.url, 60)
    refusing = status(429, in_json({"detail": "Request was throttled."}), Retry_After="9000")
    service.paths["/v1/images/"] = script(answering, refusing)
    output = tmp_path / "out"
    asked = search_command(service, output, "kitchen", "--count", "25")
    assert main(asked) == 1
    assert len(pictures(output)) == 20
    assert "goes on in 9,000 s" in capsys.readouterr().err
    service.paths["/v1/images/"] = answering
    assert main(asked) == 0
    assert len(pictures(output)) == 25
    counts = service.counts()
    assert counts.pop("/v1/images/") == 3 and set(counts.values()) == {1}


def test_no_file_and_no_line_shows_a_key(service, tmp_path, monkeypatch, capfd):
    key = "s3cret/key+1"
    service.paths["/api"] = google(service.url, 8, key)
    output = tmp_path / "out"
    more = ("--provider", "google", "--base_url", f"{service.url}/api", "--count", "10")
    monkeypatch.setenv("GOOGLE_CSE_ID", "engine-9")
    said = []
    for topic, given in (("kitchen", key), ("bath", key + "wrong")):
        monkeypatch.setenv("GOOGLE_API_KEY", given)
        assert main(command(service, output, topic, *more)) == 1
        said += capfd.readouterr()
    assert "8 of 10 pictures" in said[0] and "check GOOGLE_API_KEY" in said[3]
    said += [p.read_bytes().decode("latin-1") for p in output.rglob("*") if p.is_file()]
    for text in said:
        assert "s3cret" not in text and "engine-9" not in text
    monkeypatch.delenv("GOOGLE_API_KEY")
    assert main(command(service, output, "kitchen", *more)) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--output", "x"], "required: TOPIC"),
        (["a", "--output", "x", "--provider", "bing"], "invalid choice"),
        (["a", "--output", "x", "--aspect", "2,1"], "0 < MIN <= MAX"),
        (["a", "--output", "x", "--cuont", "2"], "did you mean --count?"),
        (["a", "--output", "x", "--api_key", "k"], "unknown option --api_key"),
        (["a", "--output", "x", "--base_url", "file:///x"], "not an http or https address"),
        (["a", "--output", "x", "--contact", "a\nb"], "only ASCII"),
        (["a", "--output", "x", "--provider", "serpapi"], "needs SERPAPI_API_KEY"),
        (["none.txt", "--output", "x", "--provider", "urls"], "none.txt: cannot be read"),
        ([" ", "--output", "x"], "an empty TOPIC"),
        (["a", "--output", "file"], "a file, not a folder"),
        (["a", "--output", "set"], "holds a data set of fgbg"),
    ],
)
def test_wrong_use(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SERPAPI_API_KEY", raising=False)
    (tmp_path / "file").write_text("")
    (tmp_path / "set" / "_work").mkdir(parents=True)
    (tmp_path / "set" / "_work" / "job.json").write_text("{}")
    try:
        code: object = main(["collect", *arguments])
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "x").exists()
