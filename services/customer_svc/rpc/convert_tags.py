"""Tags and key marks between the wire and the values of customer_svc."""

import re
from datetime import UTC, date, datetime

from banyan.customer.v1 import key_mark_pb2, tag_pb2
from google.type.date_pb2 import Date

from chassis import clock, names, wire
from chassis.caller import Caller
from chassis.errors import invalid_field
from chassis.paging import KeyPart
from services.customer_svc.domain import tag_evidence
from services.customer_svc.domain.key_marks import KeyMark, KeyMarkChange, KeyReason, Proposal
from services.customer_svc.domain.tags import (
    Confirmation,
    CustomerTag,
    HandChange,
    Override,
    Setting,
    Tag,
    TagChange,
    TagKind,
)

REASON_LENGTH_MAX = 400
_WORD_LENGTH_MAX = 40
_CODE = re.compile(r"[A-Z][A-Z0-9_]{0,39}")
# Behind every change: they are numbered upwards.
LAST_CHANGE = 2**63 - 1


def reason_from_wire(reason: str, field: str = "reason") -> str:
    """A reason without spaces around it, not too long."""
    return _text(reason, field, REASON_LENGTH_MAX)


def tag_from_wire(tag_id: str, tag: tag_pb2.Tag) -> Tag:
    """A manual tag that somebody wants to make."""
    if not _CODE.fullmatch(tag_id):
        raise invalid_field("tag_id", "must be capital letters, digits and underscores, at most 40, a letter first")
    return Tag(
        code=tag_id,
        kind=TagKind.MANUAL,
        display_name=_text(tag.display_name, "tag.display_name", _WORD_LENGTH_MAX),
        display_name_en=_text(tag.display_name_en, "tag.display_name_en", _WORD_LENGTH_MAX),
        rule_text=_text(tag.rule_text, "tag.rule_text", REASON_LENGTH_MAX, least=0),
        rule_text_en=_text(tag.rule_text_en, "tag.rule_text_en", REASON_LENGTH_MAX, least=0),
        branch_id=names.parse_optional("branches", tag.branch, "tag.branch"),
        actor="",
        create_time=clock.now(),
    )


def kind_from_wire(kind: int) -> TagKind | None:
    name = tag_pb2.TagKind.Name(kind).removeprefix("TAG_KIND_")
    return None if name == "UNSPECIFIED" else TagKind(name)


def change_from_wire(name: str, reason: str, end_date: Date | None, caller: Caller) -> HandChange:
    """What the caller says of a customer's tag."""
    customer_id, code = names.parse("customers/*/tags/*", name)
    until = None if end_date is None else wire.date_from_wire_or_none(end_date, "end_date")
    return HandChange(customer_id, code, reason_from_wire(reason), until, caller.staff_id, caller.branch_id)


def tag_to_wire(tag: Tag) -> tag_pb2.Tag:
    return tag_pb2.Tag(
        name=names.make("tags", tag.code),
        display_name=tag.display_name,
        display_name_en=tag.display_name_en,
        kind=f"TAG_KIND_{tag.kind}",
        rule_text=tag.rule_text,
        rule_text_en=tag.rule_text_en,
        branch=names.make("branches", tag.branch_id),
        actor=tag.actor,
        create_time=wire.time_to_wire(tag.create_time),
        retire_time=wire.time_to_wire(tag.retire_time),
    )


def customer_tag_to_wire(tag: CustomerTag, day: date) -> tag_pb2.CustomerTag:
    """A customer's tag as it stands on a day, its evidence in words."""
    return tag_pb2.CustomerTag(
        name=f"{names.make('customers', tag.customer_id)}/tags/{tag.tag.code}",
        tag=tag_to_wire(tag.tag),
        live=tag.is_live(day),
        confirmation=_confirmation_to_wire(tag.confirmation) if tag.confirmation else None,
        setting=_setting_to_wire(tag.setting) if tag.setting else None,
        override=_override_to_wire(tag.override) if tag.override else None,
    )


def tag_change_to_wire(change: TagChange) -> tag_pb2.TagChange:
    return tag_pb2.TagChange(
        tag=names.make("tags", change.tag_code),
        kind=f"KIND_{change.kind}",
        reason=change.reason,
        end_date=wire.date_to_wire(change.end_date),
        actor=change.actor,
        create_time=wire.time_to_wire(change.create_time),
    )


def key_mark_to_wire(mark: KeyMark) -> key_mark_pb2.KeyMark:
    return key_mark_pb2.KeyMark(
        name=f"{names.make('customers', mark.customer_id)}/keyMark",
        key_customer=mark.reason is not None,
        reason=_key_reason(mark.reason),
        since_date=wire.date_to_wire(mark.since_date),
        test_date=wire.date_to_wire(mark.test_date),
        asset_below_count=mark.asset_below,
        loan_below_count=mark.loan_below,
        end_date=wire.date_to_wire(mark.end_date),
        pending_proposal=_proposal_name(mark.customer_id, mark.pending_id),
    )


def key_change_to_wire(customer_id: str, change: KeyMarkChange) -> key_mark_pb2.KeyMarkChange:
    return key_mark_pb2.KeyMarkChange(
        kind=f"KIND_{change.kind}",
        old_reason=_key_reason(change.old_reason),
        new_reason=_key_reason(change.new_reason),
        actor=change.actor,
        reason=change.reason,
        business_date=wire.date_to_wire(change.business_date),
        create_time=wire.time_to_wire(change.create_time),
        proposal=_proposal_name(customer_id, change.proposal_id),
    )


def proposal_to_wire(proposal: Proposal) -> key_mark_pb2.KeyMarkProposal:
    return key_mark_pb2.KeyMarkProposal(
        name=_proposal_name(proposal.customer_id, proposal.proposal_id),
        state=f"STATE_{proposal.state}",
        reason=proposal.reason,
        end_date=wire.date_to_wire(proposal.end_date),
        proposer=names.make("staff", proposal.proposer),
        create_time=wire.time_to_wire(proposal.create_time),
        actor=proposal.actor,
        decision_reason=proposal.decision_reason,
        update_time=wire.time_to_wire(proposal.update_time),
    )


def place_of(proposal: Proposal) -> list[KeyPart]:
    """Where a page of proposals ends."""
    return [proposal.create_time.astimezone(UTC).isoformat(), proposal.proposal_id]


def place_from_key(key: tuple[KeyPart, ...]) -> tuple[datetime, str]:
    return datetime.fromisoformat(str(key[0])), str(key[1])


def _confirmation_to_wire(confirmation: Confirmation) -> tag_pb2.CustomerTag.Confirmation:
    chinese, english = tag_evidence.words(confirmation.evidence)
    return tag_pb2.CustomerTag.Confirmation(
        rule_version=confirmation.rule_version,
        as_of_date=wire.date_to_wire(confirmation.as_of_date),
        expiry_date=wire.date_to_wire(confirmation.expiry_date),
        evidence=chinese,
        evidence_en=english,
    )


def _setting_to_wire(setting: Setting) -> tag_pb2.CustomerTag.Setting:
    return tag_pb2.CustomerTag.Setting(
        reason=setting.reason,
        end_date=wire.date_to_wire(setting.end_date),
        actor=setting.actor,
        create_time=wire.time_to_wire(setting.create_time),
    )


def _override_to_wire(override: Override) -> tag_pb2.CustomerTag.Override:
    return tag_pb2.CustomerTag.Override(
        set=override.is_set,
        reason=override.reason,
        end_date=wire.date_to_wire(override.end_date),
        actor=override.actor,
        create_time=wire.time_to_wire(override.create_time),
    )


def _key_reason(reason: KeyReason | None) -> str:
    return f"KEY_REASON_{reason or 'UNSPECIFIED'}"


def _proposal_name(customer_id: str, proposal_id: str | None) -> str:
    return f"{names.make('customers', customer_id)}/keyMarkProposals/{proposal_id}" if proposal_id else ""


def _text(said: str, field: str, most: int, least: int = 1) -> str:
    text = said.strip()
    if not least <= len(text) <= most:
        raise invalid_field(field, f"must have from {least} to {most} characters")
    return text
