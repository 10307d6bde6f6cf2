"""What other services need to know of a customer."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class CustomerFact:
    """A customer as the feed tells him: whole, as he is now; of one who is gone the id and `merged_into` count."""

    customer_id: str
    gone: bool
    customer_type: str
    state: str
    accounts: Sequence[tuple[str, str]]
    """Account and branch, open and closed ones."""
    loan_live: bool
    key_customer: bool = False
    merged_into: str | None = None
    """The living customer who has all that was his, if he is gone by a merge."""
