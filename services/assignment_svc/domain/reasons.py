"""Why somebody does something by hand: said in every change, and never at length."""

from chassis.errors import invalid_field

REASON_LENGTH_MAX = 400


def reason_fault(reason: str, least: int = 1) -> str:
    """What is wrong with a reason that has no blanks around it; empty if nothing is."""
    if least <= len(reason) <= REASON_LENGTH_MAX:
        return ""
    return f"must have from {least} to {REASON_LENGTH_MAX} characters"


def checked_reason(reason: str, field: str = "reason", least: int = 1) -> str:
    """A reason without blanks around it; refuses one that says less than it must, or too much."""
    text = reason.strip()
    if fault := reason_fault(text, least):
        raise invalid_field(field, fault)
    return text
