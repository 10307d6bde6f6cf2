"""The tables of tags and key marks, as SQLAlchemy Core sees them; the migrations create them."""

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Date, DateTime, Integer, SmallInteger, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from services.customer_svc.store.tables import METADATA


def _text(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, Text, nullable=nullable)


def _number(name: str) -> Column[Any]:
    return Column(name, Integer, nullable=False)


def _flag(name: str) -> Column[Any]:
    return Column(name, Boolean, nullable=False)


def _day(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, Date, nullable=nullable)


def _time(name: str) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=False)


def _key(*names: str) -> list[Column[Any]]:
    return [Column(name, Text, primary_key=True) for name in names]


tag_policies = Table(
    "tag_policies",
    METADATA,
    Column("version", Integer, primary_key=True),
    _day("start_date"),
    _number("expiry_days"),
    _number("override_days_max"),
    _text("actor"),
    _time("create_time"),
)

tags = Table(
    "tags",
    METADATA,
    *_key("tag_code"),
    _text("kind"),
    _text("display_name"),
    _text("display_name_en"),
    _text("rule_text"),
    _text("rule_text_en"),
    _text("branch_id", nullable=True),
    _text("actor"),
    _time("create_time"),
    Column("retire_time", DateTime(timezone=True)),
)

# What the batch says; imports write nothing else.
potential_tags = Table(
    "potential_tags",
    METADATA,
    *_key("customer_id", "tag_code"),
    _text("rule_version"),
    _day("as_of_date"),
    _day("expiry_date"),
    Column("evidence", JSONB, nullable=False),
)

# What hands say: of manual tags, and of potential ones against the batch.
manual_tags = Table(
    "manual_tags",
    METADATA,
    *_key("customer_id", "tag_code"),
    _text("reason"),
    _day("end_date", nullable=True),
    _text("actor"),
    _time("create_time"),
)
tag_overrides = Table(
    "tag_overrides",
    METADATA,
    *_key("customer_id", "tag_code"),
    _flag("is_set"),
    _text("reason"),
    _day("end_date"),
    _text("actor"),
    _time("create_time"),
)

tag_changes = Table(
    "tag_changes",
    METADATA,
    *_key("customer_id"),
    Column("change_id", BigInteger, primary_key=True),
    _text("tag_code"),
    _text("kind"),
    _text("reason"),
    _day("end_date", nullable=True),
    _text("actor"),
    _text("branch_id"),
    _time("create_time"),
)

# Up to which business date customers lost what had expired, and which night told of potential tags last.
tag_day = Table(
    "tag_day",
    METADATA,
    Column("only_row", SmallInteger, primary_key=True),
    _day("applied_date"),
    _day("told_date", nullable=True),
)

key_policies = Table(
    "key_policies",
    METADATA,
    Column("version", Integer, primary_key=True),
    _day("start_date"),
    Column("asset_minor", BigInteger, nullable=False),
    Column("loan_minor", BigInteger, nullable=False),
    _number("keep_percent"),
    _number("below_count_max"),
    _number("manual_days_max"),
    _text("actor"),
    _time("create_time"),
)

# `base_…` is what the rest was before `night_date`, the night that last changed it: so a night can be told again.
key_marks = Table(
    "key_marks",
    METADATA,
    *_key("customer_id"),
    _flag("asset"),
    _flag("loan"),
    _number("asset_below"),
    _number("loan_below"),
    _flag("base_asset"),
    _flag("base_loan"),
    _number("base_asset_below"),
    _number("base_loan_below"),
    _day("base_since_date", nullable=True),
    _day("night_date", nullable=True),
    _day("manual_until_date", nullable=True),
    _text("reason", nullable=True),
    _day("since_date", nullable=True),
)

# The last month-end whose test ran, for whomever.
key_test_day = Table("key_test_day", METADATA, Column("only_row", SmallInteger, primary_key=True), _day("test_date"))

key_mark_proposals = Table(
    "key_mark_proposals",
    METADATA,
    *_key("customer_id", "proposal_id"),
    _text("state"),
    _text("reason"),
    _day("end_date"),
    _text("proposer"),
    _time("create_time"),
    _text("actor"),
    _text("decision_reason"),
    _time("update_time"),
)

key_mark_changes = Table(
    "key_mark_changes",
    METADATA,
    *_key("customer_id"),
    Column("change_id", BigInteger, primary_key=True),
    _text("kind"),
    _text("old_reason", nullable=True),
    _text("new_reason", nullable=True),
    _text("actor"),
    _text("reason"),
    _day("business_date"),
    _time("create_time"),
    _text("proposal_id", nullable=True),
)
