"""What staff keep about a customer: notes, and where documents about him lie."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from urllib.parse import urlsplit

from chassis.written_texts import file_faults, has_controls
from services.customer_svc.domain.viewing import Viewer

TEXT_LENGTH_MAX = 4_000
EXCERPT_LENGTH = 200
DESCRIPTION_LENGTH_MAX = 400
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


def document_faults(document: Document, day: date) -> Iterator[tuple[str, str]]:
    """The fields that are wrong as of a day, and what would be right."""
    file = (document.file_name, document.media_type, document.size_bytes, document.sha256)
    yield from file_faults(*file, media_types=MEDIA_TYPES)
    if not _is_plain_uri(document.uri):
        yield "uri", "must be an https or s3 URI without user, password, query or fragment"
    if document.retained_until_date is not None and document.retained_until_date < day:
        yield "retained_until_date", "must not lie in the past"
    if len(document.description) > DESCRIPTION_LENGTH_MAX or has_controls(document.description):
        yield "description", f"must have at most {DESCRIPTION_LENGTH_MAX} characters, no control characters"


def _is_plain_uri(uri: str) -> bool:
    if len(uri) > URI_LENGTH_MAX or not _URI_CHARACTERS.fullmatch(uri):
        return False
    try:
        parts = urlsplit(uri)
    except ValueError:
        return False
    return parts.scheme in {"https", "s3"} and bool(parts.hostname) and "@" not in parts.netloc and len(parts.path) > 1
