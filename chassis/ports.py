"""Ports that an instance keeps: it asks for the same one again, so that its peers find it where it was."""

from collections.abc import Callable
from pathlib import Path


def take(kept: Path, fixed: int, listen: Callable[[int], int]) -> int:
    """Listens on the fixed port, or for 0 on the one kept in the file, or on a free one, which is then kept.

    `listen` returns the port it got and raises OSError or RuntimeError if the one it was given is taken.
    """
    if fixed:
        return listen(fixed)
    port = _listen_again(kept, listen) or listen(0)
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(f"{port}\n")
    return port


def _listen_again(kept: Path, listen: Callable[[int], int]) -> int | None:
    """The kept port, or None if there is none, or another process has it now."""
    try:
        return listen(int(kept.read_text()))
    except (OSError, RuntimeError, ValueError):
        return None
