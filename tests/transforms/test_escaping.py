"""Text from elsewhere stays text, in terminals and in Markdown."""

from __future__ import annotations

import ast

import pytest

from fgbg.transforms import escaping
from tests.helpers.data_sets import ROOT


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain é 猫.jpg", "plain é 猫.jpg"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("over\rwritten", "over\\x0dwritten"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        ("caf\udce9", "caf\\xe9"),  # codespell:ignore caf
        ("two\nlines", "two\nlines"),
    ],
)
def test_a_terminal_obeys_no_name(text, expected):
    assert escaping.terminal(text) == expected
    assert escaping.name(text) == expected.replace("\n", "\\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CC BY-SA 4.0", "CC BY-SA 4.0"),
        ("my_photo_1.jpg", "my_photo_1.jpg"),
        ("<b>x</b> & [a](b)", "&lt;b&gt;x&lt;/b&gt; &amp; \\[a\\](b)"),
        ("x\n\n# Heading\n| a | b", "x \\# Heading \\| a \\| b"),
        ("*bold* _it_ `code` ~~no~~", "\\*bold\\* \\_it\\_ \\`code\\` \\~\\~no\\~\\~"),
    ],
)
def test_nothing_of_a_text_is_markdown(text, expected):
    assert escaping.markdown(text) == expected


def test_an_address_is_a_link_and_nothing_else():
    address = "https://commons.wikimedia.org/wiki/File:A_b_(c).jpg?x=1"
    assert escaping.markdown_address(address) == address
    assert escaping.markdown_address("https://x/<b>|`") == "https://x/%3Cb%3E%7C%60"
    assert escaping.markdown_address("javascript:[x]") == "javascript:\\[x\\]"
    assert escaping.markdown_code("a`b<i>\n") == "`a'b<i>\\n`"


def test_all_that_commands_print_goes_through_the_escape():
    """By say and tell; print itself only where no name of others can be."""
    allowed = {"progress.py", "__main__.py", "template_metadata.py"}
    wrong = [
        str(path)
        for path in (ROOT / "pipeline").rglob("*.py")
        if path.name not in allowed
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "sys.stderr.write")
    ]
    assert not wrong
