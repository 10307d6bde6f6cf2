from datetime import date

import pytest

from chassis.in_words import day_en, day_zh, money_en, money_zh


@pytest.mark.parametrize(
    ("minor", "currency", "chinese", "english"),
    [
        (50_000_000, "CNY", "50万元", "CNY 500,000"),
        (12_000_000_000, "CNY", "1.2亿元", "CNY 120,000,000"),
        (123_450, "CNY", "1,234.50元", "CNY 1,234.50"),
        (-123_400, "CZK", "-1,234CZK", "CZK -1,234"),
        (0, "CNY", "0元", "CNY 0"),
    ],
)
def test_an_amount_is_written_as_people_read_it(minor: int, currency: str, chinese: str, english: str) -> None:
    assert (money_zh(minor, currency), money_en(minor, currency)) == (chinese, english)


def test_so_is_a_day() -> None:
    day = date(2026, 6, 30)
    assert (day_zh(day), day_en(day)) == ("2026年6月30日", "30 June 2026")
