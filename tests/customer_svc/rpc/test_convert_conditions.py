"""Every field of every condition arrives, and is said in both languages.

The fields come from the descriptors: one that is added later and forgotten fails here.
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
from banyan.customer.v1 import customer_codes_pb2, customer_pb2, customer_service_pb2_grpc
from banyan.customer.v1 import customer_condition_pb2 as pb
from banyan.customer.v1.customer_service_pb2 import SearchCustomersRequest
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.timestamp_pb2 import Timestamp
from google.type.date_pb2 import Date
from google.type.money_pb2 import Money

from chassis.caller import Role
from chassis.errors import Refused
from services.customer_svc.domain.conditions import (
    AllOf,
    AnyOf,
    Bound,
    ContactCondition,
    ContactCount,
    FigureCondition,
    GroupCondition,
    HoldingCondition,
    IdentityCondition,
    LoanMatch,
    Not,
    OwnershipCondition,
    Permission,
    ProductSet,
    RoomLeft,
    Span,
    TagCondition,
    ValueCondition,
)
from services.customer_svc.domain.query import Query
from services.customer_svc.domain.words import explained
from services.customer_svc.domain.words_en import ENGLISH
from services.customer_svc.domain.words_zh import CHINESE
from services.customer_svc.rpc.convert_conditions import conditions_from_wire

SINGLES = {
    field.name: field.message_type
    for field in pb.CustomerCondition.DESCRIPTOR.fields
    if field.message_type is not None and field.name not in {"all_of", "any_of", "not_of"}
}
FIELDS = [(kind, field.name) for kind, descriptor in SINGLES.items() for field in descriptor.fields]
# Fields that say something of others, with one of those.
BESIDE: dict[tuple[str, str], dict[str, Any]] = {
    ("ownership", "with_subtree"): {"branch": "branches/b1"},
    ("deposit", "scope"): {"holds": True},
    ("loan", "scope"): {"holds": True},
    ("card", "scope"): {"holds": True},
    ("holding", "scope"): {"countMin": 1},
    ("behaviour", "scope"): {"inactiveDaysMin": 1},
}
REFERENCES = {
    ("ownership", "branch"): "branches/b7",
    ("ownership", "manager"): "staff/s7",
    ("group", "any_of"): "customerGroups/g7",
    ("group", "none_of"): "customerGroups/g7",
}


def samples(kind: str, field: Any) -> Iterator[Any]:
    """Values of a field, as JSON."""
    for value in values(field, REFERENCES.get((kind, field.name), "a7")):
        yield [value] if field.is_repeated else value


def values(field: Any, text: str) -> Iterator[Any]:
    match field.type:
        case FieldDescriptor.TYPE_STRING:
            yield text
        case FieldDescriptor.TYPE_BOOL:
            yield True
            if field.has_presence:
                yield False
        case FieldDescriptor.TYPE_ENUM:
            usual = 1 if field.name == "scope" else 0
            yield from (value.name for value in field.enum_type.values if value.number > usual)
        case FieldDescriptor.TYPE_MESSAGE:
            yield inner(field.message_type)
        case _:
            # Tiers and ratings go no further.
            yield 5 if re.match(r"(tier|risk_rating)_m", field.name) else 30


def inner(descriptor: Descriptor) -> Any:
    """A message with all of its fields."""
    match descriptor.full_name:
        case "google.type.Money":
            return {"units": "12345", "currencyCode": "CNY"}
        case "google.type.Date":
            return {"year": 2026, "month": 3, "day": 5}
        case "google.protobuf.Timestamp":
            return "2026-03-05T01:30:00Z"
        case _:
            return {
                field.json_name: [value] if field.is_repeated else value
                for field in descriptor.fields
                for value in list(values(field, "a7"))[:1]
            }


def condition(kind: str, content: dict[str, Any]) -> pb.CustomerCondition:
    return json_format.ParseDict({kind: content}, pb.CustomerCondition())


def converted(kind: str, content: dict[str, Any]):
    [found] = conditions_from_wire([condition(kind, content)], "CNY")
    return found


@pytest.mark.parametrize(("kind", "name"), FIELDS)
def test_every_field_arrives_and_is_said_in_both_languages(kind: str, name: str) -> None:
    [field] = [each for each in SINGLES[kind].fields if each.name == name]
    beside = BESIDE.get((kind, name), {})
    without, arrived, said = converted(kind, beside), [], []
    for value in samples(kind, field):
        found = converted(kind, beside | {field.json_name: value})
        arrived.append(found)
        said += [explained(Query((found,)), [], "CNY", language) for language in (CHINESE, ENGLISH)]
    assert without not in arrived
    assert len(set(map(repr, arrived))) == len(arrived), "each value means something else"
    assert len(set(said)) == len(said)
    assert not {explained(Query((without,)), [], "CNY", language) for language in (CHINESE, ENGLISH)} & set(said)
    if field.type not in {FieldDescriptor.TYPE_BOOL, FieldDescriptor.TYPE_ENUM}:
        assert all(any(part in text for part in ("7", "30", "12,345", "5")) for text in said), said


async def test_every_field_is_answered_from_the_database(filled, channel, signed_in) -> None:
    del filled
    stub = customer_service_pb2_grpc.CustomerServiceStub(channel)
    head = signed_in.staff(Role.BRANCH_HEAD, staff_id="h1", branch_id="b1")
    for kind, name in FIELDS:
        [field] = [each for each in SINGLES[kind].fields if each.name == name]
        for value in [] if kind in {"group", "tag"} else samples(kind, field):
            sent = condition(kind, BESIDE.get((kind, name), {}) | {field.json_name: value})
            either = pb.CustomerCondition(
                any_of=pb.ConditionGroup(conditions=[sent, pb.CustomerCondition(not_of=sent)])
            )
            found = [
                await stub.SearchCustomers(SearchCustomersRequest(conditions=[each]), metadata=head)
                for each in (sent, either)
            ]
            assert len(found[1].customers) == 2, f"{kind}.{name}: whoever does not fulfil it fulfils its opposite"
            assert len(found[0].customers) < 3


@pytest.mark.parametrize(
    ("kind", "content", "value"),
    [
        (
            "identity",
            pb.IdentityCondition(
                sex=customer_pb2.SEX_FEMALE, age_min=0, id_expiry_date_max=Date(year=2026, month=1, day=2)
            ),
            IdentityCondition(sex="FEMALE", age_min=0, id_expiry_date_max=date(2026, 1, 2)),
        ),
        (
            "ownership",
            pb.OwnershipCondition(side=customer_pb2.SIDE_SECONDARY, days_without_contact_min=90),
            OwnershipCondition(side="SECONDARY", days_without_contact_min=90),
        ),
        (
            "deposit",
            pb.DepositCondition(
                scope=pb.DepositCondition.SCOPE_TOTAL,
                balance_max=Money(units=1, nanos=500_000_000),
                year_change_min=Money(units=-5),
                demand_share_percent_min=30,
                time_deposit_due_within_days=0,
            ),
            FigureCondition(
                "deposit",
                whole_bank=True,
                bounds=(
                    Bound("deposit_balance_minor", None, 150),
                    Bound("deposit_year_change_minor", -500),
                    Bound("demand_share_percent", 30),
                ),
                spans=(Span("time_maturity_date", 0, 0, ahead=True),),
            ),
        ),
        (
            "loan",
            pb.LoanCondition(
                overdue_days_min=1,
                settled_within_months=12,
                grades=[customer_codes_pb2.LOAN_GRADE_LOSS],
                in_arrears=False,
            ),
            FigureCondition(
                "loan",
                bounds=(Bound("loan_overdue_days", 1),),
                spans=(Span("loan_settled_date", 0, 12, unit="MONTHS"),),
                loan=LoanMatch(grades=("LOSS",), in_arrears=False),
            ),
        ),
        (
            "card",
            pb.CardCondition(holds=False, dormant_days_min=90, due_within_days=3),
            FigureCondition(
                "card",
                holds=False,
                spans=(Span("card_due_date", 0, 3, ahead=True), Span("card_last_use_date", 90)),
            ),
        ),
        (
            "holding",
            pb.HoldingCondition(all_of=pb.ProductSet(categories=["a"]), none_of=pb.ProductSet(products=["p"])),
            HoldingCondition(all_of=ProductSet(("a",)), none_of=ProductSet((), ("p",))),
        ),
        (
            "behaviour",
            pb.BehaviourCondition(
                inflow=pb.MoneyOverDays(days=30, min=Money(units=1)),
                other_bank_count=pb.CountOverDays(days=90, max=0),
                active_within_days=5,
            ),
            FigureCondition(
                "behaviour",
                bounds=(Bound("inflow_30d_minor", 100), Bound("other_bank_90d_count", None, 0)),
                spans=(Span("last_active_date", None, 5),),
            ),
        ),
        (
            "value",
            pb.ValueCondition(tier_min=4, key=False, key_reasons=[customer_codes_pb2.KEY_REASON_BOTH]),
            ValueCondition((Bound("tier", 4),), key=False, key_reasons=("BOTH",)),
        ),
        ("tag", pb.TagCondition(all_of=["A"], none_of=["B"]), TagCondition(("A",), (), ("B",))),
        ("group", pb.GroupCondition(any_of=["customerGroups/g1"]), GroupCondition(("g1",))),
        (
            "contact",
            pb.ContactCondition(
                counts=[pb.ContactCount(days=7, channels=[customer_codes_pb2.CONTACT_CHANNEL_SMS], max=0)],
                consents=[pb.ContactPermission(category="wealth")],
                opt_outs=[pb.ContactPermission(channel=customer_codes_pb2.CONTACT_CHANNEL_CALL)],
                rooms=[
                    pb.ContactRoom(
                        channel=customer_codes_pb2.CONTACT_CHANNEL_SMS, contact_time=Timestamp(seconds=1_772_674_200)
                    )
                ],
            ),
            ContactCondition(
                counts=(ContactCount(7, ("SMS",), None, 0),),
                consents=(Permission("ALL", "wealth"),),
                opt_outs=(Permission("CALL", "ALL"),),
                rooms=(RoomLeft("SMS", 1, at=datetime(2026, 3, 5, 1, 30, tzinfo=UTC)),),
            ),
        ),
    ],
)
def test_each_class_means_what_it_says(kind: str, content: Any, value) -> None:
    assert conditions_from_wire([pb.CustomerCondition(**{kind: content})], "CNY") == (value,)


def test_conditions_combine() -> None:
    male = pb.CustomerCondition(identity=pb.IdentityCondition(sex=customer_pb2.SEX_MALE))
    either = pb.CustomerCondition(any_of=pb.ConditionGroup(conditions=[male, pb.CustomerCondition(not_of=male)]))
    both = pb.CustomerCondition(all_of=pb.ConditionGroup(conditions=[either]))
    one = IdentityCondition(sex="MALE")
    assert conditions_from_wire([both], "CNY") == (AllOf((AnyOf((one, Not(one))),)),)


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        (pb.CustomerCondition(), "conditions[0]"),
        (pb.CustomerCondition(not_of=pb.CustomerCondition()), "conditions[0].not_of"),
        (
            condition("deposit", {"balanceMin": {"currencyCode": "EUR"}}),
            "conditions[0].deposit.balance_min.currency_code",
        ),
        (condition("behaviour", {"inflow": {"days": 60}}), "conditions[0].behaviour.inflow.days"),
        (
            condition("behaviour", {"otherBank": {"days": 30, "max": {"nanos": 1}}}),
            "conditions[0].behaviour.other_bank.max.nanos",
        ),
        (
            condition("value", {"keyUntilDateMin": {"year": 2026, "month": 2, "day": 30}}),
            "conditions[0].value.key_until_date_min",
        ),
        (condition("group", {"noneOf": ["g1"]}), "conditions[0].group.none_of[0]"),
        (condition("ownership", {"manager": "s1"}), "conditions[0].ownership.manager"),
    ],
)
def test_what_cannot_be_understood_is_refused_by_its_path(sent: pb.CustomerCondition, field: str) -> None:
    with pytest.raises(Refused) as refused:
        conditions_from_wire([sent], "CNY")
    assert refused.value.violations[0].field == field
