"""The tables of groups and exports, as SQLAlchemy Core sees them."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
)

from services.customer_svc.store.tables import METADATA

customer_groups = Table(
    "customer_groups",
    METADATA,
    Column("group_id", Text, primary_key=True),
    Column("display_name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("owner_id", Text, nullable=False),
    Column("sharing", Text, nullable=False),
    Column("shared_branch_id", Text),
    Column("kind", Text, nullable=False),
    # As the wire brought it: only `rpc` can read it. `query_version` grows with each other query.
    Column("query", LargeBinary),
    Column("query_version", Integer, nullable=False),
    Column("refresh_nightly", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("update_time", DateTime(timezone=True), nullable=False),
    Column("delete_time", DateTime(timezone=True)),
    # The members that count: those of this generation. None while the group was never built.
    Column("live_generation", Integer),
    # What its owner, and what others, must be to a customer to know that he is a member; None: as the owner.
    Column("least_level", SmallInteger),
    Column("least_level_of_others", SmallInteger),
    Column("member_count", BigInteger),
    Column("last_build_time", DateTime(timezone=True)),
    Column("last_build_micros", BigInteger),
    Column("built_date", Date),
    # The latest build and where it is; another one takes over by setting its own id.
    Column("build_operation_id", Text),
    Column("build_id", Text),
    Column("build_generation", Integer, nullable=False),
    Column("build_query_version", Integer),
    Column("build_date", Date),
    Column("build_start_time", DateTime(timezone=True)),
    Column("build_after", Text),
    Column("build_done_count", BigInteger, nullable=False),
    Column("build_member_count", BigInteger, nullable=False),
)

# The groups that a group's query names, also while it is deleted.
group_references = Table(
    "group_references",
    METADATA,
    Column("group_id", Text, primary_key=True),
    Column("referred_group_id", Text, primary_key=True),
)

group_members = Table(
    "group_members",
    METADATA,
    Column("customer_id", Text, primary_key=True),
    Column("group_id", Text, primary_key=True),
    Column("generation", Integer, primary_key=True),
)

# Generations that were replaced or given up, whose members are still there for a while.
group_generations_ended = Table(
    "group_generations_ended",
    METADATA,
    Column("group_id", Text, primary_key=True),
    Column("generation", Integer, primary_key=True),
    Column("end_time", DateTime(timezone=True), nullable=False),
)

export_policies = Table(
    "export_policies",
    METADATA,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("start_time", DateTime(timezone=True), nullable=False),
    Column("rows_max_manager", Integer, nullable=False),
    Column("rows_max_head", Integer, nullable=False),
    Column("rows_max_head_office", Integer, nullable=False),
)

exports = Table(
    "exports",
    METADATA,
    Column("export_id", Text, primary_key=True),
    Column("creator_id", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("format", Text, nullable=False),
    Column("columns", ARRAY(Text), nullable=False),
    Column("row_count", BigInteger, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("create_time", DateTime(timezone=True), nullable=False),
    Column("expire_time", DateTime(timezone=True), nullable=False),
    Column("finished", Boolean, nullable=False),
)

export_chunks = Table(
    "export_chunks",
    METADATA,
    Column("export_id", Text, primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    Column("content", LargeBinary, nullable=False),
)
