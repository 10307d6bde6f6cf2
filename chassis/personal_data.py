"""What of a person's data goes or stays together when he asks to be erased (domain.md 12)."""

from enum import StrEnum


class Part(StrEnum):
    """What is erased of a person, or kept, as a whole."""

    MARKETING = "MARKETING"
    """What serves to sell him something: goes in any case."""
    CONTACT_DATA = "CONTACT_DATA"
    RECORDS = "RECORDS"
    """Who he is and what he had: goes when nothing must be kept any more."""
