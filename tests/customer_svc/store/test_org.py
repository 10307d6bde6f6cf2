from datetime import UTC, datetime, timedelta

import pytest

from services.customer_svc.domain.org import Branch, Gone, RevokedSession, Staff
from services.customer_svc.store import org

TREE = {"root": None, "north": "root", "n1": "north", "n2": "north", "south": "root"}


@pytest.mark.parametrize(
    ("branch", "expected"),
    [
        ("root", set(TREE)),
        ("north", {"north", "n1", "n2"}),
        ("n1", {"n1"}),
        pytest.param("unheard", {"unheard"}, id="a branch that is not known yet"),
    ],
)
async def test_a_subtree_is_the_branch_with_all_below(bank, branch: str, expected: set[str]) -> None:
    await bank.grow(TREE)
    async with bank.database.read() as conn:
        assert await org.subtree(conn, branch) == expected


async def test_a_cycle_ends(bank) -> None:
    await bank.grow({"a": "b", "b": "a"})
    async with bank.database.read() as conn:
        assert await org.subtree(conn, "a") == {"a", "b"}


async def test_what_is_gone_is_forgotten(bank) -> None:
    await bank.grow(TREE)
    async with bank.database.begin() as tx:
        await org.put_org(tx, [Gone(branch_id="n2"), Branch("n1", "south", "moved")], 1)
    async with bank.database.read() as conn:
        assert await org.subtree(conn, "north") == {"north"}
        assert await org.subtree(conn, "south") == {"south", "n1"}


async def test_a_new_start_of_the_feed_drops_what_it_lacks_but_keeps_revocations(bank) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    session = RevokedSession("x1", later)
    member = Staff("s1", "root", "王", frozenset({"TELLER", "LOBBY"}), None, None)
    async with bank.database.begin() as tx:
        await org.put_org(tx, [Branch("old", None, "old"), session, member], 1)
        await org.put_org(tx, [Branch("new", "old", "new")], 2)
        await org.drop_older(tx, 2)
    async with bank.database.read() as conn:
        assert await org.subtree(conn, "old") == {"old", "new"}
        assert await org.read_revoked(conn) == [session]


async def test_expired_revocations_are_not_told(bank) -> None:
    async with bank.database.begin() as tx:
        await org.put_org(tx, [RevokedSession("x1", datetime.now(UTC) - timedelta(hours=2))], 1)
        assert await org.read_revoked(tx) == []
        await org.forget_expired(tx)
