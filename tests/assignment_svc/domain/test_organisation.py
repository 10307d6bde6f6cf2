"""Branches that are their own ancestors, and who is active when."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.assignment_svc.domain.organisation import Staff, circles

IDS = st.sampled_from("abcdef")


@given(st.dictionaries(IDS, st.none() | IDS))
def test_circles_are_the_branches_that_one_meets_again_going_up(parents: dict[str, str | None]) -> None:
    def meets_itself(branch_id: str) -> bool:
        at = parents[branch_id]
        for _ in parents:
            if at == branch_id:
                return True
            at = parents.get(at) if at else None
        return False

    assert circles(parents) == {branch_id for branch_id in parents if meets_itself(branch_id)}


@pytest.mark.parametrize(("day", "active"), [(1, False), (2, True), (4, True), (5, False)])
def test_a_member_is_active_from_the_first_to_the_last_day(day: int, active) -> None:
    first, last = date(2024, 1, 2), date(2024, 1, 4)
    member = Staff("s", "S", "b", (), None, first, last, None, datetime.now(UTC))
    assert member.is_active(date(2024, 1, day)) == active
