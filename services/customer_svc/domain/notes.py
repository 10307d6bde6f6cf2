"""What staff keep about a customer: notes, and where documents about him lie."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from urllib.parse import urlsplit

from services.customer_svc.domain.viewing import Viewer

TEXT_LENGTH_MAX = 4_000
EXCERPT_LENGTH = 200
DESCRIPTION_LENGTH_MAX = 400
FILE_NAME_LENGTH_MAX = 255
SIZE_BYTES_MAX = 1 << 30
URI_LENGTH_MAX = 1_000
NOTES_MAX = 1_000
"""Of one customer, deleted ones not counted."""
ATTACHMENTS_MAX = 1_000
KEPT_DELETED = timedelta(days=30)
"""As long a deleted one can be brought back."""

_OFFICE = "application/vnd.openxmlformats-officedocument."
MEDIA_TYPES = frozenset(
    {
        "application/pdf",
        "image/jpeg",
        "image/png",
        "image/tiff",
        "text/plain",
        f"{_OFFICE}wordprocessingml.document",
        f"{_OFFICE}spreadsheetml.sheet",
        f"{_OFFICE}presentationml.presentation",
    }
)
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
# Control characters, and those that turn the direction of what follows: a name could look like another one.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_CONTROL_OF_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_URI_CHARACTERS = re.compile(r"[A-Za-z0-9._~:/%!$&'()*+,;=@\[\]-]+")


@dataclass(frozen=True)
class Note:
    customer_id: str
    note_id: str
    text: str
    author_id: str
    branch_id: str
    version: int
    create_time: datetime
    update_time: datetime
    delete_time: datetime | None

    @property
    def etag(self) -> str:
        """Changes with every change of the note."""
        return str(self.version)


@dataclass(frozen=True)
class Document:
    """What is told of a document, without the document."""

    file_name: str
    media_type: str
    size_bytes: int
    sha256: str
    uri: str
    retained_until_date: date | None
    description: str


@dataclass(frozen=True)
class Attachment:
    customer_id: str
    attachment_id: str
    document: Document
    author_id: str
    branch_id: str
    create_time: datetime
    delete_time: datetime | None


@dataclass(frozen=True)
class Listed:
    """A page of what is kept, the youngest first, from before a place on."""

    before: tuple[datetime, str] | None
    limit: int
    with_deleted: bool = False


def may_delete(kept: Note | Attachment, viewer: Viewer) -> bool:
    """Its author, and the head of the branch to whose side it belongs."""
    heads = "BRANCH_HEAD" in viewer.roles and viewer.branch_id == kept.branch_id
    return heads or viewer.staff_id == kept.author_id


def text_fault(text: str) -> str | None:
    """What is wrong with a note's text."""
    if not text.strip() or len(text) > TEXT_LENGTH_MAX:
        return f"must have from 1 to {TEXT_LENGTH_MAX:,} characters"
    return "must have no control characters" if _CONTROL_OF_TEXT.search(text) else None


def document_faults(document: Document, day: date) -> Iterator[tuple[str, str]]:
    """The fields that are wrong as of a day, and what would be right."""
    name = document.file_name
    if not 1 <= len(name) <= FILE_NAME_LENGTH_MAX or name.strip() != name:
        yield "file_name", f"must have from 1 to {FILE_NAME_LENGTH_MAX} characters, without spaces around them"
    elif name in {".", ".."} or "/" in name or "\\" in name or _CONTROL.search(name):
        yield "file_name", "must be a plain name, without / and \\ and control characters"
    if document.media_type not in MEDIA_TYPES:
        yield "media_type", f"must be one of {', '.join(sorted(MEDIA_TYPES))}"
    if not 1 <= document.size_bytes <= SIZE_BYTES_MAX:
        yield "size_bytes", f"must be from 1 to {SIZE_BYTES_MAX:,}"
    if not _SHA256.fullmatch(document.sha256):
        yield "sha256", "must be 64 hexadecimal digits"
    if not _is_plain_uri(document.uri):
        yield "uri", "must be an https or s3 URI without user, password, query or fragment"
    if document.retained_until_date is not None and document.retained_until_date < day:
        yield "retained_until_date", "must not lie in the past"
    if len(document.description) > DESCRIPTION_LENGTH_MAX or _CONTROL_OF_TEXT.search(document.description):
        yield "description", f"must have at most {DESCRIPTION_LENGTH_MAX} characters, no control characters"


def _is_plain_uri(uri: str) -> bool:
    if len(uri) > URI_LENGTH_MAX or not _URI_CHARACTERS.fullmatch(uri):
        return False
    try:
        parts = urlsplit(uri)
    except ValueError:
        return False
    return parts.scheme in {"https", "s3"} and bool(parts.hostname) and "@" not in parts.netloc and len(parts.path) > 1
