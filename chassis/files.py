"""Files that are written once and read by others meanwhile."""

import os
import secrets
from pathlib import Path


def write_once(path: Path, content: bytes, mode: int) -> None:
    """Writes a new file as a whole: nobody ever reads a part of it. Raises FileExistsError if it is there already."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.parent / f".{path.name}.{secrets.token_hex(8)}"
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
        os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
