"""A query in words, with what confines it."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from services.customer_svc.domain.query import Query
from services.customer_svc.domain.reach import confining_fields
from services.customer_svc.domain.viewing import Reading
from services.customer_svc.domain.words import explained
from services.customer_svc.domain.words_en import ENGLISH
from services.customer_svc.domain.words_zh import CHINESE
from services.customer_svc.usecases.ask_query import ask
from services.customer_svc.usecases.scopes import read_count_scope


@dataclass(frozen=True)
class Explained:
    """A query in words."""

    chinese: str
    english: str
    confined: bool
    confining_fields: list[str]
    """The fields of the request that confine it."""


async def explain_query(conn: AsyncConnection, query: Query, reading: Reading, currency: str) -> Explained:
    """Says whom the query finds for the viewer, and why not others; refuses what he may not ask."""
    reach = await read_count_scope(conn, reading.viewer)
    asked = await ask(conn, query, reading.viewer, reach)
    confining = list(confining_fields(asked.query)) if asked.reach.confined else []
    seen = list(dict.fromkeys(each.seen for each in confining))
    return Explained(
        explained(query, seen, currency, CHINESE) + "。",
        explained(query, seen, currency, ENGLISH) + ".",
        asked.reach.confined,
        [each.path for each in confining],
    )
