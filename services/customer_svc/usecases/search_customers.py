"""Customers who fulfil a query: a page of them, or their number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Kind, Refused, Violation, invalid_field
from services.customer_svc.domain.counts import Told, coarse, exact
from services.customer_svc.domain.customer import BranchBusiness, Business, Root, Totals, View, view
from services.customer_svc.domain.query import (
    CONDITIONS_MAX,
    Asked,
    Condition,
    Fault,
    OwnershipCondition,
    Position,
    Query,
    faults,
    forbidden,
    naming_fields,
    reach_of,
)
from services.customer_svc.domain.viewing import CountScope, Reading, Scope
from services.customer_svc.store import customers, org, search
from services.customer_svc.usecases.scopes import read_count_scope, read_scope


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


@dataclass(frozen=True)
class Counted:
    """A number as the viewer may be told it."""

    customers: Told
    confined: bool
    left_out: Told


async def search_customers(
    tx: AsyncConnection, query: Query, reading: Reading, start: Start | None, limit: int
) -> Found:
    """Finds a page of the customers who fulfil the query and whom the viewer may see, and notes who read them."""
    scope = await read_scope(tx, reading.viewer)
    _refuse_faults(query, CountScope(scope, names_nobody=False, small_counts_hidden=False))
    await search.plan_for_these_values(tx)
    asked = await _ask(tx, query, scope)
    left_out = start.left_out if start else await search.count_left_out(tx, asked)
    positions = await search.find(tx, asked, start.after if start else None, limit + 1)
    page = {position.customer_id: position for position in positions[:limit]}
    views = await _show(tx, asked, list(page), reading)
    next_start = Start(positions[limit - 1], left_out) if len(positions) > limit else None
    return Found(views, page, next_start, asked.reach.confined, left_out)


async def count_customers(tx: AsyncConnection, query: Query, reading: Reading) -> Counted:
    """Counts the customers whom the query would find; who may not find a person in a count gets it coarse.

    A count by name or number looks somebody up, and is noted.
    """
    reach = await read_count_scope(tx, reading.viewer)
    _refuse_faults(query, reach)
    await search.plan_for_these_values(tx)
    asked = await _ask(tx, query, reach.scope)
    number, left_out = await search.count(tx, asked), await search.count_left_out(tx, asked)
    if fields := naming_fields(query):
        await customers.note_lookup(tx, reading, fields)
    told = coarse if reach.small_counts_hidden else exact
    return Counted(told(number), asked.reach.confined, told(left_out))


def _refuse_faults(query: Query, reach: CountScope) -> None:
    """Refuses a query: first for what the viewer may not ask, then for what is wrong with it."""
    denied = forbidden(query, reach)
    if denied is not None:
        message = f"{denied.field} {denied.description}"
        raise Refused(Kind.FORBIDDEN, denied.reason, message, {"field": denied.field})
    if len(query.conditions) > CONDITIONS_MAX:
        message = f"conditions: at most {CONDITIONS_MAX} are taken"
        raise Refused(Kind.INVALID, "CONDITIONS_TOO_MANY", message, {"limit": str(CONDITIONS_MAX)})
    found = faults(query)
    if found:
        raise _refusal(found)


def _refusal(found: Sequence[Fault]) -> Refused:
    first = found[0]
    if first.reason == "FIELD_INVALID":
        return invalid_field(first.field, first.description)
    violations = [Violation(fault.field, fault.description) for fault in found if fault.reason == first.reason]
    message = f"{first.field}: {first.description}"
    return Refused(Kind.INVALID, "RANGE_EMPTY", message, {"field": first.field}, violations)


async def _ask(conn: AsyncConnection, query: Query, scope: Scope) -> Asked:
    wanted = tuple([await _resolved(conn, condition) for condition in query.conditions])
    whole = replace(query, conditions=wanted)
    return Asked(whole, reach_of(whole, everyone=scope.everyone), scope, await customers.business_day(conn))


async def _resolved(conn: AsyncConnection, condition: Condition) -> Condition:
    """A condition that names a branch, with all the branches that it means."""
    if not isinstance(condition, OwnershipCondition) or condition.branch_id is None:
        return condition
    below = await org.subtree(conn, condition.branch_id) if condition.with_subtree else {condition.branch_id}
    return replace(condition, branch_ids=frozenset(below))


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
