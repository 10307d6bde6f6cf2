"""A query in words, in any language that has a phrase for each clause."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from services.customer_svc.domain.clauses import (
    About,
    Clause,
    Code,
    Days,
    Ends,
    Inner,
    Listed,
    Money,
    Months,
    Percent,
    Quoted,
    Value,
    clauses_of,
)
from services.customer_svc.domain.conditions import AllOf, AnyOf, Condition, Not
from services.customer_svc.domain.query import OrderField, Query

LISTED_MAX = 5
"""So many values of a list are said one by one."""


@dataclass(frozen=True)
class Forms:
    """How a language puts things together; each form names what is put in."""

    conjunction: str
    alternative: str
    group: str
    negation: str
    aspects: str
    """What joins clauses of one and the same thing."""
    either: str
    both: str
    listed: str
    more: str
    at_least: str
    at_most: str
    exactly: str
    between: str
    from_day: str
    until_day: str
    on_day: str
    between_days: str
    quote: str
    about: str
    about_all: str
    whole: str
    everybody: str
    anybody: str
    """Said of a condition inside others that asks nothing."""
    ordered: str
    ascending: str
    descending: str
    confined: str


@dataclass(frozen=True)
class Language:
    """All the words of a language."""

    forms: Forms
    phrases: Mapping[str, str]
    """By a clause's key; `{where}` says where figures are from."""
    codes: Mapping[str, str]
    orders: Mapping[OrderField, str]
    where: Mapping[bool, str]
    reasons: Mapping[str, str]
    """By the field of a customer that only the primary side sees."""
    money: Callable[[int, str], str]
    day: Callable[[date], str]
    instant: Callable[[datetime], str]
    days: Callable[[int], str]
    months: Callable[[int], str]


def explained(query: Query, confining: Sequence[str], currency: str, language: Language) -> str:
    """Whom a query finds, in which order, and which fields of a customer confine it to the primary side."""
    speaker = _Speaker(language, currency)
    forms = language.forms
    single = len(query.conditions) == 1
    said = [
        speaker.condition(condition, alone=single or not isinstance(condition, AnyOf))
        for condition in query.conditions
        if asks_something(condition)
    ]
    whom = forms.whole.format(forms.conjunction.join(said)) if said else forms.everybody
    if query.order.field is not OrderField.CUSTOMER or query.order.descending:
        direction = forms.descending if query.order.descending else forms.ascending
        whom += forms.ordered.format(language.orders[query.order.field], direction)
    if confining:
        whom += forms.confined.format(forms.both.join(language.reasons[field] for field in confining))
    return whom


def asks_something(condition: Condition) -> bool:
    """Says whether a condition leaves anybody out."""
    return isinstance(condition, AllOf | AnyOf | Not) or bool(clauses_of(condition))


class _Speaker:
    """Says conditions, clauses and values in one language."""

    def __init__(self, language: Language, currency: str) -> None:
        self._language = language
        self._forms = language.forms
        self._currency = currency

    def condition(self, condition: Condition, *, alone: bool = False) -> str:
        """A condition; in brackets, unless it stands alone, if several things are said."""
        match condition:
            case AllOf(parts):
                return self._joined(self._forms.conjunction, parts, alone=alone)
            case AnyOf(parts):
                return self._joined(self._forms.alternative, parts, alone=alone)
            case Not(part):
                return self._forms.negation.format(self.condition(part, alone=True))
            case _:
                said = [self.clause(clause) for clause in clauses_of(condition)] or [self._forms.anybody]
                text = self._forms.conjunction.join(said)
                return text if alone or len(said) < 2 else self._forms.group.format(text)  # noqa: PLR2004 -- several

    def clause(self, clause: Clause) -> str:
        where = "" if clause.whole_bank is None else self._language.where[clause.whole_bank]
        values = {name: self.value(value) for name, value in clause.values.items()}
        return self._language.phrases[clause.key].format(where=where, **values)

    def value(self, value: Value) -> str:
        match value:
            case Listed():
                return self._list(value)
            case Ends():
                return self._range(value)
            case Inner(clauses):
                return self._forms.aspects.join(self.clause(clause) for clause in clauses)
            case About():
                return self._about(value)
            case _:
                return self._plain(value)

    def _plain(self, value: Money | Percent | Days | Months | Code | Quoted | str | int | date | datetime) -> str:
        language = self._language
        match value:
            case Money(minor):
                said = language.money(minor, self._currency)
            case Percent(number):
                said = f"{number}%"
            case Days(number):
                said = language.days(number)
            case Months(number):
                said = language.months(number)
            case Code(name):
                said = language.codes.get(name, name)
            case Quoted(text):
                said = self._forms.quote.format(text)
            case datetime():
                said = language.instant(value)
            case date():
                said = language.day(value)
            case _:
                said = str(value)
        return said

    def _about(self, about: About) -> str:
        channel = self._plain(Code(about.channel))
        if about.category == "ALL":
            return self._forms.about_all.format(channel)
        return self._forms.about.format(channel, self._plain(Code(about.category)))

    def _list(self, listed: Listed) -> str:
        said = [self.value(value) for value in listed.values[:LISTED_MAX]]
        rest = len(listed.values) - len(said)
        if rest:
            return self._forms.listed.join(said) + self._forms.more.format(rest, len(listed.values))
        last = self._forms.both if listed.every else self._forms.either
        return last.join([self._forms.listed.join(said[:-1]), said[-1]] if len(said) > 1 else said)

    def _range(self, ends: Ends) -> str:
        forms, is_day = self._forms, isinstance(ends.low or ends.high, date)
        low, high = (None if end is None else self.value(end) for end in (ends.low, ends.high))
        if low is None:
            return (forms.until_day if is_day else forms.at_most).format(high)
        if high is None:
            return (forms.from_day if is_day else forms.at_least).format(low)
        if low == high:
            return (forms.on_day if is_day else forms.exactly).format(low)
        return (forms.between_days if is_day else forms.between).format(low, high)

    def _joined(self, joint: str, parts: Sequence[Condition], *, alone: bool) -> str:
        said = [self.condition(part) for part in parts]
        text = joint.join(said)
        return text if alone or len(said) == 1 else self._forms.group.format(text)
