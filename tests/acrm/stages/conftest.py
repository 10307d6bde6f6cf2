"""Ways to run the stages on rows of Python, random banks, and what a customer's business is in a slow obvious way."""

import random
from collections import defaultdict
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from acrm.derive import STEPS, Bench, derive, keep_merged
from acrm.derived import DERIVED
from acrm.engines import LOCAL, engine
from acrm.parameters import DEFAULTS
from acrm.progress import silent
from acrm.tables import FEED
from chassis.clock import BANK_ZONE

# What the stages read.
NAMES = (
    *("customers", "accounts", "loans", "cards", "holdings"),
    *("products", "balances", "transactions", "complaints", "opt_outs"),
)
DAY = timedelta(days=1)


def schema_of(name):
    return pa.schema([(column.name, column.type) for column in FEED[name].columns])


@pytest.fixture(scope="session")
def local():
    with engine() as opened:
        yield opened


@pytest.fixture(scope="session")
def derive_rows(tmp_path_factory):
    """Derives tables from rows of a feed, or from a folder of Parquet files; answers each table's rows by its key."""

    def run(rows, business_date, steps=tuple(STEPS), parameters=DEFAULTS, merged=()):
        folder = tmp_path_factory.mktemp("night")
        tables = folder / "clean"
        if isinstance(rows, dict):
            tables.mkdir()
            for name in NAMES:
                given = pa.Table.from_pylist(rows.get(name, []), schema=schema_of(name))
                pq.write_table(given, tables / f"{name}.parquet")
        else:
            tables.symlink_to(rows)
        written = {}
        bench = Bench(LOCAL, tables, folder / "stages", business_date, parameters)
        keep_merged(bench, merged)
        for step in steps:
            written |= derive(step, bench, silent)
        answer = {}
        for name in written.keys() & DERIVED.keys():
            table = pq.read_table(tables / f"{name}.parquet")
            expected = DERIVED[name].schema
            assert [(f.name, f.type) for f in table.schema] == [(f.name, f.type) for f in expected]
            key = DERIVED[name].key
            found = table.to_pylist()
            answer[name] = {tuple(row[column] for column in key): row for row in found}
            assert len(answer[name]) == len(found)
            for column in expected.names:
                assert expected.field(column).nullable or all(row[column] is not None for row in found)
        return answer

    return run


# Days back at which a window or a rule begins or ends, and those around them.
_DAYS_BACK = (0, 1, 5, 28, 29, 30, 31, 58, 59, 60, 61, 88, 89, 90, 91, 92, 120, 181, 200, 364, 365, 366, 500, 731, 800)
_AMOUNTS = (0, 1, 99, 3_000_00, 10_000_00, 50_000_00, 200_000_00, 400_000_00, 900_000_00, 7_000_000_00)

_OPERATIONS = (
    *("transfer_out", "transfer_out", "transfer_out", "transfer_in", "salary", "cash_in", "cash_out", "card_payment"),
    *("interest_credit", "fee", "loan_disbursement", "loan_instalment", "reversal", "household", "other"),
)


class _Bank:
    """Draws the rows of a small bank in which ties, edges and missing values are common."""

    def __init__(self, seed, today, customers):
        self.chance, self.today, self.customers = random.Random(seed), today, customers

    def maybe(self, value, share=0.8):
        return value if self.chance.random() < share else None

    def day(self):
        return self.today - DAY * self.chance.choice(_DAYS_BACK)

    def later(self):
        return self.today + DAY * self.chance.choice((-40, -1, 0, 1, 29, 30, 31, 400))

    def amount(self):
        return self.chance.choice(_AMOUNTS)

    def owned(self, key, n):
        return {
            key: f"{key[0]}{n}",
            "customer_id": f"c{self.chance.randrange(self.customers)}",
            "branch_id": self.chance.choice(["b1", "b2", "b3"]),
        }

    def span(self, start, share=0.2):
        first, last = sorted((self.day(), self.day()))
        return {start: first, "close_date": self.maybe(last, share)}

    def instant(self):
        """At an hour at which the day of bank time is not that of UTC, or is."""
        day = self.day()
        return datetime(day.year, day.month, day.day, self.chance.choice((0, 7, 12, 23)), 59, tzinfo=BANK_ZONE)

    def birthday(self):
        """At most a day from the birthday of an age that rules name."""
        years = self.chance.choice((18, 20, 30, 40, 61, 65))
        return self.today.replace(year=self.today.year - years) + DAY * self.chance.choice((-1, 0, 1))

    def customer(self, n):
        return {
            "customer_id": f"c{n}",
            "customer_type": self.chance.choice(["INDIVIDUAL"] * 4 + ["CORPORATE"]),
            "birth_date": self.maybe(self.birthday()),
            "mobile": self.maybe("138"),
            "state": self.chance.choice(["ACTIVE"] * 6 + ["FROZEN", "DECEASED"]),
            "risk_rating": self.maybe(3),
            "risk_rating_expiry_date": self.maybe(self.later()),
        }

    def account(self, n):
        return self.owned("account_id", n) | self.span("open_date") | {
            "kind": self.chance.choice(["DEMAND", "DEMAND", "TIME"]),
            "maturity_date": self.maybe(self.later()),
            "balance_minor": self.maybe(self.amount() - 50, 0.93),
        }  # fmt: skip

    def loan(self, n):
        loan = self.owned("loan_id", n) | self.span("disburse_date", 0.4)
        ended = self.chance.choice(["SETTLED", "SETTLED", "SETTLED", "WRITTEN_OFF"])
        late = self.chance.random() < 0.2
        return loan | {
            "principal_minor": self.amount(),
            "outstanding_minor": self.maybe(self.amount()),
            "outstanding_estimated": False,
            "due_date": self.maybe(self.later()),
            "state": "LIVE" if loan["close_date"] is None else ended,
            "in_arrears": late,
            "revolving": self.chance.random() < 0.4,
            "next_due_date": self.maybe(self.later()),
            "overdue_days": self.maybe(self.chance.choice((1, 3, 4, 90)) if late else 0),
            "overdue_minor": self.maybe(self.amount() if late else 0),
            "interest_arrears_minor": self.maybe(self.amount() if late else 0),
            "grade": self.maybe(self.chance.choice(["NORMAL", "SPECIAL_MENTION", "DOUBTFUL"])),
            "grade_date": self.maybe(self.day()),
            "last_overdue_date": self.maybe(self.day(), 0.1),
        }

    def card(self, n):
        return self.owned("card_id", n) | self.span("open_date") | {
            "limit_minor": self.maybe(self.amount()),
            "used_minor": self.maybe(self.amount()),
            "due_date": self.maybe(self.later()),
            "overdue_days": self.maybe(self.chance.choice((0, 0, 3, 4))),
            "instalment_minor": self.maybe(self.amount(), 0.4),
            "last_use_date": self.maybe(self.day(), 0.4),
        }  # fmt: skip

    def booking(self, n, accounts):
        return {
            "transaction_id": f"t{n}",
            "account_id": self.chance.choice(accounts)["account_id"],
            "event_time": self.instant(),
            "direction": self.chance.choice(["IN", "OUT"]),
            "amount_minor": self.amount() + 1,
            "operation": self.maybe(self.chance.choice(_OPERATIONS), 0.95),
            "counterparty_bank": self.maybe("B", 0.6),
            "standing_order": self.chance.random() < 0.1,
            "own_transfer": self.chance.random() < 0.1,
            "reversed_transaction_id": self.maybe(f"t{n + self.chance.randrange(1, 99)}", 0.08),
            "channel": self.maybe(self.chance.choice(["COUNTER", "ATM", "POS", "MOBILE", "ONLINE", "SYSTEM"])),
        }  # fmt: skip

    def holding(self, n, products):
        drawn = self.owned("holding_id", n) | self.span("open_date")
        return drawn | {"product_code": self.chance.choice(products), "amount_minor": self.maybe(self.amount(), 0.4)}

    def rows(self):
        many = self.customers
        products = {"mobile_bank": "e_channel", "e_bank": "e_channel", "payroll": "payroll", "fund": "wealth"}
        accounts = [self.account(n) for n in range(many)]
        keys = {(self.chance.choice(accounts)["account_id"], self.day()) for _ in range(many * 5)}
        return {
            "customers": [self.customer(n) for n in range(many)],
            "accounts": accounts,
            "loans": [self.loan(n) for n in range(many // 2)],
            "cards": [self.card(n) for n in range(many // 2)],
            "holdings": [self.holding(n, list(products)) for n in range(many)],
            "products": [{"product_id": one, "display_name": one, "category": two} for one, two in products.items()],
            "balances": [
                {"account_id": one, "balance_date": day, "balance_minor": self.amount() - 5}
                for one, day in sorted(keys)
            ],
            "transactions": [self.booking(n, accounts) for n in range(many * 12)],
            "complaints": [
                {"complaint_id": f"p{n}", "customer_id": f"c{self.chance.randrange(many)}", "open_time": self.instant(),
                 "close_time": self.maybe(self.instant())} for n in range(many // 6)
            ],
            "opt_outs": [
                {"customer_id": f"c{n}", "channel": "SMS", "category": self.chance.choice(["ALL", "e_channel", "fund"]),
                 "opt_out_time": self.instant()} for n in range(0, many, 5)
            ],
        }  # fmt: skip


@pytest.fixture(scope="session")
def random_bank():
    return lambda seed, today, customers=120: _Bank(seed, today, customers).rows()


class Balances:
    """What stood on accounts at the end of days, read off the rows one day at a time."""

    def __init__(self, rows, today):
        self.today = today
        self.told = defaultdict(dict)
        for row in rows["balances"]:
            self.told[row["account_id"]][row["balance_date"]] = row["balance_minor"]

    def live(self, account, day):
        return account.get("close_date") is None or account["close_date"] > day

    def unknown(self, account):
        return self.live(account, self.today) and account.get("balance_minor") is None

    def at(self, account, day):
        told = self.told[account["account_id"]]
        before = [each for each in told if each <= day]
        return told[max(before)] if before and self.live(account, day) else 0

    def days(self, account, first, last):
        """The sum of end-of-day balances, below 0 taken as 0."""
        return sum(max(self.at(account, first + DAY * n), 0) for n in range((last - first).days + 1))

    def reach(self, account, first):
        """Whether what stood there on every day from `first` on is known."""
        closed = account.get("close_date")
        if account["open_date"] >= first or (closed is not None and closed < first):
            return True
        told = self.told[account["account_id"]]
        if self.unknown(account):
            return False
        return min(told) < first if told else self.live(account, self.today)


@pytest.fixture(scope="session")
def balances_of():
    return Balances


def bank_day(instant):
    return instant.astimezone(BANK_ZONE).date()


@pytest.fixture(scope="session")
def standing_rows():
    """The bookings that were not undone, with their day of bank time."""

    def standing(rows):
        undone = {row["reversed_transaction_id"] for row in rows["transactions"]}
        return [
            row | {"day": bank_day(row["event_time"])}
            for row in rows["transactions"]
            if row["transaction_id"] not in undone
            and row["reversed_transaction_id"] is None
            and row["operation"] != "reversal"
        ]

    return standing


@pytest.fixture(scope="session")
def is_outside():
    """Whether a booking came from, or went to, outside the bank and the customer's own accounts."""
    own = {"interest_credit", "interest_penalty", "fee", "loan_disbursement", "loan_instalment"}
    return lambda row: not (row["own_transfer"] or row["standing_order"] or row["operation"] in own)
