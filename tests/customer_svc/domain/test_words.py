from collections.abc import Sequence
from datetime import UTC, date, datetime
from string import Formatter

import pytest

from policy.visibility import CLEAR_FROM, Level
from services.customer_svc.domain.conditions import (
    AllOf,
    AnyOf,
    Bound,
    Condition,
    ContactCondition,
    ContactCount,
    FigureCondition,
    HoldingCondition,
    IdentityCondition,
    LoanMatch,
    Not,
    OwnershipCondition,
    Permission,
    ProductSet,
    RoomLeft,
    Span,
    TagCondition,
    ValueCondition,
)
from services.customer_svc.domain.query import Order, OrderField, Query
from services.customer_svc.domain.words import explained
from services.customer_svc.domain.words_en import ENGLISH
from services.customer_svc.domain.words_zh import CHINESE

MALE = IdentityCondition(sex="MALE")
RICH = FigureCondition("deposit", whole_bank=True, bounds=(Bound("deposit_balance_minor", 50_000_000),))


def said(query: Query, confining: Sequence[str] = ()) -> tuple[str, str]:
    return explained(query, confining, "CNY", CHINESE), explained(query, confining, "CNY", ENGLISH)


@pytest.mark.parametrize(
    ("condition", "chinese", "english"),
    [
        (
            IdentityCondition(display_name_prefix="王", age_min=40, age_max=60),
            "姓名以“王”开头，且年龄（周岁）在40至60之间",
            "a name beginning with “王” and an age of 40 to 60",
        ),
        (
            IdentityCondition(customer_since_date_min=date(2026, 3, 5)),
            "开户日不早于2026年3月5日",
            "a first day as a customer on or after 5 March 2026",
        ),
        (
            IdentityCondition(residence_districts=tuple("abcdefg")),
            "居住地区为“a”、“b”、“c”、“d”、“e”等7项",
            "residence in “a”, “b”, “c”, “d”, “e” and 2 more",
        ),
        (
            OwnershipCondition(branch_id="b1", with_subtree=True, side="PRIMARY", days_without_contact_min=90),
            "归属（网点b1及其下级、主办），且90天以上未联系",
            "an owner (branch b1 or one below it, primary side) and no contact for 90 days or more",
        ),
        (RICH, "全行存款余额不低于50万元", "a deposit balance over the whole bank of at least CNY 500,000"),
        (
            FigureCondition("deposit", bounds=(Bound("deposit_month_change_minor", None, -123_456),)),
            "本网点存款较月初变动不高于-1,234.56元",
            "a change of deposits since the month began at your branch of at most CNY -1,234.56",
        ),
        (
            FigureCondition("deposit", bounds=(Bound("time_share_percent", 30, 30),)),
            "本网点定期占比为30%",
            "a time share of deposits at your branch of exactly 30%",
        ),
        (
            FigureCondition("loan", loan=LoanMatch(grades=("LOSS", "DOUBTFUL"), in_arrears=True, due_within_days=1)),
            "本网点有一笔贷款（五级分类为损失或可疑、有欠款、1天内到期）",
            "a loan at your branch (grade loss or doubtful, in arrears, due within 1 day)",
        ),
        (
            FigureCondition("loan", spans=(Span("loan_settled_date", 0, 12, unit="MONTHS"),)),
            "本网点12个月内结清过贷款",
            "a loan at your branch settled within the last 12 months",
        ),
        (
            HoldingCondition(whole_bank=True, all_of=ProductSet(("a", "b")), none_of=ProductSet((), ("p",))),
            "在全行已签约a和b，且在全行未签约p",
            "a and b over the whole bank and none of p over the whole bank",
        ),
        (
            FigureCondition("behaviour", bounds=(Bound("inflow_90d_minor", 12_000_000_000),)),
            "本网点近90天流入不低于1.2亿元",
            "an inflow in 90 days at your branch of at least CNY 120,000,000",
        ),
        (
            ValueCondition((Bound("tier", 4),), key=False, lifecycles=("LOST",)),
            "客户等级不低于4，且非重点客户，且生命周期为流失",
            "a tier of at least 4 and no mark of a key customer and the stage lost",
        ),
        (
            TagCondition(any_of=("DEPOSIT_POTENTIAL", "VIP"), none_of=("BLACKLIST",)),
            "至少有标签存款潜力或VIP之一，且没有标签黑名单",
            "at least one of the tags deposit potential or VIP and none of the tags blacklist",
        ),
        (
            ContactCondition(
                counts=(ContactCount(30, ("SMS", "CALL"), None, 0),),
                consents=(Permission("ALL", "wealth"),),
                rooms=(RoomLeft("SMS", 2, at=datetime(2026, 3, 5, 1, 30, tzinfo=UTC)),),
            ),
            "近30天短信或电话联系次数不高于0，且同意接收全部渠道·wealth营销，且2026年3月5日09:30还可营销联系2次以上（短信）",
            (
                "a number of contacts by text message or telephone in the last 30 days of at most 0 and consent to any"
                " channel about wealth and room on 5 March 2026 at 09:30 for marketing contacts by text message, at"
                " least 2"
            ),
        ),
    ],
)
def test_a_condition_is_said_as_people_write(condition: Condition, chinese: str, english: str) -> None:
    assert said(Query((condition,))) == (f"{chinese}的客户", f"Customers with {english}")


@pytest.mark.parametrize(
    ("conditions", "english"),
    [
        ((), "All customers you see"),
        ((IdentityCondition(),), "All customers you see"),
        ((MALE, AnyOf((MALE, RICH))), "Customers with sex male and (sex male or {rich})"),
        ((AnyOf((MALE, AllOf((MALE, RICH)))),), "Customers with sex male or (sex male and {rich})"),
        ((Not(AnyOf((MALE, RICH))),), "Customers with not (sex male or {rich})"),
        ((AnyOf((IdentityCondition(), RICH)),), "Customers with anything or {rich}"),
    ],
)
def test_combined_conditions_say_what_belongs_together(conditions: tuple[Condition, ...], english: str) -> None:
    rich = "a deposit balance over the whole bank of at least CNY 500,000"
    assert said(Query(conditions))[1] == english.format(rich=rich)


def test_order_and_confinement_are_said() -> None:
    query = Query((MALE,), Order(OrderField.TOTAL_AUM, descending=True))
    assert said(query, ["total", "tags"]) == (
        "性别为男的客户，按全行管理资产降序排列。仅限由您一方主办的客户，因为查询涉及全行数据和客户标签",
        (
            "Customers with sex male, ordered by assets under management over the whole bank, largest first. Only"
            " customers on whose primary side you are, since the query looks at figures of the whole bank and tags"
        ),
    )


def test_both_languages_have_the_same_words() -> None:
    for words in ("phrases", "codes", "orders", "where", "reasons"):
        assert getattr(CHINESE, words).keys() == getattr(ENGLISH, words).keys()
    for key, phrase in CHINESE.phrases.items():
        named = [{name for _, name, _, _ in Formatter().parse(text) if name} for text in (phrase, ENGLISH.phrases[key])]
        assert named[0] == named[1], key


def test_every_order_and_every_reason_to_confine_has_words() -> None:
    assert CHINESE.orders.keys() == set(OrderField)
    for field in ("total", "tags", "key_mark", "value"):
        assert CLEAR_FROM[field] == Level.PRIMARY
        assert field in CHINESE.reasons


@pytest.mark.parametrize(
    ("minor", "chinese", "english"),
    [
        (0, "0元", "CNY 0"),
        (5, "0.05元", "CNY 0.05"),
        (123_450, "1,234.50元", "CNY 1,234.50"),
        (1_000_000, "1万元", "CNY 10,000"),
        (1_234_500, "12,345元", "CNY 12,345"),
        (-1_500_000, "-1.5万元", "CNY -15,000"),
        (100_000_000_000, "10亿元", "CNY 1,000,000,000"),
    ],
)
def test_money_is_said_as_people_write_it(minor: int, chinese: str, english: str) -> None:
    assert (CHINESE.money(minor, "CNY"), ENGLISH.money(minor, "CNY")) == (chinese, english)


def test_another_currency_is_named() -> None:
    assert CHINESE.money(1_000_000, "CZK") == "1万CZK"
