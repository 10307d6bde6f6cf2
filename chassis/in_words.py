"""Amounts and days as people read them, in 中文 and in English."""

from datetime import date

_MINOR = 100
_UNITS_ZH = ((100_000_000, "亿"), (10_000, "万"))
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def money_zh(minor: int, currency: str) -> str:
    """50万元, 1.2亿元, 1,234.50元; another currency by its code."""
    unit = "元" if currency == "CNY" else currency
    sign, whole = "-" if minor < 0 else "", abs(minor)
    for size, name in _UNITS_ZH:
        # Up to two digits behind the point are easier to read than the whole number.
        if whole >= size * _MINOR and whole % size == 0:
            return f"{sign}{whole / (size * _MINOR):,.10g}{name}{unit}"
    units, rest = divmod(whole, _MINOR)
    return f"{sign}{units:,}.{rest:02}{unit}" if rest else f"{sign}{units:,}{unit}"


def day_zh(day: date) -> str:
    """2026年6月30日."""
    return f"{day.year}年{day.month}月{day.day}日"


def money_en(minor: int, currency: str) -> str:
    """CNY 500,000, CNY 1,234.50."""
    units, rest = divmod(abs(minor), _MINOR)
    cents = f".{rest:02}" if rest else ""
    return f"{currency} {'-' if minor < 0 else ''}{units:,}{cents}"


def day_en(day: date) -> str:
    """30 June 2026."""
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"
