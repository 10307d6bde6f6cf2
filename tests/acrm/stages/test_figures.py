"""Figures, series, value and key tests against a slow obvious version in plain Python."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from acrm.derived import FIGURES
from acrm.parameters import DEFAULTS
from services.customer_svc.store.figure_columns import FIGURES as STORED

DAY = timedelta(days=1)
GRADES = ["NORMAL", "SPECIAL_MENTION", "SUBSTANDARD", "DOUBTFUL", "LOSS"]
DATES = [date(2026, 6, 30), date(2026, 7, 15), date(2026, 1, 1), date(2026, 3, 1)]


def total(values):
    """A sum that one unknown makes unknown, and that is nothing without any."""
    values = list(values)
    return None if not values or None in values else sum(values)


def told(values):
    return [value for value in values if value is not None]


def deposits(accounts, balances, today):
    def known(live):
        return total(account["balance_minor"] for account in live) if live else 0

    live = [account for account in accounts if balances.live(account, today)]
    firsts = {
        "month": today.replace(day=1),
        "quarter": date(today.year, {1: 1, 2: 4, 3: 7, 4: 10}[(today.month + 2) // 3], 1),
        "year": date(today.year, 1, 1),
    }
    found = {"deposit_balance_minor": known(live), "account_count": len(live)}
    unknown = any(balances.unknown(account) for account in accounts)
    thirty = sum(balances.days(account, today - 29 * DAY, today) for account in accounts)
    found["deposit_average_minor"] = None if unknown else thirty // 30
    for name, first in firsts.items():
        reach = all(balances.reach(account, first) for account in accounts)
        days = sum(balances.days(account, first, today) for account in accounts)
        average = days // ((today - first).days + 1)
        found[f"deposit_{name}_average_minor"] = average if reach and not unknown else None
        start = sum(balances.at(account, first - DAY) for account in accounts)
        found[f"deposit_{name}_start_minor"] = start if reach else None
    for kind in ("demand", "time"):
        found[f"{kind}_balance_minor"] = known([account for account in live if account["kind"] == kind.upper()])
    due = [
        one["maturity_date"] for one in live if one["kind"] == "TIME" and (one["maturity_date"] or date.min) >= today
    ]
    found["time_maturity_date"] = min(due, default=None)
    found["closed_90d_count"] = sum(today - 89 * DAY <= (one["close_date"] or date.min) <= today for one in accounts)
    if not accounts:
        found = {name: value if name.endswith("_count") else None for name, value in found.items()}
    return found


def loans(rows):
    live = [row for row in rows if row["state"] == "LIVE"]
    lines = [row for row in live if row["revolving"]]
    days = [row["overdue_days"] if row["in_arrears"] or row["overdue_days"] is not None else 0 for row in live]
    owed = [(total([row["overdue_minor"], row["interest_arrears_minor"]]) if row["in_arrears"] else 0) for row in live]
    most = max(told(days), default=None)
    unused = [
        None if row["outstanding_minor"] is None else max(row["principal_minor"] - row["outstanding_minor"], 0)
        for row in lines
    ]
    return {
        "loan_count": len(live),
        "loan_outstanding_minor": total(row["outstanding_minor"] for row in live),
        "loan_line_minor": total(row["principal_minor"] for row in lines),
        "loan_unused_minor": total(unused),
        "loan_next_due_date": min(told(row["next_due_date"] for row in live), default=None),
        "loan_due_date": min(told(row["due_date"] for row in live), default=None),
        "loan_overdue_days": None if most == 0 and None in days else most,
        "loan_arrears_minor": total(owed),
        "loan_grade": max((GRADES.index(row["grade"]) + 1 for row in live if row["grade"]), default=None),
        "loan_grade_date": max(told(row["grade_date"] for row in live), default=None),
        "loan_settled_date": max((row["close_date"] for row in rows if row["state"] == "SETTLED"), default=None),
    }


def cards(rows, balances, today):
    live = [row for row in rows if balances.live(row, today)]
    days = [row["overdue_days"] for row in live]
    most = max(told(days), default=None)
    return {
        "card_count": len(live),
        "card_limit_minor": total(row["limit_minor"] for row in live),
        "card_used_minor": total(row["used_minor"] for row in live),
        "card_due_date": min(told(row["due_date"] for row in live), default=None),
        "card_overdue_days": None if most == 0 and None in days else most,
        "card_instalment_minor": total(told(row["instalment_minor"] for row in live)),
        "card_last_use_date": max(told(row["last_use_date"] for row in live), default=None),
    }


def flows(bookings, accounts, today, is_outside):
    found = {}
    for days in (30, 90):
        recent = [row for row in bookings if row["day"] > today - days * DAY]
        outside = [row for row in recent if is_outside(row)]
        ins = [row["amount_minor"] for row in outside if row["direction"] == "IN"]
        outs = [row["amount_minor"] for row in outside if row["direction"] == "OUT"]
        away = [
            row["amount_minor"]
            for row in outside
            if row["direction"] == "OUT" and row["operation"] == "transfer_out" and row["counterparty_bank"]
        ]
        found[f"inflow_{days}d_minor"] = sum(ins) if accounts else None
        found[f"outflow_{days}d_minor"] = sum(outs) if accounts else None
        found[f"other_bank_{days}d_minor"] = sum(away) if accounts else None
        found[f"other_bank_{days}d_count"] = len(away)
    found["largest_in_90d_minor"] = max(ins, default=None)
    found["largest_out_90d_minor"] = max(outs, default=None)
    for channel in ("COUNTER", "ATM", "POS", "MOBILE", "ONLINE"):
        found[f"{channel.lower()}_90d_count"] = sum(row["channel"] == channel for row in recent)
    own = {"cash_in", "cash_out", "card_cash_out", "card_payment", "transfer_out", "insurance", "household"}
    doing = [row for row in bookings if row["operation"] in own and not row["standing_order"]]
    found["last_active_date"] = max((row["day"] for row in doing if row["channel"] != "SYSTEM"), default=None)
    return found


class Slow:
    """The business of a customer, or of a customer at a branch."""

    def __init__(self, rows, today, balances, bookings, is_outside):
        self.rows, self.today, self.balances, self.is_outside = rows, today, balances, is_outside
        by_account = {}
        for row in bookings:
            by_account.setdefault(row["account_id"], []).append(row)
        self.bookings = by_account
        self.categories = {row["product_id"]: row["category"] for row in rows["products"]}

    def of(self, customer, branch=None):
        return {
            name: [
                row
                for row in self.rows[name]
                if row["customer_id"] == customer and (branch is None or row["branch_id"] == branch)
            ]
            for name in ("accounts", "loans", "cards", "holdings")
        }

    def figures(self, own):
        held = [row for row in own["holdings"] if self.balances.live(row, self.today)]
        bookings = [row for account in own["accounts"] for row in self.bookings.get(account["account_id"], [])]
        found = deposits(own["accounts"], self.balances, self.today) | loans(own["loans"])
        found |= cards(own["cards"], self.balances, self.today)
        found |= flows(bookings, own["accounts"], self.today, self.is_outside)
        found["wealth_minor"] = total(told(row["amount_minor"] for row in held))
        found["holding_categories"] = ";".join(sorted({self.categories[row["product_code"]] for row in held})) or None
        parts = told([found["deposit_balance_minor"], found["wealth_minor"]])
        unknown = own["accounts"] and found["deposit_balance_minor"] is None
        found["aum_minor"] = None if unknown else total(parts)
        return found

    def months(self, own):
        """(first day, end, average) of each month of which something is known."""
        first = self.today.replace(day=1)
        last = self.today
        for _ in range(13):
            accounts = [one for one in own["accounts"] if one["open_date"] <= last]
            accounts = [one for one in accounts if not one["close_date"] or one["close_date"] > first]
            if accounts:
                whole = own["accounts"]
                end = sum(self.balances.at(one, last) for one in whole)
                average = sum(self.balances.days(one, first, last) for one in whole) // ((last - first).days + 1)
                end = end if all(self.balances.reach(one, last + DAY) for one in whole) else None
                unknown = any(self.balances.unknown(one) for one in accounts)
                average = average if all(self.balances.reach(one, first) for one in whole) and not unknown else None
                if (end, average) != (None, None):
                    yield first, end, average
            last = first - DAY
            first = last.replace(day=1)

    def value(self, own, figures, reach):
        live = figures["account_count"] + figures["loan_count"] + figures["card_count"]
        ever = own["accounts"] + own["loans"] + own["cards"]
        if not ever:
            return {"tier": None, "tier_gap_minor": None, "contribution_minor": None, "lifecycle": "PROSPECT"}
        year_ago = self.today.replace(year=self.today.year - 1)
        opened = [row.get("open_date") or row["disburse_date"] for row in ever]
        doings = [*opened, *(row["open_date"] for row in own["holdings"])]
        doings += told([figures["last_active_date"], figures["card_last_use_date"]])
        if not live:
            lifecycle = "LOST"
        elif min(opened) > self.today - 90 * DAY:
            lifecycle = "NEW"
        elif max(doings) > year_ago or figures["loan_count"]:
            lifecycle = "ACTIVE"
        else:
            lifecycle = "DORMANT" if reach <= year_ago else None
        return {"lifecycle": lifecycle} | self.worth(own, figures)

    def worth(self, own, figures):
        average = 0 if not own["accounts"] else figures["deposit_average_minor"]
        assets = total([average, figures["wealth_minor"] or 0])
        bounds = DEFAULTS.tier_bounds_minor
        owed = 0 if not figures["loan_count"] else figures["loan_outstanding_minor"]
        used = 0 if not figures["card_count"] else figures["card_used_minor"]
        earned = [(average, 120), (owed, 200), (used, 500), (figures["wealth_minor"] or 0, 50)]
        known = None not in [amount for amount, _ in earned]
        return {
            "tier": None if assets is None else 1 + sum(assets >= bound for bound in bounds),
            "tier_gap_minor": next((one - assets for one in bounds if assets < one), None)
            if assets is not None
            else None,
            "contribution_minor": sum(amount * margin for amount, margin in earned) // 10_000 if known else None,
        }

    def key_test(self, own, figures, month_end):
        two_years_ago = self.today.replace(year=self.today.year - 2)

        def late_now(row):
            if row["state"] != "LIVE":
                return row["state"] == "WRITTEN_OFF"
            return row["in_arrears"] if row["overdue_days"] is None else row["overdue_days"] > 3

        late = any(late_now(row) for row in own["loans"])
        before = any((row["last_overdue_date"] or date.min) > two_years_ago for row in own["loans"])
        asset = 0 if not own["accounts"] else figures["deposit_average_minor"]
        owed = 0 if not figures["loan_count"] else figures["loan_outstanding_minor"]
        if not late and asset is not None and owed is not None and max(asset, owed) < 400_000_00:
            return None
        return {
            "month_end": month_end,
            "asset_average_minor": asset,
            "loan_outstanding_minor": owed,
            "loan_overdue": late,
            "loan_clean": not (late or before),
        }


@pytest.fixture(scope="session")
def slow(balances_of, standing_rows, is_outside):
    return lambda rows, today: Slow(rows, today, balances_of(rows, today), standing_rows(rows), is_outside)


def test_the_figures_stand_in_the_order_of_the_service_that_takes_them():
    assert [column.name for column in FIGURES] == list(STORED)


CHANCE = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]


# Nothing to shrink: a bank is drawn from one number.
@settings(max_examples=4, deadline=None, suppress_health_check=CHANCE, phases=[Phase.generate])
@given(st.integers(0, 10**6), st.sampled_from(DATES))
def test_every_figure_is_the_one_of_the_slow_obvious_version(derive_rows, random_bank, slow, seed, today):
    rows = random_bank(seed, today)
    derived = derive_rows(rows, today, steps=("figures", "series", "keys"))
    obvious = slow(rows, today)
    pairs = {
        (row["customer_id"], row["branch_id"])
        for name in ("accounts", "loans", "cards", "holdings")
        for row in rows[name]
    }
    expected, months = {}, {}
    for customer, branch in pairs:
        own = obvious.of(customer, branch)
        expected[customer, branch] = {"customer_id": customer, "branch_id": branch} | obvious.figures(own)
        for first, end, average in obvious.months(own):
            months[customer, branch, first] = (end, average)
    assert derived["customer_branch_figures"] == expected
    series = derived["monthly_balances"]
    assert {key: (row["end_minor"], row["average_minor"]) for key, row in series.items()} == months
    reach = min(row["day"] for booked in obvious.bookings.values() for row in booked)
    whole, keys = {}, {}
    for row in rows["customers"]:
        customer = row["customer_id"]
        own = obvious.of(customer)
        figures = obvious.figures(own)
        whole[customer,] = {"customer_id": customer} | figures | obvious.value(own, figures, reach)
        test = obvious.key_test(own, figures, (today + DAY).day == 1)
        keys |= {(customer,): {"customer_id": customer} | test} if test else {}
    assert derived["customer_figures"] == whole
    assert derived["key_tests"] == keys


def test_a_feed_without_business_makes_prospects_of_everybody(derive_rows):
    customer = {"customer_id": "c1", "customer_type": "INDIVIDUAL", "state": "ACTIVE"}
    derived = derive_rows({"customers": [customer]}, DATES[0])
    assert derived.pop("customer_figures")["c1",]["lifecycle"] == "PROSPECT"
    assert not any(derived.values())


def test_key_customers_may_be_tested_by_their_wealth_too(derive_rows):
    rows = {
        "customers": [{"customer_id": "c1", "customer_type": "INDIVIDUAL", "state": "ACTIVE"}],
        "holdings": [
            {"customer_id": "c1", "branch_id": "b1", "product_code": "fund", "open_date": DATES[0]}
            | {"amount_minor": 400_000_00}
        ],
    }
    assert derive_rows(rows, DATES[0], steps=("figures", "keys"))["key_tests"] == {}
    assets = replace(DEFAULTS, key_asset="AUM")
    derived = derive_rows(rows, DATES[0], steps=("figures", "keys"), parameters=assets)
    assert derived["key_tests"]["c1",]["asset_average_minor"] == 400_000_00
