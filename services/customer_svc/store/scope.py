"""The viewer's scope as SQL: the only way from customers to those whom somebody may see.

Whoever sees one branch, or a few, finds its customers through `owners`. Whoever sees many would join nearly everybody:
for him the owners stand beside the figures, in `customer_search`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import ARRAY, ColumnElement, FromClause, Text, and_, any_, case, false, func, literal, or_, select, true
from sqlalchemy.sql.elements import BindParameter

from services.customer_svc.domain.viewing import Grant, Level, Scope
from services.customer_svc.store.columns import KEY
from services.customer_svc.store.tables import customers, owners
from services.customer_svc.store.tables_search import customer_search

PRIMARY = "PRIMARY"
SECONDARY = "SECONDARY"
FEW_BRANCHES = 4
"""So many branches are looked up in `owners`; of more, each customer is asked for his."""

_row = customer_search.c
# One alias for all that speaks of the viewer's row in a statement, such as a facet by its branch.
_OWN_ROW = owners.alias("own")
# Made once: what SQLAlchemy prepares for an alias takes longer than many a look-up.
_OPENING, _MANAGED = owners.alias("opening"), owners.alias("managed")
# Hardly anybody has more secondary branches: these are compared one by one, which is ten times as fast.
_COMPARED = 3


@dataclass(frozen=True)
class Visible:
    """Customers whom a viewer sees at a level: what to select from, and what must hold.

    `own_branch_id` is the branch that `own.*` means for each, the one that `Scope.own_branch_id` names.
    """

    source: FromClause
    holds: ColumnElement[bool]
    own_branch_id: ColumnElement[str] | None


def visible(scope: Scope, least: Level) -> Visible:
    """The customers whom a viewer sees at least at a level."""
    if scope.everyone:
        return Visible(customer_search, true(), None)
    branch_id = single_branch_id(scope)
    if branch_id is not None:
        # At most one row per customer: a join lets the planner start at the branch.
        own = _OWN_ROW
        source = customer_search.join(own, and_(own.c.customer_id == KEY, opened(own, scope, least)))
        return Visible(source, true(), own.c.branch_id)
    return Visible(customer_search, seen_at(scope, least), _own_branch_id(scope))


def seen_at(scope: Scope, least: Level) -> ColumnElement[bool]:
    """Says of a row of `customer_search` whether the viewer sees the customer at least at a level."""
    if scope.everyone:
        return true()
    if single_branch_id(scope) is not None:
        # `visible` joins the only row that can.
        return opened(_OWN_ROW, scope, least)
    if not _sees_many(scope):
        row = _OPENING
        return found(row, row.c.customer_id == KEY, opened(row, scope, least))
    if least > Level.PRIMARY:
        return false()
    grants = _needed(scope, least)
    opening = [_opens_primary(grant) for grant in grants]
    if least <= Level.SECONDARY:
        opening += [_opens_secondary(grant) for grant in grants if grant.private_manager_id is None]
    return or_(false(), *opening)


def opened_somewhere(scope: Scope, least: Level) -> ColumnElement[bool]:
    """Says of a row of `customers` whether the viewer sees the customer at least at a level."""
    if scope.everyone:
        return true()
    row = _OPENING
    return found(row, row.c.customer_id == customers.c.customer_id, opened(row, scope, least))


def found(rows: FromClause, *holds: ColumnElement[bool]) -> ColumnElement[bool]:
    """Says whether `rows` has some for which all holds; whatever else is named belongs to the statements around it.

    Left to itself SQLAlchemy looks only one statement outwards, and would join all customers in two statements deep.
    """
    return select(1).select_from(rows).where(*holds).correlate_except(rows).exists()


def looked_up(rows: FromClause, *holds: ColumnElement[bool]) -> ColumnElement[bool]:
    """Says the same, asked of each customer of whom all else holds, and never as a join.

    Of ten conditions that hang together the planner expects one customer where there are thousands. Joins in an order
    that suits one took 60 s instead of 0.2.
    """
    return found(rows, *holds).is_(true())


def opened(row: FromClause, scope: Scope, least: Level) -> ColumnElement[bool]:
    """Says of a row of `owners` whether it opens its customer to the viewer at least at a level."""
    grants = _needed(scope, least)
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


def primary_branch_ids(scope: Scope) -> frozenset[str] | None:
    """The branches whose primary rows open customers, if it is these many branches and nothing else that does."""
    grants = _needed(scope, Level.PRIMARY)
    if not _sees_many(scope) or any(grant.manager_id or grant.private_manager_id for grant in grants):
        return None
    named = [grant.branch_ids for grant in grants]
    return None if None in named else frozenset[str]().union(*(ids for ids in named if ids))


def texts(values: Iterable[str]) -> BindParameter[Sequence[str]]:
    """Texts as one array parameter, so that a statement has one form however many there are."""
    return literal(sorted(values), ARRAY(Text))


def one_of(column: ColumnElement[str], values: frozenset[str]) -> ColumnElement[bool]:
    """Says whether a column is one of several texts; of one alone as a plain comparison, whose share is known."""
    return column == next(iter(values)) if len(values) == 1 else column == any_(texts(values))


def _needed(scope: Scope, least: Level) -> list[Grant]:
    """The grants that open something at a level, without those that another one holds."""
    grants = [grant for grant in scope.grants if least <= Level.EXISTENCE or not grant.existence_only]
    return [grant for grant in grants if not any(_holds(other, grant) for other in grants if other != grant)]


def _holds(wider: Grant, grant: Grant) -> bool:
    if wider.manager_id is not None or wider.private_manager_id is not None:
        return False
    if wider.existence_only and not grant.existence_only:
        return False
    return wider.branch_ids is None or (grant.branch_ids is not None and grant.branch_ids <= wider.branch_ids)


def _sees_many(scope: Scope) -> bool:
    by_branch = [grant for grant in scope.grants if grant.private_manager_id is None]
    return any(grant.branch_ids is None or len(grant.branch_ids) > FEW_BRANCHES for grant in by_branch)


def _within(row: FromClause, grant: Grant) -> ColumnElement[bool]:
    parts: list[ColumnElement[bool]] = []
    if grant.branch_ids is not None:
        parts.append(one_of(row.c.branch_id, grant.branch_ids))
    if grant.manager_id is not None:
        parts.append(row.c.manager_id == grant.manager_id)
    if grant.private_manager_id is not None:
        parts.append(row.c.private_manager_id == grant.private_manager_id)
    return and_(true(), *parts)


def _opens_primary(grant: Grant) -> ColumnElement[bool]:
    """Says of a row of `customer_search` whether its primary branch opens it by a grant."""
    parts: list[ColumnElement[bool]] = [_row.primary_branch_id.is_not(None)]
    if grant.branch_ids is not None:
        parts = [one_of(_row.primary_branch_id, grant.branch_ids)]
    if grant.manager_id is not None:
        parts.append(_row.primary_manager_id == grant.manager_id)
    if grant.private_manager_id is not None:
        parts.append(_row.private_manager_id == grant.private_manager_id)
    return and_(*parts)


def _opens_secondary(grant: Grant) -> ColumnElement[bool]:
    """Says of a row of `customer_search` whether one of its secondary branches opens it by a grant."""
    if grant.manager_id is not None:
        row = _MANAGED
        return found(row, row.c.customer_id == KEY, row.c.side == SECONDARY, _within(row, grant))
    if grant.branch_ids is None:
        return _place(1).is_not(None)
    wanted = any_(texts(grant.branch_ids))
    more = and_(_place(_COMPARED + 1).is_not(None), _row.secondary_branch_ids.overlap(texts(grant.branch_ids)))
    return or_(*(_place(place) == wanted for place in range(1, _COMPARED + 1)), more)


def _own_branch_id(scope: Scope) -> ColumnElement[str]:
    """The primary's branch if it opens the customer, else of the secondary ones that do the viewer's own, or the least.

    They stand in the order of their ids.
    """
    grants = _needed(scope, Level.SECONDARY)
    home = scope.home_branch_id
    mine = [_opens_secondary(_at(grant, home)) for grant in grants if _reaches(grant, home)]
    whole = [grant.branch_ids for grant in grants if grant.manager_id is None and grant.private_manager_id is None]
    return case(
        (or_(false(), *(_opens_primary(grant) for grant in grants)), _row.primary_branch_id),
        (or_(false(), *mine), literal(home, Text)),
        else_=_first_of(None if None in whole else frozenset[str]().union(*(ids for ids in whole if ids))),
    )


def _reaches(grant: Grant, branch_id: str) -> bool:
    return grant.private_manager_id is None and (grant.branch_ids is None or branch_id in grant.branch_ids)


def _at(grant: Grant, branch_id: str) -> Grant:
    return Grant(frozenset({branch_id}), grant.manager_id)


def _first_of(branch_ids: frozenset[str] | None) -> ColumnElement[str]:
    """The least secondary branch of these; None means of all."""
    if branch_ids is None:
        return _place(1)
    wanted = any_(texts(branch_ids))
    each = func.unnest(_row.secondary_branch_ids).column_valued("secondary")
    least = select(func.min(each)).where(each == wanted).correlate(customer_search).scalar_subquery()
    return case(*((_place(place) == wanted, _place(place)) for place in range(1, _COMPARED + 1)), else_=least)


def _place(place: int) -> ColumnElement[str]:
    return _row.secondary_branch_ids[place]
