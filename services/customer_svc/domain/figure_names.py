"""The figures that are kept of a customer's business, by what their values are; docs/feed.md says what each is."""

AMOUNTS = (
    "deposit_balance_minor",
    "deposit_average_minor",
    "deposit_month_average_minor",
    "deposit_quarter_average_minor",
    "deposit_year_average_minor",
    "deposit_month_start_minor",
    "deposit_quarter_start_minor",
    "deposit_year_start_minor",
    "demand_balance_minor",
    "time_balance_minor",
    "wealth_minor",
    "aum_minor",
    "loan_outstanding_minor",
    "loan_line_minor",
    "loan_unused_minor",
    "loan_arrears_minor",
    "card_limit_minor",
    "card_used_minor",
    "card_instalment_minor",
    "inflow_30d_minor",
    "outflow_30d_minor",
    "inflow_90d_minor",
    "outflow_90d_minor",
    "largest_in_90d_minor",
    "largest_out_90d_minor",
    "other_bank_30d_minor",
    "other_bank_90d_minor",
)
DATES = (
    "time_maturity_date",
    "loan_next_due_date",
    "loan_due_date",
    "loan_grade_date",
    "loan_settled_date",
    "card_due_date",
    "card_last_use_date",
    "last_active_date",
)
NUMBERS = (
    "account_count",
    "loan_count",
    "loan_overdue_days",
    "card_count",
    "card_overdue_days",
    "other_bank_30d_count",
    "other_bank_90d_count",
    "closed_90d_count",
    "counter_90d_count",
    "atm_90d_count",
    "pos_90d_count",
    "mobile_90d_count",
    "online_90d_count",
)
LOAN_GRADE = "loan_grade"
HOLDING_CATEGORIES = "holding_categories"
STORED = (*AMOUNTS, *DATES, *NUMBERS, LOAN_GRADE, HOLDING_CATEGORIES)
