"""A page of the customers who fulfil a query."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncConnection

from services.customer_svc.domain.customer import BranchBusiness, Business, Root, Totals, View, view
from services.customer_svc.domain.query import Asked, Position, Query
from services.customer_svc.domain.viewing import Reading, Scope
from services.customer_svc.store import customers, search
from services.customer_svc.usecases.ask_query import ask, named_scope
from services.customer_svc.usecases.scopes import read_scope


@dataclass(frozen=True)
class Start:
    """Where a further page starts, with what only the first one counted."""

    after: Position
    left_out: int


@dataclass(frozen=True)
class Found:
    """A page of customers; `next_start` is None after the last."""

    views: Sequence[View]
    positions: Mapping[str, Position]
    """Where each customer of the page stands."""
    next_start: Start | None
    confined: bool
    left_out: int

    def start_after(self, count: int) -> Start | None:
        """Where the next page starts if only the first `count` views are sent."""
        if count == len(self.views):
            return self.next_start
        return Start(self.positions[self.views[count - 1].identity.customer_id], self.left_out)


async def search_customers(
    tx: AsyncConnection, query: Query, reading: Reading, start: Start | None, limit: int
) -> Found:
    """Finds a page of the customers who fulfil the query and whom the viewer may see, and notes who read them."""
    scope = await read_scope(tx, reading.viewer)
    asked = await ask(tx, query, reading.viewer, named_scope(scope))
    await search.plan_for_these_values(tx)
    left_out = start.left_out if start else await search.count_left_out(tx, asked)
    positions = await search.find(tx, asked, start.after if start else None, limit + 1)
    page = {position.customer_id: position for position in positions[:limit]}
    views = await _show(tx, asked, list(page), reading)
    next_start = Start(positions[limit - 1], left_out) if len(positions) > limit else None
    return Found(views, page, next_start, asked.reach.confined, left_out)


async def _show(conn: AsyncConnection, asked: Asked, customer_ids: Sequence[str], reading: Reading) -> list[View]:
    """Shows customers in the order given; one who was hidden since he was found is left out."""
    if not customer_ids:
        return []
    roots = await customers.read_roots(conn, customer_ids, asked.scope, reading)
    seen = [roots[customer_id] for customer_id in customer_ids if customer_id in roots]
    sums = await customers.read_totals(conn, customer_ids, asked.day)
    return [
        _shown(root, sums[root.identity.customer_id], asked.scope)
        for root in seen
        if asked.scope.level(owner.row for owner in root.owners) >= asked.reach.least
    ]


def _shown(root: Root, by_branch: Sequence[tuple[str, Totals]], scope: Scope) -> View:
    own_id = scope.own_branch_id([owner.row for owner in root.owners])
    own = BranchBusiness(own_id, dict(by_branch).get(own_id, Totals())) if own_id else None
    whole = view(root, Business(by_branch, own), scope)
    return replace(whole, other_branches=())
