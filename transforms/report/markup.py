"""HTML by functions that escape every text which is not known to be markup.

File names and authors come from elsewhere: nothing of them may become an element.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def element(name: str, /, *content: object, **attributes: object) -> Html:
    """One element.

    Args:
        name: Such as "p".
        content: What is inside, one after the other: Html as it is, anything else escaped.
        attributes: By their names, with "_" for "-" and a last "_" dropped (class_); True is
            an attribute without a value, None and False leave it out.
    """
    parts = [name]
    for key, value in attributes.items():
        key = key.removesuffix("_").replace("_", "-")
        if value is True:
            parts.append(key)
        elif value is not None and value is not False:
            parts.append(f'{key}="{html.escape(str(value))}"')
    opening = f"<{' '.join(parts)}>"
    if name in ("img", "meta", "link", "br"):
        return Html(opening)
    return Html(f"{opening}{join(*content)}</{name}>")


def join(*content: object) -> Html:
    """Several pieces, one after the other: Html as it is, anything else escaped."""
    return Html("".join(c if isinstance(c, Html) else html.escape(str(c)) for c in content))


def table(
    head: Sequence[object], rows: Iterable[Sequence[object]], numeric: set[int] | None = None
) -> Html:
    """A table that scrolls by itself where it is wider than the page.

    Args:
        head: Titles of the columns.
        rows: Cells.
        numeric: Columns of numbers, from 0.
    """
    kind = ["number" if i in (numeric or ()) else None for i in range(len(head))]
    titles = [element("th", t, scope="col", class_=k) for t, k in zip(head, kind, strict=True)]
    lines = [
        element("tr", *(element("td", c, class_=k) for c, k in zip(row, kind, strict=True)))
        for row in rows
    ]
    body = element("table", element("thead", element("tr", *titles)), element("tbody", *lines))
    # Focusable, so that whoever has no pointer can scroll it too.
    return element("div", body, class_="scrolls", tabindex="0", role="group")
