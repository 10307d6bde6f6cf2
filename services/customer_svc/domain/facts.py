"""What other services need to know of a customer."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class CustomerFact:
    """A customer as the feed tells him: whole, as he is now; of one who is gone only the id counts."""

    customer_id: str
    gone: bool
    customer_type: str
    state: str
    accounts: Sequence[tuple[str, str]]
    """Account and branch, open and closed ones."""
    loan_live: bool
    key_customer: bool = False
