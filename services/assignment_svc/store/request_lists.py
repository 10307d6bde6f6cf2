"""Which requests concern somebody: what waits for him, what he made, what a branch has to do with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import DateTime, Text, TextClause, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.assignment_svc.domain.approvals import Seat

# As a viewer sees it: a pull that is SILENT is over for the giver's side, and goes on for everybody else.
_SHOWN = (
    "CASE WHEN r.state <> 'SILENT' THEN r.state WHEN r.from_branch_id = ANY ({led}) THEN 'REFUSED' ELSE 'PENDING' END"
)
_LED = "CAST(:led AS text[])"
_PAGE = """
SELECT request_id, shown <> 'PENDING' AS decided, due_time FROM (
  SELECT DISTINCT r.request_id, r.due_time, {shown} AS shown FROM ownership_request r {joins} WHERE {which}
) found
WHERE (:state = '' OR shown = :state)
  AND (shown <> 'PENDING', due_time, request_id) > (:after_decided, :after_time, :after_id)
ORDER BY 2, 3, 1 LIMIT :limit
"""
_NOT_ABOUT = """{0} <> r.customer_id AND NOT EXISTS (
    SELECT FROM staff_relation k WHERE k.customer_id = r.customer_id AND k.staff_id = {0})"""
_NOT_ABOUT_HIM = _NOT_ABOUT.format(":staff_id")
_WAITING = f"r.state IN ('PENDING', 'SILENT') AND r.creator <> :staff_id AND {_NOT_ABOUT_HIM}"
_AT_DESK = f"""
JOIN request_approval a ON a.customer_id = r.customer_id AND a.request_id = r.request_id AND a.answer = 'WAITING'
JOIN unnest(CAST(:desks AS text[]), CAST(:heads AS text[])) AS seat (desk, head)
  ON (a.desk_branch_id = seat.desk OR a.upper_desk_branch_id = seat.desk)
    AND seat.head <> r.creator AND {_NOT_ABOUT.format("seat.head")}"""
_OF_BRANCH = f"(r.from_branch_id = :branch_id OR r.to_branch_id = :branch_id) AND {_NOT_ABOUT_HIM}"


def _page(which: str, joins: str = "") -> TextClause:
    statement = _PAGE.format(shown=_SHOWN.format(led=_LED), joins=joins, which=which)
    return text(statement).bindparams(
        *(bindparam(name, type_=Text) for name in ("state", "after_id", "staff_id") if f":{name}" in statement),
        bindparam("after_time", type_=DateTime(timezone=True)),
    )


_WAITING_FOR = _page(_WAITING, _AT_DESK)
_MADE_BY = _page("r.creator = :staff_id")
_CONCERNING = _page(_OF_BRANCH)


@dataclass(frozen=True)
class Place:
    """Where a page begins, exclusive: what is decided comes last, within that what is due first comes first."""

    decided: bool
    due_time: datetime
    request_id: str


_START = Place(decided=False, due_time=datetime.fromisoformat("0001-01-01T00:00:00+00:00"), request_id="")


@dataclass(frozen=True)
class Asking:
    """Who asks, what he leads, the state that he asks for, and where his page begins and how long it is."""

    staff_id: str
    led: frozenset[str]
    state: str | None
    after: Place | None
    limit: int


async def waiting_for(conn: AsyncConnection, asking: Asking, seats: Sequence[Seat]) -> list[Place]:
    """What somebody with these seats may answer now."""
    given = {"desks": [seat.branch_id for seat in seats], "heads": [seat.head_id for seat in seats]}
    return await _places(conn, _WAITING_FOR, asking, given)


async def made_by(conn: AsyncConnection, asking: Asking) -> list[Place]:
    """What somebody made."""
    return await _places(conn, _MADE_BY, asking, {})


async def concerning(conn: AsyncConnection, asking: Asking, branch_id: str) -> list[Place]:
    """What has a branch as giver or taker; nobody finds himself there as the customer."""
    return await _places(conn, _CONCERNING, asking, {"branch_id": branch_id})


async def _places(
    conn: AsyncConnection, statement: TextClause, asking: Asking, given: Mapping[str, object]
) -> list[Place]:
    after = asking.after or _START
    values: dict[str, object] = {
        "led": sorted(asking.led),
        "state": asking.state or "",
        "after_decided": after.decided,
        "after_time": after.due_time,
        "after_id": after.request_id,
        "limit": asking.limit,
        "staff_id": asking.staff_id,
    }
    rows = await conn.execute(statement, {**values, **given})
    return [Place(row.decided, row.due_time, row.request_id) for row in rows]
