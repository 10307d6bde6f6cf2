"""How a customer is reached and proves who he is: what is stored sealed, and opened only to be shown."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ContactData:
    """Both in clear; None is unknown."""

    id_number: str | None = None
    mobile: str | None = None
