"""The report: its numbers, its warnings, and that it is the same page for the same data set."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from fgbg.pipeline.__main__ import main
from fgbg.transforms.job import job as jobs
from fgbg.transforms.report import charts, looks, page, survey
from tests.helpers.data_sets import make_in_process, tree
from tests.helpers.report_sets import AUTHOR, HOSTILE, Page


@pytest.fixture(scope="module")
def conspicuous(conspicuous_sets) -> Path:
    return conspicuous_sets()


@pytest.fixture(scope="module")
def truncated(small_inputs, tmp_path_factory) -> Path:
    """Many samples that leave a wide picture."""
    options = ("--truncation", "0.4", "--size", "48x32", "--placements", "12")
    return make_in_process(small_inputs, tmp_path_factory.mktemp("truncated") / "set", *options)


def rows_of(output: Path) -> list[dict]:
    return pq.read_table(output / "manifest.parquet").to_pylist()


def survey_of(output: Path) -> survey.Survey:
    job = jobs.read(str(output))
    assert job is not None
    return survey.survey(job, str(output / "manifest.parquet"))


@pytest.mark.parametrize("name", ["conspicuous", "truncated"])
def test_the_numbers_are_those_of_the_manifest(name, request):
    output = request.getfixturevalue(name)
    rows = rows_of(output)
    c = jobs.read(str(output)).configuration
    found = survey_of(output)
    assert found.samples == len(rows)
    cells = found.covered.shape
    covered = np.zeros(cells, int)
    boxes: dict[int, list[tuple[int, int]]] = {}
    for row in rows:
        left, top = max(0, row["canvas_x"]), max(0, row["canvas_y"])
        right = min(c.canvas[0], row["canvas_x"] + row["canvas_width"])
        bottom = min(c.canvas[1], row["canvas_y"] + row["canvas_height"])
        picture = np.zeros((c.canvas[1], c.canvas[0]), np.uint8)
        picture[top:bottom, left:right] = 1
        for y, x in np.ndindex(*cells):
            ys = slice(-(-y * c.canvas[1] // cells[0]), -(-(y + 1) * c.canvas[1] // cells[0]))
            xs = slice(-(-x * c.canvas[0] // cells[1]), -(-(x + 1) * c.canvas[0] // cells[1]))
            covered[y, x] += picture[ys, xs].any()
        if row["mask_area"]:
            boxes.setdefault(row["fg"], []).append((right - left, bottom - top))
    assert (found.covered == covered).all()
    assert found.positions.sum() == len(rows)
    heights = [row["canvas_height"] / c.canvas[1] for row in rows]
    areas = [row["mask_area"] / (c.size[0] * c.size[1]) for row in rows]
    for distribution, values in ((found.height, heights), (found.coverage, areas)):
        assert distribution.counts.sum() == distribution.count == len(rows)
        assert distribution.mean == pytest.approx(np.mean(values))
        assert (distribution.least, distribution.greatest) == (min(values), max(values))
        assert distribution.quantile(0.5) == pytest.approx(
            np.quantile(values, 0.5, method="inverted_cdf"), abs=0.001
        )
    for number in range(1, len(found.per_foreground) + 1):
        masks = [r for r in rows if r["fg"] == number and r["mask_area"]]
        sides = [sum(row[side] for row in masks) for side in ("width", "height")]
        assert found.mask_sides[number - 1].tolist() == sides
        placed = np.sum(boxes.get(number, [(0, 0)]), axis=0)
        assert found.box_sides[number - 1].tolist() == placed.tolist()
        assert found.masks_of_foreground[number - 1] == len(masks)
        of_it = sum(row["fg"] == number for row in rows)
        assert found.per_foreground[number - 1] == of_it
    assert found.per_background.tolist() == [
        sum(row["bg"] == i + 1 for row in rows) for i in range(len(found.per_background))
    ]
    for kind, distribution in found.depth.items():
        values = [row[f"depth_{kind}_m"] for row in rows]
        assert distribution.mean == pytest.approx(np.mean(values))
        assert (distribution.least, distribution.greatest) == (min(values), max(values))


def test_placements_fill_their_room_to_its_corners(small_inputs, tmp_path):
    output = make_in_process(small_inputs, tmp_path / "set", "--placements", "500", "--size", "16")
    positions = survey_of(output).positions
    expected = positions.sum() / positions.size
    assert expected >= 5
    # Even: chi-squared over all cells within five deviations of its mean.
    chi = float(((positions - expected) ** 2 / expected).sum())
    assert abs(chi - positions.size) < 5 * (2 * positions.size) ** 0.5
    assert positions[[0, 0, -1, -1], [0, -1, 0, -1]].min() > 0


def test_the_page_says_what_generation_json_says(conspicuous):
    found = Page(conspicuous / "index.html")
    generation = json.loads((conspicuous / "generation.json").read_text())
    counts = generation["counts"]
    assert found.content["number-samples"] == f"{counts['samples']:,}" == "144"
    assert found.content["number-pictures"] == "432"
    assert found.content["number-units"] == "48"
    assert found.content["number-empty"] == f"{counts['empty_masks']}" == "36"
    assert found.content["number-failed"] == "0"
    files = [p for p in conspicuous.rglob("*.jpg") if re.fullmatch(r"bg\d+", p.parts[-4])]
    size = sum(path.stat().st_size for path in files)
    assert found.content["number-bytes"] == f"{size / 1000:.1f} kB"
    for name, samples in counts["splits"].items():
        backgrounds = sum(b["split"] == name for b in generation["inputs"]["backgrounds"])
        assert f"{name}{backgrounds}{samples}{samples / 144:.1%}" in found.content["made"]
    statistics = generation["statistics"]
    for kind, values in (*statistics["overlay"].items(), ("depth", statistics["depth_m"])):
        assert f"{values['mean']:.4f}" in found.content["statistics"], kind
        assert f"{values['std']:.4f}" in found.content["statistics"], kind
    rows = rows_of(conspicuous)
    coverage = [row["mask_area"] / 64**2 for row in rows]
    assert f"Mean {np.mean(coverage):.3f}" in found.content["chart-coverage"]
    depth = np.mean([row["depth_mean_m"] for row in rows])
    assert f"mean {depth:.2f} m" in found.content["chart-depth-samples"]
    corner = sum(row["canvas_x"] < 4 and row["canvas_y"] < 4 for row in rows) / len(rows)
    assert f"{corner:.2%}, " in found.content["chart-covered"]


def test_every_sample_shown_is_what_is_stored(conspicuous):
    found = Page(conspicuous / "index.html")
    rows = {row["key"]: row for row in rows_of(conspicuous)}
    cards = found.by_tag["article"]
    assert len(cards) == 24
    keys = [re.match(r"bg\d+/fg_\d+/\d+", card)[0] for card in cards]
    assert {rows[key]["bg"] for key in keys} == {1, 2, 3, 4, 5, 6}
    pictures = [a for a in found.of("img") if a.get("width") == "224"]
    assert len(pictures) == 4 * 24 and all(a["alt"] for a in found.of("img"))
    for i, (key, card) in enumerate(zip(keys, cards, strict=True)):
        row = rows[key]
        for text in (
            f"split{row['split']}",
            f"box{row['width']} x {row['height']} at {row['x']}, {row['y']}",
            f"area{row['mask_area']:,} pixels",
            f"{row['depth_min_m']:.2f} / {row['depth_mean_m']:.2f} / {row['depth_max_m']:.2f} m",
        ):
            assert text in card, key
        shown = [decode(a["src"]) for a in pictures[4 * i : 4 * i + 4]]
        assert np.count_nonzero(shown[1]) == row["mask_area"]
        stored = cv2.imread(str(conspicuous / row["overlay"]))
        assert (shown[0] == stored).all()
        grey = cv2.imread(str(conspicuous / row["depth"]), cv2.IMREAD_GRAYSCALE)
        # The same picture on another scale.
        assert np.corrcoef(shown[2].ravel(), grey.ravel())[0, 1] > 0.9


def decode(address: str) -> np.ndarray:
    import base64

    data = base64.b64decode(address.partition("base64,")[2])
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


def test_warnings_name_what_is_conspicuous(conspicuous):
    warnings = Page(conspicuous / "index.html").content["warnings"]
    for text in (
        "36 masks are empty",
        "faint.png (36)",
        "Near-blank backgrounds, with next to nothing to see on them: wall.png.",
        "The same file several times among the backgrounds: hall.png, same_hall.png.",
        "These backgrounds look alike, scaled or saved again perhaps: room.png, room_large.png.",
        "One scene in several splits",
        "depth is flat over the foreground",
        "room.png (CC BY-ND 4.0)",
    ):
        assert text in warnings
    assert re.search(r"that it spans: speck\.png \((2|3)\d% x (2|3)\d%\)\.", warnings)
    flat = re.search(r"as if its shape were not seen: ([^.]*)", warnings)[1]
    numbers = {f["file"]: f["number"] for f in generation_of(conspicuous)["inputs"]["foregrounds"]}
    assert f"/fg_{numbers['plain.png']}/" in flat
    assert f"/fg_{numbers['ball.png']}/" not in flat


def generation_of(output: Path) -> dict:
    return json.loads((output / "generation.json").read_text())


def test_without_anything_conspicuous_it_says_so(small_inputs, tmp_path):
    output = make_in_process(small_inputs, tmp_path / "set", "--splits", "train=1")
    warnings = Page(output / "index.html").content["warnings"]
    assert warnings.startswith("Warnings (0)Nothing conspicuous.")


def test_failures_and_missing_pictures_are_told(small_data_set, tmp_path):
    output = tmp_path / "set"
    shutil.copytree(small_data_set, output)
    shutil.rmtree(output / "bg1")
    generation = generation_of(output)
    generation["counts"] |= {"units_failed": 2, "units": 10, "samples_planned": 42}
    (output / "backgrounds" / "bg2.jpg").unlink()
    job = jobs.read(str(output))
    assert job is not None
    page.write(str(output), job, generation)
    found = Page(output / "index.html")
    warnings = found.content["warnings"]
    assert "2 of 12 work units failed" in warnings
    assert "6 of 42 samples are missing" in warnings
    assert "12 of 36 samples looked at cannot be read back" in warnings
    assert "Inputs that cannot be read back: backgrounds/bg2.jpg" in warnings
    assert found.content["number-failed"] == "2"


def test_names_from_elsewhere_are_text(conspicuous):
    found = Page(conspicuous / "index.html")
    assert "script" not in found.by_tag
    assert all(a["src"].startswith("data:image/") for a in found.of("img"))
    assert not any(name.startswith("on") for _, a in found.elements for name in a)
    inputs_listed = found.content["inputs"]
    assert HOSTILE in inputs_listed and AUTHOR in inputs_listed
    assert "javascript:alert(2)" in inputs_listed
    links = [a["href"] for a in found.of("a")]
    assert "https://example.org/a?b=1&c=<d>" in links
    assert not any(link.startswith("javascript") for link in links)


@pytest.mark.parametrize("name", ["conspicuous", "truncated", "small_data_set"])
def test_the_page_needs_nothing_else(name, request):
    found = Page(request.getfixturevalue(name) / "index.html")
    for tag, attributes in found.elements:
        for attribute in ("src", "href", "data", "srcset", "action"):
            value = attributes.get(attribute)
            if value and tag != "a":
                assert value.startswith(("data:", "#")), (tag, value)
    style = found.by_tag["style"]
    assert len(style) == 1 and "url(" not in style[0] and "@import" not in style[0]
    identifiers = [a["id"] for _, a in found.elements if a.get("id")]
    assert len(identifiers) == len(set(identifiers))
    charts = found.of("svg")
    assert sum("viewbox" in a or "viewBox" in a for a in charts) == len(charts)
    assert found.text.count('class="chart"') == (9 if name == "conspicuous" else 7)
    headings = [int(tag[1]) for tag, _ in found.elements if re.fullmatch(r"h\d", tag)]
    assert headings[0] == 1 and headings.count(1) == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(headings))


def test_fgbg_report_makes_the_same_page_again(conspicuous, tmp_path, capsys, monkeypatch):
    # Drawn anew, not kept from when the set was made.
    monkeypatch.setattr(charts, "all_charts", inspect.unwrap(charts.all_charts))
    output = tmp_path / "set"
    shutil.copytree(conspicuous, output)
    (output / "index.html").unlink()
    assert main(["report", str(output)]) == 0
    assert capsys.readouterr().out == f"Open {output}/index.html\n"
    made = tree(output)
    assert made["index.html"] == tree(conspicuous)["index.html"]
    assert (output / "index.html").read_bytes() == (conspicuous / "index.html").read_bytes()
    assert set(made) == set(tree(conspicuous))


@pytest.mark.parametrize("what", ["nothing", "folder", "unfinished", "damaged"])
def test_anything_else_than_a_finished_data_set_is_refused(what, small_data_set, tmp_path, capsys):
    output = tmp_path / "set"
    if what == "folder":
        output.mkdir()
        (output / "photo.txt").write_text("mine")
    elif what != "nothing":
        shutil.copytree(small_data_set, output)
        if what == "unfinished":
            (output / "generation.json").unlink()
        else:
            (output / "manifest.parquet").write_bytes(b"PAR1")
    before = tree(output)
    assert main(["report", str(output)]) == 2
    error = capsys.readouterr().err
    expected = {"unfinished": "not finished", "damaged": "cannot be read"}
    assert expected.get(what, "no data set of fgbg") in error
    assert tree(output) == before


def test_time_and_rate_are_those_of_the_runs(small_inputs, tmp_path, capsys, in_process):
    from tests.helpers.data_sets import arguments

    output = tmp_path / "set"
    assert main(arguments(small_inputs, output)) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"Open {output}/index.html"
    (run,) = generation_of(output)["timings"]["runs"]
    text = Page(output / "index.html").content["timings"]
    assert f"{run['samples']}" in text and f"{run['samples'] / run['wall_s']:,.0f}" in text
    assert main(arguments(small_inputs, output)) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"Open {output}/index.html"


def test_every_page_says_how_a_set_on_cloud_storage_is_fetched(conspicuous, small_data_set):
    for output in (conspicuous, small_data_set):
        loading = Page(output / "index.html").content["loading"]
        assert "gcloud storage cp -r gs://" in loading


def test_columns_of_nothing_are_left_out(conspicuous, small_data_set):
    with_sources = Page(conspicuous / "index.html").by_tag["th"]
    assert {"file", "author", "licence", "page"} <= set(with_sources)
    without = Page(small_data_set / "index.html").by_tag["th"]
    assert "file" in without and not {"author", "page"} & set(without)


def test_the_legend_of_depth_says_that_there_is_more(conspicuous):
    job = jobs.read(str(conspicuous))
    assert job is not None
    found = looks.look(str(conspicuous), job, str(conspicuous / "manifest.parquet"))
    for beyond in (True, False):
        legend = page._depth_legend(dataclasses.replace(found, depth_beyond=beyond))
        assert ("and more" in legend) == beyond
