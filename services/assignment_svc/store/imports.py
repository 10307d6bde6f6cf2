"""The tables of the feed that assignment_svc takes (docs/feed.md): branches, staff and branch_facts."""

from collections.abc import Sequence

import pyarrow as pa
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.caller import Role
from chassis.sql.bulk import BulkTable, RowError, unknown_references
from chassis.sql.erased import without_erased
from chassis.sql.merged_rows import mapped
from chassis.sql.removals import remaining
from services.assignment_svc.domain.organisation import circles
from services.assignment_svc.store import customer_locations, org
from services.assignment_svc.store.merged_tables import FACTS_AS_TOLD
from services.assignment_svc.store.recoded_rows import recoded
from services.assignment_svc.store.score_imports import score_tables
from services.assignment_svc.store.upserts import feed_value, upsert_branches, upsert_facts, upsert_staff

BRANCH_FACTS = "branch_facts"
_ROW_ERRORS_MAX = 10_000
# Only a service is a service: no member of the staff gets that role from a feed.
_ROLES = ",".join(role.value for role in Role if role is not Role.SERVICE)


def _text(name: str, *, required: bool = False, **metadata: str) -> pa.Field:
    told = {key.encode(): value.encode() for key, value in metadata.items()}
    return pa.field(name, pa.string(), nullable=not required, metadata=told or None)


def _day(name: str, *, required: bool = False) -> pa.Field:
    return pa.field(name, pa.date32(), nullable=not required)


def _amount(name: str) -> pa.Field:
    return pa.field(name, pa.int64())


def _flag(name: str) -> pa.Field:
    return pa.field(name, pa.bool_(), nullable=False)


BRANCHES_SCHEMA = pa.schema(
    [
        _text("branch_id", required=True),
        _text("display_name", required=True),
        _text("parent_id"),
        _text("legal_entity"),
        _day("open_date"),
        _day("close_date"),
    ]
)
STAFF_SCHEMA = pa.schema(
    [
        _text("staff_id", required=True),
        _text("display_name", required=True),
        _text("branch_id", required=True),
        _text("roles", required=True, codes=_ROLES, separator=";"),
        _text("login"),
        _text("password_hash"),
        _day("active_from_date"),
        _day("active_until_date"),
        _text("successor_id"),
    ]
)
FACTS_SCHEMA = pa.schema(
    [
        _text("customer_id", required=True),
        _text("branch_id", required=True),
        _flag("loan_live"),
        _text("loan_id"),
        _amount("loan_outstanding_minor"),
        _day("loan_first_disburse_date"),
        _text("loan_officer_id"),
        _day("loan_end_date"),
        _flag("card_live"),
        _text("card_id"),
        _amount("card_limit_minor"),
        _day("card_first_open_date"),
        _text("card_manager_id"),
        _flag("deposit_live"),
        _amount("deposit_sum_minor"),
        _day("relation_since_date", required=True),
        _day("last_live_date", required=True),
        _text("customer_state", required=True, codes="ACTIVE,DECEASED,FROZEN"),
    ]
)


# By the logins as they will be: where people gave another one and the feed tells nothing new, that one stays.
_LOGIN_TAKEN = f"""s.staff_id IN (
  SELECT staff_id FROM (
    SELECT staff_id, login, count(*) OVER (PARTITION BY login) AS owners FROM (
      SELECT s.staff_id, {feed_value("login")} AS login FROM {{staging}} s LEFT JOIN staff t0 USING (staff_id)
      UNION ALL
      SELECT t.staff_id, t.login FROM staff t
      WHERE NOT EXISTS (SELECT FROM {{staging}} u WHERE u.staff_id = t.staff_id)
    ) afterwards
  ) counted WHERE login IS NOT NULL AND owners > 1)"""  # noqa: S608 - our names


async def _check_branches(tx: AsyncConnection, staging: str) -> list[RowError]:
    """Every parent is a branch of the feed or known already, and nobody is his own ancestor."""
    tree = await org.parents(tx)
    # Where people put a branch elsewhere and the feed tells nothing new, it stays there.
    parent = feed_value("parent_id")
    query = f"""SELECT s."row", s.branch_id, {parent} AS parent_id
      FROM {staging} s LEFT JOIN branch t0 ON t0.branch_id = s.branch_id ORDER BY s."row\""""  # noqa: S608 - our names
    rows = (await tx.execute(text(query))).all()
    tree.update({row.branch_id: row.parent_id for row in rows})
    unknown = [
        RowError(row.row, "parent_id", "REFERENCE_UNKNOWN", row.parent_id, "names nothing that exists")
        for row in rows
        if row.parent_id is not None and row.parent_id not in tree
    ]
    in_circles = circles(tree)
    cyclic = [
        RowError(row.row, "parent_id", "BRANCH_CYCLE", row.branch_id, "makes the branch its own ancestor")
        for row in rows
        if row.branch_id in in_circles
    ]
    return (unknown + cyclic)[:_ROW_ERRORS_MAX]


async def _check_staff(tx: AsyncConnection, staging: str) -> list[RowError]:
    """Branches and successors exist, logins are unique, hashes are argon2's."""
    return [
        *await unknown_references(tx, staging, "branch_id", "branch", "branch_id"),
        *await _broken(
            tx,
            staging,
            "successor_id",
            "names nothing that exists",
            f"""successor_id IS NOT NULL AND NOT EXISTS (SELECT FROM staff t WHERE t.staff_id = s.successor_id)
            AND NOT EXISTS (SELECT FROM {staging} t WHERE t.staff_id = s.successor_id)""",  # noqa: S608 - our names
            reason="REFERENCE_UNKNOWN",
        ),
        *await _broken(
            tx,
            staging,
            "login",
            "is another member's too",
            _LOGIN_TAKEN.replace("{staging}", staging),
        ),
        *await _broken(tx, staging, "login", "is longer than 64 characters", "length(login) > 64"),
        *await _broken(
            tx, staging, "password_hash", "is no argon2 hash", "password_hash NOT LIKE '$argon2%'", shows_value=False
        ),
    ]


async def check_facts(tx: AsyncConnection, staging: str) -> list[RowError]:
    """Branches exist, and what is live says what it is."""
    return [
        *await unknown_references(tx, staging, "branch_id", "branch", "branch_id"),
        *await _broken(tx, staging, "loan_id", "is required while a loan is live", "loan_live AND loan_id IS NULL"),
        *await _broken(
            tx,
            staging,
            "loan_first_disburse_date",
            "is required while a loan is live",
            "loan_live AND loan_first_disburse_date IS NULL",
        ),
        *await _broken(tx, staging, "card_id", "is required while a card is live", "card_live AND card_id IS NULL"),
        *await _broken(
            tx,
            staging,
            "card_first_open_date",
            "is required while a card is live",
            "card_live AND card_first_open_date IS NULL",
        ),
    ]


async def _broken(  # noqa: PLR0913, PLR0917 - a condition with all that its error tells
    tx: AsyncConnection,
    staging: str,
    field: str,
    problem: str,
    condition: str,
    reason: str = "ROW_INVALID",
    *,
    shows_value: bool = True,
) -> list[RowError]:
    """The rows for which a condition over `s` holds."""
    query = f"""SELECT s."row", CAST(s."{field}" AS text) AS value FROM {staging} s WHERE {condition}
      ORDER BY s."row" LIMIT {_ROW_ERRORS_MAX}"""  # noqa: S608 - our own words
    rows = (await tx.execute(text(query))).all()
    return [RowError(row.row, field, reason, (row.value or "") if shows_value else "", problem) for row in rows]


def _live(alias: str) -> str:
    return f"({alias}.loan_live OR {alias}.card_live OR {alias}.deposit_live)"


def bulk_tables() -> Sequence[BulkTable]:
    """Every table that ImportRows takes here."""
    facts_key = ("customer_id", "branch_id")
    left = remaining(BRANCH_FACTS, facts_key, _live("t"), _live("s"))
    taken = (
        BulkTable("branches", BRANCHES_SCHEMA, ("branch_id",), upsert_branches, _check_branches),
        BulkTable("staff", STAFF_SCHEMA, ("staff_id",), upsert_staff, _check_staff),
        mapped(
            recoded(
                BulkTable(BRANCH_FACTS, FACTS_SCHEMA, facts_key, upsert_facts, check_facts, remaining=left),
                FACTS_AS_TOLD,
            ),
            combine=FACTS_AS_TOLD,
        ),
        customer_locations.bulk_table(),
        *score_tables(),
    )
    return tuple(map(without_erased, taken))
