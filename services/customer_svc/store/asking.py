"""What a query must know before it is asked: when it is, which tags there are, and how long a count may take."""

from collections.abc import Collection
from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Refused
from services.customer_svc.domain.query import Asked
from services.customer_svc.store import search

_MOMENT = text(
    "SELECT coalesce((SELECT business_date FROM business_day), (bank_now() AT TIME ZONE 'Asia/Shanghai')::date),"
    " bank_now()"
)
_TAGS = text("SELECT tag_code FROM tags WHERE tag_code = ANY(:codes)")
_TIMEOUT = text("SELECT set_config('statement_timeout', :milliseconds, true)")


async def read_moment(conn: AsyncConnection) -> tuple[date, datetime]:
    """The business date of the figures (before the first import today by bank time), and the instant."""
    day, now = (await conn.execute(_MOMENT)).one()
    return day, now


async def existing_tags(conn: AsyncConnection, codes: Collection[str]) -> frozenset[str]:
    """Those of the codes that a tag has."""
    return frozenset((await conn.execute(_TAGS, {"codes": sorted(codes)})).scalars())


async def count_within(tx: AsyncConnection, asked: Asked, seconds: float) -> int | None:
    """How many customers fulfil a query, or None if counting them takes longer than that."""
    try:
        async with tx.begin_nested():
            await search.limit_seconds(tx, seconds)
            number = await search.count(tx, asked)
            await search.limit_seconds(tx)
            return number
    except Refused as refused:
        if refused.reason != search.TOO_COSTLY:
            raise
        return None
