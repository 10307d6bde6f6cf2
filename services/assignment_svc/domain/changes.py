"""What a person changes of ownership by hand, as a value (domain.md 3, manual flows)."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from services.assignment_svc.domain.ownership import Owner


class ChangeKind(StrEnum):
    """What was done."""

    ASSIGN = "ASSIGN"
    UNASSIGN = "UNASSIGN"
    CLAIM = "CLAIM"
    RELEASE = "RELEASE"
    TRANSFER = "TRANSFER"
    LOCK = "LOCK"
    UNLOCK = "UNLOCK"
    PROTECT = "PROTECT"
    OFFICER_OVERRIDE = "OFFICER_OVERRIDE"
    RECLAIM = "RECLAIM"
    BRANCH_CHANGE = "BRANCH_CHANGE"
    UNDO = "UNDO"


# What one person decides alone, he may undo alone; what several approved is undone as it was done.
UNDOABLE = frozenset({ChangeKind.ASSIGN, ChangeKind.UNASSIGN, ChangeKind.CLAIM, ChangeKind.RELEASE})
# Whose it was to do: the manager himself too, not his head alone.
OF_MANAGERS = frozenset({ChangeKind.CLAIM, ChangeKind.RELEASE})

# All inputs of a customer's allocation that people set, as JSON: what an undo puts back.
Inputs = Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """One change that is to be kept. `before` are the customer's inputs as they were (`inputs_of`)."""

    customer_id: str
    kind: ChangeKind
    branch_id: str
    """Whose row it is about."""
    reason: str
    actor: str
    before: Inputs
    from_manager_id: str | None = None
    to_manager_id: str | None = None
    from_branch_id: str | None = None
    to_branch_id: str | None = None
    request_id: str | None = None
    """The request that was approved, if there was one."""
    change_id: str = ""
    """Made if it is empty."""


@dataclass(frozen=True)
class KeptChange:
    """A change as it is kept."""

    change: Change
    create_time: datetime
    rev_after: int
    undone_by: str | None


@dataclass(frozen=True)
class ClaimPolicy:
    """How long a claim or a naming protects, what may still be undone, and the edges of bands of deposits."""

    protection_days: int
    undo_hours: int
    claimed_hours: int
    """How long after a claim others are told who was first."""
    deposit_edges_minor: tuple[int, ...]


def row_etag(owner: Owner) -> str:
    """What a caller sends back to change the manager of a row that he saw: it tells of this row alone."""
    seen = (owner.branch_id, owner.side, owner.manager_id, owner.named_manager_id, owner.since_date, owner.from_date)
    return hashlib.sha256(repr([str(part) for part in seen]).encode()).hexdigest()[:16]
