"""What alert_svc knows of customers, owners and branches: values that other services told."""

from dataclasses import dataclass
from datetime import datetime

from policy.visibility import OwnerRow


@dataclass(frozen=True)
class CustomerFact:
    """One customer with his accounts, each with its branch; `gone`: only the id is set.

    And whom he was merged into, if he is gone by a merge.
    """

    customer_id: str
    gone: bool = False
    customer_type: str = ""
    accounts: tuple[tuple[str, str], ...] = ()
    merged_into: str | None = None


@dataclass(frozen=True)
class OwnershipFact:
    """All owners of one customer; none if he has none any more."""

    customer_id: str
    owners: tuple[OwnerRow, ...]


@dataclass(frozen=True)
class OrgFact:
    """A branch or a revoked session; empty ids for what is neither."""

    branch_id: str = ""
    parent_id: str | None = None
    gone: bool = False
    session_id: str = ""
    expire_time: datetime | None = None
