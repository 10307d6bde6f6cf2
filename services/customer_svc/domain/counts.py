"""How counts are told to somebody who must not find a person in them."""

from collections.abc import Sequence
from dataclasses import dataclass

SMALL_BELOW = 10
ROUNDED_TO = 5
VALUES_MAX = 20
"""So many values of a facet are told one by one."""


@dataclass(frozen=True)
class Told:
    """A count as a number and as a text."""

    number: int
    text: str


HIDDEN = Told(0, "*")
"""A count that would tell a small one by subtraction."""


@dataclass(frozen=True)
class FacetCounts:
    """The values that most customers have, the largest count first, and the sum of all others."""

    values: tuple[tuple[str, Told], ...]
    other: Told


def exact(count: int) -> Told:
    """The count as it is."""
    return Told(count, str(count))


def coarse(count: int) -> Told:
    """Below 10 only that; else rounded to the nearest 5, so that two counts do not tell one person apart."""
    if count < SMALL_BELOW:
        return Told(0, f"< {SMALL_BELOW}")
    return exact((count + ROUNDED_TO // 2) // ROUNDED_TO * ROUNDED_TO)


def facet_counts(found: Sequence[tuple[str, int]], number: int, *, hidden: bool, partition: bool) -> FacetCounts:
    """A facet's values with how many of `number` customers have each; small counts hidden from who may not know them.

    A `partition` gives each customer at most one value, so what is hidden there could be had from all the rest; of
    other facets each value stands against those who lack it.
    """
    ordered = sorted(found, key=lambda pair: (-pair[1], pair[0]))
    shown, other = ordered[:VALUES_MAX], sum(count for _, count in ordered[VALUES_MAX:])
    if not hidden:
        return FacetCounts(tuple((value, exact(count)) for value, count in shown), exact(other))
    cells = [*(count for _, count in shown), other]
    told = _partition(cells, number) if partition else [_against_rest(count, number) for count in cells]
    if not partition:
        # The sum of values that overlap has no rest to stand against.
        told[-1] = coarse(other)
    return FacetCounts(tuple((value, each) for (value, _), each in zip(shown, told, strict=False)), told[-1])


def _against_rest(count: int, number: int) -> Told:
    return HIDDEN if 0 < number - count < SMALL_BELOW <= count else coarse(count)


def _partition(cells: Sequence[int], number: int) -> list[Told]:
    """Hides, beside the small cells, the smallest others until those hidden are several and not few together."""
    told = [coarse(count) for count in cells]
    # Those without a value are not told, but are what is left.
    rest = number - sum(cells)
    small = [count for count in (*cells, rest) if 0 < count < SMALL_BELOW]
    larger = sorted((count, index) for index, count in enumerate(cells) if count >= SMALL_BELOW)
    # What is not told at all hides the small ones already, if it is large.
    concealed = [*small, rest] if rest >= SMALL_BELOW else small
    while small and larger and (len(concealed) == 1 or sum(concealed) < SMALL_BELOW):
        count, index = larger.pop(0)
        told[index] = HIDDEN
        concealed.append(count)
    return told
