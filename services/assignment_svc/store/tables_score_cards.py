"""The tables of credit, targets and score cards, as SQLAlchemy Core sees them; the migrations create them."""

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Date, DateTime, Integer, PrimaryKeyConstraint, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from services.assignment_svc.store.tables_merges import metadata


def _id(name: str, *, nullable: bool = False, primary_key: bool = False) -> Column[Any]:
    return Column(name, Text(collation="C"), nullable=nullable, primary_key=primary_key)


def _text(name: str, **more: Any) -> Column[Any]:  # noqa: ANN401 - as Column takes them
    return Column(name, Text, nullable=False, **more)


def _date(name: str, **more: Any) -> Column[Any]:  # noqa: ANN401 - as Column takes them
    return Column(name, Date, nullable=False, **more)


def _amount(name: str, *, nullable: bool = True) -> Column[Any]:
    return Column(name, BigInteger, nullable=nullable)


def _number(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, Integer, nullable=nullable)


def _flag(name: str) -> Column[Any]:
    return Column(name, Boolean, nullable=False)


def _time(name: str) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=text("bank_now()"))


# Of which business date the tables of the feed are that score cards are made from.
score_import = Table("score_import", metadata, _text("table_name", primary_key=True), _date("business_date"))

# End-of-day deposits of a customer at a branch where they changed: this month's of the feed, and those of the one
# before. A balance holds until the next row; before the first it is 0.
balance_step = Table(
    "balance_step",
    metadata,
    _id("customer_id"),
    _id("branch_id"),
    _date("from_date"),
    _amount("balance_minor", nullable=False),
    PrimaryKeyConstraint("customer_id", "branch_id", "from_date"),
)

# What a customer has in a month over the whole bank, as of its last night; empty if unknown.
customer_month = Table(
    "customer_month",
    metadata,
    _id("customer_id"),
    _date("month_date"),
    *(
        _amount(name)
        for name in ("deposit_average_minor", "deposit_growth_minor", "wealth_minor", "loan_minor", "category_count")
    ),
    *(_flag(name) for name in ("had_business", "has_business", "new_customer", "key_customer")),
    PrimaryKeyConstraint("customer_id", "month_date"),
)

# Who gets a part of the primary side's credit, on [from_date, until_date): one at a time for each customer.
interception = Table(
    "interception",
    metadata,
    _id("customer_id"),
    _id("interception_id"),
    _id("staff_id"),
    _id("branch_id"),
    _date("from_date"),
    _date("until_date"),
    _text("reason"),
    _text("actor"),
    _time("create_time"),
    PrimaryKeyConstraint("customer_id", "interception_id"),
)

# Who gets a manager's credit while he is away, on [from_date, until_date): one at a time for each manager.
credit_custody = Table(
    "credit_custody",
    metadata,
    _id("custody_id", primary_key=True),
    _id("branch_id"),
    _id("from_staff_id"),
    _id("to_staff_id"),
    _date("from_date"),
    _date("until_date"),
    _text("reason"),
    _text("actor"),
    _time("create_time"),
)

# Whose part of a customer's month it is; without staff the branch's virtual manager's. Shares of a month make 10,000.
credit = Table(
    "credit",
    metadata,
    _id("customer_id"),
    _date("month_date"),
    _id("branch_id"),
    _id("staff_id"),
    _number("share"),
    *(_amount(name) for name in ("deposit_minor", "growth_minor", "wealth_minor", "loan_minor")),
    PrimaryKeyConstraint("customer_id", "month_date", "branch_id", "staff_id"),
)

# The version for a month is the youngest that begins with it or before.
score_policy = Table(
    "score_policy",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    _date("from_date"),
    *(
        _number(name)
        for name in ("primary_percent", "secondary_percent", "interceptor_percent", "achieved_percent_max")
    ),
    Column("weights", JSONB, nullable=False),
    _text("actor"),
    _time("create_time"),
)

score_month = Table(
    "score_month",
    metadata,
    _date("month_date", primary_key=True),
    _text("state"),
    _date("as_of_date"),
    _number("policy_version"),
    _id("actor", nullable=True),
    _text("reason", server_default=""),
    _time("update_time"),
)

# Without staff the branch's own.
score_card = Table(
    "score_card",
    metadata,
    _date("month_date"),
    _id("branch_id"),
    _id("staff_id"),
    _amount("customer_count", nullable=False),
    _number("score", nullable=True),
    _number("rank", nullable=True),
    Column("ranked_count", Integer, nullable=False, server_default="0"),
    PrimaryKeyConstraint("month_date", "branch_id", "staff_id"),
)

# `whole` is the sum over the customers; of a ratio `base` is what it is divided by.
score_figure = Table(
    "score_figure",
    metadata,
    _date("month_date"),
    _id("branch_id"),
    _id("staff_id"),
    _text("indicator"),
    _amount("whole", nullable=False),
    _amount("base"),
    _amount("value"),
    Column("unknown_count", BigInteger, nullable=False, server_default="0"),
    _amount("target"),
    _number("achieved", nullable=True),
    Column("weight", Integer, nullable=False, server_default="0"),
    PrimaryKeyConstraint("month_date", "branch_id", "staff_id", "indicator"),
)

# Without staff the branch's own; the youngest version counts, and one without a value takes the target back.
target = Table(
    "target",
    metadata,
    _id("target_id", primary_key=True),
    _id("branch_id"),
    _id("staff_id"),
    _text("indicator"),
    _text("period"),
    _date("period_date"),
    _amount("value"),
    _number("version"),
    _text("actor"),
    _time("create_time"),
)
