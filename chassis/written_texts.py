"""What people write and which files they name: what is wrong with it, in words; the caller says of which field."""

import re
from collections.abc import Collection, Iterator

FILE_NAME_LENGTH_MAX = 255
SIZE_BYTES_MAX = 1 << 30

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
# Control characters, and those that turn the direction of what follows: a name could look like another one.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_CONTROL_OF_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def text_fault(text: str, length_max: int) -> str | None:
    """What is wrong with a text of which something must be left without its blanks."""
    if not text.strip() or len(text) > length_max:
        return f"must have from 1 to {length_max:,} characters"
    return "must have no control characters" if has_controls(text) else None


def has_controls(text: str) -> bool:
    """Whether a text has control characters beside those that end lines and set tabs."""
    return _CONTROL_OF_TEXT.search(text) is not None


def file_faults(
    file_name: str, media_type: str, size_bytes: int, sha256: str, media_types: Collection[str]
) -> Iterator[tuple[str, str]]:
    """The fields that are wrong of a file's name, kind, size and checksum, and what would be right."""
    if not 1 <= len(file_name) <= FILE_NAME_LENGTH_MAX or file_name.strip() != file_name:
        yield "file_name", f"must have from 1 to {FILE_NAME_LENGTH_MAX} characters, without spaces around them"
    elif file_name in {".", ".."} or "/" in file_name or "\\" in file_name or _CONTROL.search(file_name):
        yield "file_name", "must be a plain name, without / and \\ and control characters"
    if media_type not in media_types:
        yield "media_type", f"must be one of {', '.join(sorted(media_types))}"
    if not 1 <= size_bytes <= SIZE_BYTES_MAX:
        yield "size_bytes", f"must be from 1 to {SIZE_BYTES_MAX:,}"
    if not _SHA256.fullmatch(sha256):
        yield "sha256", "must be 64 hexadecimal digits"
