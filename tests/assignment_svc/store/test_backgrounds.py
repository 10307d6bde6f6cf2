"""Who is told to have named a manager: whoever did it by hand, not the allocation that carried it on."""

from chassis import clock
from chassis.caller import Role
from services.assignment_svc.domain.explanation import Naming
from services.assignment_svc.store import backgrounds


async def naming(by_hand, customer="c0", branch="north"):
    async with by_hand.service.parts.database.read() as conn:
        return (await backgrounds.of_customers(conn, [customer]))[customer].namings.get(branch)


async def test_a_claim_and_a_naming_are_told_with_who_did_them_also_after_a_night(by_hand) -> None:
    head, today = by_hand.asker("head", Role.BRANCH_HEAD), clock.bank_date(clock.now())
    assert await naming(by_hand) is None
    await by_hand.asker("m1").claim()
    assert await naming(by_hand) == Naming("m1", today, claimed=True)
    named = (await head.assign("m2")).manual_change
    await by_hand.run("UPDATE branch_facts SET deposit_sum_minor = deposit_sum_minor + 1, rev = pg_current_xact_id()")
    await by_hand.night()
    assert await naming(by_hand) == Naming("head", today)
    await by_hand.run("UPDATE ownership_change SET undone_by = 'x' WHERE change_id = :id", id=named.rpartition("/")[2])
    assert await naming(by_hand) != Naming("head", today)


async def test_a_named_manager_of_whom_no_change_tells_is_told_by_history(by_hand) -> None:
    await by_hand.asker("m1").claim()
    await by_hand.run("DELETE FROM ownership_change")
    found = await naming(by_hand)
    assert found is not None
    assert not found.claimed
