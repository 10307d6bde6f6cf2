"""Visits, duties and their policy between the wire and the inside."""

from collections.abc import Iterable, Mapping
from datetime import date

from banyan.assignment.v1 import visit_duty_pb2, visit_pb2

from chassis import names, wire
from chassis.paging import KeyPart
from services.assignment_svc.domain.geography import Place
from services.assignment_svc.domain.visit_duties import DueVisit, DutyClass, DutyLine, VisitPolicy
from services.assignment_svc.domain.visits import (
    Attachment,
    CheckRules,
    Content,
    Fix,
    Sent,
    Visit,
    VisitKind,
    VisitState,
    VisitVersion,
)
from services.assignment_svc.store.visit_duties import DuePlace, VisitSummary


def sent_from_wire(told: visit_pb2.Visit) -> Sent:
    """What a device sends; what only the server sets is ignored."""
    fix = None
    if told.HasField("location"):
        location = told.location
        fix = Fix(Place(location.latitude, location.longitude), location.accuracy_m)
    return Sent(
        content=content_from_wire(told.kind, told.content, told.attachments),
        fix=fix,
        device_time=wire.time_from_wire(told.device_time, "visit.device_time"),
        captured_offline=told.captured_offline,
        device_id=told.device,
        client_visit_id=told.client_visit,
    )


def content_from_wire(kind: int, content: str, attachments: Iterable[visit_pb2.VisitAttachment]) -> Content:
    name = visit_pb2.VisitKind.Name(kind).removeprefix("VISIT_KIND_")
    files = tuple(Attachment(one.file_name, one.media_type, one.size_bytes, one.sha256) for one in attachments)
    return Content(VisitKind(name), content, files)


def state_from_wire(state: int) -> VisitState | None:
    name = visit_pb2.VisitState.Name(state).removeprefix("VISIT_STATE_")
    return None if name == "UNSPECIFIED" else VisitState(name)


def visit_to_wire(visit: Visit) -> visit_pb2.Visit:
    told = visit_pb2.Visit(
        name=f"customers/{visit.customer_id}/visits/{visit.visit_id}",
        kind=f"VISIT_KIND_{visit.content.kind}",
        content=visit.content.text,
        device_time=wire.time_to_wire(visit.device_time),
        captured_offline=visit.captured_offline,
        device=visit.device_id,
        client_visit=visit.client_visit_id,
        attachments=map(_attachment_to_wire, visit.content.attachments),
        author=names.make("staff", visit.staff_id),
        branch=names.make("branches", visit.branch_id),
        state=f"VISIT_STATE_{visit.state or 'UNSPECIFIED'}",
        visit_date=wire.date_to_wire(visit.visit_date),
        distance_m=visit.distance_m,
        distance_band=f"DISTANCE_BAND_{visit.distance_band or 'UNSPECIFIED'}",
        create_time=wire.time_to_wire(visit.create_time),
        update_time=wire.time_to_wire(visit.update_time),
        withdraw_time=wire.time_to_wire(visit.withdraw_time),
        withdraw_reason=visit.withdraw_reason,
        version=visit.version,
        etag=visit.etag,
    )
    if visit.fix is not None:
        place = visit.fix.place
        location = visit_pb2.VisitLocation(
            latitude=place.latitude, longitude=place.longitude, accuracy_m=visit.fix.accuracy_m
        )
        told.location.CopyFrom(location)
    return told


def version_to_wire(version: VisitVersion) -> visit_pb2.VisitVersion:
    return visit_pb2.VisitVersion(
        version=version.version,
        kind=f"VISIT_KIND_{version.content.kind}",
        content=version.content.text,
        attachments=map(_attachment_to_wire, version.content.attachments),
        end_time=wire.time_to_wire(version.end_time),
        end_reason=version.end_reason,
    )


def place_from_key(key: tuple[KeyPart, ...] | None) -> tuple[date, str] | None:
    """The last visit of the page before."""
    return (date.fromisoformat(str(key[0])), str(key[1])) if key else None


def due_place_from_key(key: tuple[KeyPart, ...] | None) -> DuePlace | None:
    """The last customer of the page before."""
    if not key:
        return None
    next_due, last_visit = (date.fromisoformat(str(part)) if part else None for part in key[:2])
    return DuePlace(next_due, last_visit, str(key[2]))


def due_place_of(due: DueVisit) -> tuple[KeyPart, ...]:
    """What `due_place_from_key` reads."""
    days = (due.next_due_date, due.last_visit_date)
    return (*(day.isoformat() if day else None for day in days), due.customer_id)


def due_to_wire(due: DueVisit) -> visit_duty_pb2.DueVisit:
    return visit_duty_pb2.DueVisit(
        customer=names.make("customers", due.customer_id),
        branch=names.make("branches", due.branch_id),
        manager=names.make("staff", due.manager_id),
        customer_class=f"VISIT_DUTY_CLASS_{due.customer_class}",
        due_count=due.due_count,
        done_percent=due.done_percent,
        open_percent=due.open_percent,
        next_due_date=wire.date_to_wire(due.next_due_date),
        last_visit_date=wire.date_to_wire(due.last_visit_date),
    )


def summary_to_wire(summary: VisitSummary) -> visit_duty_pb2.VisitSummary:
    return visit_duty_pb2.VisitSummary(
        manager=names.make("staff", summary.manager_id),
        customer_count=summary.duty.customer_count,
        due_count=summary.duty.due_count,
        done_percent=summary.duty.done_percent,
        state_counts=_counts_to_wire(summary.state_counts),
    )


def _counts_to_wire(counts: Mapping[VisitState, int]) -> list[visit_duty_pb2.VisitStateCount]:
    return [
        visit_duty_pb2.VisitStateCount(state=f"VISIT_STATE_{state}", visit_count=counts[state])
        for state in VisitState
        if state in counts
    ]


_RULES = tuple(CheckRules.__dataclass_fields__)


def policy_from_wire(told: visit_duty_pb2.VisitPolicy) -> VisitPolicy:
    """A version that is not stored yet."""
    return VisitPolicy(
        version=0,
        from_date=wire.date_from_wire(told.from_date, "visit_policy.from_date"),
        lines=tuple(_line_from_wire(line) for line in told.lines),
        rules=CheckRules(**{name: getattr(told, name) for name in _RULES}),
        kept_months=told.kept_months,
        whole_until_day=told.whole_until_day,
        reason=told.reason,
    )


def policy_to_wire(policy: VisitPolicy) -> visit_duty_pb2.VisitPolicy:
    return visit_duty_pb2.VisitPolicy(
        name=names.make("visitPolicies", str(policy.version)),
        from_date=wire.date_to_wire(policy.from_date),
        lines=map(_line_to_wire, policy.lines),
        **vars(policy.rules),
        kept_months=policy.kept_months,
        whole_until_day=policy.whole_until_day,
        reason=policy.reason,
        actor=policy.actor,
        create_time=wire.time_to_wire(policy.create_time),
    )


def _line_from_wire(line: visit_duty_pb2.VisitDutyLine) -> DutyLine:
    name = visit_duty_pb2.VisitDutyClass.Name(line.customer_class).removeprefix("VISIT_DUTY_CLASS_")
    return DutyLine(
        DutyClass(name), line.balance_min_minor, line.visits_per_month, line.phone_percent, line.lobby_percent
    )


def _line_to_wire(line: DutyLine) -> visit_duty_pb2.VisitDutyLine:
    return visit_duty_pb2.VisitDutyLine(
        customer_class=f"VISIT_DUTY_CLASS_{line.customer_class}",
        balance_min_minor=line.balance_min_minor,
        visits_per_month=line.visits_per_month,
        phone_percent=line.phone_percent,
        lobby_percent=line.lobby_percent,
    )


def _attachment_to_wire(attachment: Attachment) -> visit_pb2.VisitAttachment:
    return visit_pb2.VisitAttachment(**vars(attachment))
