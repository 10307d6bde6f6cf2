"""Erasures as they stand, and what is known of a person that bears on his."""

import json
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Date, DateTime, Integer, Row, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.personal_data import Part
from services.customer_svc.domain.erasure import Erasure, ErasurePolicy, Obstacle, Standing, State, Verdict

_MINE = "customer_id = ANY (CAST(:ids AS text[]))"
_OPEN = "(close_date IS NULL OR close_date > :day)"
_STANDING = text(f"""
SELECT
  EXISTS (SELECT FROM accounts WHERE {_MINE} AND {_OPEN})
    OR EXISTS (SELECT FROM loans WHERE {_MINE} AND (state = 'LIVE' OR state = 'SETTLED' AND close_date > :day))
    OR EXISTS (SELECT FROM cards WHERE {_MINE} AND {_OPEN})
    OR EXISTS (SELECT FROM holdings WHERE {_MINE} AND {_OPEN}) AS live_business,
  EXISTS (
    SELECT FROM relations AS r JOIN loans AS l USING (customer_id)
    WHERE r.related_customer_id = ANY (CAST(:ids AS text[])) AND r.kind = 'guarantor' AND l.state <> 'SETTLED'
  ) AS live_guarantee,
  EXISTS (
    SELECT FROM potential_tags WHERE {_MINE} AND tag_code = 'CHURN_RISK'
      AND coalesce(evidence ->> 'open_complaints', '0') NOT IN ('0', '')
  ) AS open_complaint,
  EXISTS (SELECT FROM loans WHERE {_MINE} AND state = 'WRITTEN_OFF') AS loan_written_off,
  EXISTS (SELECT FROM customers WHERE {_MINE} AND state = 'FROZEN') AS legal_freeze,
  greatest(
    (SELECT max(close_date) FROM accounts WHERE {_MINE}), (SELECT max(close_date) FROM loans WHERE {_MINE}),
    (SELECT max(close_date) FROM cards WHERE {_MINE}), (SELECT max(close_date) FROM holdings WHERE {_MINE})
  ) AS last_close_date,
  EXISTS (
    SELECT FROM merges WHERE ({_MINE} OR merged_id = ANY (CAST(:ids AS text[])))
      AND state IN ('PROPOSED', 'RUNNING', 'UNDOING')
  ) AS merge_open,
  (SELECT max(done_time AT TIME ZONE 'Asia/Shanghai')::date FROM merges
    WHERE ({_MINE} OR merged_id = ANY (CAST(:ids AS text[]))) AND state = 'DONE') AS last_merge_date
""").bindparams(bindparam("day", type_=Date))  # noqa: S608 -- our own text
_POLICY = text(
    "SELECT wait_days, retention_years FROM erasure_policies WHERE start_time <= bank_now()"
    " ORDER BY version DESC LIMIT 1"
)
_TODAY = text("SELECT (bank_now() AT TIME ZONE 'Asia/Shanghai')::date")
_ADD = text(
    "INSERT INTO erasures (customer_id, erasure_id, state, reference, requester_id)"
    " VALUES (:customer_id, gen_random_uuid()::text, 'REQUESTED', :reference, :requester_id) RETURNING *"
)
_GET = text("SELECT * FROM erasures WHERE customer_id = :customer_id AND erasure_id = :erasure_id")
_LOCK = text("SELECT * FROM erasures WHERE customer_id = :customer_id AND erasure_id = :erasure_id FOR UPDATE")
_WAITING = text(
    "SELECT erasure_id FROM erasures WHERE customer_id = :customer_id AND state IN ('REQUESTED', 'APPROVED', 'RUNNING')"
)
_PAGE = text("""
SELECT * FROM erasures WHERE (:customer_id = '' OR customer_id = :customer_id) AND (:state = '' OR state = :state)
  AND (create_time, erasure_id) < (:before_time, :before_id)
ORDER BY create_time DESC, erasure_id DESC LIMIT :limit
""").bindparams(bindparam("before_time", type_=DateTime(timezone=True)), bindparam("limit", type_=Integer))
_MOVE = text("""
UPDATE erasures SET state = CAST(:state AS text), decider_id = :decider_id, decision_reason = :reason,
  update_time = bank_now(),
  execute_time = CASE WHEN CAST(:state AS text) = 'APPROVED'
    THEN bank_now() + make_interval(days => :wait_days) ELSE execute_time END
WHERE customer_id = :customer_id AND erasure_id = :erasure_id RETURNING *
""").bindparams(bindparam("wait_days", type_=Integer))
_DUE = text("""
SELECT * FROM erasures WHERE state = 'RUNNING' OR state = 'APPROVED' AND execute_time <= bank_now()
ORDER BY execute_time LIMIT :limit
""")
_ERASED = text("""
UPDATE erasures SET state = 'RUNNING', verdicts = CAST(:verdicts AS jsonb), update_time = bank_now(),
  erase_time = bank_now() WHERE customer_id = :customer_id AND erasure_id = :erasure_id AND state = 'APPROVED'
  AND execute_time <= bank_now() RETURNING *
""")
_DONE = text("""
UPDATE erasures SET state = 'DONE', update_time = bank_now()
WHERE customer_id = :customer_id AND erasure_id = :erasure_id AND state = 'RUNNING'
""")


async def standing(conn: AsyncConnection, customer_ids: Sequence[str], day: date) -> Standing:
    """What bears on a person's erasure, under all his ids."""
    return Standing(*(await conn.execute(_STANDING, {"ids": list(customer_ids), "day": day})).one())


async def policy(conn: AsyncConnection) -> ErasurePolicy:
    """The parameters in force."""
    return ErasurePolicy(*(await conn.execute(_POLICY)).one())


async def today(conn: AsyncConnection) -> date:
    """The day by bank time: law does not wait for the nightly batch."""
    return (await conn.execute(_TODAY)).scalar_one()


async def add(tx: AsyncConnection, customer_id: str, reference: str, requester_id: str) -> Erasure:
    """Stores a request of one of whom none is open."""
    values = {"customer_id": customer_id, "reference": reference, "requester_id": requester_id}
    return _erasure((await tx.execute(_ADD, values)).one())


async def get(conn: AsyncConnection, customer_id: str, erasure_id: str, *, lock: bool = False) -> Erasure | None:
    """One erasure; locked until the transaction ends, if somebody is about to change it."""
    values = {"customer_id": customer_id, "erasure_id": erasure_id}
    row = (await conn.execute(_LOCK if lock else _GET, values)).one_or_none()
    return _erasure(row) if row else None


async def waiting(conn: AsyncConnection, customer_id: str) -> str | None:
    """The one erasure of a customer that is not over."""
    return (await conn.execute(_WAITING, {"customer_id": customer_id})).scalar_one_or_none()


async def page(
    conn: AsyncConnection, wanted: tuple[str, State | None], before: tuple[datetime, str], limit: int
) -> Sequence[Erasure]:
    """The youngest first, beginning after a place: of one customer, or of everybody for an empty id."""
    customer_id, state = wanted
    values = {"customer_id": customer_id, "state": state.value if state else "", "limit": limit}
    rows = await conn.execute(_PAGE, {**values, "before_time": before[0], "before_id": before[1]})
    return [_erasure(row) for row in rows]


async def move(
    tx: AsyncConnection, erasure: Erasure, state: State, decider: tuple[str, str], wait_days: int
) -> Erasure:
    """Brings a locked erasure to a state; who decided it, and why."""
    key = {"customer_id": erasure.customer_id, "erasure_id": erasure.erasure_id}
    told = {"state": state.value, "decider_id": decider[0], "reason": decider[1], "wait_days": wait_days}
    return _erasure((await tx.execute(_MOVE, {**key, **told})).one())


async def due(conn: AsyncConnection, limit: int) -> Sequence[Erasure]:
    """What is to be carried out or finished now, the oldest first."""
    return [_erasure(row) for row in await conn.execute(_DUE, {"limit": limit})]


async def set_erased(tx: AsyncConnection, erasure: Erasure, found: Sequence[Verdict]) -> Erasure | None:
    """Stores that an erasure was carried out here, and how; None if it is not its time, or was called off."""
    key = {"customer_id": erasure.customer_id, "erasure_id": erasure.erasure_id}
    row = (await tx.execute(_ERASED, {**key, "verdicts": _verdicts_text(found)})).one_or_none()
    return _erasure(row) if row else None


async def set_done(tx: AsyncConnection, erasure: Erasure) -> None:
    """Stores that an erasure was carried out everywhere."""
    await tx.execute(_DONE, {"customer_id": erasure.customer_id, "erasure_id": erasure.erasure_id})


def _verdicts_text(found: Sequence[Verdict]) -> str:
    return json.dumps(
        [
            {
                "part": verdict.part,
                "erased": verdict.erased,
                "obstacles": verdict.obstacles,
                "possible_date": verdict.possible_date.isoformat() if verdict.possible_date else None,
                "row_counts": dict(verdict.row_counts),
            }
            for verdict in found
        ]
    )


def _erasure(row: Row[Any]) -> Erasure:
    return Erasure(
        customer_id=row.customer_id,
        erasure_id=row.erasure_id,
        state=State(row.state),
        reference=row.reference,
        requester_id=row.requester_id,
        decider_id=row.decider_id,
        decision_reason=row.decision_reason,
        create_time=row.create_time,
        update_time=row.update_time,
        execute_time=row.execute_time,
        erase_time=row.erase_time,
        verdicts=tuple(map(_verdict, json.loads(row.verdicts) if isinstance(row.verdicts, str) else row.verdicts)),
    )


def _verdict(told: Any) -> Verdict:  # noqa: ANN401 -- as _verdicts_text wrote it
    possible = told["possible_date"]
    return Verdict(
        Part(told["part"]),
        told["erased"],
        tuple(map(Obstacle, told["obstacles"])),
        date.fromisoformat(possible) if possible else None,
        told["row_counts"],
    )
