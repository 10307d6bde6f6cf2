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
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)

from services.assignment_svc.store.columns import id_column, number_column
from services.assignment_svc.store.tables import metadata


def _count(name: str) -> Column[Any]:
    return Column(name, BigInteger, nullable=False)


# Whose facts were changed within the day and are not decided over yet.
changed_facts = Table("changed_facts", metadata, id_column("customer_id"), PrimaryKeyConstraint("customer_id"))

# A finished trial of other parameters. Nothing of it is anybody's ownership.
policy_trial = Table(
    "policy_trial",
    metadata,
    id_column("trial_id"),
    number_column("grace_days"),
    number_column("run_off_days"),
    number_column("challenge_percent"),
    number_column("return_months"),
    number_column("protection_idle_days"),
    number_column("lead_days"),
    Column("business_date", Date, nullable=False),
    number_column("compared_version"),
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
    id_column("trial_id"),
    id_column("branch_id"),
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
    id_column("trial_id"),
    id_column("branch_id"),
    id_column("manager_id"),
    _count("gained_count"),
    _count("lost_count"),
    PrimaryKeyConstraint("trial_id", "branch_id", "manager_id"),
)


def _row(name: str) -> list[Column[Any]]:
    return [
        Column(f"{name}_side", Text),
        Column(f"{name}_rule", Text),
        id_column(f"{name}_manager_id", nullable=True),
        id_column(f"{name}_named_manager_id", nullable=True),
        id_column(f"{name}_basis", nullable=True),
        Column(f"{name}_amount_minor", BigInteger),
        id_column(f"{name}_rival_branch_id", nullable=True),
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
    id_column("customer_id"),
    id_column("trial_id"),
    id_column("branch_id"),
    Column("change", Text, nullable=False),
    *_row("old"),
    *_row("new"),
    PrimaryKeyConstraint("customer_id", "trial_id", "branch_id"),
    Index("policy_trial_row_trial", "trial_id", "customer_id", "branch_id"),
    CheckConstraint("change IN ('MADE', 'CHANGED', 'ENDED')", name="policy_trial_row_change"),
)
