"""Text from elsewhere in terminals and in Markdown: names, licences and authors stay text.

HTML has fgbg.transforms.report.markup, CSV has fgbg.files.tables.
"""

from __future__ import annotations

import html
import re
from urllib.parse import quote

# Control characters of both sets, what turns the direction of writing, line separators, and bytes
# of a file's name that are not UTF-8, as Python carries them.
_HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_MARKUP = re.compile(r"[\\`*\[\]|~#]|(?<![^\W_])_|_(?![^\W_])")
# What may stand in an address besides letters and digits without being markup.
_IN_ADDRESS = "/:?=&;,.-_%+@!$'()#"


def terminal(text: str) -> str:
    """Lines as they may be printed: what a terminal would obey is written out, as \\x1b."""
    return _HARMFUL.sub(_written_out, text)


def name(text: str) -> str:
    """A name in one line of a terminal or of a message."""
    return terminal(text).replace("\n", "\\n").replace("\t", "\\t")


def markdown(text: str) -> str:
    """Text in a line or a table's cell of Markdown: no markup of it, no HTML, one line."""
    line = " ".join(terminal(text).split())
    return _MARKUP.sub(lambda match: f"\\{match[0]}", html.escape(line, quote=False))


def markdown_code(text: str) -> str:
    """Text as code in a line of Markdown, where nothing but the end of the code is markup."""
    return "`" + name(text).replace("`", "'") + "`"


def markdown_address(text: str) -> str:
    """An address of the web in Markdown, which makes a link of it; anything else as text."""
    if not text.startswith(("http://", "https://")):
        return markdown(text)
    return html.escape(quote(text, safe=_IN_ADDRESS, errors="replace"), quote=False)


def _written_out(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00  # the byte itself
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
