"""What the words of a licence say about selling what is made under it.

Only what is said plainly counts: NC in a Creative Commons licence, "non-commercial", "research". A
text that says neither forbids nothing here, and is no legal advice.
"""

from __future__ import annotations

import re

NOT_STATED = "not stated"
_NO_COMMERCE = re.compile(
    r"\bNC\b|non[\s-]?commercial|research([\s-]+use)?[\s-]+only|\bresearch\b|academic",
    re.IGNORECASE,
)


def forbids_commerce(licence: str) -> bool:
    """Whether a licence's name or text says that it is not for commercial use."""
    return bool(_NO_COMMERCE.search(licence))
