"""The bank's visibility policy under the names that the rooms of this service see it by."""

from dataclasses import dataclass, field

from chassis.data_keys import DataKeys
from policy.visibility import (
    CountScope,
    Covered,
    Grant,
    Level,
    OwnerRow,
    Scope,
    Side,
    Viewer,
    count_scope_of,
    scope_of,
)

__all__ = [
    "CountScope",
    "Covered",
    "Grant",
    "Level",
    "OwnerRow",
    "Reading",
    "Scope",
    "Side",
    "Viewer",
    "count_scope_of",
    "scope_of",
]


@dataclass(frozen=True)
class Reading:
    """Who reads, in which request and by which method: what the audit keeps of a read."""

    viewer: Viewer
    request_id: str
    method: str
    keys: DataKeys | None = field(default=None, repr=False)
    """What opens contact data, for reads that show it."""
