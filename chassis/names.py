"""Resource names, `customers/{customer}`, and the bare ids inside."""

import re
from functools import cache

from chassis.errors import invalid_field

ID_PATTERN = r"[A-Za-z0-9_.:-]{1,64}"


def parse(pattern: str, name: str, field: str = "name") -> tuple[str, ...]:
    """The ids in a resource name: `parse("customers/*/contacts/*", "customers/7/contacts/c1")` → `("7", "c1")`."""
    found = _compiled(pattern).fullmatch(name)
    if found is None:
        raise invalid_field(field, f"must have the form {pattern}, each id of {ID_PATTERN}")
    return found.groups()


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile("/".join(f"({ID_PATTERN})" if piece == "*" else re.escape(piece) for piece in pattern.split("/")))


def parse_one(collection: str, name: str, field: str = "name") -> str:
    """The id in a name of one collection: `parse_one("customers", "customers/7")` → `"7"`."""
    return parse(f"{collection}/*", name, field)[0]


def parse_optional(collection: str, name: str, field: str) -> str | None:
    """As `parse_one`; an empty name is None."""
    return parse_one(collection, name, field) if name else None


def make(collection: str, resource_id: str | None) -> str:
    """The name of a resource; empty for no resource."""
    return f"{collection}/{resource_id}" if resource_id else ""
