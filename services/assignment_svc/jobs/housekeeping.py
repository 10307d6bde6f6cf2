"""Forgets what nobody needs any more, and makes room for what will come."""

import asyncio

from chassis.sql.engine import Database
from chassis.sql.idempotency import forget_answers
from chassis.sql.partitions import add_coming_months
from services.assignment_svc.store import acting_managers, oidc_mappings, sessions
from services.assignment_svc.usecases.policy_trials import forget_expired

_EVERY_SECONDS = 600.0


async def keep_house(database: Database) -> None:
    """Deletes sessions that ended by themselves long ago, old answers and trials; makes the audit's months to come.

    Also ends what covers nobody any more: until then its last day alone keeps it from opening anything.
    """
    while True:
        async with database.begin() as tx:
            await sessions.forget_expired(tx)
            await oidc_mappings.forget_tokens(tx)
            await acting_managers.close_past(tx)
        await forget_answers(database)
        await forget_expired(database)
        await add_coming_months(database, ("audit",))
        await asyncio.sleep(_EVERY_SECONDS)
