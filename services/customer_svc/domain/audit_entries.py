"""The audit as an auditor may see it (domain.md 3): whose data it was is told only for a case."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

CASE_NUMBER_LENGTH_MAX = 100
_SHOWN = 2
# What people wrote may name the customer.
_WRITTEN = frozenset({"reason", "reference"})


@dataclass(frozen=True)
class AuditedAct:
    """One thing that somebody did, and its place in the log."""

    create_time: datetime
    ordinal: int
    caller: str
    branch_id: str
    request_id: str
    method: str
    customer_id: str
    details: Mapping[str, str]


def without_case(act: AuditedAct) -> AuditedAct:
    """Keeps of a customer's id no more than its beginning, and nothing that somebody wrote of him."""
    if not act.customer_id:
        return act
    details = {name: value for name, value in act.details.items() if name not in _WRITTEN}
    return replace(act, customer_id=f"{act.customer_id[:_SHOWN]}****", details=details)
