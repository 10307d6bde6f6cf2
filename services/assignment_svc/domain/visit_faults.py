"""What is wrong with a visit as it was sent: field by field, and what would be right."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from services.assignment_svc.domain.geography import is_on_globe
from services.assignment_svc.domain.visits import Attachment, CheckRules, Content, Fix, Sent, VisitKind

CONTENT_LENGTH_MAX = 4_000
ATTACHMENTS_MAX = 10
FILE_NAME_LENGTH_MAX = 255
SIZE_BYTES_MAX = 1 << 30
ACCURACY_M_MAX = 100_000.0
MEDIA_TYPES = frozenset({"application/pdf", "image/jpeg", "image/png", "text/plain"})

_CLIENT_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
# Control characters, and those that turn the direction of what follows: a name could look like another one.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_CONTROL_OF_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

Faults = Iterator[tuple[str, str]]


@dataclass(frozen=True)
class Moment:
    """When a visit is taken, and since when the branch has held the customer."""

    now: datetime
    visit_date: date
    held_since_date: date


def sent_faults(sent: Sent, moment: Moment, rules: CheckRules) -> Faults:
    """The fields that are wrong."""
    yield from content_faults(sent.content)
    if sent.content.kind is not VisitKind.VISIT:
        if sent.fix is not None:
            yield "location", "must be left out of calls and meetings in the branch"
    elif sent.fix is None:
        yield "location", "is required of visits"
    else:
        yield from _fix_faults(sent.fix)
    yield from _device_faults(sent)
    yield from _time_faults(sent, moment, rules)


def content_faults(content: Content) -> Faults:
    """The fields of the content that are wrong."""
    if fault := text_fault(content.text, CONTENT_LENGTH_MAX):
        yield "content", fault
    if len(content.attachments) > ATTACHMENTS_MAX:
        yield "attachments", f"must be at most {ATTACHMENTS_MAX}"
    for index, attachment in enumerate(content.attachments[:ATTACHMENTS_MAX]):
        for field, fault in _attachment_faults(attachment):
            yield f"attachments[{index}].{field}", fault


def text_fault(text: str, length_max: int) -> str | None:
    """What is wrong with a text that somebody wrote."""
    if not text.strip() or len(text) > length_max:
        return f"must have from 1 to {length_max:,} characters"
    return "must have no control characters" if _CONTROL_OF_TEXT.search(text) else None


def _fix_faults(fix: Fix) -> Faults:
    if not is_on_globe(fix.place.latitude, 0):
        yield "location.latitude", "must be from -90 to 90"
    if not is_on_globe(0, fix.place.longitude):
        yield "location.longitude", "must be from -180 to 180"
    if not 0 < fix.accuracy_m <= ACCURACY_M_MAX:
        yield "location.accuracy_m", f"must be above 0 and at most {ACCURACY_M_MAX:,.0f}"


def _device_faults(sent: Sent) -> Faults:
    given: Sequence[tuple[str, str]] = (("device", sent.device_id), ("client_visit", sent.client_visit_id))
    is_named = sent.captured_offline or any(value for _, value in given)
    for field, value in given:
        if is_named and not _CLIENT_ID.fullmatch(value):
            yield (
                field,
                f"must be of {_CLIENT_ID.pattern}; what is captured offline has both, and one goes with the other",
            )


def _time_faults(sent: Sent, moment: Moment, rules: CheckRules) -> Faults:
    skew = timedelta(seconds=rules.clock_skew_seconds)
    if sent.device_time > moment.now + skew:
        yield "device_time", f"must not be more than {rules.clock_skew_seconds} s in the future"
    elif not sent.captured_offline and sent.device_time < moment.now - skew:
        yield "device_time", f"is older than {rules.clock_skew_seconds} s: such a visit is sent as captured_offline"
    elif moment.visit_date < moment.held_since_date:
        yield "device_time", "is before the branch looked after the customer"


def _attachment_faults(attachment: Attachment) -> Faults:
    name = attachment.file_name
    if not 1 <= len(name) <= FILE_NAME_LENGTH_MAX or name.strip() != name:
        yield "file_name", f"must have from 1 to {FILE_NAME_LENGTH_MAX} characters, without spaces around them"
    elif name in {".", ".."} or "/" in name or "\\" in name or _CONTROL.search(name):
        yield "file_name", "must be a plain name, without / and \\ and control characters"
    if attachment.media_type not in MEDIA_TYPES:
        yield "media_type", f"must be one of {', '.join(sorted(MEDIA_TYPES))}"
    if not 1 <= attachment.size_bytes <= SIZE_BYTES_MAX:
        yield "size_bytes", f"must be from 1 to {SIZE_BYTES_MAX:,}"
    if not _SHA256.fullmatch(attachment.sha256):
        yield "sha256", "must be 64 hexadecimal digits"
