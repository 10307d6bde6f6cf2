"""What queries on customers look at most, in one narrow table.

Triggers on `customers` keep it, and who writes owners and contacts does (migrations 0004 and 0010).
"""

from sqlalchemy import BigInteger, Column, DateTime, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY

from services.customer_svc.store.tables import METADATA, customers

# In no order that matters here: the migration says in which they stand.
COPIED = (
    "gone",
    "tier",
    "risk_rating",
    "birth_month_day",
    "birth_date",
    "customer_since_date",
    "total_deposit_average_minor",
    "total_deposit_balance_minor",
    "total_aum_minor",
    "total_time_maturity_date",
    "total_account_count",
    "total_loan_count",
    "total_loan_outstanding_minor",
    "total_loan_overdue_days",
    "total_card_count",
    "total_card_limit_minor",
    "total_card_used_minor",
    "total_inflow_90d_minor",
    "total_outflow_90d_minor",
    "total_mobile_90d_count",
    "total_counter_90d_count",
    "total_atm_90d_count",
    "total_pos_90d_count",
    "total_online_90d_count",
    "total_last_active_date",
    "contribution_minor",
    "sex",
    "customer_type",
    "lifecycle",
    "key_reason",
    "tag_codes",
    "total_holding_categories",
    "residence_district",
    "display_name",
)

customer_search = Table(
    "customer_search",
    METADATA,
    Column("customer_id", Text, primary_key=True),
    *(Column(name, customers.c[name].type, nullable=customers.c[name].nullable) for name in COPIED),
    # What `owners` says, for queries over many branches; kept in the transaction that writes `owners`.
    Column("primary_branch_id", Text),
    Column("primary_manager_id", Text),
    Column("private_manager_id", Text),
    Column("secondary_branch_ids", ARRAY(Text), nullable=False),
    # What `contact_rooms` and `contact_instants` say, kept in the transaction that writes them; NULL where nothing is.
    Column("last_contact_time", DateTime(timezone=True)),
    Column("contact_places", ARRAY(BigInteger)),
    Column("opt_out_keys", ARRAY(Text)),
    Column("consent_keys", ARRAY(Text)),
    Column("withdrawn_consent_keys", ARRAY(Text)),
)
