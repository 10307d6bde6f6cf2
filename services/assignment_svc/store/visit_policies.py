"""The versions of what visits are due and how they are checked; none ever changes."""

# ruff: noqa: S608 -- the names in statements are those of our own columns

from collections.abc import Sequence
from dataclasses import fields
from datetime import date
from itertools import groupby
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.assignment_svc.domain.visit_duties import DutyClass, DutyLine, VisitPolicy
from services.assignment_svc.domain.visits import CheckRules

_RULES = tuple(field.name for field in fields(CheckRules))
_COLUMNS = (*_RULES, "kept_months", "whole_until_day", "from_date", "reason", "actor")
_LINE = tuple(field.name for field in fields(DutyLine))
_SELECT = f"""
SELECT p.*, {", ".join(f"l.{name}" for name in _LINE)}
FROM ({{policies}}) p JOIN visit_duty_line l USING (version)
ORDER BY p.version DESC, l.customer_class, l.balance_min_minor
"""
_IN_FORCE = text(
    _SELECT.format(
        policies="SELECT * FROM visit_policy WHERE from_date <= :day ORDER BY from_date DESC, version DESC LIMIT 1"
    )
)
_GET = text(_SELECT.format(policies="SELECT * FROM visit_policy WHERE version = :version"))
_PAGE = text(
    _SELECT.format(policies="SELECT * FROM visit_policy WHERE version < :before ORDER BY version DESC LIMIT :limit")
)
# One at a time: versions have no holes and no two the same number.
_LOCK = text("LOCK TABLE visit_policy IN SHARE ROW EXCLUSIVE MODE")
_ADD = text(
    f"INSERT INTO visit_policy (version, {', '.join(_COLUMNS)})"
    f" SELECT coalesce(max(version), 0) + 1, {', '.join(f':{name}' for name in _COLUMNS)} FROM visit_policy"
    " RETURNING version"
)
_ADD_LINE = text(
    f"INSERT INTO visit_duty_line (version, {', '.join(_LINE)})"
    f" VALUES (:version, {', '.join(f':{name}' for name in _LINE)})"
)


async def in_force(conn: AsyncConnection, day: date) -> VisitPolicy:
    """The version that is in force on a day; the first one is for ever."""
    return _policies(await conn.execute(_IN_FORCE, {"day": day}))[0]


async def get(conn: AsyncConnection, version: int) -> VisitPolicy | None:
    """One version."""
    return next(iter(_policies(await conn.execute(_GET, {"version": version}))), None)


async def page(conn: AsyncConnection, before: int, limit: int) -> list[VisitPolicy]:
    """The versions, the newest first, from before one on."""
    return _policies(await conn.execute(_PAGE, {"before": before, "limit": limit}))


async def add(tx: AsyncConnection, policy: VisitPolicy, actor: str) -> int:
    """Stores a version and says its number."""
    await tx.execute(_LOCK)
    values = {**vars(policy), **vars(policy.rules), "actor": actor}
    version = (await tx.execute(_ADD, {name: values[name] for name in _COLUMNS})).scalar_one()
    await tx.execute(_ADD_LINE, [{**vars(line), "version": version} for line in policy.lines])
    return version


def _policies(rows: Sequence[Row[Any]] | Any) -> list[VisitPolicy]:  # noqa: ANN401 -- a result
    return [_policy(list(group)) for _, group in groupby(rows, key=lambda row: row.version)]


def _policy(rows: Sequence[Row[Any]]) -> VisitPolicy:
    first = rows[0]
    return VisitPolicy(
        version=first.version,
        from_date=first.from_date,
        lines=tuple(
            DutyLine(
                DutyClass(row.customer_class),
                row.balance_min_minor,
                row.visits_per_month,
                row.phone_percent,
                row.lobby_percent,
            )
            for row in rows
        ),
        rules=CheckRules(**{name: getattr(first, name) for name in _RULES}),
        kept_months=first.kept_months,
        whole_until_day=first.whole_until_day,
        reason=first.reason,
        actor=first.actor,
        create_time=first.create_time,
    )
