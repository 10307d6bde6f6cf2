"""The statement of the nights against the rule for one customer, which looks at every day for itself."""

import random
from datetime import date, timedelta

import pytest
from sqlalchemy import text

from services.assignment_svc.domain.credit import Amounts, Held, Party, SharePolicy, Span, month_credit
from services.assignment_svc.domain.score_cards import ScorePolicy
from services.assignment_svc.store.score_builds import Month, credit_range

FIRST = date(2026, 6, 1)
DAY = timedelta(days=1)
TABLES = "ownership, owner, owner_period, balance_step, customer_month, interception, credit_custody, credit"
BRANCHES = ("a", "b", "c")
MANAGERS = ("x", "y", "z", None)


class World:
    """Draws customers with a history of owners, of money and of what people recorded, over three months."""

    def __init__(self, seed, customers=60):
        self.chance = random.Random(seed)
        self.ids = [f"c{n:03}" for n in range(customers)]
        self.owners, self.steps, self.months, self.interceptions = {}, {}, {}, {}
        self.custodies = self.drawn_custodies()
        for one in self.ids:
            self.owners[one] = self.drawn_owners()
            self.steps[one] = self.drawn_steps()
            self.interceptions[one] = self.drawn_interceptions()
            if self.chance.random() < 0.9:
                amounts = [self.chance.choice((None, 0, 7, -5, 12_345_678, 10**14)) for _ in range(3)]
                self.months[one] = (self.chance.choice((None, 1, 1, 1)), *amounts)

    def day(self, back=40, ahead=40):
        return FIRST + DAY * self.chance.randint(-back, ahead)

    def drawn_owners(self):
        """Rows as (branch, side, manager, from, until); exactly one primary on every day, one row for each branch."""
        cuts = sorted({self.day() for _ in range(self.chance.randint(1, 4))})
        rows = []
        for first, until in zip(cuts, [*cuts[1:], None], strict=True):
            branches = self.chance.sample(BRANCHES, self.chance.randint(1, 3))
            for place, branch in enumerate(branches):
                side = "SECONDARY" if place else "PRIMARY"
                rows.append((branch, side, self.chance.choice(MANAGERS), first, until))
        if self.chance.random() < 0.2:  # what was corrected the same day
            rows.append(("a", "PRIMARY", "x", cuts[0], cuts[0]))
        return rows

    def drawn_steps(self):
        keys = {(self.chance.choice(("a", "b", "d")), self.day(30, 29)) for _ in range(self.chance.randint(0, 8))}
        return {key: self.chance.choice((0, 1, 99, 1_000_00, 10**15)) for key in keys}

    def drawn_interceptions(self):
        cuts = sorted({self.day() for _ in range(self.chance.choice((0, 0, 2, 4)))})
        spans = list(zip(cuts[::2], cuts[1::2], strict=False))
        return [(self.chance.choice("abe"), self.chance.choice("xyq"), *each) for each in spans]

    def drawn_custodies(self):
        found = []
        for manager in ("x", "y"):
            cuts = sorted({self.day() for _ in range(4)})
            found += [
                (self.chance.choice(BRANCHES), manager, "w", *each) for each in zip(cuts[::2], cuts[1::2], strict=False)
            ]
        return found

    def spans(self, one, days):
        """What was true on each of the month's days."""
        rows = [row for row in self.owners[one] if row[3] < FIRST + DAY * days and row[3] != row[4]]
        rows = [row for row in rows if row[4] is None or row[4] > FIRST]
        earliest = min((row[3] for row in rows), default=None)
        told = []
        for n in range(days):
            day = FIRST + DAY * n
            held = [row for row in rows if (row[3] <= day or row[3] == earliest) and (row[4] is None or day < row[4])]
            balances = {}
            for branch in ("a", "b", "d"):
                known = [at for where, at in self.steps[one] if where == branch and at <= day]
                balances[branch] = self.steps[one][branch, max(known)] if known else 0
            interceptor = next(
                (Party(b, s) for b, s, since, until in self.interceptions[one] if since <= day < until), None
            )
            custody = {Party(b, s): to for b, s, to, since, until in self.custodies if since <= day < until}
            parties = tuple(Held(Party(row[0], row[2]), primary=row[1] == "PRIMARY") for row in held)
            told.append(Span(day, day + DAY, parties, balances, interceptor, custody))
        return told

    def amounts(self, one):
        if one not in self.months:
            return Amounts(growth_minor=None, wealth_minor=None, loan_minor=None)
        known, growth, wealth, loan = self.months[one]
        return Amounts(known is not None, growth, wealth, loan)

    async def store(self, tx):
        await tx.execute(text(f"TRUNCATE {TABLES}"))
        for one in self.ids:
            await tx.execute(
                text("INSERT INTO ownership (customer_id, state, business_date) VALUES (:one, 'LIVE', :day)"),
                {"one": one, "day": FIRST},
            )
            for row in self.owners[one]:
                await tx.execute(owner_row(row), {"one": one, "branch": row[0], "side": row[1], "manager": row[2]})
            for (branch, day), balance in self.steps[one].items():
                await tx.execute(
                    text("INSERT INTO balance_step VALUES (:one, :branch, :day, :balance)"),
                    {"one": one, "branch": branch, "day": day, "balance": balance},
                )
            for n, (branch, staff, since, until) in enumerate(self.interceptions[one]):
                await tx.execute(
                    text("INSERT INTO interception VALUES (:one, :id, :staff, :branch, :since, :until, 'r', 'a')"),
                    {"one": one, "id": f"i{n}", "staff": staff, "branch": branch, "since": since, "until": until},
                )
            if one in self.months:
                values = dict(zip(("known", "growth", "wealth", "loan"), self.months[one], strict=True))
                await tx.execute(
                    text("INSERT INTO customer_month VALUES (:one, :first, :known, :growth, :wealth, :loan, 1,"
                         " true, true, false, false)"),
                    {"one": one, "first": FIRST, **values},
                )  # fmt: skip
        for n, (branch, manager, to, since, until) in enumerate(self.custodies):
            await tx.execute(
                text("INSERT INTO credit_custody VALUES (:id, :branch, :manager, :to, :since, :until, 'r', 'a')"),
                {"id": f"u{n}", "branch": branch, "manager": manager, "to": to, "since": since, "until": until},
            )


def owner_row(row):
    table = "owner" if row[4] is None else "owner_period"
    columns = "customer_id, branch_id, side, rule, manager_id, held_by_margin, since_date, from_date, actor"
    values = f":one, :branch, :side, 'DEPOSIT', :manager, false, '{row[3]}', '{row[3]}', 'test'"
    if row[4] is not None:
        columns, values = f"{columns}, until_date", f"{values}, '{row[4]}'"
    return text(f"INSERT INTO {table} ({columns}) VALUES ({values})")


async def stored(tx):
    asked = "SELECT * FROM credit WHERE month_date = '2026-06-01'"
    found = {}
    for row in await tx.execute(text(asked)):
        party = Party(row.branch_id, row.staff_id or None)
        told = (row.share, row.deposit_minor, row.growth_minor, row.wealth_minor, row.loan_minor)
        found.setdefault(row.customer_id, {})[party] = told
    return found


@pytest.mark.parametrize("days", [1, 17, 30])
async def test_the_statement_shares_as_the_rule_does(database, seed, days):
    world = World(seed)
    shares = SharePolicy(*world.chance.choice(((70, 30, 20), (100, 0, 100), (50, 50, 0), (61, 39, 33))))
    month = Month(FIRST, FIRST + DAY * (days - 1), ScorePolicy(1, FIRST, shares, 150, {}))
    expected = {}
    for one in world.ids:
        found = month_credit(world.spans(one, days), world.amounts(one), shares)
        if found:
            expected[one] = {party: tuple(vars(credit).values()) for party, credit in found.items()}
    async with database.begin() as tx:
        await world.store(tx)
        assert await credit_range(tx, month, ("", "~")) == len(expected)
        assert await stored(tx) == expected


async def test_a_second_run_writes_nothing_and_takes_away_who_has_gone(database):
    month = Month(FIRST, FIRST + DAY * 29, ScorePolicy(1, FIRST, SharePolicy(), 150, {}))
    versions = text("SELECT customer_id, branch_id, staff_id, ctid::text, xmin::text FROM credit ORDER BY 1, 2, 3")
    async with database.begin() as tx:
        await World(1).store(tx)
        await credit_range(tx, month, ("", "~"))
    async with database.begin() as tx:
        before = (await tx.execute(versions)).all()
        await credit_range(tx, month, ("", "c030"))
        await credit_range(tx, month, ("c030", "~"))
        assert (await tx.execute(versions)).all() == before
        await tx.execute(text("UPDATE ownership SET gone = true WHERE customer_id = 'c003'"))
        await credit_range(tx, month, ("", "~"))
        gone = (await tx.execute(versions)).all()
        assert gone == [row for row in before if row.customer_id != "c003"]
        assert len(gone) < len(before)
