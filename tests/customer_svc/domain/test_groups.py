from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from services.customer_svc.domain.groups import (
    Built,
    Draft,
    Group,
    Kind,
    Place,
    Sharing,
    draft_faults,
    sees_group,
    told_count,
    unfit,
)
from services.customer_svc.domain.viewing import Level, Viewer

NOW = datetime(2026, 6, 30, tzinfo=UTC)
DAY = date(2026, 6, 30)
OWNER = Viewer("h1", "b1", frozenset({"BRANCH_HEAD"}))
OTHER = Viewer("m2", "b2", frozenset({"MANAGER"}))
SERVICE = Viewer("campaign_svc", "", frozenset({"SERVICE"}))
PLACE = Place(frozenset({"b1", "north", "top"}), frozenset({"b1", "b11"}), is_top=False)
TOP = Place(frozenset({"top"}), frozenset({"top", "north", "b1"}), is_top=True)


def group_of(sharing: Sharing = Sharing.PRIVATE, branch_id: str | None = None) -> Group:
    built = Built(1, Level.SECONDARY, Level.SECONDARY, 7, NOW, timedelta(seconds=1))
    draft = Draft("g", sharing=sharing, shared_branch_id=branch_id, query=b"")
    return Group("g1", "h1", draft, 1, 1, NOW, NOW, None, built, None)


@pytest.mark.parametrize(
    ("sharing", "branch_id", "seen"),
    [
        (Sharing.PRIVATE, None, False),
        (Sharing.BRANCH, "b1", True),
        (Sharing.BRANCH, "north", True),
        (Sharing.BRANCH, "b11", False),
        (Sharing.BANK, None, True),
    ],
)
def test_a_group_is_seen_at_the_branch_it_is_shared_with_and_below(sharing, branch_id, seen) -> None:
    group = group_of(sharing, branch_id)
    assert sees_group(group, OTHER, PLACE) is seen
    assert sees_group(group, OWNER, PLACE)
    assert sees_group(group, SERVICE, PLACE)


def test_a_deleted_group_is_seen_by_its_owner_only() -> None:
    group = replace(group_of(Sharing.BANK), delete_time=NOW)
    assert [sees_group(group, viewer, PLACE) for viewer in (OWNER, OTHER, SERVICE)] == [True, False, False]
    assert group.expire_time == NOW + timedelta(days=30)


def test_the_number_of_members_is_told_to_the_owner_and_to_services() -> None:
    group = group_of(Sharing.BANK)
    told = [told_count(group, viewer, small_hidden=False) for viewer in (OWNER, OTHER, SERVICE)]
    assert [one.number if one else None for one in told] == [7, None, 7]
    coarse = told_count(group, OWNER, small_hidden=True)
    assert coarse is not None
    assert coarse.text == "< 10"
    assert told_count(replace(group, built=None), OWNER, small_hidden=False) is None


@pytest.mark.parametrize(
    ("roles", "place", "allowed"),
    [
        ({"ANALYST"}, PLACE, True),
        ({"BRANCH_HEAD"}, PLACE, False),
        ({"BRANCH_HEAD"}, TOP, True),
        ({"MARKETER"}, TOP, True),
        ({"MANAGER"}, TOP, False),
    ],
)
def test_who_shares_with_the_whole_bank(roles, place, allowed) -> None:
    draft = Draft("g", sharing=Sharing.BANK, query=b"")
    reasons = [fault.reason for fault in draft_faults(draft, Viewer("x", "b1", frozenset(roles)), place)]
    assert reasons == ([] if allowed else ["SHARING_FORBIDDEN"])


@pytest.mark.parametrize(
    ("draft", "fields"),
    [
        (Draft("g", query=b""), []),
        (Draft("  ", query=b""), ["display_name"]),
        (Draft("x" * 101, query=b""), ["display_name"]),
        (Draft("g", "x" * 1001, query=b""), ["description"]),
        (Draft("g"), ["query"]),
        (Draft("g", kind=Kind.LIST, refresh_nightly=True), ["refresh_nightly"]),
        (Draft("g", sharing=Sharing.BRANCH, query=b""), ["shared_branch"]),
        (Draft("g", shared_branch_id="b1", query=b""), ["shared_branch"]),
        (Draft("g", sharing=Sharing.BRANCH, shared_branch_id="b11", query=b""), []),
        (Draft("g", sharing=Sharing.BRANCH, shared_branch_id="north", query=b""), ["shared_branch"]),
    ],
)
def test_what_is_wrong_with_a_draft(draft, fields) -> None:
    assert [fault.field for fault in draft_faults(draft, OWNER, PLACE)] == fields


@pytest.mark.parametrize(
    ("viewer", "active_from", "active_until", "reason"),
    [
        (OWNER, None, None, None),
        (OWNER, DAY, DAY, None),
        (None, None, None, "the owner has left"),
        (OWNER, None, date(2026, 6, 29), "the owner has left"),
        (OWNER, date(2026, 7, 1), None, "the owner has not begun to work"),
        (Viewer("t", "b1", frozenset({"TELLER"})), None, None, "the owner has no role any more that finds customers"),
    ],
)
def test_in_whose_name_nothing_is_found(viewer, active_from, active_until, reason) -> None:
    assert unfit(viewer, active_from, active_until, DAY) == reason


def test_a_frozen_list_is_built_once_and_a_list_by_hand_never() -> None:
    query, by_hand = group_of(), replace(group_of(), draft=Draft("g", kind=Kind.LIST))
    frozen = replace(group_of(), draft=Draft("g", kind=Kind.LIST, query=b""))
    assert [query.has_build, by_hand.has_build, frozen.has_build] == [True, False, False]
    assert replace(frozen, built=None).has_build
