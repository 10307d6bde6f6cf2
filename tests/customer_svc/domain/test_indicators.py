from datetime import date, timedelta

import pytest

from services.customer_svc.domain.indicators import indicators

DAY = date(2026, 5, 17)


def found(**figures):
    return {one.name: one for one in indicators(figures, DAY)}


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("deposit_balance_minor", DAY, DAY),
        ("deposit_average_minor", date(2026, 4, 18), DAY),
        ("deposit_month_average_minor", date(2026, 5, 1), DAY),
        ("deposit_quarter_average_minor", date(2026, 4, 1), DAY),
        ("deposit_year_average_minor", date(2026, 1, 1), DAY),
        ("deposit_month_start_minor", date(2026, 4, 30), date(2026, 4, 30)),
        ("deposit_year_start_minor", date(2025, 12, 31), date(2025, 12, 31)),
        ("inflow_30d_minor", DAY - timedelta(days=29), DAY),
        ("mobile_90d_count", DAY - timedelta(days=89), DAY),
        ("loan_overdue_days", DAY, DAY),
    ],
)
def test_every_figure_tells_its_period(name: str, first: date, last: date) -> None:
    one = found(**{name: 5})[name]
    assert (one.from_date, one.until_date, one.days) == (first, last, (last - first).days + 1)


def test_what_is_unknown_is_left_out_and_zero_is_not() -> None:
    assert list(found(deposit_balance_minor=None, wealth_minor=0)) == ["wealth_minor"]


def test_changes_and_shares_are_computed_from_what_is_known() -> None:
    known = found(
        deposit_balance_minor=300,
        deposit_month_start_minor=500,
        deposit_year_start_minor=None,
        demand_balance_minor=100,
        card_used_minor=5,
        card_limit_minor=0,
    )
    assert known["deposit_month_change_minor"].value == -200
    assert known["deposit_month_change_minor"].from_date == date(2026, 5, 1)
    assert "deposit_year_change_minor" not in known
    assert known["demand_share_percent"].value == 33
    assert "card_utilisation_percent" not in known, "of nothing there is no share"


def test_a_channel_that_was_not_used_has_no_share_of_the_others() -> None:
    known = found(mobile_90d_count=3, counter_90d_count=1, atm_90d_count=None)
    shares = [known[f"{channel}_share_percent"] for channel in ("mobile", "counter", "atm")]
    assert [one.value for one in shares] == [75, 25, 0]
    assert {one.days for one in shares} == {90}
    assert "mobile_share_percent" not in found(mobile_90d_count=0)
