"""Alerts: raised, changed and withdrawn by day; read by whoever owns the customer now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, Row, Select, and_, false, or_, select, text, true, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.alert_svc.domain.alerts import WHOLE_BANK, AlertKey, DayFigures, Kind, Rule, State
from services.alert_svc.domain.viewing import Grant, OwnerRow, Scope
from services.alert_svc.store.tables import alert_rules, alerts, owners


@dataclass(frozen=True)
class Alert:
    """An alert as its recipient sees it: with the branch and managers that own the customer now."""

    alert_id: str
    key: AlertKey
    branch_id: str
    manager_id: str | None
    state: State
    transaction_count: int
    sum_minor: int
    largest_minor: int
    threshold_minor: int
    event_time: datetime
    create_time: datetime
    update_time: datetime
    private_manager_id: str | None = None

    @property
    def owner(self) -> OwnerRow:
        """The row of ownership that it goes to."""
        side = "PRIMARY" if self.key.branch_id == WHOLE_BANK else "SECONDARY"
        return OwnerRow(self.branch_id, side, self.manager_id, self.private_manager_id)


@dataclass(frozen=True)
class Wanted:
    """Which alerts are asked for; None for any."""

    state: State | None = None
    kind: Kind | None = None
    customer_id: str | None = None
    business_date_min: date | None = None
    business_date_max: date | None = None


@dataclass(frozen=True)
class Reached:
    """A day that reached a threshold; None: it no longer does, and its alert is withdrawn."""

    day: DayFigures
    threshold_minor: int | None


async def rules(tx: AsyncConnection) -> list[Rule]:
    """All rules, past and future ones too."""
    rows = await tx.execute(select(alert_rules))
    return [
        Rule(Kind(row.kind), row.customer_type, row.valid_from_date, row.threshold_minor, row.day_sum_percent)
        for row in rows
    ]


async def put(tx: AsyncConnection, reached: Sequence[Reached]) -> int:
    """Raises, changes and withdraws alerts; says how many rows that wrote. The customers must be locked."""
    if not reached:
        return 0
    ordered = sorted(reached, key=lambda one: (one.day.key.customer_id, one.day.key.business_date, one.day.key.kind))
    result = await tx.execute(
        _PUT,
        {
            "customers": [one.day.key.customer_id for one in ordered],
            "dates": [one.day.key.business_date for one in ordered],
            "kinds": [one.day.key.kind.value for one in ordered],
            "branches": [one.day.key.branch_id for one in ordered],
            "ids": [f"{one.day.key.business_date:%Y%m%d}-{uuid4()}" for one in ordered],
            "counts": [one.day.count for one in ordered],
            "sums": [one.day.sum_minor for one in ordered],
            "largest": [one.day.largest_minor for one in ordered],
            "thresholds": [one.threshold_minor for one in ordered],
            "times": [one.day.event_time for one in ordered],
        },
    )
    return result.rowcount


async def get(tx: AsyncConnection, scope: Scope, alert_id: str) -> Alert | None:
    """The alert, if the viewer is told of it."""
    rows = await tx.execute(_seen_by(scope).where(alerts.c.alert_id == alert_id).limit(1))
    row = rows.one_or_none()
    return None if row is None else _alert(row)


async def page(
    tx: AsyncConnection, scope: Scope, wanted: Wanted, after: tuple[date, str] | None, limit: int
) -> list[Alert]:
    """The viewer's alerts, the youngest business date first, beginning after the one given."""
    conditions: list[ColumnElement[bool]] = []
    if wanted.state is not None:
        conditions.append(alerts.c.state == wanted.state.value)
    if wanted.kind is not None:
        conditions.append(alerts.c.kind == wanted.kind.value)
    if wanted.customer_id is not None:
        conditions.append(alerts.c.customer_id == wanted.customer_id)
    if wanted.business_date_min is not None:
        conditions.append(alerts.c.business_date >= wanted.business_date_min)
    if wanted.business_date_max is not None:
        conditions.append(alerts.c.business_date <= wanted.business_date_max)
    if after is not None:
        conditions.append(tuple_(alerts.c.business_date, alerts.c.alert_id) < after)
    rows = await tx.execute(
        _seen_by(scope)
        .where(*conditions)
        .order_by(alerts.c.business_date.desc(), alerts.c.alert_id.desc())
        .limit(limit)
    )
    return [_alert(row) for row in rows]


async def changed_page(tx: AsyncConnection, rev: int, alert_id: str, limit: int) -> list[tuple[int, str, Alert | None]]:
    """Everybody's alerts in the order of their change, beginning after a place; nothing that may still grow a gap.

    An alert that goes to nobody now, since its branch no longer owns the customer, is None: it only moves the place.
    """
    rows = await tx.execute(
        select(alerts, *_OWNER)
        .outerjoin(owners, _ROW_OF_SIDE)
        .where(text("(alerts.rev, alerts.alert_id) > (CAST(CAST(:rev AS text) AS xid8), :alert_id)"))
        .where(text("alerts.rev < pg_snapshot_xmin(pg_current_snapshot())"))
        .order_by(alerts.c.rev, alerts.c.alert_id)
        .limit(limit),
        {"rev": str(rev), "alert_id": alert_id},
    )
    return [(int(row.rev), row.alert_id, _alert(row) if row.owner_branch_id else None) for row in rows]


_OWNER = (owners.c.branch_id.label("owner_branch_id"), owners.c.manager_id, owners.c.private_manager_id)
# The row of ownership that an alert goes to: the primary side, so its manager and a key customer's private manager, is
# told about the whole bank, a secondary side only about its own branch (domain.md 7).
_ROW_OF_SIDE = and_(
    owners.c.customer_id == alerts.c.customer_id,
    or_(
        and_(owners.c.side == "PRIMARY", alerts.c.branch_id == WHOLE_BANK),
        and_(owners.c.side == "SECONDARY", alerts.c.branch_id == owners.c.branch_id),
    ),
)


def _seen_by(scope: Scope) -> Select[Any]:
    """Alerts with the row of ownership that they go to, as far as the viewer's scope opens that row."""
    return (
        select(alerts, *_OWNER)
        .join(owners, _ROW_OF_SIDE)
        .where(true() if scope.everyone else or_(false(), *map(_opens, scope.grants)))
    )


def _opens(grant: Grant) -> ColumnElement[bool]:
    """Whether a grant opens the row of ownership so far that money may be told; knowing of existence is not enough."""
    if grant.existence_only:
        return false()
    conditions: list[ColumnElement[bool]] = [true()]
    if grant.branch_ids is not None:
        conditions.append(owners.c.branch_id.in_(sorted(grant.branch_ids)))
    if grant.manager_id is not None:
        conditions.append(owners.c.manager_id == grant.manager_id)
    if grant.private_manager_id is not None:
        conditions.append(owners.c.private_manager_id == grant.private_manager_id)
    return and_(*conditions)


def _alert(row: Row[Any]) -> Alert:
    return Alert(
        alert_id=row.alert_id,
        key=AlertKey(row.customer_id, Kind(row.kind), row.business_date, row.branch_id),
        branch_id=row.owner_branch_id,
        manager_id=row.manager_id,
        state=State(row.state),
        transaction_count=row.transaction_count,
        sum_minor=row.sum_minor,
        largest_minor=row.largest_minor,
        threshold_minor=row.threshold_minor,
        event_time=row.event_time,
        create_time=row.create_time,
        update_time=row.update_time,
        private_manager_id=row.private_manager_id,
    )


# A day below its threshold comes without one: it changes an alert that exists, and makes none.
_PUT = text("""
INSERT INTO alerts (customer_id, business_date, kind, branch_id, alert_id, state, transaction_count, sum_minor,
                    largest_minor, threshold_minor, event_time, create_time, update_time, rev)
SELECT day.customer_id, day.business_date, day.kind, day.branch_id, coalesce(old.alert_id, day.alert_id),
       CASE WHEN day.threshold_minor IS NULL THEN 'WITHDRAWN'
            WHEN old.alert_id IS NULL OR old.state = 'WITHDRAWN' THEN 'UNREAD' ELSE old.state END,
       day.transaction_count, day.sum_minor, day.largest_minor, coalesce(day.threshold_minor, old.threshold_minor),
       coalesce(day.event_time, old.event_time), bank_now(), bank_now(), pg_current_xact_id()
FROM unnest(CAST(:customers AS text[]), CAST(:dates AS date[]), CAST(:kinds AS text[]), CAST(:branches AS text[]),
            CAST(:ids AS text[]), CAST(:counts AS integer[]), CAST(:sums AS bigint[]), CAST(:largest AS bigint[]),
            CAST(:thresholds AS bigint[]), CAST(:times AS timestamptz[]))
     AS day (customer_id, business_date, kind, branch_id, alert_id, transaction_count, sum_minor, largest_minor,
             threshold_minor, event_time)
LEFT JOIN alerts AS old USING (customer_id, business_date, kind, branch_id)
WHERE day.threshold_minor IS NOT NULL OR old.alert_id IS NOT NULL
ON CONFLICT (customer_id, business_date, kind, branch_id) DO UPDATE
SET state = excluded.state, transaction_count = excluded.transaction_count, sum_minor = excluded.sum_minor,
    largest_minor = excluded.largest_minor, threshold_minor = excluded.threshold_minor,
    event_time = excluded.event_time, update_time = excluded.update_time, rev = excluded.rev
WHERE (alerts.state, alerts.transaction_count, alerts.sum_minor, alerts.largest_minor, alerts.threshold_minor)
      IS DISTINCT FROM (excluded.state, excluded.transaction_count, excluded.sum_minor, excluded.largest_minor,
                        excluded.threshold_minor)
""")
