"""A real bank, loaded as a user loads it: every customer with live business has one primary owner, counted by hand.

What is expected is computed here from the raw files with csv and dates alone.
"""

import csv
import gzip
import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

import pytest

from tests.system.conftest import BERKA, Banyan, running

LAST = date(1998, 12, 31)
EARLY = date(1994, 3, 30)
GRACE = timedelta(days=90)


@cache
def raw(name: str) -> list[dict[str, str]]:
    with (BERKA / f"{name}.asc").open() as lines:
        return list(csv.DictReader(lines, delimiter=";"))


def day_of(text: str) -> date:
    return date(1900 + int(text[:2]), int(text[2:4]), int(text[4:6]))


def months_later(start: date, months: int) -> date:
    month = start.month - 1 + months
    year, month = start.year + month // 12, month % 12 + 1
    last = (date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)).day
    return date(year, month, min(start.day, last))


@dataclass(frozen=True)
class Expected:
    rule_by_customer: dict[str, str]
    branch_by_customer: dict[str, str]


def expected_owners(day: date) -> Expected:
    """Each owner's branch is his account's; what decides is a live loan, 90 days of grace, a live card, deposits."""
    owner_of_account = {one["account_id"]: one["client_id"] for one in raw("disp") if one["type"] == "OWNER"}
    account_of_disp = {one["disp_id"]: one["account_id"] for one in raw("disp")}
    branch: dict[str, str] = {}
    for account in raw("account"):
        if day_of(account["date"]) <= day:
            branch[owner_of_account[account["account_id"]]] = account["district_id"]
    rule = dict.fromkeys(branch, "DEPOSIT")
    for card in raw("card"):
        if day_of(card["issued"]) <= day:
            rule[owner_of_account[account_of_disp[card["disp_id"]]]] = "CARD"
    for loan in raw("loan"):
        begin = day_of(loan["date"])
        if begin > day:
            continue
        end = months_later(begin, int(loan["duration"]))
        live = loan["status"] != "A" if day == LAST else day < end
        if live:
            rule[owner_of_account[loan["account_id"]]] = "LOAN"
        elif day - end <= GRACE:
            rule[owner_of_account[loan["account_id"]]] = "GRACE"
    return Expected(rule, branch)


@pytest.fixture(scope="module")
def banks() -> Iterator[list[Banyan]]:
    """Berka on its last day, and as it was in 1994: each has a start of its own, which waits more than it works."""
    early = ("--date", EARLY.isoformat())
    starts = [running("--format", "berka", "--data", str(BERKA), *more) for more in ((), early)]
    with ThreadPoolExecutor(len(starts)) as threads:
        started = [threads.submit(start.__enter__) for start in starts]
        try:
            yield [one.result() for one in started]
        finally:
            entered = [start for start, one in zip(starts, started, strict=True) if one.exception() is None]
            list(threads.map(lambda start: start.__exit__(None, None, None), entered))


@pytest.fixture(scope="module")
def berka(banks: list[Banyan]) -> Banyan:
    return banks[0]


@pytest.fixture(scope="module")
def early_berka(banks: list[Banyan]) -> Banyan:
    return banks[1]


def ownerships(bank: Banyan) -> Iterator[dict[str, object]]:
    token = bank.service_token()
    for branch in bank.pages("/v1/branches", "branches", token):
        yield from bank.pages(f"/v1/{branch['name']}/ownerships", "ownerships", token)


def check_owners(bank: Banyan, day: date) -> None:
    expected = expected_owners(day)
    rules: dict[str, str] = {}
    branches: dict[str, str] = {}
    for ownership in ownerships(bank):
        customer = str(ownership["name"]).split("/")[1]
        assert customer not in rules, "every client of Berka has one account, so nobody is listed by two branches"
        (owner,) = ownership["owners"]  # pyright: ignore[reportGeneralTypeIssues] -- JSON
        assert owner["side"] == "SIDE_PRIMARY"
        rules[customer] = owner["rule"].removeprefix("ALLOCATION_RULE_")
        branches[customer] = owner["branch"].removeprefix("branches/")
    assert branches == expected.branch_by_customer
    assert rules == expected.rule_by_customer


def test_every_owner_has_one_primary_branch_by_the_rule_that_the_raw_files_tell(berka: Banyan) -> None:
    assert len(expected_owners(LAST).rule_by_customer) == 4_500
    check_owners(berka, LAST)


def test_in_1994_deposits_are_known_and_the_owners_are_those_of_that_day(early_berka: Banyan) -> None:
    check_owners(early_berka, EARLY)


def test_all_of_berka_is_in(berka: Banyan) -> None:
    token = berka.service_token()
    assert sum(1 for _ in berka.pages("/v1/branches", "branches", token)) == 77
    answer = berka.call("POST", "/v1/customers:count", {}, token=token)
    assert answer.json["customerCount"] == "5369"
    report = json.loads((berka.home / "bank.json").read_text())
    assert report["format"] == "berka"


def test_loans_decide_before_cards_before_deposits(berka: Banyan) -> None:
    counts = Counter(expected_owners(LAST).rule_by_customer.values())
    assert counts["LOAN"] == sum(loan["status"] != "A" for loan in raw("loan")) == 479
    assert counts["CARD"] > 0
    assert counts["DEPOSIT"] > counts["CARD"]
    token = berka.service_token()
    both = _customers_with_loan_and_card()
    assert both, "some customers have both, or the order would not be tested"
    for customer in sorted(both)[:20]:
        ownership = berka.get(f"/v1/customers/{customer}/ownership", token).json
        assert ownership["owners"][0]["rule"] == "ALLOCATION_RULE_LOAN"


def _customers_with_loan_and_card() -> set[str]:
    owner_of_account = {one["account_id"]: one["client_id"] for one in raw("disp") if one["type"] == "OWNER"}
    account_of_disp = {one["disp_id"]: one["account_id"] for one in raw("disp")}
    cards = {owner_of_account[account_of_disp[card["disp_id"]]] for card in raw("card")}
    return cards & {owner_of_account[loan["account_id"]] for loan in raw("loan") if loan["status"] != "A"}


def test_a_night_that_is_done_and_run_again_looks_at_nobody_and_changes_nothing(berka: Banyan) -> None:
    """That looking at everybody again changes nothing either is tested where that can be asked for."""
    before = {str(ownership["name"]): ownership for ownership in ownerships(berka)}
    request = {
        "businessDate": {"year": LAST.year, "month": LAST.month, "day": LAST.day},
        "requestId": "11111111-2222-3333-4444-555555555555",
    }
    token = berka.service_token()
    operation = berka.call("POST", "/v1/ownerships:allocate", request, token=token).json
    done = berka.call("POST", f"/v1/assignment/{operation['name']}:wait", {"timeout": "25s"}, token=token).json
    assert done["done"], done
    told = done["response"]
    counts = [told.get(f"{name}Count", "0") for name in ("customer", "changedCustomer", "changedRow")]
    assert counts == ["0", "0", "0"]
    by_rule = {one["rule"].removeprefix("ALLOCATION_RULE_"): int(one["customerCount"]) for one in told["ruleCounts"]}
    assert by_rule == Counter(expected_owners(LAST).rule_by_customer.values())
    # With etag and update time: not even written anew.
    assert len(before) == 4_500
    assert {str(ownership["name"]): ownership for ownership in ownerships(berka)} == before


def test_a_head_sees_his_customers_and_alerts_and_nobody_elses(berka: Banyan) -> None:
    expected = expected_owners(LAST).branch_by_customer
    head, mine = berka.sign_in("head-1"), {customer for customer, branch in expected.items() if branch == "1"}
    counted = berka.call("POST", "/v1/customers:count", {}, token=head).json
    assert int(counted["customerCount"]) == len(mine)
    stranger = next(customer for customer, branch in expected.items() if branch != "1")
    seen = berka.get(f"/v1/customers/{min(mine)}", head)
    assert (seen.status, seen.json["viewLevel"]) == (200, "VIEW_LEVEL_PRIMARY")
    hidden, absent = berka.get(f"/v1/customers/{stranger}", head), berka.get("/v1/customers/nobody", head)
    assert (hidden.status, hidden.text) == (absent.status, absent.text)
    assert hidden.status == 404


AGE_BANDS = ((0, 29), (30, 39), (40, 49), (50, 64), (65, 150))


def age_on(birth_number: str, day: date) -> int:
    """Full years; a woman's month stands 50 higher."""
    month = int(birth_number[2:4])
    born = date(1900 + int(birth_number[:2]), month - 50 if month > 50 else month, int(birth_number[4:]))
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def expected_clients_in_arrears() -> Counter[tuple[str, tuple[int, int]]]:
    """By district of residence and age band: owners of an account whose loan runs badly (B) or is in debt (D)."""
    name = {one["A1"]: one["A2"] for one in raw("district")}
    owner_of_account = {one["account_id"]: one["client_id"] for one in raw("disp") if one["type"] == "OWNER"}
    client = {one["client_id"]: one for one in raw("client")}
    late = {owner_of_account[loan["account_id"]] for loan in raw("loan") if loan["status"] in {"B", "D"}}
    found = Counter[tuple[str, tuple[int, int]]]()
    for client_id in late:
        age = age_on(client[client_id]["birth_number"], LAST)
        band = next(band for band in AGE_BANDS if band[0] <= age <= band[1])
        found[name[client[client_id]["district_id"]], band] += 1
    return found


def test_clients_in_arrears_by_district_and_age_are_those_of_the_raw_files(berka: Banyan) -> None:
    expected = expected_clients_in_arrears()
    token = berka.service_token()
    in_arrears = {"loan": {"inArrears": True, "scope": "SCOPE_TOTAL"}}

    def count(*conditions: object) -> int:
        told = berka.call("POST", "/v1/customers:count", {"conditions": [in_arrears, *conditions]}, token=token)
        assert told.status == 200, told.text
        return int(told.json["customerCount"])

    assert count() == expected.total() == 76
    districts = sorted({one["A2"] for one in raw("district")})
    assert len(districts) == 77
    by_district = {district: count({"identity": {"residenceDistricts": [district]}}) for district in districts}
    assert {district: number for district, number in by_district.items() if number} == Counter(
        district for district, _ in expected.elements()
    )
    for district, band in [*expected, *[(district, AGE_BANDS[0]) for district in districts[:10]]]:
        within = {"residenceDistricts": [district], "ageMin": band[0], "ageMax": band[1]}
        assert count({"identity": within}) == expected[district, band], (district, band)


def test_large_outflows_per_owner_and_day_are_those_of_the_raw_file(berka: Banyan) -> None:
    alerts = berka.pages("/v1/alerts", "alerts", berka.service_token(), kind="ALERT_KIND_LARGE_OUTFLOW")
    told = {(one["customer"], tuple(one["businessDate"].values())): int(one["sum"]["units"]) for one in alerts}
    assert told == expected_large_outflows()


def expected_large_outflows() -> dict[tuple[str, tuple[int, ...]], int]:
    """Days on which 50,000 CZK left at once, or 75,000 in sum; transfers to other banks are standing orders."""
    owner_of_account = {one["account_id"]: one["client_id"] for one in raw("disp") if one["type"] == "OWNER"}
    moved: dict[tuple[str, tuple[int, ...]], list[int]] = {}
    with gzip.open(BERKA / "trans_subset_merged.asc.gz", "rt") as lines:
        for one in csv.DictReader(lines, delimiter=";"):
            if one["type"] == "PRIJEM" or one["operation"] == "PREVOD NA UCET":
                continue
            day = day_of(one["date"])
            key = (f"customers/{owner_of_account[one['account_id']]}", (day.year, day.month, day.day))
            moved.setdefault(key, []).append(round(float(one["amount"]) * 100))
    return {
        key: sum(amounts) // 100
        for key, amounts in moved.items()
        if max(amounts) >= 5_000_000 or sum(amounts) >= 7_500_000
    }
