"""The customers behind a figure of a score card, and whom of them somebody sees."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Date, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.assignment_svc.domain.score_cards import Indicator
from services.assignment_svc.store.score_cards import CardId

# What of an indicator is a customer's: what `score_builds` adds up.
_PART = {
    Indicator.DEPOSIT_AVERAGE: "c.deposit_minor",
    Indicator.DEPOSIT_GROWTH: "c.growth_minor",
    Indicator.WEALTH: "c.wealth_minor",
    Indicator.LOAN: "c.loan_minor",
    Indicator.NEW_CUSTOMERS: "CASE WHEN m.new_customer THEN c.share ELSE 0 END",
    Indicator.CROSS_SELL: "CASE WHEN m.has_business THEN c.share * m.category_count ELSE 0 END",
    Indicator.RETENTION: "CASE WHEN m.had_business AND m.has_business THEN c.share ELSE 0 END",
    Indicator.KEY_CUSTOMERS: "CASE WHEN m.key_customer THEN c.share ELSE 0 END",
}
OF_CUSTOMERS = frozenset(_PART)
"""The indicators that are sums over customers."""


@dataclass(frozen=True)
class CustomerPart:
    """A customer's part of a figure; None is unknown."""

    customer_id: str
    share: int
    value: int | None


@dataclass(frozen=True)
class Opening:
    """Primary rows that open a customer: of some branches (None: of any), of a manager, of a private manager."""

    branch_ids: frozenset[str] | None
    manager_id: str | None = None
    private_manager_id: str | None = None


@dataclass(frozen=True)
class Viewer:
    """Who looks, and whom he sees as their primary side does."""

    near: frozenset[str]
    """Himself and his relatives, whom he does not see at all."""
    openings: tuple[Opening, ...]


@dataclass(frozen=True)
class Seen:
    """All customers of a figure whom a viewer sees whole, as a count and a sum; and how many there are."""

    seen_value: int
    hidden_count: int


async def customers_of(
    conn: AsyncConnection, card_id: CardId, indicator: Indicator, viewer: Viewer, page: tuple[str, int]
) -> tuple[list[CustomerPart], Seen]:
    """A page of the customers behind a figure whom a viewer sees whole, from an id on; and all of them added up.

    Nobody sees himself or a relative: their business is among what is hidden.
    """
    after, limit = page
    parts, clauses, given = _behind(indicator), *_whole_sight(viewer)
    given |= {
        "first": card_id.month,
        "branch_id": card_id.branch_id,
        "staff_id": card_id.staff_id or "",
        "whole_branch": card_id.staff_id is None,
        "near": sorted(viewer.near),
    }
    seen = f"(p.customer_id <> ALL (CAST(:near AS text[])) AND ({clauses}))"
    totals = await conn.execute(
        _dated(
            f"WITH parts AS ({parts}) SELECT coalesce(sum(value) FILTER (WHERE {seen}), 0) AS seen_value,"  # noqa: S608 - our own words
            f" count(*) FILTER (WHERE NOT {seen}) AS hidden_count FROM parts p"
        ),
        given,
    )
    summed = totals.one()
    rows = await conn.execute(
        _dated(
            f"WITH parts AS ({parts}) SELECT p.* FROM parts p WHERE p.customer_id > :after AND {seen}"  # noqa: S608 - our own words
            " ORDER BY p.customer_id LIMIT :limit"
        ),
        {**given, "after": after, "limit": limit},
    )
    found = [CustomerPart(row.customer_id, row.share, row.value) for row in rows]
    return found, Seen(int(summed.seen_value), summed.hidden_count)


def _behind(indicator: Indicator) -> str:
    """The customers of whom something is in a figure, or of whom it is unknown; of a branch each once."""
    return f"""
SELECT c.customer_id, sum(c.share)::integer AS share,
  CASE WHEN bool_or({_PART[indicator]} IS NULL) THEN NULL ELSE sum({_PART[indicator]})::bigint END AS value
FROM credit c LEFT JOIN customer_month m USING (customer_id, month_date)
WHERE c.month_date = :first AND c.branch_id = :branch_id AND (:whole_branch OR c.staff_id = :staff_id)
GROUP BY c.customer_id
HAVING bool_or({_PART[indicator]} IS NULL) OR sum({_PART[indicator]}) <> 0"""  # noqa: S608 - our own words


def _whole_sight(viewer: Viewer) -> tuple[str, dict[str, Any]]:
    """Whom a viewer sees whole, over `p.customer_id`: what is behind a figure tells all of a customer's money."""
    opened = [_opened(opening, place) for place, opening in enumerate(viewer.openings)]
    rows = " OR ".join(clause for clause, _ in opened) or "false"
    given = {name: value for _, values in opened for name, value in values.items()}
    return (
        f"""EXISTS (SELECT FROM owner o LEFT JOIN private_manager q USING (customer_id)
      WHERE o.customer_id = p.customer_id AND o.side = 'PRIMARY' AND ({rows}))""",
        given,
    )


def _opened(opening: Opening, place: int) -> tuple[str, dict[str, Any]]:
    conditions = ["true"]
    given: dict[str, Any] = {}
    for column, value in (("o.manager_id", opening.manager_id), ("q.staff_id", opening.private_manager_id)):
        if value is not None:
            name = f"opening_{place}_{column.replace('.', '_')}"
            conditions.append(f"{column} = :{name}")
            given[name] = value
    if opening.branch_ids is not None:
        conditions.append(f"o.branch_id = ANY (CAST(:opening_{place}_branches AS text[]))")
        given[f"opening_{place}_branches"] = sorted(opening.branch_ids)
    return f"({' AND '.join(conditions)})", given


def _dated(statement: str) -> Any:  # noqa: ANN401 - a statement
    return text(statement).bindparams(bindparam("first", type_=Date))
