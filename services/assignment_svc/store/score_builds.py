"""How a month's credit and cards are computed: customers in ranges of ids first, then all cards at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import Date, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.assignment_svc.domain.score_cards import Figure, Indicator, MonthState, ScorePolicy
from services.assignment_svc.store.credit_sql import CREDIT

# "scores": one build at a time, in whichever process.
BUILD_LOCK = 0x73636F726573
# Behind every id.
_LAST_ID = "~"
_SETTINGS = text(
    "SELECT set_config('work_mem', '96MB', true), set_config('plan_cache_mode', 'force_custom_plan', true),"
    " set_config('jit', 'off', true), set_config('synchronous_commit', 'off', true)"
)
_BOUNDS = text(
    "SELECT customer_id FROM (SELECT customer_id, row_number() OVER (ORDER BY customer_id) AS number FROM ownership) a"
    " WHERE number % :size = 0 ORDER BY customer_id"
)
_STATE = text("SELECT state FROM score_month WHERE month_date = :first FOR SHARE").bindparams(
    bindparam("first", type_=Date)
)
_LOCK_MONTH = text("SELECT state FROM score_month WHERE month_date = :first FOR UPDATE").bindparams(
    bindparam("first", type_=Date)
)
_OPEN_MONTH = text(
    "INSERT INTO score_month (month_date, state, as_of_date, policy_version) VALUES (:first, 'OPEN', :last, :version)"
    " ON CONFLICT DO NOTHING"
).bindparams(bindparam("first", type_=Date), bindparam("last", type_=Date))
_CLOSE_MONTH = text(
    "UPDATE score_month SET state = :state, as_of_date = :last, policy_version = :version,"
    " actor = coalesce(:actor, actor), update_time = bank_now() WHERE month_date = :first"
).bindparams(bindparam("first", type_=Date), bindparam("last", type_=Date))
# The cards, and of each indicator the sum over the customers and, of ratios, what it is divided by. The branch's card
# (no staff) counts its virtual manager's customers too, who have no card of their own.
_CUSTOMERS = "count(DISTINCT c.customer_id)"
_CARDS = text(f"""
WITH sums AS (
  SELECT c.branch_id, CASE WHEN grouping(c.staff_id) = 1 THEN '' ELSE c.staff_id END AS staff_id,
    {_CUSTOMERS} AS customers,
    sum(c.deposit_minor) AS deposits, {_CUSTOMERS} FILTER (WHERE c.deposit_minor IS NULL) AS deposits_unknown,
    sum(c.growth_minor) AS growth, {_CUSTOMERS} FILTER (WHERE c.growth_minor IS NULL) AS growth_unknown,
    sum(c.wealth_minor) AS wealth, {_CUSTOMERS} FILTER (WHERE c.wealth_minor IS NULL) AS wealth_unknown,
    sum(c.loan_minor) AS loans, {_CUSTOMERS} FILTER (WHERE c.loan_minor IS NULL) AS loans_unknown,
    sum(c.share) FILTER (WHERE m.new_customer) AS new_customers,
    sum(c.share * m.category_count) FILTER (WHERE m.has_business) AS categories,
    sum(c.share) FILTER (WHERE m.has_business) AS has_business,
    sum(c.share) FILTER (WHERE m.had_business AND m.has_business) AS stayed,
    sum(c.share) FILTER (WHERE m.had_business) AS had_business,
    sum(c.share) FILTER (WHERE m.key_customer) AS key_customers
  FROM credit c LEFT JOIN customer_month m USING (customer_id, month_date)
  WHERE c.month_date = :first
  GROUP BY GROUPING SETS ((c.branch_id, c.staff_id), (c.branch_id))
  HAVING grouping(c.staff_id) = 1 OR c.staff_id <> ''
), cards AS (
  INSERT INTO score_card (month_date, branch_id, staff_id, customer_count)
  SELECT :first, branch_id, staff_id, customers FROM sums
)
INSERT INTO score_figure (month_date, branch_id, staff_id, indicator, whole, base, unknown_count)
SELECT :first, s.branch_id, s.staff_id, f.indicator, coalesce(f.whole, 0), f.base, f.unknown
FROM sums s, LATERAL (VALUES
  ('DEPOSIT_AVERAGE', s.deposits, NULL, s.deposits_unknown),
  ('DEPOSIT_GROWTH', s.growth, NULL, s.growth_unknown),
  ('WEALTH', s.wealth, NULL, s.wealth_unknown),
  ('LOAN', s.loans, NULL, s.loans_unknown),
  ('NEW_CUSTOMERS', s.new_customers, NULL, 0),
  ('CROSS_SELL', s.categories, s.has_business, 0),
  ('RETENTION', s.stayed, s.had_business, 0),
  ('KEY_CUSTOMERS', s.key_customers, NULL, 0)
) AS f (indicator, whole, base, unknown)
""").bindparams(bindparam("first", type_=Date))  # noqa: S608 - our own words
_FIGURES = text(
    "SELECT branch_id, staff_id, indicator, whole, base, unknown_count FROM score_figure WHERE month_date = :first"
    " ORDER BY branch_id, staff_id, indicator"
).bindparams(bindparam("first", type_=Date))
_SET_FIGURES = text("""
INSERT INTO score_figure (month_date, branch_id, staff_id, indicator, whole, base, value, unknown_count, target,
  achieved, weight)
SELECT :first, n.* FROM unnest(CAST(:branch_ids AS text[]), CAST(:staff_ids AS text[]), CAST(:indicators AS text[]),
  CAST(:wholes AS bigint[]), CAST(:bases AS bigint[]), CAST(:values AS bigint[]), CAST(:unknowns AS bigint[]),
  CAST(:targets AS bigint[]), CAST(:achieved AS integer[]), CAST(:weights AS integer[])) AS n
ON CONFLICT (month_date, branch_id, staff_id, indicator) DO UPDATE SET value = excluded.value, target = excluded.target,
  achieved = excluded.achieved, weight = excluded.weight
""").bindparams(bindparam("first", type_=Date))
_SET_SCORES = text("""
UPDATE score_card c SET score = n.score, rank = n.rank, ranked_count = n.ranked_count
FROM unnest(CAST(:branch_ids AS text[]), CAST(:staff_ids AS text[]), CAST(:scores AS integer[]),
  CAST(:ranks AS integer[]), CAST(:counts AS integer[])) AS n (branch_id, staff_id, score, rank, ranked_count)
WHERE c.month_date = :first AND c.branch_id = n.branch_id AND c.staff_id = n.staff_id
""").bindparams(bindparam("first", type_=Date))
_WRITTEN_AT_ONCE = 10_000

CardKey = tuple[str, str]
"""Branch and staff member; without one the branch's own card."""


@dataclass(frozen=True)
class Month:
    """What is computed: the days from `first` to `last`, both included, by one policy."""

    first: date
    last: date
    policy: ScorePolicy

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1


@dataclass(frozen=True)
class Standing:
    """A card's score, its place and among how many."""

    score: int | None
    rank: int | None
    ranked_count: int


async def try_lock(connection: AsyncConnection) -> bool:
    """Takes the lock of builds for the session, if nobody has it."""
    return (await connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": BUILD_LOCK})).scalar_one()


async def ranges(tx: AsyncConnection, size: int) -> list[tuple[str, str]]:
    """All ids as ranges, lower end excluded, with at most `size` customers each."""
    bounds = [row.customer_id for row in await tx.execute(_BOUNDS, {"size": size})]
    return list(zip(["", *bounds], [*bounds, _LAST_ID], strict=True))


async def month_state(tx: AsyncConnection, first: date) -> MonthState | None:
    """A month's state, which stays so until `tx` ends; None if nothing was computed of it."""
    found = (await tx.execute(_STATE, {"first": first})).scalar_one_or_none()
    return MonthState(found) if found else None


async def lock_month(tx: AsyncConnection, month: Month) -> MonthState:
    """Keeps everybody else from the month until `tx` ends; it is there from then on."""
    given = {"first": month.first, "last": month.last, "version": month.policy.version}
    await tx.execute(_OPEN_MONTH, given)
    return MonthState((await tx.execute(_LOCK_MONTH, {"first": month.first})).scalar_one())


async def credit_range(tx: AsyncConnection, month: Month, bounds: tuple[str, str]) -> int:
    """Shares out the credit for the customers in a range of ids; says how many have any."""
    await tx.execute(_SETTINGS)
    shares = month.policy.shares
    counted = await tx.execute(
        CREDIT,
        {
            "first": month.first,
            "last_until": month.last + timedelta(days=1),
            "days": month.days,
            "after": bounds[0],
            "until": bounds[1],
            "secondary_percent": shares.secondary_percent,
            "interceptor_percent": shares.interceptor_percent,
        },
    )
    return counted.scalar_one()


async def has_credit(tx: AsyncConnection, first: date) -> bool:
    """Says whether anybody has credit in the month."""
    asked = text("SELECT EXISTS (SELECT FROM credit WHERE month_date = :first)").bindparams(
        bindparam("first", type_=Date)
    )
    return (await tx.execute(asked, {"first": first})).scalar_one()


async def replace_cards(tx: AsyncConnection, first: date) -> dict[CardKey, list[Figure]]:
    """Makes the month's cards anew from its credit; their figures have sums and no values yet."""
    await tx.execute(_SETTINGS)
    for table in ("score_card", "score_figure"):
        gone = text(f"DELETE FROM {table} WHERE month_date = :first")  # noqa: S608 - our own words
        await tx.execute(gone.bindparams(bindparam("first", type_=Date)), {"first": first})
    await tx.execute(_CARDS, {"first": first})
    found: dict[CardKey, list[Figure]] = {}
    for row in await tx.execute(_FIGURES, {"first": first}):
        figure = Figure(Indicator(row.indicator), row.whole, row.base, None, row.unknown_count)
        found.setdefault((row.branch_id, row.staff_id), []).append(figure)
    return found


async def set_figures(tx: AsyncConnection, first: date, figures: Mapping[CardKey, Sequence[Figure]]) -> None:
    """Stores values, targets and what was achieved of them; figures that are no sums over customers are new."""
    rows = [(*key, figure) for key, of_card in figures.items() for figure in of_card]
    for start in range(0, len(rows), _WRITTEN_AT_ONCE):
        part = rows[start : start + _WRITTEN_AT_ONCE]
        await tx.execute(
            _SET_FIGURES,
            {
                "first": first,
                "branch_ids": [branch_id for branch_id, _, _ in part],
                "staff_ids": [staff_id for _, staff_id, _ in part],
                "indicators": [figure.indicator.value for *_, figure in part],
                "wholes": [figure.whole for *_, figure in part],
                "bases": [figure.base for *_, figure in part],
                "values": [figure.value for *_, figure in part],
                "unknowns": [figure.unknown_count for *_, figure in part],
                "targets": [figure.target for *_, figure in part],
                "achieved": [figure.achieved for *_, figure in part],
                "weights": [figure.weight for *_, figure in part],
            },
        )


async def set_scores(tx: AsyncConnection, first: date, standings: Mapping[CardKey, Standing]) -> None:
    """Stores scores and places."""
    keys = list(standings)
    await tx.execute(
        _SET_SCORES,
        {
            "first": first,
            "branch_ids": [branch_id for branch_id, _ in keys],
            "staff_ids": [staff_id for _, staff_id in keys],
            "scores": [standings[key].score for key in keys],
            "ranks": [standings[key].rank for key in keys],
            "counts": [standings[key].ranked_count for key in keys],
        },
    )


async def close_month(tx: AsyncConnection, month: Month, state: MonthState, actor: str | None) -> None:
    """Says up to which day and by which policy the cards count, and whether they are frozen now."""
    given = {"first": month.first, "last": month.last, "version": month.policy.version}
    await tx.execute(_CLOSE_MONTH, {**given, "state": state.value, "actor": actor})
