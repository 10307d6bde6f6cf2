"""What is wrong with a visit as it was sent: field by field, and what would be right."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from chassis.written_texts import file_faults, text_fault
from services.assignment_svc.domain.geography import is_on_globe
from services.assignment_svc.domain.visits import CheckRules, Content, Fix, Sent, VisitKind

CONTENT_LENGTH_MAX = 4_000
ATTACHMENTS_MAX = 10
ACCURACY_M_MAX = 100_000.0
MEDIA_TYPES = frozenset({"application/pdf", "image/jpeg", "image/png", "text/plain"})

_CLIENT_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")

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
        for field, fault in file_faults(**vars(attachment), media_types=MEDIA_TYPES):
            yield f"attachments[{index}].{field}", fault


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
