"""Shares of credit as tables, and over a month against a plain count of every day."""

from collections import defaultdict
from datetime import date, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.assignment_svc.domain.credit import (
    WHOLE,
    Amounts,
    Held,
    Party,
    SharePolicy,
    Span,
    day_shares,
    month_credit,
    share_faults,
)

FIRST = date(2026, 6, 1)
POLICY = SharePolicy()
P, S1, S2, S3 = (Party(branch, f"m-{branch}") for branch in ("p", "s1", "s2", "s3"))
LOBBY = Party("s9", "lobby")


def span(
    balances=(), *, secondaries=(), interceptor=None, custody=None, primary: Party | None = P, days=1, first=FIRST
):
    rows = ((Held(primary, primary=True),) if primary else ()) + tuple(Held(one, primary=False) for one in secondaries)
    return Span(first, first + timedelta(days=days), rows, dict(balances), interceptor, custody or {})


@pytest.mark.parametrize(
    ("told", "shares"),
    [
        (span(), {P: 10_000}),
        (span({"s1": 5}.items(), secondaries=[S1]), {P: 7_000, S1: 3_000}),
        (span({"s1": 0}.items(), secondaries=[S1]), {P: 7_000, S1: 3_000}),
        (span({"s1": 1, "s2": 2}.items(), secondaries=[S1, S2]), {P: 7_000, S1: 1_000, S2: 2_000}),
        (span({"s1": 1, "s2": 1, "s3": 5}.items(), secondaries=[S1, S2, S3]), {P: 7_002, S1: 428, S2: 428, S3: 2_142}),
        (span(secondaries=[S1, S2, S3]), {P: 7_000, S1: 1_000, S2: 1_000, S3: 1_000}),
        (span({"s1": 1}.items(), secondaries=[S1, S2]), {P: 7_000, S1: 3_000, S2: 0}),
        (span(interceptor=LOBBY), {P: 8_000, LOBBY: 2_000}),
        (span({"s1": 5}.items(), secondaries=[S1], interceptor=LOBBY), {P: 5_000, S1: 3_000, LOBBY: 2_000}),
        (span({"s1": 5}.items(), secondaries=[S1], interceptor=S1), {P: 5_000, S1: 5_000}),
        (span(custody={P: "deputy"}), {Party("p", "deputy"): 10_000}),
        (span({"s1": 5}.items(), secondaries=[S1], custody={S1: "deputy"}), {P: 7_000, Party("s1", "deputy"): 3_000}),
        (span(primary=None, secondaries=[S1]), {}),
    ],
)
def test_a_day_is_shared(told, shares):
    assert day_shares(told, POLICY) == shares


@pytest.mark.parametrize(
    ("policy", "fields"),
    [
        (SharePolicy(), []),
        (SharePolicy(100, 0, 0), []),
        (SharePolicy(69, 30, 20), ["secondary_percent"]),
        (SharePolicy(70, 31, 20), ["secondary_percent"]),
        (SharePolicy(70, 30, 71), ["interceptor_percent"]),
        (SharePolicy(-1, 101, 0), ["primary_percent", "secondary_percent", "interceptor_percent"]),
    ],
)
def test_shares_that_do_not_make_a_hundred_are_refused(policy, fields):
    assert [fault.field for fault in share_faults(policy)] == fields


def test_a_transfer_splits_by_the_days_of_each_and_by_what_was_there_then():
    """Ten days of 300 and twenty of 600: the first manager has a third of the days, and a fifth of the money."""
    spans = [
        span({"p": 300}.items(), days=10),
        span({"p": 600}.items(), primary=Party("p", "later"), days=20, first=FIRST + timedelta(days=10)),
    ]
    found = month_credit(spans, Amounts(wealth_minor=100, loan_minor=None), POLICY)
    assert {party.staff_id: credit.share for party, credit in found.items()} == {"m-p": 3_333, "later": 6_667}
    assert {party.staff_id: credit.deposit_minor for party, credit in found.items()} == {"m-p": 100, "later": 400}
    assert {party.staff_id: credit.wealth_minor for party, credit in found.items()} == {"m-p": 33, "later": 67}
    assert {credit.loan_minor for credit in found.values()} == {None}


def test_who_is_nobodys_has_no_credit_to_give():
    assert month_credit([span(primary=None)], Amounts(), POLICY) == {}


parties = st.sampled_from([Party(branch, staff) for branch in "abc" for staff in (None, "x", "y")])


@st.composite
def months(draw):
    """Up to 31 days in spans; at most one row for each branch, now and then without anybody."""
    spans, day = [], FIRST
    for days in draw(st.lists(st.integers(1, 8), min_size=1, max_size=5)):
        rows = draw(st.lists(parties, min_size=0, max_size=3, unique_by=lambda party: party.branch_id))
        balances = draw(st.dictionaries(st.sampled_from("abcd"), st.integers(0, 10**14), max_size=4))
        custody = draw(st.dictionaries(parties.filter(lambda party: party.staff_id), st.just("z"), max_size=3))
        interceptor = draw(st.none() | parties)
        held = tuple(Held(row, primary=place == 0) for place, row in enumerate(rows))
        spans.append(Span(day, day + timedelta(days=days), held, balances, interceptor, custody))
        day += timedelta(days=days)
    return spans


policies = st.integers(0, 100).flatmap(
    lambda primary: st.integers(0, primary).map(lambda part: SharePolicy(primary, 100 - primary, part))
)


def plain_day(told, policy):
    """One day in ten thousandths, added up with pencil and paper."""
    shares = defaultdict(int)
    primaries = [row.party for row in told.held if row.primary]
    if not primaries:
        return shares, None
    others = [row.party for row in told.held if not row.primary]
    money = sum(told.balances.get(party.branch_id, 0) for party in others)
    for party in others:
        part = Fraction(told.balances.get(party.branch_id, 0), money) if money else Fraction(1, len(others))
        shares[Party(party.branch_id, told.custody.get(party, party.staff_id))] += int(
            policy.secondary_percent * 100 * part
        )
    if told.interceptor:
        shares[told.interceptor] += policy.interceptor_percent * 100
    first = Party(primaries[0].branch_id, told.custody.get(primaries[0], primaries[0].staff_id))
    shares[first] += WHOLE - sum(shares.values())
    return shares, first


@given(months(), policies, st.integers(-(10**15), 10**15))
def test_a_month_is_what_its_days_make(spans, policy, amount):
    weights, money, last, covered, whole = defaultdict(Fraction), defaultdict(Fraction), None, 0, Fraction(0)
    days = sum(each.days for each in spans)
    for each in spans:
        for _ in range(each.days):
            shares, first = plain_day(each, policy)
            assert sum(shares.values()) in {0, WHOLE}
            last = first or last
            covered += bool(shares)
            whole += Fraction(sum(each.balances.values()), days) if shares else 0
            for party, share in shares.items():
                weights[party] += share
                money[party] += Fraction(share * sum(each.balances.values()), WHOLE * days)
    found = month_credit(spans, Amounts(wealth_minor=amount), policy)
    assert found.keys() == weights.keys()
    if not found:
        return
    assert sum(credit.share for credit in found.values()) == WHOLE
    assert sum(credit.deposit_minor or 0 for credit in found.values()) == int(whole)
    assert sum(credit.wealth_minor or 0 for credit in found.values()) == amount
    for party, credit in found.items():
        if party != last:
            assert credit.share == int(weights[party] / covered)
            assert credit.deposit_minor == int(money[party])
            assert credit.wealth_minor == credit.share * amount // WHOLE
