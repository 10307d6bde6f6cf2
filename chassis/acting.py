"""Who covers whom: the values that services exchange which follow the organisation."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Acting:
    """Somebody who covers a colleague's role at a branch, on days that are both included. `gone`: it is over."""

    acting_manager_id: str
    acting_id: str
    covered_id: str
    role: str
    branch_id: str
    from_date: date
    until_date: date
    gone: bool = False


@dataclass(frozen=True)
class CoveredRole:
    """A colleague's role at a branch that somebody covers today; of a head's, with the branches that he leads."""

    staff_id: str
    role: str
    branch_id: str
    subtree: frozenset[str]
