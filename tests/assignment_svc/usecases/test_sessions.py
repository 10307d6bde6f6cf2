"""What signing in costs and whom it tells: nothing by its time."""

import pytest
from argon2 import PasswordHasher
from sqlalchemy import text

from chassis.cache import Cache
from chassis.errors import Refused
from chassis.sql.engine import Database
from services.assignment_svc.store.throttle import Throttle
from services.assignment_svc.usecases.sessions import Sessions

HASHER = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)


class Spy:
    """Stands in for the hasher and remembers which hashes a password was checked against."""

    def __init__(self) -> None:
        self.hashes: list[str] = []

    def verify(self, password_hash: str, password: str) -> bool:
        self.hashes.append(password_hash)
        return HASHER.verify(password_hash, password)


@pytest.fixture
async def sessions(database: Database) -> Sessions:
    async with database.begin() as tx:
        await tx.execute(text("TRUNCATE staff, session"))
        await tx.execute(
            text(
                "INSERT INTO staff (staff_id, display_name, branch_id, roles, login, password_hash)"
                " VALUES ('s1', 'S', 'b1', '{MANAGER}', 'anna', :hash), ('s2', 'T', 'b1', '{MANAGER}', 'bert', NULL)"
            ),
            {"hash": HASHER.hash("right")},
        )

    async def ended(_session_id: str, _until: object) -> None:
        pytest.fail("nobody's session ends here")

    return Sessions(database, Throttle(Cache(None)), ended)


@pytest.mark.parametrize("login", ["nobody", "bert", "", "'; DROP TABLE staff; --"])
async def test_a_login_without_a_password_costs_as_much_as_a_wrong_password(sessions: Sessions, login: str) -> None:
    spy = Spy()
    sessions._hasher = spy  # pyright: ignore[reportAttributeAccessIssue] # all that is used of a hasher
    with pytest.raises(Refused) as caught:
        await sessions.sign_in(login, "right")
    assert caught.value.reason == "SIGN_IN_REFUSED"
    assert len(spy.hashes) == 1
    assert spy.hashes[0].startswith("$argon2id$v=19$m=64,t=1,p=1$"), "a decoy of another cost would show"


async def test_a_success_is_no_failure(sessions: Sessions) -> None:
    for _ in range(3):
        assert (await sessions.sign_in("anna", "right")).staff.staff_id == "s1"
