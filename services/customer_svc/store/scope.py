"""The viewer's scope as SQL: the only way from customers to those whom somebody may see."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import ARRAY, ColumnElement, FromClause, Text, and_, any_, false, literal, or_, select, true
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.sql.elements import BindParameter

from services.customer_svc.domain.viewing import Grant, Level, Scope
from services.customer_svc.store.tables import customers, owners

PRIMARY = "PRIMARY"


@dataclass(frozen=True)
class Visible:
    """Customers whom a viewer sees at a level: what to select from, and what must hold.

    With `needs_own`, `own_branch_id` is the branch that `own.*` means for each, the one that `Scope.own_branch_id`
    names.
    """

    source: FromClause
    holds: ColumnElement[bool]
    own_branch_id: ColumnElement[str] | None


def visible(scope: Scope, least: Level, *, needs_own: bool) -> Visible:
    """The customers whom a viewer sees at least at a level."""
    if scope.everyone:
        return Visible(customers, true(), None)
    branch_id = single_branch_id(scope)
    if branch_id is not None:
        # At most one row per customer: a join lets the planner start at the branch and keep the order of its index.
        own = owners.alias("own")
        source = customers.join(own, and_(own.c.customer_id == customers.c.customer_id, opened(own, scope, least)))
        return Visible(source, true(), own.c.branch_id)
    if not needs_own:
        return Visible(customers, opened_somewhere(scope, least), None)
    best = _best_rows(scope, least)
    return Visible(customers.join(best, best.c.customer_id == customers.c.customer_id), true(), best.c.branch_id)


def opened_somewhere(scope: Scope, least: Level) -> ColumnElement[bool]:
    """Says of a row of `customers` whether the viewer sees the customer at least at a level."""
    if scope.everyone:
        return true()
    row = owners.alias("opening")
    return found(row, row.c.customer_id == customers.c.customer_id, opened(row, scope, least))


def found(rows: FromClause, *holds: ColumnElement[bool]) -> ColumnElement[bool]:
    """Says whether `rows` has some for which all holds; whatever else is named belongs to the statements around it.

    Left to itself SQLAlchemy looks only one statement outwards, and would join all customers in two statements deep.
    """
    return select(1).where(*holds).correlate_except(rows).exists()


def opened(row: FromClause, scope: Scope, least: Level) -> ColumnElement[bool]:
    """Says of a row of `owners` whether it opens its customer to the viewer at least at a level."""
    grants = [grant for grant in scope.grants if least <= Level.EXISTENCE or not grant.existence_only]
    if not grants or least > Level.PRIMARY:
        return false()
    somehow = or_(*(_within(row, grant) for grant in grants))
    return and_(row.c.side == PRIMARY, somehow) if least == Level.PRIMARY else somehow


def single_branch_id(scope: Scope) -> str | None:
    """The branch whose rows alone can open customers, if there is only one such branch."""
    named: set[str] = set()
    for grant in scope.grants:
        if grant.branch_ids is None:
            return None
        named |= grant.branch_ids
    return next(iter(named)) if len(named) == 1 else None


def texts(values: Iterable[str]) -> BindParameter[Sequence[str]]:
    """Texts as one array parameter, so that a statement has one form however many there are."""
    return literal(sorted(values), ARRAY(Text))


def _within(row: FromClause, grant: Grant) -> ColumnElement[bool]:
    parts: list[ColumnElement[bool]] = []
    if grant.branch_ids is not None:
        one = len(grant.branch_ids) == 1
        parts.append(row.c.branch_id == (next(iter(grant.branch_ids)) if one else any_(texts(grant.branch_ids))))
    if grant.manager_id is not None:
        parts.append(row.c.manager_id == grant.manager_id)
    if grant.private_manager_id is not None:
        parts.append(row.c.private_manager_id == grant.private_manager_id)
    return and_(true(), *parts)


def _best_rows(scope: Scope, least: Level) -> FromClause:
    """For each customer the row that gives the level: `side` happens to sort the primary one first."""
    row = owners.alias("opening")
    return (
        select(row.c.customer_id, row.c.branch_id)
        .where(opened(row, scope, max(least, Level.SECONDARY)))
        .ext(distinct_on(row.c.customer_id))
        .order_by(row.c.customer_id, row.c.side, row.c.branch_id != scope.home_branch_id, row.c.branch_id)
        .subquery("best")
    )
