"""The tables of credit, targets and score cards, as SQLAlchemy Core sees them; the migrations create them."""

from sqlalchemy import BigInteger, Column, Integer, PrimaryKeyConstraint, Table
from sqlalchemy.dialects.postgresql import JSONB

from services.assignment_svc.store.columns import (
    date_column,
    flag_column,
    id_column,
    made_column,
    minor_column,
    number_column,
    text_column,
)
from services.assignment_svc.store.tables import metadata

# Of which business date the tables of the feed are that score cards are made from.
score_import = Table(
    "score_import", metadata, text_column("table_name", primary_key=True), date_column("business_date")
)

# End-of-day deposits of a customer at a branch where they changed: this month's of the feed, and those of the one
# before. A balance holds until the next row; before the first it is 0.
balance_step = Table(
    "balance_step",
    metadata,
    id_column("customer_id"),
    id_column("branch_id"),
    date_column("from_date"),
    minor_column("balance_minor", nullable=False),
    PrimaryKeyConstraint("customer_id", "branch_id", "from_date"),
)

# What a customer has in a month over the whole bank, as of its last night; empty if unknown.
customer_month = Table(
    "customer_month",
    metadata,
    id_column("customer_id"),
    date_column("month_date"),
    *(
        minor_column(name)
        for name in ("deposit_average_minor", "deposit_growth_minor", "wealth_minor", "loan_minor", "category_count")
    ),
    *(flag_column(name) for name in ("had_business", "has_business", "new_customer", "key_customer")),
    PrimaryKeyConstraint("customer_id", "month_date"),
)

# Who gets a part of the primary side's credit, on [from_date, until_date): one at a time for each customer.
interception = Table(
    "interception",
    metadata,
    id_column("customer_id"),
    id_column("interception_id"),
    id_column("staff_id"),
    id_column("branch_id"),
    date_column("from_date"),
    date_column("until_date"),
    text_column("reason"),
    text_column("actor"),
    made_column("create_time"),
    PrimaryKeyConstraint("customer_id", "interception_id"),
)

# Who gets a manager's credit while he is away, on [from_date, until_date): one at a time for each manager.
credit_custody = Table(
    "credit_custody",
    metadata,
    id_column("custody_id", primary_key=True),
    id_column("branch_id"),
    id_column("from_staff_id"),
    id_column("to_staff_id"),
    date_column("from_date"),
    date_column("until_date"),
    text_column("reason"),
    text_column("actor"),
    made_column("create_time"),
)

# Whose part of a customer's month it is; without staff the branch's virtual manager's. Shares of a month make 10,000.
credit = Table(
    "credit",
    metadata,
    id_column("customer_id"),
    date_column("month_date"),
    id_column("branch_id"),
    id_column("staff_id"),
    number_column("share"),
    *(minor_column(name) for name in ("deposit_minor", "growth_minor", "wealth_minor", "loan_minor")),
    PrimaryKeyConstraint("customer_id", "month_date", "branch_id", "staff_id"),
)

# The version for a month is the youngest that begins with it or before.
score_policy = Table(
    "score_policy",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    date_column("from_date"),
    *(
        number_column(name)
        for name in ("primary_percent", "secondary_percent", "interceptor_percent", "achieved_percent_max")
    ),
    Column("weights", JSONB, nullable=False),
    text_column("actor"),
    made_column("create_time"),
)

score_month = Table(
    "score_month",
    metadata,
    date_column("month_date", primary_key=True),
    text_column("state"),
    date_column("as_of_date"),
    number_column("policy_version"),
    id_column("actor", nullable=True),
    text_column("reason", default=""),
    made_column("update_time"),
)

# Without staff the branch's own.
score_card = Table(
    "score_card",
    metadata,
    date_column("month_date"),
    id_column("branch_id"),
    id_column("staff_id"),
    minor_column("customer_count", nullable=False),
    number_column("score", nullable=True),
    number_column("rank", nullable=True),
    Column("ranked_count", Integer, nullable=False, server_default="0"),
    PrimaryKeyConstraint("month_date", "branch_id", "staff_id"),
)

# `whole` is the sum over the customers; of a ratio `base` is what it is divided by.
score_figure = Table(
    "score_figure",
    metadata,
    date_column("month_date"),
    id_column("branch_id"),
    id_column("staff_id"),
    text_column("indicator"),
    minor_column("whole", nullable=False),
    minor_column("base"),
    minor_column("value"),
    Column("unknown_count", BigInteger, nullable=False, server_default="0"),
    minor_column("target"),
    number_column("achieved", nullable=True),
    Column("weight", Integer, nullable=False, server_default="0"),
    PrimaryKeyConstraint("month_date", "branch_id", "staff_id", "indicator"),
)

# Without staff the branch's own; the youngest version counts, and one without a value takes the target back.
target = Table(
    "target",
    metadata,
    id_column("target_id", primary_key=True),
    id_column("branch_id"),
    id_column("staff_id"),
    text_column("indicator"),
    text_column("period"),
    date_column("period_date"),
    minor_column("value"),
    number_column("version"),
    text_column("actor"),
    made_column("create_time"),
)
