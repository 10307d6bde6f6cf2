"""The figures of many customers at once, for files that have them as columns."""

from collections.abc import Mapping, Sequence

from sqlalchemy import ARRAY, Text, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.customer_svc.domain.indicators import Figure
from services.customer_svc.store.figure_columns import FIGURES
from services.customer_svc.store.tables import METADATA, customers

Figures = Mapping[str, Figure]

_of_branches = METADATA.tables["customer_branch_figures"]
_WANTED = (
    func.unnest(bindparam("ids", type_=ARRAY(Text)), bindparam("branch_ids", type_=ARRAY(Text)))
    .table_valued("customer_id", "branch_id", name="wanted")
    .render_derived()
)
_TOTALS = select(customers.c.customer_id, *(customers.c[f"total_{name}"].label(name) for name in FIGURES)).where(
    customers.c.customer_id == func.any(bindparam("ids", type_=ARRAY(Text)))
)
_OWN = select(_of_branches.c.customer_id, *(_of_branches.c[name] for name in FIGURES)).select_from(
    _of_branches.join(
        _WANTED,
        (_of_branches.c.customer_id == _WANTED.c.customer_id) & (_of_branches.c.branch_id == _WANTED.c.branch_id),
    )
)


async def read_totals(conn: AsyncConnection, customer_ids: Sequence[str]) -> Mapping[str, Figures]:
    """Over the whole bank, by customer."""
    rows = (await conn.execute(_TOTALS, {"ids": list(customer_ids)})).mappings()
    return {row["customer_id"]: {name: row[name] for name in FIGURES} for row in rows}


async def read_own(conn: AsyncConnection, branch_of: Mapping[str, str]) -> Mapping[str, Figures]:
    """At one branch of each customer, by customer; who has none there is left out."""
    asked = {"ids": list(branch_of), "branch_ids": list(branch_of.values())}
    rows = (await conn.execute(_OWN, asked)).mappings()
    return {row["customer_id"]: {name: row[name] for name in FIGURES} for row in rows}
