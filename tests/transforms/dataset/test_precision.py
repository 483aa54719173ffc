"""What 8-bit depth loses is said in numbers, once in each place."""

from __future__ import annotations

import csv
import json
import re
import shutil
from typing import Any

import numpy as np
import pytest

from fgbg.pipeline.__main__ import main
from fgbg.transforms.dataset import precision
from fgbg.transforms.dataset.precision import Levels
from tests.helpers.data_sets import arguments

LOSS = re.compile(
    r"8-bit depth is in steps of 39\.2 mm over 10 m, and half of the maps have at most (\d+) grey "
    r"levels; --depth_format png16 keeps millimetres\."
)


def test_levels_are_counted_without_keeping_them():
    levels = Levels()
    assert levels.median() is None
    levels.add(10.0, [], [])
    levels.add(10.0, [0, 1000], [10_000, 1000])
    more = Levels()
    more.add(10.0, [2000], [2000 + 36 * 10_000 // 255])
    levels.merge(more)
    assert levels.median() == 37
    levels.add(10.0, [0] * 9, [50_000] * 9)  # beyond the range: cut off
    assert levels.median() == 256


def test_nothing_is_said_where_nothing_is_lost_and_old_sets_are_read():
    assert precision.remarks(None) == precision.remarks({"format": "png16"}) == ""
    old = {"format": "jpg", "metres_per_level": 10 / 255, "range_m": 10.0}
    assert "steps of 39.2 mm over 10 m; --depth" in precision.remarks(old)


@pytest.mark.parametrize("depth_format", ["jpg", "png16"])
def test_generate_card_and_report_say_it_once(
    small_inputs, tmp_path, capsys, in_process, depth_format
):
    output = tmp_path / "out"
    more = ["--depth_model", "builtin", "--depth_range", "10", "--depth_format", depth_format]
    assert main([*arguments(small_inputs, output), *more]) == 0
    told = capsys.readouterr().out
    found = json.loads((output / "generation.json").read_bytes())["depth"]
    card = (output / "README.md").read_text(encoding="utf-8")
    page = (output / "index.html").read_text(encoding="utf-8")

    for text in (told, card, page):
        said = LOSS.findall(text)
        if depth_format == "jpg":
            assert said == [str(found["levels_median"])]
        else:
            assert not said and "levels_median" not in found
    formula = re.search(r"`(metres = [^`]*)`", card)[1]
    names: dict[str, Any] = {"value": np.array([255], np.uint8), "numpy": np}
    if depth_format == "png16":
        names["value"] = np.array([10_000], np.uint16)
    exec(formula, names)
    assert names["metres"].tolist() == [10.0]


def test_a_card_takes_no_markup_of_licences(small_inputs, tmp_path, in_process):
    shutil.copytree(small_inputs, tmp_path / "in")
    file = sorted(path.name for path in (tmp_path / "in" / "bg").iterdir())[0]
    with open(tmp_path / "in" / "bg" / "sources.csv", "w", newline="", encoding="utf-8") as table:
        csv.writer(table).writerows(
            [
                ["file", "author", "licence", "page"],
                [file, "*A* <script>", "<h1>x</h1>\n\n# Mine", "https://x/<b>|"],
            ]
        )

    assert main(arguments(tmp_path / "in", tmp_path / "out")) == 0

    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "<h1>" not in card and "\n# Mine" not in card and "<script>" not in card
    assert "Licences: &lt;h1&gt;x&lt;/h1&gt; \\# Mine (1)." in card
    assert (
        f"| {file} | \\*A\\* &lt;script&gt; | &lt;h1&gt;x&lt;/h1&gt; \\# Mine | https://x/%3Cb"
        in card
    )


@pytest.mark.parametrize("form", ["jpg", "png16"])
def test_the_built_in_network_is_called_what_it_is(form):
    depth = {"format": form, "metres_per_level": 0.04, "range_m": 10, "model": {"kind": "builtin"}}
    told = precision.remarks(depth)
    assert "by builtin, a small network to try things with" in told
    assert ("8-bit depth" in told) == (form == "jpg")
    assert "builtin" not in precision.remarks({**depth, "model": {"kind": "onnx"}})
