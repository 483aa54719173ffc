"""The split of each background: splits hold out whole ones, and none moves when more are added."""

from __future__ import annotations

from collections import Counter


def assign_splits(existing: list[str], count: int, splits: list[tuple[str, float]]) -> list[str]:
    """Splits of backgrounds that are added to those already there.

    Each background goes to the split that is furthest below its share: shares are met to within
    one background. Where that leaves a split with a share empty though there are as many
    backgrounds as such splits, it gets one of those added last. A later addition moves none: where
    those already there are as they would be among all, the added ones are too; else each is, unless
    its split has its number by then, which is how many all made at once would give it.

    Args:
        existing: Splits of the backgrounds already in the data set, in order.
        count: Number of backgrounds to add.
        splits: Names and shares.

    Returns:
        Splits of the added backgrounds, in order.
    """
    at_once = _fair(len(existing) + count, splits)
    _fill_empty([], at_once, splits)
    added = at_once[len(existing) :]
    if existing == at_once[: len(existing)]:
        return added
    counts = Counter(existing)
    left = {name: max(0, n - counts[name]) for name, n in Counter(at_once).items()}
    # The last of a split's are kept: a later addition then finds what it would have been given.
    moved = []
    for place in reversed(range(len(added))):
        if left[added[place]]:
            left[added[place]] -= 1
        else:
            moved.append(place)
    order = {name: i for i, (name, _) in enumerate(splits)}
    for place in reversed(moved):
        with_room = [name for name, n in left.items() if n]
        chosen = min(with_room, key=lambda name: (counts[name] > 0, -left[name], order[name]))
        left[chosen] -= 1
        counts[chosen] += 1
        added[place] = chosen
    _fill_empty(existing, added, splits)
    return added


def _fair(count: int, splits: list[tuple[str, float]]) -> list[str]:
    """Splits of backgrounds, each in that which is furthest below its share."""
    counts = {name: 0 for name, _ in splits}
    fair = []
    for total in range(1, count + 1):
        # max() keeps the first of equals: the order of the option decides, not chance.
        chosen = max(splits, key=lambda s: round(s[1] * total - counts[s[0]], 9))[0]
        counts[chosen] += 1
        fair.append(chosen)
    return fair


def _fill_empty(existing: list[str], added: list[str], splits: list[tuple[str, float]]) -> None:
    """Gives empty splits with a share one of the added backgrounds each, if there are enough."""
    with_share = [name for name, share in splits if share > 0]
    counts = Counter(existing) + Counter(added)
    if len(existing) + len(added) < len(with_share):
        return
    missing = [name for name in with_share if not counts[name]]
    places: list[int] = []
    # From the last on, so that few backgrounds are elsewhere than they would be among many.
    for place in reversed(range(len(added))):
        if len(places) < len(missing) and counts[added[place]] > 1:
            counts[added[place]] -= 1
            places.append(place)
    for name, place in zip(missing, reversed(places)):
        added[place] = name
