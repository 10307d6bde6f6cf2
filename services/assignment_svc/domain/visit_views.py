"""What of visits somebody sees (domain.md 3 and 11).

The supervisor of a visit is whoever heads its branch or one above, unless he made it: nobody looks at himself. He sees
everything; the author all but the coordinates; others that look after the customer that the visit was, when, by whom
and with what content, from a secondary side those of their own branch only. A withdrawn visit is for the first two.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from policy.visibility import Level, OwnerRow, Scope
from services.assignment_svc.domain.visits import Visit


class Insight(IntEnum):
    """How much of a visit somebody sees."""

    NONE = 0
    OTHERS = 1
    AUTHOR = 2
    SUPERVISOR = 3


@dataclass(frozen=True)
class Opening:
    """Rows of ownership that open a customer: of these branches (None: any), of one manager if one is named."""

    branch_ids: frozenset[str] | None
    manager_id: str | None
    private_manager_id: str | None


@dataclass(frozen=True)
class Reach:
    """Whose visits somebody may see: customers with a row that an opening opens; and which branches he supervises."""

    viewer_id: str
    openings: tuple[Opening, ...]
    supervised: frozenset[str]
    near: frozenset[str] = frozenset()
    """Customers whom he does not see all the same: himself and his relatives."""


@dataclass(frozen=True)
class Sides:
    """From where somebody looks at one customer."""

    viewer_id: str
    own_branch_id: str
    branch_ids: frozenset[str] | None
    """The branches whose visits he sees; None for all."""
    supervised: frozenset[str]


def reach_of(viewer_id: str, scope: Scope) -> Reach:
    """The reach that a scope gives; what opens existence only is left out."""
    grants = [grant for grant in scope.grants if not grant.existence_only]
    openings = tuple(Opening(grant.branch_ids, grant.manager_id, grant.private_manager_id) for grant in grants)
    return Reach(viewer_id, openings, supervised_by(scope), scope.near)


def supervised_by(scope: Scope) -> frozenset[str]:
    """The branches that somebody heads, directly or from above, also for whom he stands in."""
    heads = (grant for grant in scope.grants if grant.manager_id is None and grant.private_manager_id is None)
    return frozenset().union(*(grant.branch_ids or () for grant in heads if not grant.existence_only))


def sides_of(viewer_id: str, customer_id: str, rows: Sequence[OwnerRow], scope: Scope) -> Sides | None:
    """From where somebody looks at a customer with these rows; None if he does not look after him or is himself."""
    level = scope.level_for(customer_id, rows)
    if level < Level.SECONDARY or viewer_id == customer_id:
        return None
    own = frozenset(row.branch_id for row in rows if scope.level([row]) >= Level.SECONDARY)
    seen = own if level is Level.SECONDARY else None
    return Sides(viewer_id, scope.own_branch_id(rows) or "", seen, supervised_by(scope))


def insight_of(visit: Visit, sides: Sides) -> Insight:
    """How much of a customer's visit is seen from there."""
    insight = insight_at(visit, sides.viewer_id, sides.supervised)
    if sides.branch_ids is not None and visit.branch_id not in sides.branch_ids:
        return Insight.NONE
    return Insight.NONE if insight is Insight.OTHERS and visit.withdraw_time is not None else insight


def insight_at(visit: Visit, viewer_id: str, supervised: Iterable[str]) -> Insight:
    """How much of a visit its author, its supervisor or another sees."""
    if visit.staff_id == viewer_id:
        return Insight.AUTHOR
    return Insight.SUPERVISOR if visit.branch_id in supervised else Insight.OTHERS


def shown(visit: Visit, insight: Insight) -> Visit:
    """The visit without what is not for whoever looks."""
    if insight is Insight.SUPERVISOR:
        return visit
    if insight is Insight.AUTHOR:
        return replace(visit, fix=None)
    return replace(visit, fix=None, state=None, distance_m=None, distance_band=None, device_id="", client_visit_id="")
