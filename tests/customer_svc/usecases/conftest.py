"""One slow reading of domain.md 3 and 4 for a handful of customers, which everything fast is compared with."""

from dataclasses import dataclass, field
from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from services.customer_svc.domain.conditions import (
    AllOf,
    AnyOf,
    ContactCondition,
    FigureCondition,
    GroupCondition,
    HoldingCondition,
    IdentityCondition,
    Not,
    OwnershipCondition,
    TagCondition,
    ValueCondition,
    singles,
)
from services.customer_svc.domain.customer import Owner
from services.customer_svc.domain.query import Facet, Order, Query
from services.customer_svc.domain.viewing import Viewer

DAY = date(2026, 6, 30)
LEADING = {"BRANCH_HEAD", "MANAGER", "PRIVATE_MANAGER"}
EXISTENCE = {"MANAGER", "PRIVATE_MANAGER", "LOBBY", "TELLER", "APPROVER"}


@dataclass
class Person:
    """A customer with all that the test knows of him; figures by branch, and `""` for the whole bank."""

    row: dict[str, Any]
    owners: list[Owner]
    figures: dict[str, dict[str, Any]]
    values: dict[str, Any]
    loans: list[dict[str, Any]]
    holdings: list[dict[str, Any]]
    tags: list[str]
    groups: list[str]
    contacts: list[tuple[str, int]]
    room: dict[str, Any] | None

    @property
    def id(self) -> str:
        return self.row["customer_id"]


@dataclass
class World:
    parents: dict[str, str | None]
    people: list[Person]

    def below(self, branch: str) -> set[str]:
        found = {branch}
        for _ in self.parents:
            found |= {child for child, parent in self.parents.items() if parent in found}
        return found


@dataclass
class Oracle:
    """What one viewer sees of a world, by the tables of domain.md read line by line."""

    world: World
    viewer: Viewer
    counting: bool = False
    below: set[str] = field(init=False)

    def __post_init__(self) -> None:
        self.below = self.world.below(self.viewer.branch_id)
        roles = self.viewer.roles
        by_name = roles & {"SERVICE", *LEADING}
        self.marketer = self.counting and not by_name and "MARKETER" in roles
        self.analyst = self.counting and not by_name and not self.marketer and "ANALYST" in roles

    def row_level(self, row: Owner) -> int:  # noqa: PLR0911 -- the matrix, line by line
        roles, side = self.viewer.roles, {"PRIMARY": 3, "SECONDARY": 2}[row.side]
        if self.analyst:
            return side
        if self.marketer:
            return side if row.branch_id in self.below else 0
        if "BRANCH_HEAD" in roles and row.branch_id in self.below:
            return side
        if "PRIVATE_MANAGER" in roles and row.private_manager_id == self.viewer.staff_id:
            return side
        if row.branch_id != self.viewer.branch_id:
            return 0
        if roles & {"MANAGER", "PRIVATE_MANAGER"} and row.manager_id == self.viewer.staff_id:
            return side
        return 1 if roles & EXISTENCE else 0

    def level(self, person: Person) -> int:
        return 4 if "SERVICE" in self.viewer.roles else max(map(self.row_level, person.owners), default=0)

    def own(self, person: Person) -> str | None:
        level = self.level(person)
        rows = [row.branch_id for row in person.owners if self.row_level(row) == level]
        home = self.viewer.branch_id if not self.analyst else ""
        return (home if home in rows else min(rows)) if rows and level in {2, 3} else None

    def needs(self, condition: Any) -> int:  # noqa: PLR0911 -- a table, class by class
        """The least level that sees what a condition looks at."""
        match condition:
            case AllOf(parts) | AnyOf(parts):
                return max(map(self.needs, parts), default=1)
            case Not(part):
                return self.needs(part)
            case IdentityCondition():
                return 3 if condition.mobile else 1 + (condition != IdentityCondition())
            case FigureCondition() | HoldingCondition():
                return 3 if condition.whole_bank else 2
            case ValueCondition():
                rated = all(each.figure.startswith("risk") for each in condition.bounds)
                only_rated = rated and not condition.lifecycles and condition.key is None
                return 2 if only_rated else 3
            case ContactCondition():
                if condition.last_outcomes:
                    return 3
                return 1 + bool(condition.counts or condition.consents or condition.opt_outs)
            case TagCondition():
                return 3
            case GroupCondition():
                return max((int(group[1]) for group in (*condition.any_of, *condition.none_of)), default=1)
            case _:
                return 2

    def confines(self, condition: Any) -> bool:
        match condition:
            case AllOf(parts) | AnyOf(parts):
                return any(map(self.confines, parts))
            case Not(part):
                return self.confines(part)
            case IdentityCondition():
                return False
            case _:
                return self.needs(condition) == 3

    def order_needs(self, order: Order) -> int:
        value = order.field in {"TIER", "TIER_GAP", "CONTRIBUTION"}
        return 1 if order.field == "CUSTOMER" else 3 if value or order.field.startswith("TOTAL_") else 2

    def facet_needs(self, facets: list[Facet]) -> int:
        return max((2 if facet is Facet.BRANCH else 3 for facet in facets), default=1)

    def refuses(self, query: Query, facets: list[Facet] = []) -> bool:  # noqa: B006 -- never changed
        roles = self.viewer.roles
        best = 3 if self.analyst or self.marketer or roles & LEADING else int(bool(roles & EXISTENCE))
        leaves = list(singles(query.conditions))
        if "SERVICE" in roles:
            by_own = any(isinstance(c, FigureCondition | HoldingCondition) and not c.whole_bank for c in leaves)
            return by_own or query.order.field.startswith("OWN_") or Facet.BRANCH in facets
        naming = [c for c in leaves if isinstance(c, IdentityCondition) and (c.mobile or c.display_name_prefix)]
        if (self.analyst or self.marketer) and naming:
            return True
        needed = [self.order_needs(query.order), *map(self.needs, leaves), self.facet_needs(facets)]
        return any(need > max(best, 1) for need in needed)

    def fulfils(self, person: Person, condition: Any) -> bool:  # noqa: PLR0911 -- a table, class by class
        match condition:
            case AllOf(parts):
                return all(self.fulfils(person, part) for part in parts)
            case AnyOf(parts):
                return any(self.fulfils(person, part) for part in parts)
            case Not(part):
                return not self.fulfils(person, part)
            case IdentityCondition():
                return identity(person.row, condition)
            case OwnershipCondition():
                since = condition.days_without_contact_min
                rested = since is None or all(hours >= since * 24 for hours in last_contact(person))
                named = condition.names_row or since is None
                return rested and (not named or any(self.owned(person, row, condition) for row in person.owners))
            case FigureCondition():
                place = "" if condition.whole_bank else self.own(person)
                loans = [loan for loan in person.loans if condition.whole_bank or loan["branch_id"] == place]
                return figures(person.figures.get(place, {}) if place is not None else {}, loans, condition)
            case HoldingCondition():
                place = "" if condition.whole_bank else self.own(person)
                held = [each for each in person.holdings if condition.whole_bank or each["branch_id"] == place]
                categories = person.figures.get(place, {}).get("holding_categories") if place is not None else None
                products = {str(each["product_code"]) for each in held}
                return holds({*str(categories or "").split(";")} - {""}, products, condition)
            case _:
                return by_bank(person, condition)

    def owned(self, person: Person, row: Owner, c: OwnershipCondition) -> bool:
        only_sides = not (c.manager_id or c.since_date_max or c.unassigned)
        seen = self.level(person) >= 3 or self.row_level(row) >= 2 or (row.side == "PRIMARY" and only_sides)
        branches = self.world.below(c.branch_id) if c.with_subtree and c.branch_id else {c.branch_id}
        return all(
            (
                seen,
                c.branch_id is None or row.branch_id in branches,
                c.side is None or row.side == c.side,
                c.manager_id is None or row.manager_id == c.manager_id,
                not c.unassigned or row.manager_id is None,
                c.since_date_max is None or (row.since_date is not None and row.since_date <= c.since_date_max),
            )
        )

    def hits(self, query: Query, facets: list[Facet] = []) -> list[Person]:  # noqa: B006 -- never changed
        least = max([1, self.order_needs(query.order), *map(self.needs, query.conditions), self.facet_needs(facets)])
        least = 1 if "SERVICE" in self.viewer.roles else least
        people = [person for person in self.world.people if self.level(person) >= least]
        return [person for person in people if all(self.fulfils(person, c) for c in query.conditions)]

    def found(self, query: Query) -> list[str]:
        hits = self.hits(query)
        value = {person.id: self.value(person, query.order) for person in hits}
        known = [person.id for person in hits if value[person.id] is not None]
        unknown = [person.id for person in hits if value[person.id] is None]
        known.sort(key=lambda each: (value[each], each), reverse=query.order.descending)
        return known + sorted(unknown, reverse=query.order.descending)

    def value(self, person: Person, order: Order) -> Any:
        field_name = order.field.lower()
        place, _, name = field_name.partition("_")
        if place in {"own", "total"}:
            branch = "" if place == "total" else self.own(person)
            return person.figures.get(branch, {}).get(f"{name}_minor") if branch is not None else None
        if field_name == "customer":
            return person.id
        if field_name == "last_contact":
            return -last_contact(person)[0] if last_contact(person) else None
        return (person.row | person.values).get({"customer_since": "customer_since_date"}.get(field_name, field_name))

    def left_out(self, query: Query, facets: list[Facet] = []) -> int:  # noqa: B006 -- never changed
        opened = [c for c in query.conditions if not self.confines(c)]
        confined = len(opened) < len(query.conditions) or 3 in {self.order_needs(query.order), self.facet_needs(facets)}
        if "SERVICE" in self.viewer.roles or not confined:
            return 0
        least = max([1, *map(self.needs, opened)])
        seen = [person for person in self.world.people if least <= self.level(person) < 3]
        return sum(all(self.fulfils(person, c) for c in opened) for person in seen)

    def facet(self, facet: Facet, person: Person) -> list[str]:
        whole = person.figures.get("", {})
        match facet:
            case Facet.BRANCH:
                return [own] if (own := self.own(person)) else []
            case Facet.TIER:
                return [str(person.values["tier"])] if person.values.get("tier") is not None else []
            case Facet.TAG:
                return person.tags
            case Facet.CLASS:
                counted = {"DEPOSIT": "account_count", "LOAN": "loan_count", "CARD": "card_count"}
                return [name for name, figure in counted.items() if whole.get(figure)]


def identity(row: dict[str, Any], c: IdentityCondition) -> bool:
    born, since = row["birth_date"], row["customer_since_date"]
    age = DAY.year - born.year - ((DAY.month, DAY.day) < (born.month, born.day)) if born else None
    return all(
        (
            not c.display_name_prefix or (row["display_name"] or "").startswith(c.display_name_prefix),
            not c.mobile or row["mobile"] == c.mobile,
            not c.sex or row["sex"] == c.sex,
            not c.occupation or row["occupation"] == c.occupation,
            c.age_min is None or (age is not None and age >= c.age_min),
            c.age_max is None or (age is not None and age <= c.age_max),
            c.birthday_within_days is None or (born and birthday_in(born) <= c.birthday_within_days),
            not c.customer_since_date_min or (since and since >= c.customer_since_date_min),
        )
    )


def birthday_in(born: date) -> int:
    for days in range(367):
        day = DAY + timedelta(days)
        if (day.month, day.day) == ((3, 1) if (born.month, born.day) == (2, 29) else (born.month, born.day)):
            return days
    raise AssertionError


def figure(of: dict[str, Any], name: str) -> Any:
    match name:
        case "deposit_month_change_minor":
            now, start = of.get("deposit_balance_minor"), of.get("deposit_month_start_minor")
            return None if now is None or start is None else now - start
        case "demand_share_percent":
            part, whole = of.get("demand_balance_minor"), of.get("deposit_balance_minor")
            return None if part is None or not whole or whole < 0 else part * 100 / whole
        case "mobile_share_percent":
            part, other = of.get("mobile_90d_count") or 0, of.get("counter_90d_count") or 0
            return part * 100 / (part + other) if part + other else None
        case _:
            return of.get(name)


def lies(value: Any, low: Any, high: Any) -> bool:
    return value is not None and (low is None or value >= low) and (high is None or value <= high)


def figures(of: dict[str, Any], loans: list[dict[str, Any]], c: FigureCondition) -> bool:
    parts = [
        lies(figure(of, bound.figure), bound.low, bound.high)
        for bound in c.bounds
        if (bound.low, bound.high) != (None, None)
    ]
    for span in c.spans:
        day = of.get(span.figure)
        away = None if day is None else (day - DAY).days if span.ahead else (DAY - day).days
        parts.append(lies(away, span.least, span.most))
    if c.holds is not None:
        parts.append(
            bool(of.get({"deposit": "account_count", "loan": "loan_count", "card": "card_count"}[c.kind])) == c.holds
        )
    if c.loan is not None:
        wanted = c.loan
        parts.append(
            any(
                loan["state"] == "LIVE"
                and (not wanted.products or loan["product"] in wanted.products)
                and (not wanted.grades or loan["grade"] in wanted.grades)
                and (wanted.in_arrears is None or loan["in_arrears"] == wanted.in_arrears)
                for loan in loans
            )
        )
    return all(parts)


def holds(categories: set[str], products: set[str], c: HoldingCondition) -> bool:
    def some(wanted: Any) -> bool:
        return bool(categories & {*wanted.categories} or products & {*wanted.products})

    return all(
        (
            categories >= set(c.all_of.categories) and products >= set(c.all_of.products),
            not c.any_of or some(c.any_of),
            not some(c.none_of),
            c.count_min is None or len(categories) >= c.count_min,
            c.count_max is None or len(categories) <= c.count_max,
        )
    )


def by_bank(person: Person, condition: Any) -> bool:
    """Conditions that mean the same for everybody who may ask them."""
    match condition:
        case ValueCondition():
            of = person.row | person.values
            parts = [lies(of.get(bound.figure), bound.low, bound.high) for bound in condition.bounds]
            parts += [not condition.lifecycles or of.get("lifecycle") in condition.lifecycles]
            return all(parts) and condition.key is not True
        case TagCondition():
            mine, any_of = set(person.tags), set(condition.any_of)
            return (
                mine >= set(condition.all_of)
                and (not any_of or bool(mine & any_of))
                and not mine & set(condition.none_of)
            )
        case GroupCondition():
            mine, any_of = set(person.groups), set(condition.any_of)
            return (not any_of or bool(mine & any_of)) and not mine & set(condition.none_of)
        case ContactCondition():
            room = person.room or {}
            counted = [
                sum(
                    0 <= hours < 24 * c.days and (not c.channels or channel in c.channels)
                    for channel, hours in person.contacts
                )
                for c in condition.counts
            ]
            return all(
                (
                    all(lies(n, c.low, c.high) for n, c in zip(counted, condition.counts, strict=True)),
                    not condition.last_outcomes or room.get("last_outcome") in condition.last_outcomes,
                    all(
                        allowed(room, "consent_keys", each) and not allowed(room, "withdrawn_consent_keys", each)
                        for each in condition.consents
                    ),
                    all(allowed(room, "opt_out_keys", each) for each in condition.opt_outs),
                )
            )
        case _:
            raise AssertionError(condition)


def allowed(room: dict[str, Any], name: str, wanted: Any) -> bool:
    ways, about = {wanted.channel, "ALL"}, {wanted.category, "ALL"}
    return any(f"{way}/{what}" in room.get(name, ()) for way in ways for what in about)


def last_contact(person: Person) -> list[int]:
    """How many hours ago somebody contacted him last, if anybody did."""
    return [person.room["last_contact"]] if person.room and person.room["last_contact"] is not None else []


@pytest.fixture(scope="session")
def matrix() -> Any:
    """The types, for tests that make worlds."""
    return SimpleNamespace(person=Person, world=World, oracle=Oracle)
