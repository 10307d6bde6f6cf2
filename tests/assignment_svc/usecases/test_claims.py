"""Whom one may claim is told by bands and tags, those with most potential first."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.caller import Role
from services.assignment_svc.usecases.claims import band_of


async def claimable(asker, branch: str = "north", **given_) -> list[Any]:
    return (await asker.ask("ListClaimableCustomers", parent=f"branches/{branch}", **given_)).claimable_customers


async def test_unassigned_customers_are_listed_by_potential_and_size_without_amounts_or_names(by_hand) -> None:
    by_hand.service.potential_tags.of = {"c2": ["CHURN", "LOAN_POTENTIAL"], "c1": ["WEALTH_POTENTIAL"]}
    listed = await claimable(by_hand.asker("m1"))
    order = [one.customer.removeprefix("customers/") for one in listed]
    assert order == ["c2", "c1", "c4", "c5", "c6", "c7", "c0", "c3"]
    assert [(one.deposit_band.rank, one.has_loan, one.has_card, list(one.tags)) for one in listed][:2] == [
        (2, False, False, ["tags/CHURN", "tags/LOAN_POTENTIAL"]),
        (2, False, False, ["tags/WEALTH_POTENTIAL"]),
    ]
    band = listed[0].deposit_band
    assert (band.min_minor, band.max_minor) == (1_000_000, 5_000_000)
    assert next(one for one in listed if one.customer == "customers/c7").has_loan
    [read] = await by_hand.run(
        "SELECT count(DISTINCT customer_id) FROM audit WHERE method = 'ListClaimableCustomers' AND caller = 'm1'"
    )
    assert read == (8,)


async def test_the_list_without_tags_goes_by_size_and_says_so(by_hand) -> None:
    by_hand.service.potential_tags.reachable = False
    told = await by_hand.asker("m1").ask("ListClaimableCustomers", parent="branches/north")
    assert told.tags_missing
    ranks = [one.deposit_band.rank for one in told.claimable_customers]
    assert ranks == sorted(ranks, reverse=True)


async def test_pages_make_up_the_list_and_what_was_claimed_meanwhile_is_left_out(by_hand) -> None:
    by_hand.service.potential_tags.of = {"c2": ["CHURN"], "c1": ["CHURN"], "c3": ["CHURN"]}
    m1 = by_hand.asker("m1")
    whole = [one.customer for one in await claimable(m1)]
    seen, token = [], ""
    while True:
        page = await m1.ask("ListClaimableCustomers", parent="branches/north", page_size=3, page_token=token)
        seen += [one.customer for one in page.claimable_customers]
        token = page.next_page_token
        if not token:
            break
    assert seen == whole
    await m1.claim("c4")
    assert "customers/c4" not in [one.customer for one in await claimable(m1)]


async def test_the_list_is_of_ones_own_branch_and_leaves_out_oneself_and_whom_one_could_not_claim(by_hand) -> None:
    m1 = by_hand.asker("m1")
    for branch in ("south", "office", "east"):
        assert await by_hand.reason(claimable(m1, branch)) == "NOT_FOUND"
    assert "customers/c5" not in [one.customer for one in await claimable(by_hand.asker("c5"))]
    await by_hand.run("UPDATE ownership SET state = 'FROZEN' WHERE customer_id = 'c0'")
    await by_hand.run(
        "INSERT INTO ownership_hold (customer_id, hold_id, kind, branch_id, from_date, until_date, reason) VALUES"
        " ('c1', 'h', 'LOCK', 'north', '2026-06-01', '2026-09-01', 'r'),"
        " ('c2', 'h', 'PROTECTION', 'north', '2026-06-20', '2026-09-01', 'r'),"
        " ('c3', 'h', 'PROTECTION', 'north', '2026-05-01', '2026-09-01', 'r')"
    )
    listed = [
        one.customer.removeprefix("customers/") for one in await claimable(by_hand.asker("head", Role.BRANCH_HEAD))
    ]
    assert sorted(listed) == ["c3", "c4", "c5", "c6", "c7"]
    for customer in listed:
        if customer != "c5":
            await m1.claim(customer)


@given(average=st.integers(0, 10**12), edges=st.lists(st.integers(1, 10**9), unique=True, max_size=6).map(sorted))
def test_every_average_lies_in_its_band(average: int, edges: list[int]) -> None:
    band = band_of(average, edges)
    assert band.min_minor <= average
    assert band.max_minor is None or average < band.max_minor
    assert band.rank == sum(1 for edge in edges if edge <= average)


@pytest.mark.parametrize(("average", "rank"), [(0, 0), (99_999, 0), (100_000, 1), (50_000_000, 5)])
def test_a_band_begins_at_its_edge(average: int, rank: int) -> None:
    assert band_of(average, (100_000, 1_000_000, 5_000_000, 20_000_000, 50_000_000)).rank == rank
