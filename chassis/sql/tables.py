"""The tables that every service's database has, as SQLAlchemy Core sees them; `schema.py` creates them."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, UUID
from sqlalchemy.types import UserDefinedType


class Xid8(UserDefinedType[int]):
    """PostgreSQL's 64-bit transaction id, an integer in Python."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:  # noqa: ANN401 - SQLAlchemy's signature
        return "xid8"


def rev_column() -> Column[int]:
    """The column `rev` of a feed's root table: every statement that changes the aggregate sets it (design 4.6)."""
    return Column("rev", Xid8(), nullable=False, server_default=text("pg_current_xact_id()"))


@dataclass(frozen=True)
class ChassisTables:
    """The chassis' tables in one service's metadata."""

    idempotency: Table
    audit: Table
    audit_seal: Table
    operation: Table
    feed_cursor: Table
    feed_epoch: Table
    business_day: Table


def chassis_tables(metadata: MetaData) -> ChassisTables:
    """Adds the chassis' tables to a service's metadata."""
    return ChassisTables(
        idempotency=_idempotency(metadata),
        audit=_audit(metadata),
        audit_seal=_audit_seal(metadata),
        operation=_operation(metadata),
        feed_cursor=_feed_cursor(metadata),
        feed_epoch=_feed_epoch(metadata),
        business_day=_business_day(metadata),
    )


def _text(name: str, default: str | None = None) -> Column[str]:
    return Column(name, Text, nullable=False, server_default=default)


def _time(name: str, *, nullable: bool = False) -> Column[Any]:
    default = None if nullable else text("bank_now()")
    return Column(name, DateTime(timezone=True), nullable=nullable, server_default=default)


def _idempotency(metadata: MetaData) -> Table:
    return Table(
        "idempotency",
        metadata,
        _text("request_id"),
        _text("caller"),
        _text("method"),
        Column("request_hash", LargeBinary, nullable=False),
        Column("response", LargeBinary, nullable=False),
        _time("create_time"),
        PrimaryKeyConstraint("request_id", "caller", "method"),
        Index("idempotency_create_time", "create_time"),
    )


def _audit(metadata: MetaData) -> Table:
    return Table(
        "audit",
        metadata,
        _time("time"),
        Column("audit_id", BigInteger, Identity(always=True), nullable=False),
        rev_column(),
        _text("caller"),
        _text("branch_id"),
        _text("request_id"),
        _text("method"),
        _text("customer_id"),
        Column("detail", JSONB, nullable=False, server_default=text("'{}'")),
        PrimaryKeyConstraint("time", "audit_id"),
        Index("audit_rev", "rev"),
        Index("audit_customer", "customer_id", "time"),
        Index("audit_caller", "caller", "time"),
        postgresql_partition_by="RANGE (time)",
    )


def _audit_seal(metadata: MetaData) -> Table:
    return Table(
        "audit_seal",
        metadata,
        Column("seal_id", BigInteger, primary_key=True, autoincrement=False),
        Column("from_rev", Xid8(), nullable=False),
        Column("until_rev", Xid8(), nullable=False),
        Column("row_count", BigInteger, nullable=False),
        Column("hash", LargeBinary, nullable=False),
        _time("create_time"),
    )


def _operation(metadata: MetaData) -> Table:
    return Table(
        "operation",
        metadata,
        Column("operation_id", UUID(as_uuid=False), primary_key=True, server_default=text("uuidv7()")),
        _text("kind"),
        _text("caller_id"),
        _text("request_id"),
        Column("request", LargeBinary, nullable=False),
        _text("state", "WAITING"),
        Column("cancelled", Boolean, nullable=False, server_default=text("false")),
        Column("metadata", LargeBinary),
        Column("response", LargeBinary),
        Column("error", LargeBinary),
        Column("claimed_by", Text),
        _time("heartbeat_time", nullable=True),
        _time("create_time"),
        _time("end_time", nullable=True),
        UniqueConstraint("caller_id", "kind", "request_id"),
        Index("operation_open", "create_time", postgresql_where=text("state <> 'DONE'")),
    )


def _feed_cursor(metadata: MetaData) -> Table:
    return Table(
        "feed_cursor",
        metadata,
        Column("name", Text, primary_key=True),
        _text("token"),
        Column("generation", Integer, nullable=False),
        Column("settled", Boolean, nullable=False),
        _time("caught_up_time", nullable=True),
    )


def _feed_epoch(metadata: MetaData) -> Table:
    return Table(
        "feed_epoch",
        metadata,
        Column("only_row", SmallInteger, primary_key=True, autoincrement=False, server_default="1"),
        _text("node"),
        Column("epoch", Integer, nullable=False),
        _text("server"),
    )


def _business_day(metadata: MetaData) -> Table:
    return Table(
        "business_day",
        metadata,
        Column("only_row", SmallInteger, primary_key=True, autoincrement=False, server_default="1"),
        Column("business_date", Date, nullable=False),
    )
