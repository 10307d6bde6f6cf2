"""Score cards as stored: one, a ranking, the customers behind a figure, and the months."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, Date, Row, Text, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.assignment_svc.domain.score_cards import (
    COUNTS,
    ROUNDED,
    SMALL_COUNT,
    WHOLE,
    Figure,
    Indicator,
    MonthState,
)

_CARD = """
SELECT c.month_date, c.branch_id, c.staff_id, c.customer_count, c.score, c.rank, c.ranked_count, m.as_of_date, m.state,
  m.update_time
FROM score_card c JOIN score_month m USING (month_date)"""
_GET = text(f"{_CARD} WHERE c.month_date = :first AND c.branch_id = :branch_id AND c.staff_id = :staff_id").bindparams(
    bindparam("first", type_=Date)
)
# Who has no value comes last, by branch and staff as all who are equal.
_LIST = text(f"""
WITH placed AS (
  SELECT card.*, v.value, CASE WHEN v.value IS NOT NULL THEN rank() OVER (ORDER BY v.value DESC NULLS LAST) END AS place
  FROM ({_CARD} WHERE c.month_date = :first AND c.branch_id = ANY (CAST(:branch_ids AS text[]))
    AND (c.staff_id = '') = :whole_branches) card
  CROSS JOIN LATERAL (SELECT :all_exact OR card.branch_id = ANY (CAST(:exact_branch_ids AS text[])) AS is_exact) e
  CROSS JOIN LATERAL (SELECT CASE WHEN NOT is_exact AND card.customer_count < {SMALL_COUNT} THEN NULL
    WHEN :indicator = '' THEN card.score ELSE (
    SELECT CASE WHEN is_exact OR f.indicator <> ALL (CAST(:counts AS text[])) THEN f.value
      WHEN f.value >= {SMALL_COUNT * WHOLE} THEN (f.value + {ROUNDED // 2}) / {ROUNDED} * {ROUNDED} END
    FROM score_figure f WHERE f.month_date = card.month_date AND f.branch_id = card.branch_id
      AND f.staff_id = card.staff_id AND f.indicator = :indicator) END AS value) v
)
SELECT * FROM placed
WHERE :from_start OR (value IS NULL, -coalesce(value, 0), branch_id, staff_id)
  > (:no_value, :negated, :branch_id, :staff_id)
ORDER BY value IS NULL, -coalesce(value, 0), branch_id, staff_id LIMIT :limit
""").bindparams(  # noqa: S608 - our own words
    bindparam("first", type_=Date),
    bindparam("negated", type_=BigInteger),
    *(bindparam(name, type_=Text) for name in ("indicator", "branch_id", "staff_id")),
)
_FIGURES = text("""
SELECT f.* FROM score_figure f
JOIN unnest(CAST(:branch_ids AS text[]), CAST(:staff_ids AS text[])) AS k (branch_id, staff_id)
  USING (branch_id, staff_id)
WHERE f.month_date = :first
""").bindparams(bindparam("first", type_=Date))
_MONTH = "month_date, state, as_of_date, policy_version, actor, reason, update_time"
_MONTHS = text(
    f"SELECT {_MONTH} FROM score_month WHERE :from_start OR month_date < :before"  # noqa: S608 - our own words
    " ORDER BY month_date DESC LIMIT :limit"
).bindparams(bindparam("before", type_=Date))
_ONE_MONTH = text(f"SELECT {_MONTH} FROM score_month WHERE month_date = :first").bindparams(  # noqa: S608 - our own words
    bindparam("first", type_=Date)
)
_FROZEN = text("SELECT month_date FROM score_month WHERE state = 'FROZEN' ORDER BY month_date")
_UNFREEZE = text(
    "UPDATE score_month SET state = 'OPEN', actor = :actor, reason = :reason, update_time = bank_now()"
    " WHERE month_date = :first AND state = 'FROZEN'"
).bindparams(bindparam("first", type_=Date))


@dataclass(frozen=True)
class CardId:
    """Whose card of which month; without staff the branch's own."""

    month: date
    branch_id: str
    staff_id: str | None = None


@dataclass(frozen=True)
class Card:
    """A card with its figures; `place` is its place in the list that was asked for."""

    card_id: CardId
    customer_count: int
    score: int | None
    rank: int | None
    ranked_count: int
    as_of_date: date
    state: MonthState
    update_time: datetime
    figures: tuple[Figure, ...] = ()
    place: int | None = None
    ordered_by: int | None = None


@dataclass(frozen=True)
class After:
    """The card that a page starts after, and what it was ordered by there."""

    ordered_by: int | None
    branch_id: str
    staff_id: str


@dataclass(frozen=True)
class Ranking:
    """Which cards to list, and by what; by score if no indicator is named.

    The cards of other branches than `exact_branch_ids` (None: of none) stand where an analyst is shown them.
    """

    month: date
    branch_ids: tuple[str, ...]
    whole_branches: bool
    indicator: Indicator | None = None
    exact_branch_ids: frozenset[str] | None = None


@dataclass(frozen=True)
class Month:
    """A month and where it stands."""

    first: date
    state: MonthState
    as_of_date: date
    policy_version: int
    actor: str | None
    reason: str
    update_time: datetime


async def get_card(conn: AsyncConnection, card_id: CardId) -> Card | None:
    """One card with its figures."""
    given = {"first": card_id.month, "branch_id": card_id.branch_id, "staff_id": card_id.staff_id or ""}
    row = (await conn.execute(_GET, given)).one_or_none()
    return (await _with_figures(conn, card_id.month, [_card(row)]))[0] if row else None


async def list_cards(conn: AsyncConnection, ranking: Ranking, after: After | None, limit: int) -> list[Card]:
    """Cards by what the ranking is by, the best first, from after one on; each with its place."""
    given = {
        "first": ranking.month,
        "branch_ids": list(ranking.branch_ids),
        "whole_branches": ranking.whole_branches,
        "indicator": ranking.indicator or "",
        "all_exact": ranking.exact_branch_ids is None,
        "exact_branch_ids": sorted(ranking.exact_branch_ids or ()),
        "counts": sorted(COUNTS),
        "from_start": after is None,
        "no_value": after is not None and after.ordered_by is None,
        "negated": -(after.ordered_by or 0) if after else 0,
        "branch_id": after.branch_id if after else "",
        "staff_id": after.staff_id if after else "",
        "limit": limit,
    }
    cards = [_card(row, row.place, row.value) for row in await conn.execute(_LIST, given)]
    return await _with_figures(conn, ranking.month, cards)


async def months(conn: AsyncConnection, before: date | None, limit: int) -> Sequence[Month]:
    """Months before one, the youngest first."""
    given = {"before": before, "from_start": before is None, "limit": limit}
    return [_month(row) for row in await conn.execute(_MONTHS, given)]


async def get_month(conn: AsyncConnection, first: date) -> Month | None:
    row = (await conn.execute(_ONE_MONTH, {"first": first})).one_or_none()
    return _month(row) if row else None


async def frozen_months(conn: AsyncConnection) -> list[date]:
    """The months that are frozen, the oldest first."""
    return list((await conn.execute(_FROZEN)).scalars())


async def unfreeze(tx: AsyncConnection, first: date, actor: str, reason: str) -> bool:
    """Lets a frozen month change again; False if it is not frozen."""
    done = await tx.execute(_UNFREEZE, {"first": first, "actor": actor, "reason": reason})
    return done.rowcount > 0


async def _with_figures(conn: AsyncConnection, first: date, cards: Sequence[Card]) -> list[Card]:
    keys = [(card.card_id.branch_id, card.card_id.staff_id or "") for card in cards]
    rows = await conn.execute(
        _FIGURES, {"first": first, "branch_ids": [key[0] for key in keys], "staff_ids": [key[1] for key in keys]}
    )
    found: dict[tuple[str, str], dict[Indicator, Figure]] = {}
    for row in rows:
        found.setdefault((row.branch_id, row.staff_id), {})[Indicator(row.indicator)] = _figure(row)
    of_cards = [found.get(key, {}) for key in keys]
    return [
        replace(card, figures=tuple(of_card[one] for one in Indicator if one in of_card))
        for card, of_card in zip(cards, of_cards, strict=True)
    ]


def _figure(row: Row[Any]) -> Figure:
    return Figure(
        Indicator(row.indicator),
        row.whole,
        row.base,
        row.value,
        row.unknown_count,
        row.target,
        row.achieved,
        row.weight,
    )


def _card(row: Row[Any], place: int | None = None, value: int | None = None) -> Card:
    return Card(
        CardId(row.month_date, row.branch_id, row.staff_id or None),
        row.customer_count,
        row.score,
        row.rank,
        row.ranked_count,
        row.as_of_date,
        MonthState(row.state),
        row.update_time,
        place=place,
        ordered_by=value,
    )


def _month(row: Row[Any]) -> Month:
    return Month(
        row.month_date,
        MonthState(row.state),
        row.as_of_date,
        row.policy_version,
        row.actor,
        row.reason,
        row.update_time,
    )
