"""What people change by hand: the inputs of allocation that they set, and the record of who did so."""

# ruff: noqa: S608 -- the names in statements are those of our own tables

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Date, DateTime, Integer, Row, Text, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.assignment_svc.domain.changes import Change, ChangeKind, Inputs, KeptChange
from services.assignment_svc.domain.ownership import Hold, OfficerOverride

_INPUTS = text("""
SELECT c.customer_id, jsonb_build_object(
  'named', (SELECT coalesce(jsonb_object_agg(branch_id, named_manager_id), '{}') FROM owner o
    WHERE o.customer_id = c.customer_id),
  'holds', (SELECT coalesce(jsonb_agg(to_jsonb(h) - 'rev' ORDER BY hold_id), '[]') FROM ownership_hold h
    WHERE h.customer_id = c.customer_id),
  'overrides', (SELECT coalesce(jsonb_agg(to_jsonb(v) - 'rev' ORDER BY loan_id), '[]') FROM officer_override v
    WHERE v.customer_id = c.customer_id),
  'protections', (SELECT coalesce(jsonb_agg(to_jsonb(p) ORDER BY branch_id), '[]') FROM row_protection p
    WHERE p.customer_id = c.customer_id)
) AS inputs
FROM unnest(CAST(:customer_ids AS text[])) AS c (customer_id)
""")
_HOLD_COLUMNS = (
    "customer_id, hold_id, kind, branch_id, manager_id, from_date, until_date, last_contact_date, reason, create_time"
)
_PUT_BACK = (
    "DELETE FROM ownership_hold WHERE customer_id = :customer_id",
    "DELETE FROM officer_override WHERE customer_id = :customer_id",
    "DELETE FROM row_protection WHERE customer_id = :customer_id",
    f"""
INSERT INTO ownership_hold ({_HOLD_COLUMNS}) SELECT {_HOLD_COLUMNS}
FROM jsonb_populate_recordset(NULL::ownership_hold, CAST(:inputs AS jsonb) -> 'holds')
""",
    """
INSERT INTO officer_override (customer_id, loan_id, source_officer_id, manager_id, create_time)
SELECT customer_id, loan_id, source_officer_id, manager_id, create_time
FROM jsonb_populate_recordset(NULL::officer_override, CAST(:inputs AS jsonb) -> 'overrides')
""",
    """
INSERT INTO row_protection
SELECT (jsonb_populate_recordset(NULL::row_protection, CAST(:inputs AS jsonb) -> 'protections')).*
""",
    """
UPDATE owner SET named_manager_id = CAST(:inputs AS jsonb) -> 'named' ->> branch_id WHERE customer_id = :customer_id
""",
)
_NAME = text(
    "UPDATE owner SET named_manager_id = :staff_id WHERE customer_id = :customer_id AND branch_id = :branch_id"
).bindparams(bindparam("staff_id", type_=Text))
_PUT_HOLD = text(
    f"INSERT INTO ownership_hold ({_HOLD_COLUMNS}) VALUES (:customer_id, :hold_id, :kind, :branch_id, :manager_id,"
    " :from_date, :until_date, :last_contact_date, :reason, bank_now())"
).bindparams(*(bindparam(name, type_=Date) for name in ("from_date", "until_date", "last_contact_date")))
_END_HOLD = text("DELETE FROM ownership_hold WHERE customer_id = :customer_id AND hold_id = :hold_id")
_PUT_OVERRIDE = text(
    "INSERT INTO officer_override (customer_id, loan_id, source_officer_id, manager_id)"
    " VALUES (:customer_id, :loan_id, :source_officer_id, :manager_id) ON CONFLICT (customer_id, loan_id) DO UPDATE"
    " SET source_officer_id = excluded.source_officer_id, manager_id = excluded.manager_id,"
    " rev = pg_current_xact_id(), create_time = bank_now()"
)
_END_OVERRIDES = text(
    "DELETE FROM officer_override v USING branch_facts f WHERE v.customer_id = :customer_id"
    " AND v.manager_id = :manager_id AND f.customer_id = v.customer_id AND f.branch_id = :branch_id"
    " AND f.loan_id = v.loan_id"
)
_COLUMNS = (
    "customer_id, change_id, kind, branch_id, from_manager_id, to_manager_id, from_branch_id, to_branch_id,"
    " request_id, reason, actor, before"
)
_RECORD = text(f"""
WITH kept AS (
  INSERT INTO ownership_change ({_COLUMNS}) SELECT {_COLUMNS}
  FROM jsonb_populate_recordset(NULL::ownership_change, CAST(:changes AS jsonb)) RETURNING customer_id
)
UPDATE ownership o SET rev = pg_current_xact_id(), update_time = bank_now()
FROM (SELECT DISTINCT customer_id FROM kept) k
WHERE o.customer_id = k.customer_id AND o.rev <> pg_current_xact_id() RETURNING o.customer_id
""")
_READ = f"SELECT {_COLUMNS}, create_time, rev_after, undone_by FROM ownership_change WHERE customer_id = :customer_id"
_GET = text(f"{_READ} AND change_id = :change_id")
_LIST = text(
    f"{_READ} AND (:from_start OR (create_time, change_id) < (:create_time, :change_id))"
    " AND (CAST(:branch_ids AS text[]) IS NULL OR branch_id = ANY (CAST(:branch_ids AS text[])))"
    " ORDER BY create_time DESC, change_id DESC LIMIT :limit"
).bindparams(
    bindparam("create_time", type_=DateTime(timezone=True)),
    bindparam("change_id", type_=Text),
    bindparam("limit", type_=Integer),
)
_UNDONE = text(
    "UPDATE ownership_change SET undone_by = :by WHERE customer_id = :customer_id AND change_id = :change_id"
)
_IS_YOUNG = text("SELECT CAST(:create_time AS timestamptz) > bank_now() - make_interval(hours => :hours)").bindparams(
    bindparam("create_time", type_=DateTime(timezone=True)), bindparam("hours", type_=Integer)
)


def new_change_id() -> str:
    """The id of a change that is to be recorded."""
    return str(uuid4())


async def inputs_of(tx: AsyncConnection, customer_ids: Sequence[str]) -> Mapping[str, Inputs]:
    """What people set for these customers so far; to be read before a change, and kept with it."""
    rows = await tx.execute(_INPUTS, {"customer_ids": list(customer_ids)})
    return {row.customer_id: row.inputs for row in rows}


async def put_back_inputs(tx: AsyncConnection, customer_id: str, inputs: Inputs) -> None:
    """Makes the inputs what they were; allocation must look at the customer after it."""
    values = {"customer_id": customer_id, "inputs": json.dumps(inputs)}
    for statement in _PUT_BACK:
        # Only what the statement names is given.
        await tx.execute(text(statement), {name: value for name, value in values.items() if f":{name}" in statement})


async def put_name(tx: AsyncConnection, customer_id: str, branch_id: str, staff_id: str | None) -> None:
    """Sets whom the head of a row's branch named; allocation must look at the customer after it."""
    await tx.execute(_NAME, {"customer_id": customer_id, "branch_id": branch_id, "staff_id": staff_id})


async def put_hold(tx: AsyncConnection, customer_id: str, hold: Hold, reason: str) -> None:
    """Adds a lock, a pending transfer or a protection; allocation must look at the customer after it."""
    await tx.execute(_PUT_HOLD, {"customer_id": customer_id, **vars(hold), "kind": hold.kind.value, "reason": reason})


async def end_hold(tx: AsyncConnection, customer_id: str, hold_id: str) -> bool:
    """Takes a hold away; says whether it was there."""
    return bool((await tx.execute(_END_HOLD, {"customer_id": customer_id, "hold_id": hold_id})).rowcount)


async def put_override(tx: AsyncConnection, customer_id: str, override: OfficerOverride) -> None:
    """Sets who manages a loan instead of its officer, in place of what was set before."""
    await tx.execute(_PUT_OVERRIDE, {"customer_id": customer_id, **vars(override)})


async def end_overrides(tx: AsyncConnection, customer_id: str, branch_id: str, manager_id: str) -> None:
    """Lets the officer of a branch's loan manage it again in whose place this manager was set."""
    values = {"customer_id": customer_id, "branch_id": branch_id, "manager_id": manager_id}
    await tx.execute(_END_OVERRIDES, values)


async def record_change(tx: AsyncConnection, change: Change) -> str:
    """Keeps a change, moves the customer in the feed, and returns the change's id. To be called last."""
    (change_id,) = await record_changes(tx, [change])
    return change_id


async def record_changes(tx: AsyncConnection, changes: Sequence[Change]) -> list[str]:
    """As `record_change`, of many in one statement; the ids stand in the order of the changes.

    A customer whom the transaction moved in the feed before stays there.
    """
    rows: list[dict[str, Any]] = []
    for change in changes:
        row = {field.name: getattr(change, field.name) for field in fields(change)}
        rows.append({**row, "change_id": change.change_id or new_change_id()})
    await tx.execute(_RECORD, {"changes": json.dumps(rows)})
    return [row["change_id"] for row in rows]


async def get_change(conn: AsyncConnection, customer_id: str, change_id: str) -> KeptChange | None:
    """One change of a customer."""
    row = (await conn.execute(_GET, {"customer_id": customer_id, "change_id": change_id})).one_or_none()
    return _kept(row) if row else None


async def list_changes(
    conn: AsyncConnection,
    customer_id: str,
    branch_ids: Sequence[str] | None,
    after: tuple[datetime, str] | None,
    limit: int,
) -> list[KeptChange]:
    """A customer's changes, the youngest first, from after one on; only those about some branches if they are given."""
    values = {
        "customer_id": customer_id,
        "branch_ids": None if branch_ids is None else list(branch_ids),
        "from_start": after is None,
        "create_time": after[0] if after else None,
        "change_id": after[1] if after else "",
        "limit": limit,
    }
    return [_kept(row) for row in await conn.execute(_LIST, values)]


async def set_undone(tx: AsyncConnection, customer_id: str, change_id: str, by: str) -> None:
    """Says which change undid another."""
    await tx.execute(_UNDONE, {"customer_id": customer_id, "change_id": change_id, "by": by})


async def is_young(tx: AsyncConnection, kept: KeptChange, hours: int) -> bool:
    """Says whether a change was made within so many hours."""
    return (await tx.execute(_IS_YOUNG, {"create_time": kept.create_time, "hours": hours})).scalar_one()


def _kept(row: Row[Any]) -> KeptChange:
    told: dict[str, Any] = {field.name: getattr(row, field.name) for field in fields(Change)}
    told["kind"] = ChangeKind(row.kind)
    change = Change(**told)
    return KeptChange(change, row.create_time, row.rev_after, row.undone_by)
