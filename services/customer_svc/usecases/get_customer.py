"""One customer in full, as far as the viewer may see him."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from services.customer_svc.domain.customer import Business, Owner, Root, Totals, View, view
from services.customer_svc.domain.viewing import Level, Reading, Scope
from services.customer_svc.store import customers
from services.customer_svc.usecases.follow_merges import gone_or_hidden
from services.customer_svc.usecases.scopes import read_scope

_EVERYONE = Scope("", everyone=True)


async def get_customer(
    conn: AsyncConnection, customer_id: str, reading: Reading, owners_now: Sequence[Owner] | None = None
) -> View:
    """Reads a customer and notes who read him. Refuses with one and the same NOT_FOUND if he is absent or hidden.

    `owners_now` are his owners from their source, for when what is followed of them is too old to decide by.
    """
    scope = await read_scope(conn, reading.viewer)
    root = await _read_root(conn, customer_id, scope, reading, owners_now)
    if root is None:
        raise await gone_or_hidden(conn, customer_id, scope)
    rows = [owner.row for owner in root.owners]
    if scope.level(rows) == Level.EXISTENCE:
        return view(root, Business(), scope)
    day = root.business_date or await customers.business_day(conn)
    by_branch = (await customers.read_totals(conn, [customer_id], day))[customer_id]
    own_id = scope.own_branch_id(rows)
    people = await customers.read_people(conn, customer_id, reading)
    if own_id is None:
        return view(root, Business(by_branch, None, people), scope)
    detail = await customers.read_detail(conn, customer_id, own_id)
    own = replace(detail, totals=dict(by_branch).get(own_id, Totals()))
    return view(root, Business(by_branch, own, people), scope)


async def _read_root(
    conn: AsyncConnection, customer_id: str, scope: Scope, reading: Reading, owners_now: Sequence[Owner] | None
) -> Root | None:
    if owners_now is None:
        return (await customers.read_roots(conn, [customer_id], scope, reading)).get(customer_id)
    # One who is hidden is looked for all the same, under an id that nobody has: the answer must take like long.
    hidden = scope.level(owner.row for owner in owners_now) == Level.NONE
    root = (await customers.read_roots(conn, ["" if hidden else customer_id], _EVERYONE, reading)).get(customer_id)
    return replace(root, owners=owners_now) if root else None
