"""One customer in full, as far as the viewer may see him."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from services.customer_svc.domain.contact_room import standing
from services.customer_svc.domain.customer import Business, Marks, Owner, Root, Totals, View, view
from services.customer_svc.domain.viewing import Level, Reading, Scope
from services.customer_svc.peers.parts import AskParts
from services.customer_svc.store import business, contact_rooms, customers, key_marks, relations, tags
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
    return view(root, await _read_business(conn, root, scope, reading), scope)


async def with_parts(shown: View, ask: AskParts) -> View:
    """Adds what other services tell of a customer; to be called without a connection, since they may be slow."""
    if shown.level == Level.EXISTENCE:
        return shown
    return replace(shown, parts=await ask(shown.identity.customer_id))


async def _read_business(conn: AsyncConnection, root: Root, scope: Scope, reading: Reading) -> Business:
    customer_id, rows = root.identity.customer_id, [owner.row for owner in root.owners]
    day = root.business_date or await customers.business_day(conn)
    by_branch = (await customers.read_totals(conn, [customer_id], day))[customer_id]
    own_id, own = scope.own_branch_id(rows), None
    if own_id is not None:
        detail = await business.read_detail(conn, customer_id, own_id, day)
        own = replace(detail, totals=dict(by_branch).get(own_id, Totals()))
    found = Business(
        by_branch,
        own,
        await relations.read_people(conn, customer_id, scope, reading),
        standing=standing(*await contact_rooms.read_standing(conn, customer_id)),
    )
    if scope.level(rows) < Level.PRIMARY:
        return found
    carried = await tags.of_customer(conn, customer_id, day)
    marks = Marks([tag for tag in carried if tag.is_live(day)], await key_marks.read(conn, customer_id))
    return replace(
        found, product_totals=await business.read_product_totals(conn, customer_id, own_id, day), marks=marks
    )


async def _read_root(
    conn: AsyncConnection, customer_id: str, scope: Scope, reading: Reading, owners_now: Sequence[Owner] | None
) -> Root | None:
    if owners_now is None:
        return await customers.read_page(conn, customer_id, scope, reading)
    # One who is hidden is looked for all the same, under an id that nobody has: the answer must take like long.
    hidden = scope.level(owner.row for owner in owners_now) == Level.NONE
    root = await customers.read_page(conn, "" if hidden else customer_id, _EVERYONE, reading)
    return replace(root, owners=owners_now) if root else None
