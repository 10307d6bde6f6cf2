"""The feed as if sources knew who was merged: they go on telling the old id for good."""

from collections.abc import Sequence

import ibis
import pyarrow as pa
from ibis import _
from ibis.expr import types as ir

# Who is gone by a merge, and the living customer who has all that was his.
MERGED = pa.schema([pa.field("customer_id", pa.string()), pa.field("survivor_id", pa.string())])


def living(customers: ir.Table, merged: ir.Table) -> ir.Table:
    """The customers without those who are gone; who they were tells nothing of the survivor."""
    return customers.anti_join(merged, "customer_id")


def united(rows: ir.Table, merged: ir.Table, key: Sequence[str]) -> ir.Table:
    """The rows under the ids of survivors. Of rows that have the same key by that, the survivor's own stays."""
    told = rows.left_join(merged, "customer_id").drop("customer_id_right")
    named = told.mutate(
        customer_id=ibis.coalesce(_.survivor_id, _.customer_id), old_id=_.customer_id, is_old=_.survivor_id.notnull()
    )
    if "customer_id" not in key:
        return named.select(*rows.columns)
    places = ibis.window(group_by=list(key), order_by=["is_old", "old_id"])
    return named.mutate(place=ibis.row_number().over(places)).filter(_.place < 1).select(*rows.columns)
