"""The demo bank's loans: of every product and state, some overdue, with the grade that goes with it."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from devstack.demo_business import Business
from devstack.demo_columns import MINOR, Mask, Numbers, amounts, between, days, flags, ids, lognormal_minor, pick, rows

BORROWER_SHARE = 0.18
SECOND_SHARE = 0.2
UNKNOWN_SHARE = 0.02
# How often a loan is overdue, and a large one, so that a small bank too has a borrower who is no key customer for it.
ARREARS_SHARE = 0.03
LARGE_ARREARS_SHARE = 0.1
LARGE_MINOR = 500_000 * MINOR
# Of the loans whose last instalment was due, so many are still owed.
MATURED_UNPAID_SHARE = 0.1
# So many were overdue once and are not any more.
ONCE_OVERDUE_SHARE = 0.06
_PRODUCTS = ("consumer_loan", "mortgage", "business_loan", "revolving_line")
_LINE = _PRODUCTS.index("revolving_line")
_MEDIANS = np.array([60_000, 450_000, 300_000, 150_000])
_MONTHS = np.array([36, 240, 24, 36])
_STATES = ("LIVE", "SETTLED", "WRITTEN_OFF")
_COLLATERALS = ("NONE", "MORTGAGE", "PLEDGE", "GUARANTEE")
GUARANTEED = _COLLATERALS.index("GUARANTEE")
# How often each product is secured how.
_SECURED = np.array([[0.7, 0.0, 0.05, 0.25], [0.0, 1.0, 0.0, 0.0], [0.1, 0.5, 0.15, 0.25], [0.5, 0.3, 0.0, 0.2]])
_GRADES = ("NORMAL", "SPECIAL_MENTION", "SUBSTANDARD", "DOUBTFUL", "LOSS")
# From so many days overdue on a loan has each grade.
_GRADE_DAYS = np.array([0, 4, 91, 271, 361])
# How long loans are overdue, in days: up to each limit equally often, but rarer beyond 90.
_OVERDUE_LIMITS = np.array([1, 4, 31, 91, 181, 361, 700])
_OVERDUE_WEIGHTS = np.array([0.2, 0.28, 0.22, 0.12, 0.1, 0.08])
_TOLERANCE_DAYS = 3
_YEARLY_RATE = 0.045
_MONTH = 365 / 12


@dataclass(frozen=True)
class Loans:
    """Loans as they were made and as they stand."""

    owner: Numbers
    outlet: Numbers
    product: Numbers
    start: Numbers
    due: Numbers
    state: Numbers
    principal: Numbers
    outstanding: Numbers
    close_day: Numbers
    collateral: Numbers
    overdue_days: Numbers
    """0 for none."""

    @property
    def live(self) -> Mask:
        return self.state == 0


def draw_loans(business: Business) -> Loans:
    """Loans of every product and state; amounts are round, so that some are equal."""
    chance = business.chance(5)
    now = business.now
    borrower = np.flatnonzero(business.adult & (chance.random(business.people.count) < BORROWER_SHARE))
    owner = np.concatenate([borrower, borrower[chance.random(len(borrower)) < SECOND_SHARE]])
    count = len(owner)
    product = chance.choice(len(_PRODUCTS), count, p=[0.45, 0.2, 0.15, 0.2])
    months = _MONTHS[product]
    start = between(chance, np.maximum(business.people.since_day[owner], now - months * 36), now)
    due = start + months * 365 // 12
    state = chance.choice(3, count, p=[0.74, 0.25, 0.01])
    matured = due < now
    state = np.where((state == 0) & matured & (chance.random(count) >= MATURED_UNPAID_SHARE), 1, state)
    step = 10_000 * MINOR
    principal = np.maximum(lognormal_minor(chance, _MEDIANS[product], 0.6, count) // step, 1) * step
    # A line is drawn anyhow; of other loans the part of the time that is left is owed.
    left = np.where(
        product == _LINE,
        chance.random(count) * 0.9,
        np.clip((due - now) / (due - start), 0.02, 1.0),
    )
    secured = _SECURED.cumsum(axis=1)[product]
    return Loans(
        owner=owner,
        outlet=business.an_outlet(chance, owner),
        product=product,
        start=start,
        due=due,
        state=state,
        principal=principal,
        outstanding=np.where(state == 0, (principal * left).astype(np.int64) // MINOR * MINOR, 0),
        close_day=between(chance, np.maximum(start, now - 500), now),
        collateral=np.minimum((chance.random(count)[:, None] >= secured).sum(axis=1), GUARANTEED),
        overdue_days=_overdue(chance, (state == 0, matured, principal >= LARGE_MINOR), (start, due), now),
    )


def _overdue(
    chance: np.random.Generator, traits: tuple[Mask, Mask, Mask], term: tuple[Numbers, Numbers], now: int
) -> Numbers:
    """For how long something is unpaid: what is matured and owed since its due date, of the others a few."""
    live, matured, large = traits
    start, due = term
    count = len(start)
    band = chance.choice(len(_OVERDUE_WEIGHTS), count, p=_OVERDUE_WEIGHTS)
    drawn = between(chance, _OVERDUE_LIMITS[band], _OVERDUE_LIMITS[band + 1] - 1)
    # The first instalment is due a month after the start.
    drawn = np.minimum(drawn, now - start - 31)
    share = np.where(large, LARGE_ARREARS_SHARE, ARREARS_SHARE)
    drawn = np.where((drawn > 0) & (chance.random(count) < share), drawn, 0)
    return np.where(live, np.where(matured, now - due, drawn), 0)


def loans_table(business: Business, loans: Loans) -> pa.Table:
    chance = business.chance(14)
    count = len(loans.owner)
    officer = business.officer(chance, loans.outlet)
    return rows(
        "loans",
        {
            "loan_id": ids("L", np.arange(count) + 1, 8),
            "customer_id": business.people.ids(loans.owner),
            "branch_id": pick(business.org.outlet_ids, loans.outlet),
            "product": pick(_PRODUCTS, loans.product),
            "principal_minor": amounts(loans.principal),
            "outstanding_minor": amounts(loans.outstanding, loans.live & (chance.random(count) < UNKNOWN_SHARE)),
            "outstanding_estimated": flags(np.zeros(count, dtype=bool)),
            "disburse_date": days(loans.start),
            "due_date": days(loans.due),
            "close_date": days(loans.close_day, loans.live),
            "state": pick(_STATES, loans.state),
            "officer_id": pick(business.org.staff_ids, officer, chance.random(count) < UNKNOWN_SHARE),
            "revolving": flags(loans.product == _LINE),
            "collateral": pick(_COLLATERALS, loans.collateral),
            **_next_due(loans, business.now),
            **_arrears(chance, loans),
            **_grades(chance, loans, business.now),
        },
    )


def _next_due(loans: Loans, now: int) -> dict[str, pa.Array]:
    """Instalments come monthly; of a line the month's interest, with all that is drawn on its last day."""
    number = np.maximum(np.ceil((now - loans.start) / _MONTH), 1)
    at = np.minimum(loans.start + (number * _MONTH).astype(np.int64), loans.due)
    at = np.where(at < now, np.minimum(at + int(_MONTH), loans.due), at)
    interest = (loans.outstanding * _YEARLY_RATE / 12).astype(np.int64)
    part = np.minimum(loans.principal // _MONTHS[loans.product], loans.outstanding)
    part = np.where(at == loans.due, loans.outstanding, np.where(loans.product == _LINE, 0, part))
    none = ~loans.live | (at < now)
    return {"next_due_date": days(at, none), "next_due_minor": amounts(part + interest, none)}


def _arrears(chance: np.random.Generator, loans: Loans) -> dict[str, pa.Array]:
    """The instalments that were missed, at most what is owed; sometimes only the interest; sometimes not told."""
    count = len(loans.owner)
    overdue = loans.overdue_days
    missed = (loans.principal // _MONTHS[loans.product]) * (overdue // 30 + 1)
    interest_only = chance.random(count) < 0.2  # noqa: PLR2004 - the principal was paid
    principal = np.where((overdue > 0) & ~interest_only, np.minimum(missed, loans.outstanding), 0)
    interest = np.where(overdue > 0, np.maximum(loans.outstanding * _YEARLY_RATE * overdue / 365, 1), 0)
    untold = ~loans.live | ((overdue > 0) & (chance.random(count) < UNKNOWN_SHARE))
    return {
        "in_arrears": flags(overdue > 0),
        "overdue_days": amounts(overdue, untold),
        "overdue_minor": amounts(principal, untold),
        "interest_arrears_minor": amounts(interest.astype(np.int64), untold),
    }


def _grades(chance: np.random.Generator, loans: Loans, now: int) -> dict[str, pa.Array]:
    """The grade that the days overdue give, and since when; of those never late, few are watched all the same."""
    count = len(loans.owner)
    grade = np.searchsorted(_GRADE_DAYS, loans.overdue_days, side="right") - 1
    since = np.where(grade > 0, now - loans.overdue_days + _GRADE_DAYS[grade], loans.start)
    watched = loans.live & (grade == 0) & (chance.random(count) < 0.01)  # noqa: PLR2004 - rare
    changed = between(chance, np.maximum(loans.start, now - 400), now)
    grade, since = np.where(watched, 1, grade), np.where(watched, changed, since)
    written_off = loans.state == _STATES.index("WRITTEN_OFF")
    grade, since = np.where(written_off, 4, grade), np.where(written_off, loans.close_day, since)
    once = chance.random(count) < ONCE_OVERDUE_SHARE
    end = np.where(loans.live, now, loans.close_day)
    past = between(chance, np.minimum(loans.start + 40, end), end)
    late = loans.overdue_days > _TOLERANCE_DAYS
    last = np.where(late, now, np.where(written_off, loans.close_day, past))
    return {
        "grade": pick(_GRADES, grade, loans.state == 1),
        "grade_date": days(np.maximum(since, loans.start), loans.state == 1),
        "last_overdue_date": days(last, ~(late | written_off | once)),
    }
