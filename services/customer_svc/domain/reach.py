"""Whom a query may reach, by the fields of a customer that its conditions, its order and its facets look at.

A condition is a way to see, wherever it stands: "not over a million" tells as much as "over a million". So the whole
query reaches only customers of whom the viewer sees every field that is named anywhere in it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from policy.visibility import CLEAR_FROM, CONTACT_FIELDS, NAMING_FIELDS, CountScope, Level
from services.customer_svc.domain.conditions import (
    Condition,
    ContactCondition,
    FigureCondition,
    GroupCondition,
    HoldingCondition,
    IdentityCondition,
    OwnershipCondition,
    Single,
    TagCondition,
    ValueCondition,
)
from services.customer_svc.domain.field_names import bound_field, span_field
from services.customer_svc.domain.query import FACET_FIELDS, ORDERS, Facet, Fault, Query, Reach, single_paths


@dataclass(frozen=True)
class Named:
    """A field of the request that is set, and what of a customer it looks at."""

    path: str
    seen: str
    level: Level
    """The least level that sees that."""

    @property
    def confines(self) -> bool:
        """It is shown to the primary side only. A number that somebody knows in full already needs no word."""
        return self.level >= Level.PRIMARY and self.seen not in CONTACT_FIELDS


IDENTITY_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "display_name_prefix": "display_name",
        "id_type": "id_type",
        "id_number": "id_number",
        "mobile": "mobile",
        "sex": "sex",
        "age_min": "birth_date",
        "age_max": "birth_date",
        "birthday_within_days": "birth_date",
        "residence_districts": "residence_district",
        "occupation": "occupation",
        "customer_type": "customer_type",
        "id_expiry_date_min": "id_expiry_date",
        "id_expiry_date_max": "id_expiry_date",
        "customer_since_date_min": "customer_since_date",
        "customer_since_date_max": "customer_since_date",
    }
)
_VALUE_FIELDS: Mapping[str, str] = MappingProxyType(
    {"risk_rating": "risk_rating", "risk_rating_expiry_date": "risk_rating", "key_until_date": "key_mark"}
)
# What a contact was about, and what came of it, is not for a secondary side: see `contacts` in policy/visibility.py.
_CONTACT_FIELDS: Mapping[str, tuple[str, Level | None]] = MappingProxyType(
    {
        "counts": ("contacts", None),
        "last_campaign_ids": ("contacts", Level.PRIMARY),
        "last_outcomes": ("contacts", Level.PRIMARY),
        "refused_within_days": ("contacts", Level.PRIMARY),
        "consents": ("contact_room", None),
        "opt_outs": ("contact_room", None),
        "rooms": ("contact_room", None),
    }
)
# A few fields are called otherwise on the wire.
_WIRE_NAMES: Mapping[str, str] = MappingProxyType({"last_campaign_ids": "last_campaigns"})


def reach_of(query: Query, *, everyone: bool, facets: Sequence[Facet] = ()) -> Reach:
    """Whom a query may reach, also without the parts that confine it; who sees everyone is never confined."""
    if everyone:
        return Reach(Level.EXISTENCE, confined=False, open_conditions=(), open_least=Level.EXISTENCE)
    named = list(named_fields(query, facets))
    opened = tuple(
        condition for condition in query.conditions if not any(each.confines for each in _named_in((condition,)))
    )
    return Reach(_least(named), any(each.confines for each in named), opened, _least(list(_named_in(opened))))


def named_fields(query: Query, facets: Sequence[Facet] = ()) -> Iterator[Named]:
    """Every field of a request that looks at something of a customer."""
    yield from _named_in(query.conditions)
    if seen := ORDERS[query.order.field].seen:
        yield _named("order.field", seen)
    for index, facet in enumerate(facets):
        for seen in FACET_FIELDS[facet]:
            yield _named(f"facets[{index}]", seen)


def confining_fields(query: Query) -> Iterator[Named]:
    """The fields of a request that confine it to the primary side."""
    return (each for each in named_fields(query) if each.confines)


def least_of_others(query: Query, least: Level) -> Level:
    """What others than its owner must be to a customer to know that a query, which reaches `least`, found him.

    `own` is the owner's branch, and the rows of ownership are those that he sees: at other branches only the primary
    side sees as much.
    """
    return max(least, Level.PRIMARY) if any(each.seen == "own" for each in named_fields(query)) else least


def naming_fields(query: Query) -> list[str]:
    """The fields of a query that point at one person: to count by them is to look somebody up."""
    return [each.path for each in _named_in(query.conditions) if each.seen in NAMING_FIELDS]


def forbidden(query: Query, reach: CountScope, facets: Sequence[Facet] = ()) -> Fault | None:
    """The first field of a query that the viewer never sees of anybody, or that points at one person."""
    for each in named_fields(query, facets):
        ownerless = each.seen == "own" and reach.scope.everyone and not each.path.endswith("ownership")
        pointing = each.seen in NAMING_FIELDS and reach.names_nobody
        if pointing or ownerless or each.level > reach.scope.best:
            return Fault("FIELD_FORBIDDEN", each.path, "is a field that you never see")
    return None


def _least(named: Sequence[Named]) -> Level:
    return max((each.level for each in named), default=Level.EXISTENCE)


def _named(path: str, seen: str, level: Level | None = None) -> Named:
    return Named(path, seen, CLEAR_FROM[seen] if level is None else level)


def _named_in(conditions: Sequence[Condition]) -> Iterator[Named]:
    for path, single in single_paths(conditions):
        yield from _named_by(single, path)


def _named_by(condition: Single, path: str) -> Iterator[Named]:
    match condition:
        case IdentityCondition():
            for name in _set(condition, IDENTITY_FIELDS):
                yield _named(f"{path}.{name}", IDENTITY_FIELDS[name])
        case OwnershipCondition():
            # Rows that open the customer are seen from the secondary side up, as `own` is.
            yield _named(path, "own")
            for name in _set(condition, ("days_without_contact_min",)):
                yield _named(f"{path}.{name}", "contacts")
        case FigureCondition() | HoldingCondition():
            yield _named(path, "total" if condition.whole_bank else "own")
        case ValueCondition():
            yield from _value(condition, path)
        case TagCondition():
            yield _named(path, "tags")
        case GroupCondition():
            yield Named(path, "group", condition.least or Level.EXISTENCE)
        case ContactCondition():
            yield from _contact(condition, path)


def _value(condition: ValueCondition, path: str) -> Iterator[Named]:
    for bound in condition.bounds:
        yield _named(f"{path}.{bound_field('value', bound)}", _VALUE_FIELDS.get(bound.figure, "value"))
    for span in condition.spans:
        yield _named(f"{path}.{span_field('value', span)}", _VALUE_FIELDS.get(span.figure, "value"))
    for name in _set(condition, ("key", "key_reasons", "lifecycles")):
        yield _named(f"{path}.{name}", "value" if name == "lifecycles" else "key_mark")


def _contact(condition: ContactCondition, path: str) -> Iterator[Named]:
    for name in _set(condition, _CONTACT_FIELDS):
        seen, level = _CONTACT_FIELDS[name]
        yield _named(f"{path}.{_WIRE_NAMES.get(name, name)}", seen, level)


def _set(condition: Single, names: Iterable[str]) -> list[str]:
    """The fields that ask something; False is an answer, too."""
    return [name for name in names if getattr(condition, name) not in (None, ())]
