"""What is wrong with a request as it was written, whatever the state of the bank."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from chassis.errors import Violation
from services.assignment_svc.domain.reasons import reason_fault
from services.assignment_svc.domain.requests import Kind

NAME_LENGTH_MAX = 100
ID_NUMBER_LENGTH_MAX = 64

# Of the fields that not every kind has: which must be there, and which may.
_REQUIRED: Mapping[Kind, frozenset[str]] = MappingProxyType(
    {
        Kind.PUSH: frozenset({"customer"}),
        Kind.PULL: frozenset({"display_name", "id_number"}),
        Kind.LOCK: frozenset({"customer", "end_date"}),
        Kind.UNLOCK: frozenset({"customer"}),
        Kind.OFFICER: frozenset({"customer", "to_manager", "loan"}),
        Kind.RECLAIM: frozenset({"customer"}),
    }
)
_ALLOWED: Mapping[Kind, frozenset[str]] = MappingProxyType(
    {
        Kind.PUSH: frozenset({"to_branch", "to_manager"}),
        Kind.PULL: frozenset({"to_branch", "to_manager"}),
        Kind.LOCK: frozenset({"to_branch", "to_manager"}),
        Kind.UNLOCK: frozenset({"to_branch"}),
        Kind.OFFICER: frozenset({"to_branch"}),
        Kind.RECLAIM: frozenset({"to_branch"}),
    }
)
_FIELDS = ("customer", "display_name", "id_number", "to_branch", "to_manager", "loan", "end_date")
_LENGTHS_MAX = MappingProxyType(
    {"display_name": NAME_LENGTH_MAX, "id_number": ID_NUMBER_LENGTH_MAX, "loan": ID_NUMBER_LENGTH_MAX}
)


def faults_of(kind: Kind, written: Mapping[str, str], own_branch: str) -> list[Violation]:
    """Every field that is missing, too long, or not one of this kind of request; `written` are those of `_FIELDS`.

    Only a push leads to another branch than one's own.
    """
    found = [*_misplaced(kind, written), *_too_long(written)]
    if kind is not Kind.PUSH and written.get("to_branch") not in {None, "", own_branch}:
        found.append(Violation("ownership_request.to_branch", f"must be your own branch for {kind}, or empty"))
    if fault := reason_fault(written.get("reason", "").strip()):
        found.append(Violation("ownership_request.reason", fault))
    return found


def _misplaced(kind: Kind, written: Mapping[str, str]) -> Iterable[Violation]:
    for field in _FIELDS:
        is_there = bool(written.get(field, "").strip())
        if not is_there and field in _REQUIRED[kind]:
            yield Violation(f"ownership_request.{field}", f"is required of {kind}")
        if is_there and field not in _REQUIRED[kind] | _ALLOWED[kind]:
            yield Violation(f"ownership_request.{field}", f"is no field of {kind}")


def _too_long(written: Mapping[str, str]) -> Iterable[Violation]:
    for field, most in _LENGTHS_MAX.items():
        if len(written.get(field, "").strip()) > most:
            yield Violation(f"ownership_request.{field}", f"must have at most {most} characters")
