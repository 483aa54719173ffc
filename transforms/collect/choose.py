"""Which pictures are taken: plain functions, equal for equal records in whatever order they came.

A round looks at the results of each search up to a rank and takes the best-ranked good ones. The
ranks are stored with the choice, so an interrupted round, done again, chooses what the
undisturbed one would have chosen.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence

from fgbg.transforms.collect.candidate import GOOD, Query, Record, short_hash
from fgbg.transforms.collect.check import Gallery
from fgbg.transforms.collect.state import Chosen, Named

# Share of results that turn out good, as first expected, and the bounds of later estimates.
_FIRST_YIELD, _LEAST_YIELD, _GREATEST_YIELD = 0.75, 0.25, 0.95
_SLUG_LENGTH = 40
_WORD = re.compile(r"[^a-z0-9]+")


def targets(count: int, have: Sequence[int], ended: Sequence[bool]) -> list[int]:
    """How many pictures each topic is to have: equal shares, filled up by those that can.

    Args:
        count: All topics together.
        have: How many each has.
        ended: Whether a topic can give no more.
    """
    fixed = {i: have[i] for i in range(len(have)) if ended[i]}
    while True:
        open_ = [i for i in range(len(have)) if i not in fixed]
        if not open_:
            break
        left = max(0, count - sum(fixed.values()))
        above = [i for i in open_ if have[i] * len(open_) > left]
        if not above:
            share, more = divmod(left, len(open_))
            # Those that have more already keep it, so that nobody is short by a remainder.
            first = sorted(open_, key=lambda i: (-have[i], i))[:more]
            return [fixed.get(i, share + (i in first)) for i in range(len(have))]
        fixed.update((i, have[i]) for i in above)
    return [fixed[i] for i in range(len(have))]


def results_wanted(need: int, taken: int, looked_at: int) -> int:
    """How many further results to look at for a number of pictures.

    Args:
        need: Pictures that are missing.
        taken: Pictures that the search has given.
        looked_at: Of so many results.
    """
    if need <= 0:
        return 0
    share = _FIRST_YIELD if not looked_at else taken / looked_at
    return math.ceil(need / min(_GREATEST_YIELD, max(_LEAST_YIELD, share)))


def spare(records: Iterable[Record], chosen: Chosen, search: str, upto: int) -> list[Record]:
    """Good pictures of a search, up to a rank, that have no name yet, in the order of rank."""
    out = {named.key for named in chosen.named} | set(chosen.duplicates)
    found = [
        r
        for r in records
        if r.state == GOOD and r.found.search == search and r.found.rank < upto and r.key not in out
    ]
    return sorted(found, key=lambda r: r.found.rank)


def slug(topic: str) -> str:
    """A topic as the start of file names: lower-case ASCII letters, digits and underscores."""
    ascii_ = unicodedata.normalize("NFKD", topic).encode("ascii", "ignore").decode()
    short = _WORD.sub("_", ascii_.lower()).strip("_")[:_SLUG_LENGTH].strip("_")
    return short or f"topic_{short_hash(topic)[:6]}"


def choose(
    chosen: Chosen,
    records: Collection[Record],
    queries: Sequence[Query],
    needs: Sequence[int],
    gallery: Gallery,
    taken_names: Collection[str],
) -> list[Record]:
    """Names further pictures, in the order of their ranks, the topics in turn.

    Args:
        chosen: The choice so far; added to.
        records: All records.
        queries: With the ranks up to which to choose.
        needs: How many pictures each may give.
        gallery: What is there; added to.
        taken_names: File names that are not free.

    Returns:
        The records of the newly named, in the order of chosen.named.
    """
    left = dict(zip((query.search for query in queries), needs))
    order = {query.search: i for i, query in enumerate(queries)}
    pool = [r for q in queries for r in spare(records, chosen, q.search, q.upto)]
    pool.sort(key=lambda r: (r.found.rank, order[r.found.search]))
    used = {name.rpartition(".")[0] for name in taken_names}
    used |= {named.file.rpartition(".")[0] for named in chosen.named}
    numbers: dict[str, int] = {}
    new = []
    for record in pool:
        if left[record.found.search] <= 0:
            continue
        like = gallery.like(record.hashes)
        if like is not None:
            chosen.duplicates[record.key] = like
            continue
        start = slug(record.found.candidate.topic)
        number = numbers.get(start, 0) + 1
        while f"{start}_{number:04d}" in used:
            number += 1
        numbers[start] = number
        file = f"{start}_{number:04d}.{record.ending}"
        used.add(f"{start}_{number:04d}")
        gallery.add(file, record.hashes)
        chosen.named.append(Named(record.key, file))
        left[record.found.search] -= 1
        new.append(record)
    return new
