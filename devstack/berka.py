# ruff: noqa: S608 - every name in these statements is ours, every value is quoted
"""The Berka data (PKDD'99, real, CZK, 1993 to 1998) as a feed: districts are branches, clients are customers.

It has no names and no staff, and every client has exactly one account. How a loan, a card and a balance are told as of
a date is said at the statement that does it.
"""

import json
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pcsv

from acrm.engines import Engine, engine, quoted
from acrm.tables import FEED
from chassis.clock import bank_noon

FIRST_DATE = date(1993, 1, 1)
# The day whose state the loans' status tells; nothing is known of any later one.
LAST_DATE = date(1998, 12, 31)
# Up to this day the published part of the transactions holds every account's; with the whole table, all days do.
_SUBSET_COMPLETE_UNTIL = date(1994, 3, 30)

# Tables of which Berka tells nothing.
_UNTOLD = ("products", "holdings", "complaints", "consents", "opt_outs", "contacts")
_FILES = ("account", "card", "client", "disp", "district", "loan")


class NoBerka(Exception):
    """The folder is not the Berka data, or the date is not one that it tells of."""


def convert(source: Path, target: Path, *, business_date: date | None, password_hash: str) -> date:
    """Writes the feed of a business date (the last one, if none is given) and returns the date.

    Only what existed by then is written. Balances are known where every transaction of an account is: up to 1994-03-30
    with the published subset.
    """
    day = business_date or LAST_DATE
    if not FIRST_DATE <= day <= LAST_DATE:
        raise NoBerka(f"the Berka data tells of {FIRST_DATE} to {LAST_DATE}, not of {day}")
    transactions, complete_until = _transactions_file(source)
    target.mkdir(parents=True, exist_ok=True)
    with engine() as local:
        for name in _FILES:
            local.take(f"raw_{name}", _read(source / f"{name}.asc"))
        local.take("raw_trans", _read(transactions))
        local.take("noon", _noons(day))
        _prepare(local, day)
        for name, select in _selects(day, known=day <= complete_until, password_hash=password_hash).items():
            local.write_sql(select, FEED[name].schema, target / f"{name}.parquet")
    (target / "feed.json").write_text(json.dumps({"business_date": day.isoformat()}) + "\n")
    return day


def _transactions_file(source: Path) -> tuple[Path, date]:
    whole, subset = source / "trans.asc", source / "trans_subset_merged.asc.gz"
    if whole.exists():
        return whole, LAST_DATE
    if not subset.exists():
        raise NoBerka(f"{source} holds neither {whole.name} nor {subset.name}")
    return subset, _SUBSET_COMPLETE_UNTIL


def _read(path: Path) -> pa.Table:
    """A file of the data, every column as text, empty for missing."""
    if not path.exists():
        raise NoBerka(f"{path.parent} lacks {path.name}")
    parse = pcsv.ParseOptions(delimiter=";")
    with pcsv.open_csv(path, parse_options=parse) as reader:
        names = reader.schema.names
    texts = pcsv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False)
    return pcsv.read_csv(path, parse_options=parse, convert_options=texts)


def _noons(day: date) -> pa.Table:
    """12:00 bank time of each day: the instant of a booking of which only the day is known."""
    days = [date.fromordinal(number) for number in range(FIRST_DATE.toordinal(), day.toordinal() + 1)]
    schema = pa.schema([("day", pa.date32()), ("noon", pa.timestamp("us", tz="UTC"))])
    return pa.Table.from_pydict({"day": days, "noon": [bank_noon(each) for each in days]}, schema=schema)


def _day_of(column: str) -> str:
    """A date written as YYMMDD, always of the twentieth century."""
    return f"strptime('19' || left({column}, 6), '%Y%m%d')::DATE"


def _minor_of(column: str) -> str:
    return f"(CAST({column} AS DECIMAL(15, 2)) * 100)::BIGINT"


def _prepare(local: Engine, day: date) -> None:
    """Views of what existed on the day: each account with its owner, loans with their end, bookings with their code."""
    local.run(f"""
        CREATE TABLE own AS
        SELECT account_id, client_id AS customer_id, district_id AS branch_id, {_day_of('"date"')} AS open_date
        FROM raw_account JOIN raw_disp USING (account_id)
        WHERE "type" = 'OWNER' AND {_day_of('"date"')} <= DATE '{day}'""")
    # Before the last date a loan's status is the future: it is live from its date to date + duration. On the last date
    # A is settled and the others are live, B being matured and unpaid.
    live = "status <> 'A'" if day == LAST_DATE else f"end_date > DATE '{day}'"
    local.run(f"""
        CREATE TABLE lent AS
        SELECT *, {live} AS live
        FROM (
            SELECT loan_id, account_id, status, {_day_of('"date"')} AS disburse_date,
                {_minor_of("amount")} AS amount_minor, {_minor_of("payments")} AS payment_minor,
                duration::INT AS months,
                ({_day_of('"date"')} + to_months(duration::INT))::DATE AS end_date
            FROM raw_loan)
        WHERE disburse_date <= DATE '{day}'""")
    local.run(f"""
        CREATE TABLE booked AS
        SELECT trans_id, account_id, {_day_of('"date"')} AS day, "type" = 'PRIJEM' AS incoming,
            {_minor_of("amount")} AS amount_minor, operation, trim(k_symbol) AS purpose, bank, account
        FROM raw_trans JOIN own USING (account_id) WHERE {_day_of('"date"')} <= DATE '{day}'""")


_OPERATION = """
    CASE purpose
        WHEN 'UROK' THEN 'interest_credit' WHEN 'SANKC. UROK' THEN 'interest_penalty' WHEN 'SLUZBY' THEN 'fee'
        WHEN 'SIPO' THEN 'household' WHEN 'POJISTNE' THEN 'insurance' WHEN 'DUCHOD' THEN 'pension'
        WHEN 'UVER' THEN 'loan_instalment'
        ELSE CASE operation
            WHEN 'VKLAD' THEN 'cash_in' WHEN 'VYBER' THEN 'cash_out' WHEN 'VYBER KARTOU' THEN 'card_cash_out'
            WHEN 'PREVOD Z UCTU' THEN 'transfer_in' WHEN 'PREVOD NA UCET' THEN 'transfer_out' ELSE 'other'
        END
    END"""


def _selects(day: date, *, known: bool, password_hash: str) -> dict[str, str]:
    """The query of each table of the feed that Berka fills."""
    return {
        "branches": _blank("branches", {"branch_id": "A1", "display_name": "A2"}, "raw_district"),
        "staff": _staff(password_hash),
        "customers": _customers(),
        "relations": """
            SELECT customer_id, client_id AS related_customer_id, 'disponent' AS kind
            FROM own JOIN raw_disp USING (account_id) WHERE "type" = 'DISPONENT'""",
        "accounts": _blank(
            "accounts",
            {"account_id": "account_id", "customer_id": "customer_id", "branch_id": "branch_id", "kind": "'DEMAND'"}
            | {"open_date": "open_date"}
            | ({"balance_minor": "coalesce(ending, 0)"} if known else {}),
            f"""own LEFT JOIN (SELECT account_id, sum({_SIGNED}) AS ending FROM booked GROUP BY account_id)
            USING (account_id)""",
        ),
        "loans": _loans(day),
        "cards": _blank(
            "cards",
            {"card_id": "card_id", "customer_id": "customer_id", "branch_id": "branch_id"}
            | {"product": 'raw_card."type"', "open_date": _day_of("issued")},
            f"""raw_card JOIN raw_disp USING (disp_id) JOIN own USING (account_id)
            WHERE {_day_of("issued")} <= DATE '{day}'""",
        ),
        "balances": f"""
            SELECT account_id, day AS balance_date,
                sum(sum({_SIGNED})) OVER (PARTITION BY account_id ORDER BY day) AS balance_minor
            FROM booked WHERE {known} GROUP BY account_id, day""",
        "transactions": _transactions(),
        **{name: _blank(name, {}, "own WHERE false") for name in _UNTOLD},
    }  # fmt: skip


# What the bank does by itself, or others do. Whether notes were paid out over the counter or by a machine is not told.
_CHANNEL = """
    CASE WHEN purpose IN ('UROK', 'SANKC. UROK', 'SLUZBY') OR operation IN ('PREVOD NA UCET', 'PREVOD Z UCTU')
    THEN 'SYSTEM' END"""

_SIGNED = "CASE WHEN incoming THEN amount_minor ELSE -amount_minor END"


def _blank(table: str, known: dict[str, str], source: str) -> str:
    """A query of a table of which only some columns are known."""
    columns = ", ".join(f"{known.get(column.name, 'NULL')} AS {column.name}" for column in FEED[table].columns)
    return f"SELECT {columns} FROM {source}"


def _staff(password_hash: str) -> str:
    """A head for each branch, and one of each head-office role at the first; customers stay with virtual managers."""
    people = """(
        SELECT 'head-' || A1 AS staff_id, 'Head of ' || A2 AS display_name, A1 AS branch_id, 'BRANCH_HEAD' AS roles
        FROM raw_district
        UNION ALL
        SELECT lower(role), upper(role[1]) || lower(role[2:]), '1', role
        FROM unnest(['ADMIN', 'ANALYST', 'AUDITOR']) AS roles(role))"""
    same = {name: name for name in ("staff_id", "display_name", "branch_id", "roles")}
    return _blank("staff", same | {"login": "staff_id", "password_hash": quoted(password_hash)}, people)


def _customers() -> str:
    """Clients of the accounts opened so far. Women's birth months have 50 added, which is how the sex is told."""
    return _blank(
        "customers",
        {
            "customer_id": "client_id",
            "customer_type": "'INDIVIDUAL'",
            "sex": "CASE WHEN birth_number[3:4]::INT > 50 THEN 'FEMALE' ELSE 'MALE' END",
            "birth_date": _day_of(
                "(birth_number[1:2] || lpad((birth_number[3:4]::INT % 50)::VARCHAR, 2, '0') || birth_number[5:6])"
            ),
            "residence_district": "A2",
            "customer_since_date": "open_date",
            "state": "'ACTIVE'",
        },
        """raw_client JOIN raw_disp USING (client_id) JOIN own USING (account_id)
        JOIN raw_district ON A1 = raw_client.district_id""",
    )


def _loans(day: date) -> str:
    """What is owed is estimated: the amount less the payments due so far. Matured and unpaid, it is unknown.

    A payment is due each month after the first day. Who is in arrears (B, D) and who is not (C) is told as of the last
    date only, and of the former neither since when nor how much; grades and collateral are never told.
    """
    payment = "(disburse_date + to_months(n::INT))::DATE"
    due = f"len(list_filter(range(1, months + 1), lambda n: {payment} <= DATE '{day}'))"
    matured_unpaid = f"live AND end_date <= DATE '{day}'"
    next_due = (
        f"list_filter(list_transform(range(1, months + 1), lambda n: {payment}), lambda due: due > DATE '{day}')[1]"
    )
    last_day = f"DATE '{day}' = DATE '{LAST_DATE}'"
    late = f"{last_day} AND status IN ('B', 'D')"
    nothing_late = f"CASE WHEN {last_day} AND status = 'C' THEN 0 END"
    return _blank(
        "loans",
        {
            "loan_id": "loan_id",
            "customer_id": "customer_id",
            "branch_id": "branch_id",
            "principal_minor": "amount_minor",
            "outstanding_minor": f"""CASE WHEN {matured_unpaid} THEN NULL WHEN live
                THEN greatest(amount_minor - payment_minor * {due}, 0) ELSE 0 END""",
            "outstanding_estimated": f"live AND NOT ({matured_unpaid})",
            "disburse_date": "disburse_date",
            "due_date": "end_date",
            "close_date": "CASE WHEN NOT live THEN end_date END",
            "state": "CASE WHEN live THEN 'LIVE' ELSE 'SETTLED' END",
            "in_arrears": late,
            "revolving": "false",
            "next_due_date": f"CASE WHEN live THEN {next_due} END",
            "next_due_minor": f"CASE WHEN live AND {next_due} IS NOT NULL THEN payment_minor END",
            "overdue_days": nothing_late,
            "overdue_minor": nothing_late,
            "interest_arrears_minor": nothing_late,
            "last_overdue_date": f"CASE WHEN {late} THEN DATE '{day}' END",
        },
        "lent JOIN own USING (account_id)",
    )


def _transactions() -> str:
    """All outgoing transfers are permanent orders: so many are that the others cannot be told from them."""
    return _blank(
        "transactions",
        {
            "transaction_id": "trans_id",
            "account_id": "account_id",
            "event_time": "noon",
            "direction": "CASE WHEN incoming THEN 'IN' ELSE 'OUT' END",
            "amount_minor": "amount_minor",
            "operation": _OPERATION,
            "counterparty_bank": "nullif(bank, '')",
            "counterparty_account": "nullif(account, '')",
            "standing_order": "operation = 'PREVOD NA UCET'",
            "own_transfer": "false",
            "channel": _CHANNEL,
        },
        "booked JOIN noon USING (day) ORDER BY day, trans_id::BIGINT",
    )
