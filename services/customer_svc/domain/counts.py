"""How a count is told to somebody who must not find a person in it."""

from dataclasses import dataclass

SMALL_BELOW = 10
ROUNDED_TO = 5


@dataclass(frozen=True)
class Told:
    """A count as a number and as a text."""

    number: int
    text: str


def exact(count: int) -> Told:
    """The count as it is."""
    return Told(count, str(count))


def coarse(count: int) -> Told:
    """Below 10 only that; else rounded to the nearest 5, so that two counts do not tell one person apart."""
    if count < SMALL_BELOW:
        return Told(0, f"< {SMALL_BELOW}")
    return exact((count + ROUNDED_TO // 2) // ROUNDED_TO * ROUNDED_TO)
