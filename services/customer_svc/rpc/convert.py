"""Customers, facts and viewers between the wire and the values of customer_svc."""

from datetime import date
from typing import Any

from banyan.customer.v1 import customer_pb2, customer_service_pb2

from chassis import names, wire
from chassis.caller import Caller, current_request_id
from chassis.data_keys import DataKeys
from services.customer_svc.domain.customer import Owner, RelatedPerson, Value, View
from services.customer_svc.domain.facts import CustomerFact
from services.customer_svc.domain.viewing import Reading, Viewer
from services.customer_svc.rpc import convert_tags
from services.customer_svc.rpc.convert_business import branches_to_wire, business_to_wire, money, totals_to_wire
from services.customer_svc.rpc.convert_parts import parts_to_wire, standing_to_wire

TAGS_MAX = 100


def viewer_of(caller: Caller) -> Viewer:
    return Viewer(caller.staff_id, caller.branch_id, frozenset(role.value for role in caller.roles))


def reading_of(caller: Caller, method: str, keys: DataKeys | None = None) -> Reading:
    """What the audit keeps of a read; with `keys`, which are needed to show anybody's contact data."""
    return Reading(viewer_of(caller), current_request_id(), method, keys)


def view_to_wire(view: View, currency: str) -> customer_pb2.Customer:
    identity = view.identity
    return customer_pb2.Customer(
        name=names.make("customers", identity.customer_id),
        customer_type=f"CUSTOMER_TYPE_{identity.customer_type or 'UNSPECIFIED'}",
        display_name=identity.display_name,
        sex=f"SEX_{identity.sex or 'UNSPECIFIED'}",
        birth_date=wire.date_to_wire(identity.birth_date),
        id_type=identity.id_type,
        id_number=identity.id_number,
        id_expiry_date=wire.date_to_wire(identity.id_expiry_date),
        mobile=identity.mobile,
        occupation=identity.occupation,
        residence_district=identity.residence_district,
        customer_since_date=wire.date_to_wire(identity.customer_since_date),
        state=f"STATE_{identity.state or 'UNSPECIFIED'}",
        owners=[_owner_to_wire(owner, view.parts.rule_of(owner.branch_id)) for owner in view.owners],
        total=totals_to_wire(view.total, currency, view.total_indicators) if view.total else None,
        own=business_to_wire(view.own, currency) if view.own else None,
        other_branches=branches_to_wire(view.other_branches, view.product_totals, currency),
        related_people=map(person_to_wire, view.related_people),
        view_level=f"VIEW_LEVEL_{view.level.name}",
        masked_fields=view.masked_fields,
        business_date=wire.date_to_wire(view.business_date),
        update_time=wire.time_to_wire(identity.update_time),
        risk_rating=identity.risk_rating,
        risk_rating_expiry_date=wire.date_to_wire(identity.risk_rating_expiry_date),
        industry=identity.industry,
        value=_value_to_wire(view.value, currency) if view.value else None,
        contact_room=standing_to_wire(view.standing) if view.standing else None,
        **_marks_to_wire(view),
        **parts_to_wire(view.parts, currency),
    )


def fact_to_wire(fact: CustomerFact) -> customer_service_pb2.CustomerFactChange:
    name = names.make("customers", fact.customer_id)
    if fact.gone:
        merged_into = names.make("customers", fact.merged_into)
        return customer_service_pb2.CustomerFactChange(customer=name, gone=True, merged_into=merged_into)
    return customer_service_pb2.CustomerFactChange(
        customer=name,
        customer_type=f"CUSTOMER_TYPE_{fact.customer_type}",
        state=f"STATE_{fact.state}",
        accounts=[
            customer_service_pb2.AccountFact(account=account_id, branch=names.make("branches", branch_id))
            for account_id, branch_id in fact.accounts
        ],
        loan_live=fact.loan_live,
        key_customer=fact.key_customer,
    )


def _owner_to_wire(owner: Owner, rule: str) -> customer_pb2.CustomerOwner:
    return customer_pb2.CustomerOwner(
        branch=names.make("branches", owner.branch_id),
        side=f"SIDE_{owner.side}",
        manager=names.make("staff", owner.manager_id),
        since_date=wire.date_to_wire(owner.since_date),
        private_manager=names.make("staff", owner.private_manager_id),
        rule=rule,
    )


def person_to_wire(person: RelatedPerson) -> customer_pb2.RelatedPerson:
    return customer_pb2.RelatedPerson(
        kind=person.kind,
        customer=names.make("customers", person.customer_id),
        display_name=person.display_name,
        mobile=person.mobile,
        direction=f"DIRECTION_{'CUSTOMER' if person.reverse else 'PERSON'}",
        manual=person.manual,
    )


def _value_to_wire(value: Value, currency: str) -> customer_pb2.CustomerValue:
    return customer_pb2.CustomerValue(
        tier=value.tier,
        tier_gap=money(value.tier_gap_minor, currency),
        contribution=money(value.contribution_minor, currency),
        lifecycle=f"LIFECYCLE_{value.lifecycle or 'UNSPECIFIED'}",
    )


def _marks_to_wire(view: View) -> dict[str, Any]:
    marks, day = view.marks, view.business_date
    return {
        "tags": [convert_tags.customer_tag_to_wire(tag, day or date.max) for tag in marks.tags[:TAGS_MAX]],
        "key_mark": convert_tags.key_mark_to_wire(marks.key_mark) if marks.key_mark else None,
    }
