from dataclasses import fields
from datetime import UTC, datetime

import pytest

from services.customer_svc.domain.business import Totals
from services.customer_svc.domain.customer import Identity, Owner, View
from services.customer_svc.domain.exports import (
    COLUMNS,
    Export,
    ExportPolicy,
    Format,
    Order,
    rows_max,
    safe_text,
    unknown_columns,
)
from services.customer_svc.domain.viewing import Level


@pytest.mark.parametrize(
    ("roles", "is_top", "most"),
    [
        ({"MANAGER"}, False, 1_000),
        ({"MANAGER"}, True, 1_000),
        ({"PRIVATE_MANAGER"}, False, 1_000),
        ({"BRANCH_HEAD", "MANAGER"}, False, 20_000),
        ({"BRANCH_HEAD"}, True, 200_000),
        ({"ANALYST", "MARKETER", "TELLER", "ADMIN"}, True, None),
    ],
)
def test_how_many_rows_a_role_takes_along(roles, is_top, most) -> None:
    assert rows_max(ExportPolicy(1_000, 20_000, 200_000), frozenset(roles), is_top=is_top) == most


def test_every_field_that_a_search_shows_of_a_customer_is_a_column() -> None:
    assert {field.name for field in fields(Identity)} - COLUMNS.keys() == {"customer_id"}
    for field in fields(Totals):
        assert {f"own.{field.name.removesuffix('_minor')}", f"total.{field.name.removesuffix('_minor')}"} <= set(
            COLUMNS
        )
    assert unknown_columns(["customer", "total.salary", "customer_id"]) == ["total.salary", "customer_id"]


def test_what_is_hidden_is_empty() -> None:
    existence = View(Level.EXISTENCE, Identity("c1"), masked_fields=("mobile", "total"))
    values = {name: column.value(existence) for name, column in COLUMNS.items()}
    shown = {name: value for name, value in values.items() if value is not None}
    assert shown == {"customer": "c1", "view_level": "EXISTENCE", "masked_fields": "mobile;total"}
    owners = (Owner("b1", "SECONDARY", "m1", None), Owner("b2", "PRIMARY", "m2", None))
    primary = View(Level.PRIMARY, Identity("c1"), owners=owners)
    assert [COLUMNS[name].value(primary) for name in ("primary_branch", "primary_manager")] == ["b2", "m2"]


def test_a_text_is_safe_whatever_it_begins_with() -> None:
    assert [safe_text(text) for text in ("=1", "a=1", "", "-", "王")] == ["'=1", "a=1", "", "'-", "王"]


def test_a_file_is_called_by_its_day_and_id() -> None:
    made = datetime(2026, 6, 30, 23, tzinfo=UTC)
    export = Export("0197c0de-0000", "h1", Order("p", Format.PARQUET, ("customer",)), 1, 1, made, made)
    assert export.file_name == "customers-20260630-0197c0de.parquet"
