from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.customer_svc.domain.conditions import (
    AllOf,
    AnyOf,
    Bound,
    Condition,
    ContactCondition,
    ContactCount,
    FigureCondition,
    GroupCondition,
    HoldingCondition,
    IdentityCondition,
    LoanMatch,
    Not,
    OwnershipCondition,
    ProductSet,
    RoomLeft,
    Span,
    TagCondition,
    ValueCondition,
)
from services.customer_svc.domain.faults import faults, size_fault
from services.customer_svc.domain.figures import RANGES, SUMS, Unit, unit_of
from services.customer_svc.domain.query import Query

JANUARY, FEBRUARY = date(2026, 1, 1), date(2026, 2, 1)
A_AND_B, A = ProductSet(("a", "b")), ProductSet(("a",))
KINDS = {kind: [*ranges.values()] for kind, ranges in RANGES.items()}
KINDS["behaviour"] += [figure for figures in SUMS.values() for figure in figures.values()]


def ranged(kind: str, bound: Bound) -> Condition:
    return ValueCondition((bound,)) if kind == "value" else FigureCondition(kind, bounds=(bound,))  # pyright: ignore[reportArgumentType] -- one of the four


@pytest.mark.parametrize(
    ("condition", "field", "reason"),
    [
        (IdentityCondition(age_min=40, age_max=39), "identity.age_min", "RANGE_EMPTY"),
        (IdentityCondition(age_min=-1), "identity.age_min", "FIELD_INVALID"),
        (IdentityCondition(age_max=151), "identity.age_max", "FIELD_INVALID"),
        (IdentityCondition(birthday_within_days=367), "identity.birthday_within_days", "FIELD_INVALID"),
        (IdentityCondition(display_name_prefix="x" * 101), "identity.display_name_prefix", "FIELD_INVALID"),
        (IdentityCondition(residence_districts=("x",) * 1001), "identity.residence_districts", "LIST_TOO_LONG"),
        (
            IdentityCondition(id_expiry_date_min=FEBRUARY, id_expiry_date_max=JANUARY),
            "identity.id_expiry_date_min",
            "RANGE_EMPTY",
        ),
        (
            OwnershipCondition(since_date_min=FEBRUARY, since_date_max=JANUARY),
            "ownership.since_date_min",
            "RANGE_EMPTY",
        ),
        (OwnershipCondition(manager_id="s", unassigned=True), "ownership.unassigned", "CONDITION_CONTRADICTORY"),
        (OwnershipCondition(days_without_contact_min=-1), "ownership.days_without_contact_min", "FIELD_INVALID"),
        (
            FigureCondition("deposit", spans=(Span("time_maturity_date", 0, 367, ahead=True),)),
            "deposit.time_deposit_due_within_days",
            "FIELD_INVALID",
        ),
        (
            FigureCondition("loan", spans=(Span("loan_settled_date", None, 121, unit="MONTHS"),)),
            "loan.settled_within_months",
            "FIELD_INVALID",
        ),
        (
            FigureCondition("card", spans=(Span("card_last_use_date", 3661),)),
            "card.dormant_days_min",
            "FIELD_INVALID",
        ),
        (
            FigureCondition("behaviour", spans=(Span("last_active_date", 9, 8),)),
            "behaviour.inactive_days_min",
            "RANGE_EMPTY",
        ),
        (FigureCondition("loan", loan=LoanMatch(due_within_days=-1)), "loan.due_within_days", "FIELD_INVALID"),
        (
            FigureCondition("loan", loan=LoanMatch(next_due_within_days=367)),
            "loan.next_due_within_days",
            "FIELD_INVALID",
        ),
        (FigureCondition("loan", loan=LoanMatch(products=("p",) * 1001)), "loan.products", "LIST_TOO_LONG"),
        (
            FigureCondition("loan", holds=False, loan=LoanMatch(in_arrears=True)),
            "loan.holds",
            "CONDITION_CONTRADICTORY",
        ),
        (
            FigureCondition("card", holds=False, bounds=(Bound("card_limit_minor", 1),)),
            "card.holds",
            "CONDITION_CONTRADICTORY",
        ),
        (HoldingCondition(all_of=A_AND_B, none_of=A), "holding.none_of", "CONDITION_CONTRADICTORY"),
        (HoldingCondition(any_of=A, none_of=A_AND_B), "holding.none_of", "CONDITION_CONTRADICTORY"),
        (HoldingCondition(count_min=2, count_max=1), "holding.count_min", "RANGE_EMPTY"),
        (HoldingCondition(count_min=-1), "holding.count_min", "FIELD_INVALID"),
        (HoldingCondition(any_of=ProductSet((), ("p",) * 1001)), "holding.any_of.products", "LIST_TOO_LONG"),
        (ValueCondition(bounds=(Bound("tier", 0),)), "value.tier_min", "FIELD_INVALID"),
        (ValueCondition(bounds=(Bound("risk_rating", None, 6),)), "value.risk_rating_max", "FIELD_INVALID"),
        (ValueCondition(key=False, key_reasons=("LOAN",)), "value.key", "CONDITION_CONTRADICTORY"),
        (TagCondition(all_of=("A", "B"), none_of=("B",)), "tag.none_of", "CONDITION_CONTRADICTORY"),
        (TagCondition(any_of=("A",), none_of=("A", "B")), "tag.none_of", "CONDITION_CONTRADICTORY"),
        (TagCondition(any_of=("A",) * 1001), "tag.any_of", "LIST_TOO_LONG"),
        (GroupCondition(any_of=("g",), none_of=("g",)), "group.none_of", "CONDITION_CONTRADICTORY"),
        (GroupCondition(none_of=("g",) * 21), "group.none_of", "LIST_TOO_LONG"),
        (ContactCondition(counts=(ContactCount(367),)), "contact.counts[0].days", "FIELD_INVALID"),
        (ContactCondition(counts=(ContactCount(3, low=2, high=1),)), "contact.counts[0].min", "RANGE_EMPTY"),
        (ContactCondition(counts=(ContactCount(3, high=-1),)), "contact.counts[0].max", "FIELD_INVALID"),
        (ContactCondition(rooms=(RoomLeft("SMS", -1),)), "contact.rooms[0].left_min", "FIELD_INVALID"),
        (
            ContactCondition(rooms=(RoomLeft("SMS", at=datetime(9999, 12, 31, 23, tzinfo=UTC)),)),
            "contact.rooms[0].contact_time",
            "FIELD_INVALID",
        ),
        (ContactCondition(rooms=(RoomLeft("SMS"),) * 21), "contact.rooms", "FIELD_INVALID"),
        (ContactCondition(refused_within_days=3661), "contact.refused_within_days", "FIELD_INVALID"),
    ],
)
def test_each_fault_names_its_field(condition: Condition, field: str, reason: str) -> None:
    [fault] = faults(Query((IdentityCondition(), AnyOf((Not(condition),)))))
    assert (fault.field, fault.reason) == (f"conditions[1].any_of.conditions[0].not_of.{field}", reason)
    assert (fault.limit is not None) == (reason == "LIST_TOO_LONG")


@pytest.mark.parametrize(("kind", "figure"), [(kind, figure) for kind, figures in KINDS.items() for figure in figures])
def test_every_range_is_refused_upside_down_and_taken_as_a_point(kind: str, figure: str) -> None:
    low, high = (FEBRUARY, JANUARY) if unit_of(figure) is Unit.DATE else (4, 3)
    [fault] = faults(Query((ranged(kind, Bound(figure, low, high)),)))
    assert fault.reason == "RANGE_EMPTY"
    assert fault.field.startswith(f"conditions[0].{kind}.")
    assert not faults(Query((ranged(kind, Bound(figure, low, low)),)))


@pytest.mark.parametrize("figure", [figure for kind in KINDS.values() for figure in kind if figure.endswith("percent")])
def test_a_percentage_lies_between_0_and_100(figure: str) -> None:
    kind = next(kind for kind, figures in KINDS.items() if figure in figures)
    for bound in (Bound(figure, -1), Bound(figure, None, 101)):
        [fault] = faults(Query((ranged(kind, bound),)))
        assert fault.reason == "FIELD_INVALID"


def test_ends_of_a_range_may_meet() -> None:
    assert not faults(Query((IdentityCondition(age_min=40, age_max=40),)))


MALE = IdentityCondition(sex="MALE")


def nested(depth: int) -> Condition:
    found: Condition = MALE
    for _ in range(depth - 1):
        found = Not(found)
    return found


@pytest.mark.parametrize(
    ("conditions", "reason", "field", "limit"),
    [
        ((MALE,) * 200, None, "", None),
        ((MALE,) * 201, "CONDITIONS_TOO_MANY", "conditions[200]", 200),
        (
            (AnyOf((AllOf((MALE,) * 198), MALE)),),
            "CONDITIONS_TOO_MANY",
            "conditions[0].any_of.conditions[1]",
            200,
        ),
        ((nested(10),), None, "", None),
        ((nested(11),), "NESTING_TOO_DEEP", "conditions[0]" + ".not_of" * 10, 10),
        ((AnyOf(()),), "FIELD_INVALID", "conditions[0].any_of.conditions", None),
        ((Not(AllOf(())),), "FIELD_INVALID", "conditions[0].not_of.all_of.conditions", None),
    ],
)
def test_the_size_of_a_query_is_limited(conditions: tuple[Condition, ...], reason, field: str, limit) -> None:
    fault = size_fault(conditions)
    assert (fault.reason if fault else None) == reason
    assert fault is None or (fault.field, fault.limit) == (field, limit)


@given(
    st.recursive(
        st.just(MALE),
        lambda inner: inner.map(Not) | st.lists(inner, min_size=1, max_size=3).map(lambda parts: AnyOf(tuple(parts))),
        max_leaves=30,
    )
)
def test_what_is_small_enough_combines_freely(condition: Condition) -> None:
    def depth(part: Condition) -> int:
        match part:
            case Not(inner):
                return 1 + depth(inner)
            case AllOf(parts) | AnyOf(parts):
                return 1 + max(map(depth, parts))
            case _:
                return 1

    assert (size_fault((condition,)) is None) == (depth(condition) <= 10)
