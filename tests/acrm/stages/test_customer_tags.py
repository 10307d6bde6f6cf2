"""The six tags against a slow obvious version, and the edges of each rule by itself."""

import json
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from acrm.parameters import DEFAULTS

DAY = timedelta(days=1)
TODAY = date(2026, 6, 30)
DATES = [TODAY, date(2026, 7, 15), date(2026, 1, 1), date(2026, 3, 1)]
STEPS = ("figures", "series", "tags")


def years_before(day, years):
    return day.replace(year=day.year - years)


def full_months(today, count):
    """(first, last) of the last months that are over."""
    last = today if (today + DAY).day == 1 else today.replace(day=1) - DAY
    for _ in range(count):
        yield last.replace(day=1), last
        last = last.replace(day=1) - DAY


class Slow:
    """The rules read aloud. Figures that other tests hold are taken as they were derived."""

    def __init__(self, rows, today, balances, bookings, is_outside):
        self.rows, self.today, self.balances, self.is_outside = rows, today, balances, is_outside
        self.bookings = {}
        for row in bookings:
            self.bookings.setdefault(row["account_id"], []).append(row)

    def of(self, name, customer):
        return [row for row in self.rows[name] if row["customer_id"] == customer]

    def tags(self, row, figures):
        if row["state"] != "ACTIVE":
            return {}
        customer = row["customer_id"]
        self.accounts = self.of("accounts", customer)
        self.loans = self.of("loans", customer)
        self.booked = [one for account in self.accounts for one in self.bookings.get(account["account_id"], [])]
        self.held = [one for one in self.of("holdings", customer) if self.balances.live(one, self.today)]
        self.adult = row["customer_type"] == "CORPORATE" or self.born_by(row, years_before(self.today, 18))
        found = {
            "DEPOSIT_POTENTIAL": self.deposit_potential(figures),
            "LOAN_POTENTIAL": self.loan_potential(figures),
            "CARD_POTENTIAL": self.card_potential(row, figures),
            "E_CHANNEL_POTENTIAL": self.e_channel_potential(row, figures),
            "WEALTH_POTENTIAL": self.wealth_potential(row),
            "CHURN_RISK": self.churn_risk(customer, figures),
        }
        return {code: reasons for code, reasons in found.items() if reasons}

    def born_by(self, row, day):
        return row["birth_date"] is not None and row["birth_date"] <= day

    def average_times_days(self, first, last):
        """Unknown if one account's balances do not reach back, or today's is unknown."""
        there = [one for one in self.accounts if one["open_date"] <= last]
        if any(self.balances.unknown(one) or not self.balances.reach(one, first) for one in there):
            return None
        return sum(self.balances.days(one, first, last) for one in self.accounts)

    def deposit_potential(self, figures):
        doing = [row["open_date"] for name in ("accounts", "holdings", "cards") for row in self.of(name, figures["id"])]
        doing += [row["disburse_date"] for row in self.loans]
        doing += [one for one in (figures["last_active_date"], figures["card_last_use_date"]) if one]
        if not self.adult or max(doing, default=date.min) <= years_before(self.today, 1):
            return []
        reasons = []
        days = self.average_times_days(self.today - 89 * DAY, self.today)
        inflow = figures["inflow_90d_minor"] or 0
        if self.accounts and inflow >= 50_000_00 and days is not None and days // 90 * 100 <= 20 * inflow:
            reasons.append("inflow_did_not_stay")
        if figures["time_maturity_date"] and figures["time_maturity_date"] <= self.today + 30 * DAY:
            reasons.append("time_deposit_due")
        return reasons

    def overdue(self, row, tolerated):
        if row["state"] == "LIVE":
            return row["in_arrears"] if row["overdue_days"] is None else row["overdue_days"] > tolerated
        return row["state"] == "WRITTEN_OFF"

    def loan_potential(self, figures):
        since = years_before(self.today, 2)
        late = any(self.overdue(row, 3) or (row["last_overdue_date"] or date.min) > since for row in self.loans)
        if not self.adult or late or (figures["card_overdue_days"] or 0) > 3:
            return []
        reasons = []
        if not figures["loan_count"] and all(self.steady(*month) for month in full_months(self.today, 6)):
            reasons.append("steady_income")
        for row in self.loans:
            clean = row["last_overdue_date"] is None and not row["in_arrears"]
            if row["state"] == "SETTLED" and clean and row["close_date"] > years_before(self.today, 1):
                reasons.append("loan_settled_cleanly")
                break
        line, unused = figures["loan_line_minor"], figures["loan_unused_minor"]
        if line and unused is not None and unused * 2 >= line:
            reasons.append("line_unused")
        return reasons

    def steady(self, first, last):
        credited = [
            row["amount_minor"]
            for row in self.booked
            if row["direction"] == "IN" and self.is_outside(row) and first <= row["day"] <= last
        ]
        days = self.average_times_days(first, last)
        enough = days is not None and days >= 10_000_00 * ((last - first).days + 1)
        return sum(credited) >= 3_000_00 and enough

    def card_potential(self, row, figures):
        born = row["birth_date"]
        if row["customer_type"] == "CORPORATE" or figures["card_count"] or born is None:
            return []
        if not years_before(self.today, 61) < born <= years_before(self.today, 20):
            return []
        # Here nothing due is tolerated.
        if any(self.overdue(loan, 0) or (loan["state"] == "LIVE" and loan["in_arrears"]) for loan in self.loans):
            return []
        products = {one["product_code"] for one in self.held}
        recent = [one for one in self.booked if one["day"] > self.today - 90 * DAY]
        reasons = []
        if "payroll" in products or any(one["operation"] == "salary" for one in recent):
            reasons.append("payroll")
        if "mobile_bank" in products and any(one["channel"] == "MOBILE" for one in recent):
            reasons.append("mobile_bank_active")
        return reasons

    def e_channel_potential(self, row, figures):
        stopped = any(one["category"] in {"ALL", "e_channel"} for one in self.of("opt_outs", row["customer_id"]))
        if stopped or row["mobile"] is None or any(one["product_code"] == "mobile_bank" for one in self.held):
            return []
        return ["visits"] if figures["counter_90d_count"] + figures["atm_90d_count"] >= 3 else []

    def wealth_potential(self, row):
        expiry = row["risk_rating_expiry_date"]
        if row["risk_rating"] is None or expiry is None or expiry < self.today:
            return []
        demand = [account for account in self.accounts if account["kind"] == "DEMAND"]
        first = self.today - 59 * DAY
        if any(self.balances.unknown(one) or not self.balances.reach(one, first) for one in demand):
            return []
        lowest = min(sum(self.balances.at(one, first + DAY * n) for one in demand) for n in range(60))
        return ["idle_balance"] if lowest >= 50_000_00 else []

    def churn_risk(self, customer, figures):
        reasons = ["transfers_out"] if figures["other_bank_30d_count"] >= 5 else []
        months = list(full_months(self.today, 3))
        sums = [self.average_times_days(*month) for month in months]
        known = [each for each in sums if each is not None]
        if self.accounts and len(known) == len(sums):
            mean = sum(known) // sum((last - first).days + 1 for first, last in months)
            if mean > 0 and figures["deposit_average_minor"] * 100 <= mean * 60:
                reasons.append("average_down")
        reasons += ["account_closed"] if figures["closed_90d_count"] else []
        waiting = [row for row in self.of("complaints", customer) if row["close_time"] is None]
        return reasons + (["open_complaint"] if waiting else [])


@pytest.fixture(scope="session")
def slow(balances_of, standing_rows, is_outside):
    return lambda rows, today: Slow(rows, today, balances_of(rows, today), standing_rows(rows), is_outside)


CHANCE = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]


# Nothing to shrink: a bank is drawn from one number.
@settings(max_examples=5, deadline=None, suppress_health_check=CHANCE, phases=[Phase.generate])
@given(st.integers(0, 10**6), st.sampled_from(DATES))
def test_every_tag_is_the_one_of_the_slow_obvious_version(derive_rows, random_bank, slow, seed, today):
    rows = random_bank(seed, today, 80)
    # Some who have enough, for long enough.
    for n in range(0, 80, 8):
        steady(rows, f"c{n}", today, n)
    derived = derive_rows(rows, today, steps=STEPS)
    obvious = slow(rows, today)
    expected = {}
    for row in rows["customers"]:
        customer = row["customer_id"]
        figures = derived["customer_figures"][customer,] | {"id": customer}
        for code, reasons in obvious.tags(row, figures).items():
            expected[customer, code] = reasons
    told = {key: json.loads(row["evidence"])["because"] for key, row in derived["customer_tags"].items()}
    assert told == expected


def steady(rows, customer, today, n):
    """Gives a customer an account with money on it for a year, and money every month."""
    account = {"account_id": f"s{n}", "customer_id": customer, "branch_id": "b1", "kind": "DEMAND"}
    rows["accounts"].append(account | {"open_date": today - 400 * DAY, "close_date": None, "maturity_date": None,
                                       "balance_minor": (n + 1) * 7_000_00})  # fmt: skip
    told = {"account_id": f"s{n}", "balance_date": today - 390 * DAY, "balance_minor": (n + 1) * 7_000_00}
    rows["balances"].append(told)
    for back in range(0, 220, 15):
        when = datetime(today.year, today.month, today.day, 12, tzinfo=UTC) - back * DAY
        rows["transactions"].append(booking(f"s{n}-{back}", f"s{n}", when, amount_minor=2_000_00))


def booking(key, account, when, **more):
    return {
        "transaction_id": key, "account_id": account, "event_time": when, "direction": "IN", "amount_minor": 1,
        "operation": "transfer_in", "standing_order": False, "own_transfer": False, "counterparty_bank": None,
        "reversed_transaction_id": None, "channel": None,
    } | more  # fmt: skip


NOON = datetime(2026, 6, 30, 4, tzinfo=UTC)
CUSTOMER = {
    "customer_id": "c1", "customer_type": "INDIVIDUAL", "state": "ACTIVE", "birth_date": date(1980, 1, 1),
    "mobile": "138", "risk_rating": 3, "risk_rating_expiry_date": TODAY,
}  # fmt: skip
ACCOUNT = {
    "account_id": "a1", "customer_id": "c1", "branch_id": "b1", "kind": "DEMAND", "open_date": date(2020, 1, 1),
    "balance_minor": 50_000_00,
}  # fmt: skip
TOLD = {"account_id": "a1", "balance_date": date(2020, 1, 1), "balance_minor": 50_000_00}


def away(count, **more):
    return [
        booking(f"t{n}", "a1", NOON, direction="OUT", operation="transfer_out", **{"counterparty_bank": "B"} | more)
        for n in range(count)
    ]


def away_at(instant):
    return away(1)[0] | {"transaction_id": "x", "event_time": instant}


def test_the_evidence_tells_what_was_compared_with_what(derive_rows):
    rows = {"customers": [CUSTOMER], "accounts": [ACCOUNT], "balances": [TOLD], "transactions": away(5)}
    tags = derive_rows(rows, TODAY, steps=STEPS)["customer_tags"]
    assert {code for _, code in tags} == {"WEALTH_POTENTIAL", "CHURN_RISK"}
    assert tags["c1", "CHURN_RISK"]["as_of_date"] == TODAY
    assert tags["c1", "CHURN_RISK"]["rule_version"] == DEFAULTS.rule_version
    assert json.loads(tags["c1", "CHURN_RISK"]["evidence"]) == {
        "because": ["transfers_out"],
        "figures": {
            "other_bank_30d_count": 5,
            "deposit_average_minor": 50_000_00,
            "deposit_mean_minor": 50_000_00,
            "closed_90d_count": 0,
            "open_complaints": 0,
        },
        "thresholds": {
            "transfers_out_min": 5,
            "average_days": 30,
            "mean_months": 3,
            "average_drop_percent_min": 40,
            "closed_days": 90,
        },
    }
    assert json.loads(tags["c1", "WEALTH_POTENTIAL"]["evidence"])["figures"] == {
        "idle_minor": 50_000_00,
        "risk_rating": 3,
        "risk_rating_expiry_date": "2026-06-30",
        "needs_confirmation": False,
    }


NETTED = {
    "five transfers to other banks": (away(5), True),
    "four": (away(4), False),
    "standing orders": (away(5, standing_order=True), False),
    "to an own account": (away(5, own_transfer=True), False),
    "to another customer": (away(5, counterparty_bank=None), False),
    "one was reversed": (
        [*away(5), booking("r", "a1", NOON, operation="reversal", reversed_transaction_id="t0")],
        False,
    ),
    "one on the day before the 30 days, by bank time": (
        [*away(4), away_at(datetime(2026, 5, 31, 15, 59, tzinfo=UTC))],
        False,
    ),
    "one at the first minute of the 30 days, by bank time": (
        [*away(4), away_at(datetime(2026, 5, 31, 16, 0, tzinfo=UTC))],
        True,
    ),
}


def test_transfers_out_are_netted(derive_rows):
    rows = {"customers": [], "accounts": [], "balances": [], "transactions": []}
    for case, (transactions, _) in NETTED.items():
        rows["customers"].append(CUSTOMER | {"customer_id": case})
        rows["accounts"].append(ACCOUNT | {"customer_id": case, "account_id": case})
        rows["balances"].append(TOLD | {"account_id": case})
        for one in transactions:
            undone = one["reversed_transaction_id"]
            own = {"transaction_id": case + one["transaction_id"], "account_id": case}
            rows["transactions"].append(one | own | {"reversed_transaction_id": undone and case + undone})
    tags = derive_rows(rows, TODAY, steps=STEPS)["customer_tags"]
    assert {case for case, code in tags if code == "CHURN_RISK"} == {case for case, (_, set_) in NETTED.items() if set_}


def test_a_short_history_sets_no_tag(derive_rows):
    young = [TOLD | {"balance_date": TODAY - 40 * DAY}]
    coming = [booking(f"t{n}", "a1", NOON - 30 * n * DAY, amount_minor=9_000_00) for n in range(3)]
    rows = {"customers": [CUSTOMER], "accounts": [ACCOUNT], "balances": young, "transactions": coming}
    assert derive_rows(rows, TODAY, steps=STEPS)["customer_tags"] == {}


def test_whoever_is_65_needs_a_confirmation(derive_rows):
    old = CUSTOMER | {"birth_date": date(1961, 6, 30)}
    rows = {"customers": [old], "accounts": [ACCOUNT], "balances": [TOLD]}
    told = derive_rows(rows, TODAY, steps=STEPS)["customer_tags"]["c1", "WEALTH_POTENTIAL"]
    assert json.loads(told["evidence"])["figures"]["needs_confirmation"] is True
