"""CSV tables of others, and ours."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fgbg.files import tables
from fgbg.files.tables import TableError


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_and_byte_order_marks_are_no_matter(end, mark):
    text = mark + end.join(["file,author", '"a,b.jpg","one\ntwo"', "short.jpg", ""])

    found = tables.parse(text.encode(), "t.csv")

    assert found.columns == ["file", "author"]
    assert found.rows == [
        {"file": "a,b.jpg", "author": "one\ntwo"},
        {"file": "short.jpg", "author": ""},
    ]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"file,author\na.jpg,\xe9\n", "not UTF-8 at byte 18"),
        ("file\na.jpg\n".encode("utf-16"), "in UTF-16"),
        (b"file,author\na.jpg,x\0y\n", "line 2 holds a NUL byte"),
        (b'file,author\na.jpg,"never closed\nb.jpg,x\n', "not CSV from line 2 on"),
        (b"file,author\na.jpg," + b"x" * 140_000 + b"\n", "not CSV from line 2 on.*131072"),
    ],
)
def test_what_cannot_be_parsed_is_an_error_that_names_the_file(data, words):
    with pytest.raises(TableError, match=f"here/t.csv: .*{words}"):
        tables.parse(data, "here/t.csv")


def test_no_cell_is_a_formula_and_numbers_stay():
    cells = ["=1+1", "+A1", "-cmd|x", "@SUM(1)", "\tx", "'=x", "-5", "+1.5e3", "a=b", "'quoted'"]

    data = tables.write(["n", "cell"], ({"n": -i, "cell": c} for i, c in enumerate(cells)))

    written = [row[1] for row in csv.reader(io.StringIO(data.decode(), newline=""))][1:]
    assert written == [
        *("'=1+1", "'+A1", "'-cmd|x", "'@SUM(1)", "'\tx", "''=x"),
        *("-5", "+1.5e3", "a=b", "'quoted'"),
    ]
    assert [row["cell"] for row in tables.parse(data, "t.csv").rows] == cells


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))))
def test_what_is_written_is_read_again(cells):
    data = tables.write(["first", "cell"], ({"first": "x", "cell": cell} for cell in cells))

    assert [row["cell"] for row in tables.parse(data, "t.csv").rows] == cells
