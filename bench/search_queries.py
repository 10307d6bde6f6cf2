"""Queries by chance on the bank of `bench.search_bank`: ten conditions of the ten classes each, and who asks them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random

from services.customer_svc.domain.conditions import (
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
    Permission,
    ProductSet,
    Span,
    TagCondition,
    ValueCondition,
)
from services.customer_svc.domain.query import Order, OrderField, Query
from services.customer_svc.domain.viewing import Level, Viewer

NOW = datetime(2026, 6, 30, 0, tzinfo=UTC)
VIEWERS = {
    "root head": Viewer("S00000", "B0000", frozenset({"BRANCH_HEAD"})),
    "regional head": Viewer("S00010", "B0001", frozenset({"BRANCH_HEAD"})),
    "branch head": Viewer("S00500", "B0050", frozenset({"BRANCH_HEAD"})),
    "manager": Viewer("S00502", "B0050", frozenset({"MANAGER"})),
}
INDEXED = (
    OrderField.CUSTOMER,
    OrderField.DISPLAY_NAME,
    OrderField.CUSTOMER_SINCE,
    OrderField.TOTAL_DEPOSIT_AVERAGE,
    OrderField.TOTAL_AUM,
)
_SORTED = (OrderField.TIER, OrderField.TOTAL_LOAN_OUTSTANDING, OrderField.CONTRIBUTION, OrderField.BIRTH_DATE)
_DISTRICTS = tuple(f"D{number}" for number in range(60))


def query_by_chance(chance: Random, below: Sequence[frozenset[str]]) -> Query:
    """Ten conditions, one of each class, that together leave from a few people to some percent of the bank.

    `below` are the regions' branches.
    """
    field = chance.choice(chance.choice((INDEXED, INDEXED, INDEXED, INDEXED, _SORTED)))
    return Query(conditions(chance, below), Order(field, chance.choice((False, True))))


def conditions(chance: Random, below: Sequence[frozenset[str]]) -> tuple[Condition, ...]:
    """One condition of each class."""
    return (
        _identity(chance),
        _ownership(chance, below),
        FigureCondition("deposit", whole_bank=True, bounds=(_deposit(chance),)),
        _loan(chance),
        _card(chance),
        _holding(chance),
        _behaviour(chance),
        _value(chance),
        _tags(chance),
        _contact(chance),
    )


def in_group(chance: Random) -> Condition:
    """In the group of the bank that holds four customers of ten, or not in it."""
    named = ("G1",)
    if chance.choice((False, True)):
        return GroupCondition(any_of=named, least=Level.EXISTENCE)
    return GroupCondition(none_of=named, least=Level.EXISTENCE)


def _identity(chance: Random) -> Condition:
    youngest = chance.randrange(18, 50)
    return chance.choice(
        (
            IdentityCondition(sex=chance.choice(("FEMALE", "MALE"))),
            IdentityCondition(age_min=youngest, age_max=youngest + chance.randrange(10, 40)),
            IdentityCondition(residence_districts=tuple(chance.sample(_DISTRICTS, 30))),
            IdentityCondition(birthday_within_days=chance.randrange(30, 180)),
        )
    )


def _ownership(chance: Random, below: Sequence[frozenset[str]]) -> Condition:
    some = frozenset[str]().union(*chance.sample(below, 5))
    return chance.choice(
        (
            OwnershipCondition("B0001", with_subtree=True, branch_ids=some, side="PRIMARY"),
            OwnershipCondition(side="PRIMARY", unassigned=True),
            OwnershipCondition(days_without_contact_min=chance.randrange(5, 60), now=NOW),
        )
    )


def _deposit(chance: Random) -> Bound:
    least = round(10 ** chance.uniform(4, 5.5))
    return chance.choice(
        (
            Bound("deposit_average_minor", least, least * 1000),
            Bound("deposit_balance_minor", least),
            Bound("aum_minor", least * 2),
        )
    )


def _loan(chance: Random) -> Condition:
    return chance.choice(
        (
            FigureCondition("loan", whole_bank=True, holds=False),
            Not(FigureCondition("loan", whole_bank=True, bounds=(Bound("loan_overdue_days", 1),))),
            FigureCondition("loan", whole_bank=True, bounds=(Bound("loan_outstanding_minor", 100_000),)),
            FigureCondition("loan", whole_bank=True, loan=LoanMatch(products=("P1", "P2", "P3", "P5"))),
        )
    )


def _card(chance: Random) -> Condition:
    utilised = Bound("card_utilisation_percent", 0, chance.randrange(30, 90))
    return chance.choice(
        (
            FigureCondition("card", whole_bank=True, holds=True),
            FigureCondition("card", whole_bank=True, holds=False),
            FigureCondition("card", whole_bank=True, bounds=(utilised,)),
        )
    )


def _holding(chance: Random) -> Condition:
    return chance.choice(
        (
            HoldingCondition(whole_bank=True, any_of=ProductSet(("MOBILE_BANK", "PAYROLL"))),
            HoldingCondition(whole_bank=True, none_of=ProductSet(("WEALTH",))),
            HoldingCondition(whole_bank=True, all_of=ProductSet(("MOBILE_BANK",)), none_of=ProductSet(("PENSION",))),
            HoldingCondition(whole_bank=True, any_of=ProductSet(products=("MOBILE_BANK-1", "SMS_ALERT-2"))),
        )
    )


def _behaviour(chance: Random) -> Condition:
    inflow = Bound("inflow_90d_minor", round(10 ** chance.uniform(3.5, 5)))
    active = Span("last_active_date", most=chance.randrange(60, 180))
    visits = Bound("mobile_share_percent", chance.randrange(20, 70))
    return chance.choice(
        (
            FigureCondition("behaviour", whole_bank=True, bounds=(chance.choice((visits, inflow)),)),
            FigureCondition("behaviour", whole_bank=True, spans=(active,)),
        )
    )


def _value(chance: Random) -> Condition:
    return chance.choice(
        (
            ValueCondition(bounds=(Bound("tier", chance.randrange(1, 4)),)),
            ValueCondition(lifecycles=("ACTIVE", "NEW")),
            ValueCondition(bounds=(Bound("risk_rating", 2, 5),)),
        )
    )


def _tags(chance: Random) -> Condition:
    return chance.choice(
        (
            TagCondition(any_of=("CARD_POTENTIAL", "DEPOSIT_POTENTIAL", "WEALTH_POTENTIAL")),
            TagCondition(none_of=("CHURN_RISK",)),
            in_group(chance),
        )
    )


def _contact(chance: Random) -> Condition:
    return chance.choice(
        (
            ContactCondition(counts=(ContactCount(30, high=1),), now=NOW),
            ContactCondition(counts=(ContactCount(90, ("SMS",), low=1),), now=NOW),
            Not(ContactCondition(opt_outs=(Permission("SMS"),), now=NOW)),
            ContactCondition(consents=(Permission("SMS", "WEALTH"),), now=NOW),
        )
    )
