"""The tables of policy trials and of changed facts, as SQLAlchemy Core sees them; the migrations create them."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

from services.assignment_svc.store.tables_private_managers import metadata


def _id(name: str, *, nullable: bool = False) -> Column[Any]:
    return Column(name, Text(collation="C"), nullable=nullable)


def _count(name: str) -> Column[Any]:
    return Column(name, BigInteger, nullable=False)


def _number(name: str) -> Column[Any]:
    return Column(name, Integer, nullable=False)


# Whose facts were changed within the day and are not decided over yet.
changed_facts = Table("changed_facts", metadata, _id("customer_id"), PrimaryKeyConstraint("customer_id"))

# A finished trial of other parameters. Nothing of it is anybody's ownership.
policy_trial = Table(
    "policy_trial",
    metadata,
    _id("trial_id"),
    _number("grace_days"),
    _number("run_off_days"),
    _number("challenge_percent"),
    _number("return_months"),
    _number("protection_idle_days"),
    _number("lead_days"),
    Column("business_date", Date, nullable=False),
    _number("compared_version"),
    Column("actor", Text, nullable=False),
    _count("customer_count"),
    _count("changed_customer_count"),
    Column("create_time", DateTime(timezone=True), nullable=False, server_default=text("bank_now()")),
    Column("expire_time", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("trial_id"),
    Index("policy_trial_create_time", "create_time", "trial_id"),
)

policy_trial_branch = Table(
    "policy_trial_branch",
    metadata,
    _id("trial_id"),
    _id("branch_id"),
    _count("primary_gained_count"),
    _count("primary_lost_count"),
    _count("row_gained_count"),
    _count("row_lost_count"),
    _count("manager_changed_count"),
    _count("changed_row_count"),
    PrimaryKeyConstraint("trial_id", "branch_id"),
)

# No manager, the branch's virtual one, is the empty text here: it is part of the key.
policy_trial_manager = Table(
    "policy_trial_manager",
    metadata,
    _id("trial_id"),
    _id("branch_id"),
    _id("manager_id"),
    _count("gained_count"),
    _count("lost_count"),
    PrimaryKeyConstraint("trial_id", "branch_id", "manager_id"),
)


def _row(name: str) -> list[Column[Any]]:
    return [
        Column(f"{name}_side", Text),
        Column(f"{name}_rule", Text),
        _id(f"{name}_manager_id", nullable=True),
        _id(f"{name}_named_manager_id", nullable=True),
        _id(f"{name}_basis", nullable=True),
        Column(f"{name}_amount_minor", BigInteger),
        _id(f"{name}_rival_branch_id", nullable=True),
        Column(f"{name}_rival_amount_minor", BigInteger),
        Column(f"{name}_held_by_margin", Boolean),
        Column(f"{name}_since_date", Date),
        Column(f"{name}_from_date", Date),
        Column(f"{name}_due_date", Date),
    ]


# A row of ownership that would change: as it was, and as it would be.
policy_trial_row = Table(
    "policy_trial_row",
    metadata,
    _id("customer_id"),
    _id("trial_id"),
    _id("branch_id"),
    Column("change", Text, nullable=False),
    *_row("old"),
    *_row("new"),
    PrimaryKeyConstraint("customer_id", "trial_id", "branch_id"),
    Index("policy_trial_row_trial", "trial_id", "customer_id", "branch_id"),
    CheckConstraint("change IN ('MADE', 'CHANGED', 'ENDED')", name="policy_trial_row_change"),
)
