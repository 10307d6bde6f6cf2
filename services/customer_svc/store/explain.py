"""What PostgreSQL's planner expects of a statement, without running it."""

from typing import Any

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ClauseElement


class Explain(Executable, ClauseElement):
    """EXPLAIN of a statement, with the statement's own parameters; `options` as PostgreSQL has them."""

    inherit_cache = False

    def __init__(self, statement: Select[Any], options: str = "FORMAT JSON") -> None:
        self.statement = statement
        self.told = options


@compiles(Explain)
def _explain(element: Explain, compiler: SQLCompiler, **kwargs: Any) -> str:  # noqa: ANN401 - SQLAlchemy's own
    return f"EXPLAIN ({element.told}) {compiler.process(element.statement, **kwargs)}"


async def planned_rows(conn: AsyncConnection, statement: Select[Any]) -> int:
    """How many rows the planner expects."""
    (told,) = (await conn.execute(Explain(statement))).one()
    return int(told[0]["Plan"]["Plan Rows"])
