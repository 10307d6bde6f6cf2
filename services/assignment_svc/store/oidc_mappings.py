"""Whom outside identities speak for, and which of their tokens served already."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.assignment_svc.store.tables_org_changes import oidc_mapping, oidc_token

_FORGET = text(
    "DELETE FROM oidc_token WHERE token_hash IN (SELECT token_hash FROM oidc_token"
    " WHERE expire_time < bank_now() - interval '1 hour' LIMIT 10000)"
)


@dataclass(frozen=True)
class OidcMapping:
    """An identity of an issuer, and the staff member for whom it speaks."""

    mapping_id: str
    issuer: str
    subject: str
    staff_id: str
    actor: str
    create_time: datetime


async def staff_of(conn: AsyncConnection, issuer: str, subject: str) -> str | None:
    """Whom an identity speaks for."""
    query = select(oidc_mapping.c.staff_id).where(oidc_mapping.c.issuer == issuer, oidc_mapping.c.subject == subject)
    return (await conn.execute(query)).scalar_one_or_none()


async def add_mapping(tx: AsyncConnection, issuer: str, subject: str, staff_id: str, actor: str) -> OidcMapping | None:
    """Stores a mapping; None if the identity, or the staff member at this issuer, has one."""
    values = {"mapping_id": uuid.uuid4().hex, "issuer": issuer, "subject": subject, "staff_id": staff_id}
    statement = insert(oidc_mapping).values(**values, actor=actor).on_conflict_do_nothing().returning(oidc_mapping)
    row = (await tx.execute(statement)).one_or_none()
    return _mapping(row) if row else None


async def get_mapping(conn: AsyncConnection, mapping_id: str) -> OidcMapping | None:
    """One mapping."""
    row = (await conn.execute(select(oidc_mapping).where(oidc_mapping.c.mapping_id == mapping_id))).one_or_none()
    return _mapping(row) if row else None


async def list_mappings(conn: AsyncConnection, staff_id: str | None, after: str, limit: int) -> Sequence[OidcMapping]:
    """Mappings by id, of one staff member or of all."""
    query = select(oidc_mapping).where(oidc_mapping.c.mapping_id > after)
    if staff_id is not None:
        query = query.where(oidc_mapping.c.staff_id == staff_id)
    rows = await conn.execute(query.order_by(oidc_mapping.c.mapping_id).limit(limit))
    return [_mapping(row) for row in rows]


async def remove_mapping(tx: AsyncConnection, mapping_id: str) -> OidcMapping | None:
    """Takes a mapping away and tells what it was; None if there is none."""
    query = delete(oidc_mapping).where(oidc_mapping.c.mapping_id == mapping_id).returning(oidc_mapping)
    row = (await tx.execute(query)).one_or_none()
    return _mapping(row) if row else None


async def use_token(tx: AsyncConnection, token_hash: bytes, expire_time: datetime) -> bool:
    """Remembers that a token served; False if it had served before. Of two at once the second waits, and is told."""
    statement = insert(oidc_token).values(token_hash=token_hash, expire_time=expire_time).on_conflict_do_nothing()
    return (await tx.execute(statement)).rowcount > 0


async def forget_tokens(tx: AsyncConnection) -> int:
    """Deletes tokens that nobody takes any more, some at a time."""
    return (await tx.execute(_FORGET)).rowcount


def _mapping(row: Row[Any]) -> OidcMapping:
    return OidcMapping(row.mapping_id, row.issuer, row.subject, row.staff_id, row.actor, row.create_time)
