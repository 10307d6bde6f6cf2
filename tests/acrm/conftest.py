"""A small valid feed, as values of Python, and ways to write it."""

from copy import deepcopy
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq
import pytest

from acrm.tables import FEED

BUSINESS_DATE = date(2026, 6, 30)

_DAY = date(2020, 1, 2)
_ROWS = {
    "branches": [
        {"branch_id": "HQ", "display_name": "总行", "open_date": _DAY},
        {"branch_id": "b1", "display_name": "One", "parent_id": "HQ"},
        {"branch_id": "b2", "display_name": "Two", "parent_id": "b1", "legal_entity": "E1", "close_date": _DAY},
    ],
    "staff": [
        {"staff_id": "s1", "display_name": "A", "branch_id": "b1", "roles": "BRANCH_HEAD;MANAGER", "login": "a",
         "password_hash": "$argon2id$x", "successor_id": "s2"},
        {"staff_id": "s2", "display_name": "B", "branch_id": "b2", "roles": "MANAGER", "active_from_date": _DAY,
         "active_until_date": date(2027, 1, 1)},
    ],
    "products": [{"product_id": "mobile_bank", "display_name": "手机银行", "category": "mobile_bank"}],
    "customers": [
        {"customer_id": "c1", "customer_type": "INDIVIDUAL", "display_name": '王, "芳"', "sex": "FEMALE",
         "birth_date": date(1980, 2, 29), "id_type": "ID_CARD", "id_number": "11010119800229", "mobile": "13800000000",
         "id_expiry_date": date(2030, 1, 1), "occupation": "教师", "residence_district": "西湖区",
         "customer_since_date": _DAY, "state": "ACTIVE", "risk_rating": 3,
         "risk_rating_expiry_date": date(2027, 1, 1)},
        {"customer_id": "c2", "customer_type": "CORPORATE", "state": "FROZEN", "industry": "水产"},
    ],
    "customer_locations": [{"customer_id": "c1", "latitude": 26.074512, "longitude": -119.5}],
    "relations": [{"customer_id": "c2", "related_customer_id": "c1", "kind": "company_owner"}],
    "accounts": [
        {"account_id": "a1", "customer_id": "c1", "branch_id": "b1", "kind": "DEMAND", "open_date": _DAY,
         "balance_minor": -500},
        {"account_id": "a2", "customer_id": "c1", "branch_id": "b2", "kind": "TIME", "open_date": _DAY,
         "close_date": date(2026, 1, 1), "maturity_date": date(2026, 1, 1), "balance_minor": 0},
    ],
    "loans": [
        {"loan_id": "l1", "customer_id": "c2", "branch_id": "b1", "product": "mortgage", "principal_minor": 100_00,
         "outstanding_minor": 50_00, "outstanding_estimated": True, "disburse_date": _DAY,
         "due_date": date(2030, 1, 1), "state": "LIVE", "in_arrears": True, "officer_id": "s1",
         "revolving": True, "collateral": "MORTGAGE", "next_due_date": date(2026, 7, 20), "next_due_minor": 5_00,
         "overdue_days": 4, "overdue_minor": 2_00, "interest_arrears_minor": 1_00, "grade": "SPECIAL_MENTION",
         "grade_date": BUSINESS_DATE, "last_overdue_date": BUSINESS_DATE},
        {"loan_id": "l2", "customer_id": "c2", "branch_id": "b1", "principal_minor": 0,
         "outstanding_estimated": False, "disburse_date": _DAY, "close_date": _DAY, "state": "SETTLED",
         "in_arrears": False, "revolving": False},
    ],
    "cards": [{"card_id": "k1", "customer_id": "c1", "branch_id": "b2", "product": "gold", "limit_minor": 1,
               "open_date": _DAY, "close_date": date(2025, 1, 1), "manager_id": "s2", "used_minor": 1,
               "due_date": date(2026, 7, 5), "due_minor": 1, "overdue_days": 0,
               "instalment_minor": 0, "last_use_date": _DAY}],
    "holdings": [{"customer_id": "c1", "branch_id": "b1", "product_code": "mobile_bank", "open_date": _DAY,
                  "close_date": date(2025, 1, 1), "amount_minor": 7, "maturity_date": date(2027, 1, 1)}],
    "balances": [
        {"account_id": "a1", "balance_date": _DAY, "balance_minor": 100},
        {"account_id": "a1", "balance_date": BUSINESS_DATE, "balance_minor": -500},
    ],
    "complaints": [{"complaint_id": "m1", "customer_id": "c1", "channel": "hotline", "category": "fees",
                    "open_time": datetime(2026, 6, 1, tzinfo=UTC), "close_time": datetime(2026, 6, 2, tzinfo=UTC)}],
    "consents": [{"customer_id": "c1", "channel": "SMS", "category": "ALL", "state": "GRANTED",
                  "state_time": datetime(2026, 6, 1, tzinfo=UTC), "version": "2", "proof": "form 17"}],
    "opt_outs": [{"customer_id": "c1", "channel": "ALL", "category": "wealth",
                  "opt_out_time": datetime(2026, 6, 1, tzinfo=UTC)}],
    "contacts": [{"contact_id": "t1", "customer_id": "c1", "channel": "SMS", "message_class": "MARKETING",
                  "contact_time": datetime(2026, 6, 30, 15, 59, 59, 123456, tzinfo=UTC), "state": "DELIVERED",
                  "product_id": "mobile_bank", "campaign_id": "x1", "outcome": "refused"}],
    "transactions": [
        {"transaction_id": "x1", "account_id": "a1", "event_time": datetime(2026, 6, 30, 4, tzinfo=UTC),
         "direction": "OUT", "amount_minor": 600, "operation": "transfer_out", "counterparty_bank": "ICBC",
         "counterparty_account": "622", "standing_order": True, "own_transfer": False,
         "reversed_transaction_id": "older", "channel": "MOBILE"},
    ],
}  # fmt: skip


@pytest.fixture
def rows():
    """The rows of a valid feed by table, to be changed at will."""
    return deepcopy(_ROWS)


def tables_of(rows):
    return {
        name: pa.Table.from_pylist(given, schema=pa.schema([(c.name, c.type) for c in FEED[name].columns]))
        for name, given in rows.items()
    }


@pytest.fixture
def write_parquet():
    def write(rows, folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in tables_of(rows).items():
            pq.write_table(table, folder / f"{name}.parquet")
        return folder

    return write


@pytest.fixture
def write_csv():
    """Writes every value as text; a value may be any text, also one of the wrong type."""

    def write(rows, folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, given in rows.items():
            texts = [{column: _text(value) for column, value in row.items()} for row in given]
            schema = pa.schema([(c.name, pa.string()) for c in FEED[name].columns])
            pcsv.write_csv(pa.Table.from_pylist(texts, schema=schema), folder / f"{name}.csv")
        return folder

    return write


def _text(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.isoformat()
    return None if value is None else str(value)
