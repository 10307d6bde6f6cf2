"""Who gets credit beside the owners, and by which policy: interceptions, custodies, versions of the policy."""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Date, Row, Text, bindparam, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Kind, Refused
from chassis.sql.engine import sqlstate
from services.assignment_svc.domain.credit import SharePolicy
from services.assignment_svc.domain.score_cards import Indicator, ScorePolicy

_OVERLAPS = "23P01"
_DATES = (bindparam("from_date", type_=Date), bindparam("until_date", type_=Date))
_INTERCEPTION = "customer_id, interception_id, staff_id, branch_id, from_date, until_date, reason, actor, create_time"
_ADD_INTERCEPTION = text(f"""
INSERT INTO interception (customer_id, interception_id, staff_id, branch_id, from_date, until_date, reason, actor)
VALUES (:customer_id, :interception_id, :staff_id, :branch_id, :from_date, :until_date, :reason, :actor)
RETURNING {_INTERCEPTION}""").bindparams(*_DATES)  # noqa: S608 - our own words
_END_INTERCEPTION = text(
    "DELETE FROM interception WHERE customer_id = :customer_id AND interception_id = :interception_id"
)
_INTERCEPTIONS = text(f"""
SELECT {_INTERCEPTION} FROM interception
WHERE customer_id = :customer_id AND (:interception_id = '' OR interception_id = :interception_id)
  AND (CAST(:before_date AS date) IS NULL OR (from_date, interception_id) < (:before_date, :before_id))
ORDER BY from_date DESC, interception_id DESC LIMIT :limit""").bindparams(  # noqa: S608 - our own words
    bindparam("before_date", type_=Date), bindparam("before_id", type_=Text), bindparam("interception_id", type_=Text)
)
_CUSTODY = "custody_id, branch_id, from_staff_id, to_staff_id, from_date, until_date, reason, actor, create_time"
_ADD_CUSTODY = text(f"""
INSERT INTO credit_custody (custody_id, branch_id, from_staff_id, to_staff_id, from_date, until_date, reason, actor)
VALUES (:custody_id, :branch_id, :from_staff_id, :to_staff_id, :from_date, :until_date, :reason, :actor)
RETURNING {_CUSTODY}""").bindparams(*_DATES)  # noqa: S608 - our own words
_END_CUSTODY = text("DELETE FROM credit_custody WHERE branch_id = :branch_id AND custody_id = :custody_id")
_CUSTODIES = text(f"""
SELECT {_CUSTODY} FROM credit_custody
WHERE branch_id = :branch_id AND (:custody_id = '' OR custody_id = :custody_id)
  AND (CAST(:before_date AS date) IS NULL OR (from_date, custody_id) < (:before_date, :before_id))
ORDER BY from_date DESC, custody_id DESC LIMIT :limit""").bindparams(  # noqa: S608 - our own words
    bindparam("before_date", type_=Date), bindparam("before_id", type_=Text), bindparam("custody_id", type_=Text)
)
# Credit is handed on once: who gets it is not away himself, and who is away gets none.
_CHAINED = text("""
SELECT EXISTS (SELECT FROM credit_custody WHERE daterange(from_date, until_date) && daterange(:from_date, :until_date)
  AND (from_staff_id = :to_staff_id OR to_staff_id = :from_staff_id))
""").bindparams(*_DATES)
_LOCK_CUSTODIES = text("LOCK TABLE credit_custody IN SHARE ROW EXCLUSIVE MODE")
_POLICY = (
    "version, from_date, primary_percent, secondary_percent, interceptor_percent, achieved_percent_max, weights, actor,"
    " create_time"
)
_POLICIES = text(
    f"SELECT {_POLICY} FROM score_policy WHERE version < :before ORDER BY version DESC LIMIT :limit"  # noqa: S608 - our own words
)
_ONE_POLICY = text(f"SELECT {_POLICY} FROM score_policy WHERE version = :version")  # noqa: S608 - our own words
_POLICY_OF = text(
    f"SELECT {_POLICY} FROM score_policy WHERE from_date <= :first ORDER BY version DESC LIMIT 1"  # noqa: S608 - our own words
).bindparams(bindparam("first", type_=Date))
_ADD_POLICY = text(f"""
INSERT INTO score_policy (version, from_date, primary_percent, secondary_percent, interceptor_percent,
  achieved_percent_max, weights, actor)
VALUES (:version, :from_date, :primary, :secondary, :interceptor, :most, CAST(:weights AS jsonb), :actor)
RETURNING {_POLICY}""").bindparams(bindparam("from_date", type_=Date))  # noqa: S608 - our own words


@dataclass(frozen=True)
class Recorded:
    """Days of credit that somebody recorded: an interception of a customer, or a custody at a branch."""

    record_id: str
    owner_id: str
    """The customer of an interception, the branch of a custody."""
    staff_id: str
    """Who gets the credit."""
    place_id: str
    """Of an interception the branch that gets it, of a custody the manager whose credit it is."""
    from_date: date
    until_date: date
    reason: str
    actor: str
    create_time: datetime


@dataclass(frozen=True)
class StoredPolicy:
    """A version of the policy, by whom and when."""

    policy: ScorePolicy
    actor: str
    create_time: datetime


@dataclass(frozen=True)
class Page:
    """How many at most, from before which one on; the youngest come first. With `only` just the one of that id."""

    limit: int
    from_date: date | None = None
    record_id: str = ""
    only: str = ""


async def add_interception(tx: AsyncConnection, wanted: Recorded) -> Recorded:
    """Stores an interception under a new id. Refuses one that overlaps another of the customer."""
    given = {
        "customer_id": wanted.owner_id,
        "interception_id": str(uuid.uuid4()),
        "staff_id": wanted.staff_id,
        "branch_id": wanted.place_id,
    }
    row = await _added(tx, _ADD_INTERCEPTION, given | _days(wanted), "INTERCEPTION_OVERLAPS")
    return _interception(row)


async def end_interception(tx: AsyncConnection, customer_id: str, interception_id: str) -> None:
    await tx.execute(_END_INTERCEPTION, {"customer_id": customer_id, "interception_id": interception_id})


async def interceptions(conn: AsyncConnection, customer_id: str, page: Page) -> list[Recorded]:
    """A customer's interceptions, the youngest first."""
    given = {"customer_id": customer_id, "interception_id": page.only, "limit": page.limit}
    place = {"before_date": page.from_date, "before_id": page.record_id}
    return [_interception(row) for row in await conn.execute(_INTERCEPTIONS, given | place)]


async def add_custody(tx: AsyncConnection, wanted: Recorded) -> Recorded:
    """Stores a custody under a new id. Refuses one that overlaps another of the manager, or hands credit on twice."""
    given = {
        "custody_id": str(uuid.uuid4()),
        "branch_id": wanted.owner_id,
        "from_staff_id": wanted.place_id,
        "to_staff_id": wanted.staff_id,
    }
    await tx.execute(_LOCK_CUSTODIES)
    if (await tx.execute(_CHAINED, {**given, **_days(wanted)})).scalar_one():
        message = "who gets the credit is away himself, or who is away gets somebody's"
        raise Refused(Kind.ALREADY_EXISTS, "CUSTODY_OVERLAPS", message, {"field": "to_manager"})
    return _custody(await _added(tx, _ADD_CUSTODY, given | _days(wanted), "CUSTODY_OVERLAPS"))


async def end_custody(tx: AsyncConnection, branch_id: str, custody_id: str) -> None:
    await tx.execute(_END_CUSTODY, {"branch_id": branch_id, "custody_id": custody_id})


async def custodies(conn: AsyncConnection, branch_id: str, page: Page) -> list[Recorded]:
    """A branch's custodies, the youngest first."""
    given = {"branch_id": branch_id, "custody_id": page.only, "limit": page.limit}
    place = {"before_date": page.from_date, "before_id": page.record_id}
    return [_custody(row) for row in await conn.execute(_CUSTODIES, given | place)]


async def policy_of(conn: AsyncConnection, first: date) -> ScorePolicy:
    """The policy of a month."""
    return _policy((await conn.execute(_POLICY_OF, {"first": first})).one()).policy


async def policies(conn: AsyncConnection, before: int, limit: int) -> Sequence[StoredPolicy]:
    """Versions before one, the youngest first."""
    return [_policy(row) for row in await conn.execute(_POLICIES, {"before": before, "limit": limit})]


async def get_policy(conn: AsyncConnection, version: int) -> StoredPolicy | None:
    row = (await conn.execute(_ONE_POLICY, {"version": version})).one_or_none()
    return _policy(row) if row else None


async def lock_policies(tx: AsyncConnection) -> StoredPolicy:
    """The youngest version, which nobody else follows until `tx` ends."""
    await tx.execute(text("LOCK TABLE score_policy IN SHARE ROW EXCLUSIVE MODE"))
    return (await policies(tx, 2**31 - 1, 1))[0]


async def add_policy(tx: AsyncConnection, policy: ScorePolicy, actor: str) -> StoredPolicy:
    """Stores a version."""
    given = {
        "version": policy.version,
        "from_date": policy.from_date,
        "primary": policy.shares.primary_percent,
        "secondary": policy.shares.secondary_percent,
        "interceptor": policy.shares.interceptor_percent,
        "most": policy.achieved_percent_max,
        "weights": json.dumps({indicator.value: weight for indicator, weight in policy.weights.items()}),
        "actor": actor,
    }
    return _policy((await tx.execute(_ADD_POLICY, given)).one())


def _days(wanted: Recorded) -> dict[str, Any]:
    names = ("from_date", "until_date", "reason", "actor")
    return {name: getattr(wanted, name) for name in names}


async def _added(tx: AsyncConnection, statement: Any, given: dict[str, Any], reason: str) -> Row[Any]:  # noqa: ANN401 - a statement
    try:
        return (await tx.execute(statement, given)).one()
    except IntegrityError as error:
        if sqlstate(error) != _OVERLAPS:
            raise
        days = f"{given['from_date']} to {given['until_date']}"
        raise Refused(
            Kind.ALREADY_EXISTS, reason, "another one has a day in common", {"field": "from_date", "days": days}
        ) from error


def _interception(row: Row[Any]) -> Recorded:
    return Recorded(row.interception_id, row.customer_id, row.staff_id, row.branch_id, *_said(row))


def _custody(row: Row[Any]) -> Recorded:
    return Recorded(row.custody_id, row.branch_id, row.to_staff_id, row.from_staff_id, *_said(row))


def _said(row: Row[Any]) -> tuple[date, date, str, str, datetime]:
    return row.from_date, row.until_date, row.reason, row.actor, row.create_time


def _policy(row: Row[Any]) -> StoredPolicy:
    shares = SharePolicy(row.primary_percent, row.secondary_percent, row.interceptor_percent)
    weights = {Indicator(name): weight for name, weight in row.weights.items()}
    policy = ScorePolicy(row.version, row.from_date, shares, row.achieved_percent_max, weights)
    return StoredPolicy(policy, row.actor, row.create_time)
