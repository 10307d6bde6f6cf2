"""From a query to what the store is asked: refused for what is wrong or forbidden, completed by what is known here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Kind, Refused, Violation, invalid_field
from services.customer_svc.domain.conditions import (
    Condition,
    ContactCondition,
    GroupCondition,
    OwnershipCondition,
    Single,
    TagCondition,
)
from services.customer_svc.domain.contact_room import ContactPolicy
from services.customer_svc.domain.faults import faults, size_fault
from services.customer_svc.domain.query import Asked, Facet, Fault, Query, single_paths, with_singles
from services.customer_svc.domain.reach import forbidden, reach_of
from services.customer_svc.domain.viewing import CountScope, Level, Scope, Viewer
from services.customer_svc.store import asking, contact_rooms, org
from services.customer_svc.usecases.refer_to_groups import least_of_groups


async def ask(
    conn: AsyncConnection, query: Query, viewer: Viewer, reach: CountScope, facets: Sequence[Facet] = ()
) -> Asked:
    """A query as a viewer asks it now.

    Refuses first what is too large, then what the viewer may not ask, then what is wrong with it.
    """
    refuse_size(query.conditions)
    _refuse_forbidden(query, reach, facets)
    if found := faults(query):
        raise _refusal(found)
    await _refuse_unknown_tags(conn, query)
    day, now = await asking.read_moment(conn)
    whole = replace(query, conditions=await _completed(conn, query.conditions, viewer, now))
    # A group tells as much as its own query does, which is known only now.
    _refuse_forbidden(whole, reach, facets)
    scope = reach.scope
    return Asked(whole, reach_of(whole, everyone=scope.everyone, facets=facets), scope, day, now)


def named_scope(scope: Scope) -> CountScope:
    """Whom a viewer sees by name, as a scope for queries."""
    return CountScope(scope, names_nobody=False, small_counts_hidden=False)


def refuse_size(conditions: Sequence[Condition], path: str = "conditions") -> None:
    """Refuses conditions that are too many, nested too deep, or combine nothing."""
    broken = size_fault(conditions, path)
    if broken is not None:
        raise _refusal([broken])


def _refuse_forbidden(query: Query, reach: CountScope, facets: Sequence[Facet]) -> None:
    denied = forbidden(query, reach, facets)
    if denied is not None:
        message = f"{denied.field} {denied.description}"
        raise Refused(Kind.FORBIDDEN, denied.reason, message, {"field": denied.field})


def _refusal(found: Sequence[Fault]) -> Refused:
    """Refuses for the first fault, and names those of its sort too."""
    first = found[0]
    if first.reason == "FIELD_INVALID":
        return invalid_field(first.field, first.description)
    alike = [fault for fault in found if fault.reason == first.reason]
    violations = [Violation(fault.field, fault.description) for fault in alike]
    metadata = {"field": first.field} | ({} if first.limit is None else {"limit": str(first.limit)})
    return Refused(Kind.INVALID, first.reason, f"{first.field}: {first.description}", metadata, violations)


async def _refuse_unknown_tags(conn: AsyncConnection, query: Query) -> None:
    named = {
        code: path
        for path, condition in single_paths(query.conditions)
        if isinstance(condition, TagCondition)
        for code in (*condition.all_of, *condition.any_of, *condition.none_of)
    }
    unknown = sorted(named.keys() - await asking.existing_tags(conn, named)) if named else []
    if unknown:
        path = named[unknown[0]]
        violations = [Violation(named[code], f"no tag has the code {code}") for code in unknown]
        message = f"{path}: no tag has the code {unknown[0]}"
        raise Refused(Kind.INVALID, "TAG_UNKNOWN", message, {"field": path, "tag": unknown[0]}, violations)


@dataclass(frozen=True)
class _Known:
    """What conditions are completed by."""

    below: Mapping[str, frozenset[str]]
    """By branch, it with all branches below it."""
    least: Mapping[GroupCondition, Level]
    now: datetime
    policy: ContactPolicy | None

    def complete(self, condition: Single) -> Single:
        match condition:
            case OwnershipCondition():
                branch_id = condition.branch_id
                if branch_id is None:
                    return replace(condition, now=self.now)
                meant = self.below[branch_id] if condition.with_subtree else frozenset({branch_id})
                return replace(condition, branch_ids=meant, now=self.now)
            case GroupCondition():
                return replace(condition, least=self.least[condition])
            case ContactCondition():
                return replace(condition, now=self.now, policy=self.policy)
            case _:
                return condition


async def _completed(
    conn: AsyncConnection, conditions: Sequence[Condition], viewer: Viewer, now: datetime
) -> tuple[Condition, ...]:
    below: dict[str, frozenset[str]] = {}
    least: dict[GroupCondition, Level] = {}
    for _, condition in single_paths(conditions):
        match condition:
            case OwnershipCondition(branch_id=str(branch_id), with_subtree=True) if branch_id not in below:
                below[branch_id] = await org.subtree(conn, branch_id)
            case GroupCondition() if condition not in least:
                least[condition] = await least_of_groups(conn, viewer, {*condition.any_of, *condition.none_of})
            case _:
                continue
    policy = await contact_rooms.read_policy(conn) if _asks_for_room(conditions) else None
    return with_singles(conditions, _Known(below, least, now, policy).complete)


def _asks_for_room(conditions: Sequence[Condition]) -> bool:
    return any(isinstance(single, ContactCondition) and single.rooms for _, single in single_paths(conditions))
