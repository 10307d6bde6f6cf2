"""What campaign_svc knows of customers, owners and branches: values that other services told."""

from dataclasses import dataclass
from datetime import datetime

from policy.visibility import OwnerRow


@dataclass(frozen=True)
class CustomerFact:
    """One customer; `gone`: he is none any more."""

    customer_id: str
    gone: bool = False


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
