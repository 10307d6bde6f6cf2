"""What conditions are looked at from: by whom, when, and at which branch."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from sqlalchemy import ColumnElement

from services.customer_svc.domain.viewing import Scope

T = TypeVar("T")


@dataclass(frozen=True)
class Seen:
    """A viewer, the business date, and the branch that `own` means for the customer; None for who has none."""

    scope: Scope
    day: date
    own_branch_id: ColumnElement[str] | None


def between(column: ColumnElement[T], low: T | None, high: T | None) -> Iterator[ColumnElement[bool]]:
    """A column lies between two ends, both included; an end that is None is open."""
    if low is not None:
        yield column >= low
    if high is not None:
        yield column <= high
