"""Requests that are wrong as they are written: every field is named."""

import pytest

from services.assignment_svc.domain.request_faults import faults_of
from services.assignment_svc.domain.requests import Kind

GOOD = {
    Kind.PUSH: {"customer": "c", "to_branch": "branches/south", "to_manager": "m"},
    Kind.PULL: {"display_name": "王", "id_number": "1", "to_branch": "branches/north"},
    Kind.LOCK: {"customer": "c", "end_date": "2026-12-31", "to_manager": "m"},
    Kind.UNLOCK: {"customer": "c"},
    Kind.OFFICER: {"customer": "c", "to_manager": "m", "loan": "l"},
    Kind.RECLAIM: {"customer": "c"},
}
FIELDS = ("customer", "display_name", "id_number", "to_manager", "loan", "end_date")


def wrong(kind: Kind, written: dict[str, str]) -> list[str]:
    found = faults_of(kind, {"reason": "r", **written}, "branches/north")
    return [one.field.removeprefix("ownership_request.") for one in found]


@pytest.mark.parametrize("kind", Kind)
def test_what_is_whole_has_no_fault(kind) -> None:
    assert wrong(kind, GOOD[kind]) == []


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        (Kind.PUSH, "customer"),
        (Kind.PULL, "display_name"),
        (Kind.PULL, "id_number"),
        (Kind.LOCK, "customer"),
        (Kind.LOCK, "end_date"),
        (Kind.UNLOCK, "customer"),
        (Kind.OFFICER, "customer"),
        (Kind.OFFICER, "to_manager"),
        (Kind.OFFICER, "loan"),
        (Kind.RECLAIM, "customer"),
    ],
)
@pytest.mark.parametrize("empty", ["", "  "])
def test_what_is_missing_is_named(kind, field, empty) -> None:
    assert wrong(kind, {**GOOD[kind], field: empty}) == [field]


@pytest.mark.parametrize("kind", Kind)
def test_what_is_of_another_kind_is_named(kind) -> None:
    allowed = {"to_manager"} if kind in {Kind.PUSH, Kind.PULL, Kind.LOCK, Kind.OFFICER} else set()
    others = [field for field in FIELDS if field not in GOOD[kind] and field not in allowed]
    assert wrong(kind, {**GOOD[kind], **dict.fromkeys(others, "x")}) == others


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.PUSH])
def test_only_a_push_leads_to_another_branch(kind) -> None:
    assert wrong(kind, {**GOOD[kind], "to_branch": "branches/south"}) == ["to_branch"]


def test_every_fault_is_said_at_once() -> None:
    written = {"reason": " ", "customer": "c", "id_number": "1" * 65, "loan": "l", "to_branch": "branches/south"}
    assert wrong(Kind.PULL, written) == ["customer", "display_name", "loan", "id_number", "to_branch", "reason"]
