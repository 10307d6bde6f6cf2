"""How the batch tells what it is doing."""

from collections.abc import Callable

# The step's name, how many rows are done, and how many there are (0 if that is not known).
Progress = Callable[[str, int, int], None]


def silent(step: str, done: int, total: int) -> None:
    """Tells nobody."""
    del step, done, total
