"""The tables that the nightly batch derives from a feed: each column named, typed and described once."""

from acrm.columns import Column, Table, amount, code, day, flag, ident, number, text

BRANCH_FACTS = Table(
    "branch_facts",
    "What allocation decides by: a row for each customer and branch where he has, or ever had, an account, loan or "
    "card of his own. Taken by assignment_svc.",
    ("customer_id", "branch_id"),
    (
        ident("customer_id", "The customer.", required=True),
        ident("branch_id", "The branch.", required=True),
        flag("loan_live", "A loan is live here."),
        ident("loan_id", "The live loan with most outstanding; unknown last, then the earliest, then by id."),
        amount("loan_outstanding_minor", "What is owed on that loan; empty if unknown."),
        day("loan_first_disburse_date", "The earliest disbursement of the live loans here."),
        ident("loan_officer_id", "The officer of that loan."),
        day("loan_end_date", "The latest close_date of a loan here: the day on which it stopped being live."),
        flag("card_live", "A card is live here."),
        ident("card_id", "The live card with the highest limit; unknown last, then the earliest, then by id."),
        amount("card_limit_minor", "The limit of that card; empty if unknown."),
        day("card_first_open_date", "The earliest opening of the live cards here."),
        ident("card_manager_id", "The manager of that card."),
        flag("deposit_live", "An account is live here."),
        amount(
            "deposit_sum_minor",
            "The sum over the 30 days up to and including the business date of the end-of-day balances, below 0 taken "
            "as 0, of all accounts here; empty if the balance of a live one is unknown.",
        ),
        day("relation_since_date", "The earliest opening of an account, loan or card here.", required=True),
        day(
            "last_live_date",
            "The last day on which anything was live here: the business date, or the day before the last close_date "
            "(the opening, if that was the same day).",
            required=True,
        ),
        code("customer_state", "The customer's state.", "ACTIVE DECEASED FROZEN"),
    ),
)


def _signed(name: str, description: str) -> Column:
    return amount(name, description, minimum=None)


def _due(name: str, description: str) -> Column:
    """A day that may lie after the business date."""
    return day(name, description, past=False)


_AVERAGE = (
    "The average end-of-day balance from the first day of the business date's {} up to the business date, below 0 "
    "taken as 0, rounded down; empty if a balance is unknown, also of an account that was live on the day before and "
    "whose balances do not reach back to it."
)
_START = "The balance at the end of the last day before the business date's {}; empty if one of them is unknown."
_FLOW = (
    "What {} outside in the {} days up to the business date, as far as the feed's bookings reach: no own_transfer, no "
    "standing_order, no instalment of a loan, interest, fee or disbursement of the bank, nothing that was reversed, no "
    "reversal."
)
_CHANNEL = "Bookings over the channel {} in the 90 days up to the business date; none that was reversed, no reversal."

# In the order of the columns of customer_svc, which a test holds. Empty means that it is unknown, or that there is
# none: an amount over nothing at all is empty, a count is 0.
FIGURES = (
    _signed("deposit_balance_minor", "The sum of the live accounts' balances; empty if one is unknown."),
    amount(
        "deposit_average_minor", "The sum of 30 end-of-day balances, below 0 taken as 0, divided by 30, rounded down."
    ),
    amount("deposit_month_average_minor", _AVERAGE.format("month")),
    amount("deposit_quarter_average_minor", _AVERAGE.format("quarter")),
    amount("deposit_year_average_minor", _AVERAGE.format("year")),
    _signed("deposit_month_start_minor", _START.format("month")),
    _signed("deposit_quarter_start_minor", _START.format("quarter")),
    _signed("deposit_year_start_minor", _START.format("year")),
    _signed("demand_balance_minor", "The part of deposit_balance_minor on accounts payable on demand."),
    _signed("time_balance_minor", "The part of deposit_balance_minor on time deposits."),
    amount("wealth_minor", "The sum of amount_minor of the holdings that are not closed and have an amount."),
    _signed("aum_minor", "deposit_balance_minor and wealth_minor together; one that is none counts as 0."),
    amount("loan_outstanding_minor", "What is owed on live loans; empty if it is unknown of one."),
    amount("loan_line_minor", "The principal of live revolving loans."),
    amount(
        "loan_unused_minor", "Of each live revolving loan principal less outstanding, at least 0; empty if unknown."
    ),
    amount("loan_arrears_minor", "What is overdue on live loans, with interest in arrears; empty if told of none."),
    amount("card_limit_minor", "The limits of live cards; empty if it is unknown of one."),
    amount("card_used_minor", "What is used of them; empty if it is unknown of one."),
    amount("card_instalment_minor", "What is to be paid on them by instalments; empty if told of none."),
    amount("inflow_30d_minor", _FLOW.format("came from", 30)),
    amount("outflow_30d_minor", _FLOW.format("went", 30)),
    amount("inflow_90d_minor", _FLOW.format("came from", 90)),
    amount("outflow_90d_minor", _FLOW.format("went", 90)),
    amount("largest_in_90d_minor", "The largest single booking of inflow_90d_minor."),
    amount("largest_out_90d_minor", "The largest single booking of outflow_90d_minor."),
    amount("other_bank_30d_minor", "The part of outflow_30d_minor that is a transfer_out with a counterparty_bank."),
    amount("other_bank_90d_minor", "The part of outflow_90d_minor that is a transfer_out with a counterparty_bank."),
    _due("time_maturity_date", "The next maturity_date, from the business date on, of live time deposits."),
    _due("loan_next_due_date", "The earliest next_due_date of live loans."),
    _due("loan_due_date", "The earliest due_date of live loans."),
    day("loan_grade_date", "The latest grade_date of live loans."),
    day("loan_settled_date", "The latest close_date of a settled loan."),
    _due("card_due_date", "The earliest due_date of live cards."),
    day("card_last_use_date", "The latest last_use_date of live cards."),
    day(
        "last_active_date",
        "The day of the latest booking that the customer set off: cash, card, transfer out or bill; no standing_order.",
    ),
    number("account_count", "Live accounts."),
    number("loan_count", "Live loans."),
    number("loan_overdue_days", "The most overdue_days of a live loan; empty if told of none."),
    number("card_count", "Live cards."),
    number("card_overdue_days", "The most overdue_days of a live card; empty if told of none."),
    number("other_bank_30d_count", "The bookings of other_bank_30d_minor."),
    number("other_bank_90d_count", "The bookings of other_bank_90d_minor."),
    number("closed_90d_count", "Accounts closed in the 90 days up to the business date."),
    *(
        number(f"{name.lower()}_90d_count", _CHANNEL.format(name))
        for name in ("COUNTER", "ATM", "POS", "MOBILE", "ONLINE")
    ),
    number(
        "loan_grade", "The worst grade of a live loan: 1 NORMAL to 5 LOSS; empty if told of none.", minimum=1, maximum=5
    ),
    text("holding_categories", "The categories of the products held, sorted, each once, joined by `;`."),
)

CUSTOMER_BRANCH_FIGURES = Table(
    "customer_branch_figures",
    "Figures of a customer's business at one branch, a row for each pair with an account, loan, card or holding, live "
    "or not. Always all of them; a pair that is not told any more has none. Taken by customer_svc.",
    ("customer_id", "branch_id"),
    (
        ident("customer_id", "The customer.", required=True),
        ident("branch_id", "The branch.", required=True),
        *FIGURES,
    ),
)
CUSTOMER_FIGURES = Table(
    "customer_figures",
    "The same figures over the whole bank, and what the customer is worth, a row for every customer. Taken by "
    "customer_svc.",
    ("customer_id",),
    (
        ident("customer_id", "The customer.", required=True),
        *FIGURES,
        number(
            "tier",
            "1 (lowest) to 6 by 30-day average deposits and today's wealth; empty if unknown, or if he never had any.",
            minimum=1,
            maximum=6,
        ),
        amount("tier_gap_minor", "What is missing to the next tier; empty in the highest, or if unknown."),
        _signed(
            "contribution_minor",
            "What the business as it is earns in a year: 30-day average deposits, loans outstanding, cards used and "
            "wealth, each times its margin of the parameters; empty if one is unknown.",
        ),
        code(
            "lifecycle",
            "PROSPECT never had an account, loan or card; LOST has none live; NEW came within 90 days; ACTIVE did "
            "something himself within 12 months, or has a loan; DORMANT did not; empty if the bookings do not reach "
            "back to tell.",
            "PROSPECT NEW ACTIVE DORMANT LOST",
            required=False,
        ),
    ),
)
MONTHLY_BALANCES = Table(
    "monthly_balances",
    "Deposits month by month, the business date's and the 12 before, of each customer and branch, as far back as the "
    "balances reach. Always all of them. Taken by customer_svc.",
    ("customer_id", "branch_id", "month_date"),
    (
        ident("customer_id", "The customer.", required=True),
        ident("branch_id", "The branch.", required=True),
        day("month_date", "The first day of the month.", required=True),
        _signed("end_minor", "The balance at the month's end, or on the business date; empty if unknown."),
        amount("average_minor", "The average of end-of-day balances, below 0 taken as 0; empty if unknown."),
    ),
)
TAG_CODES = "DEPOSIT_POTENTIAL LOAN_POTENTIAL CARD_POTENTIAL E_CHANNEL_POTENTIAL WEALTH_POTENTIAL CHURN_RISK"
CUSTOMER_TAGS = Table(
    "customer_tags",
    "Tags that the rules confirm on the business date: always all of them. Taken by customer_svc.",
    ("customer_id", "tag_code"),
    (
        ident("customer_id", "The customer.", required=True),
        code("tag_code", "The tag.", TAG_CODES),
        text("rule_version", "The version of the rules and their parameters.", required=True),
        day("as_of_date", "The business date whose data confirm it.", required=True),
        text("evidence", "Why: a JSON object of the rule, the figures compared and the thresholds.", required=True),
    ),
)
KEY_TESTS = Table(
    "key_tests",
    "What the mark of a key customer is decided by. A row for each customer with assets or loans of at least 80 % of "
    "the threshold, or unknown ones, or with a loan overdue; nobody else can become or stay one. Taken by "
    "customer_svc.",
    ("customer_id",),
    (
        ident("customer_id", "The customer.", required=True),
        flag("month_end", "The business date is the last day of its month."),
        amount(
            "asset_average_minor",
            "30-day average deposits over the whole bank, or these and wealth, 0 for none; empty if unknown.",
        ),
        amount(
            "loan_outstanding_minor", "What is owed on live loans over the whole bank, 0 for none; empty if unknown."
        ),
        flag(
            "loan_overdue",
            "Principal or interest is due and unpaid beyond the tolerance of days now, or a loan was written off.",
        ),
        flag("loan_clean", "Not overdue now, and no day within the years of the rule was beyond the tolerance."),
    ),
)
BALANCE_STEPS = Table(
    "balance_steps",
    "Deposits of each customer and branch on the days on which they changed, from the first of the month before on: "
    "an end-of-day balance, below 0 taken as 0, holds until the next row, before the first it is 0. Always all of "
    "them; accounts of which the balance is unknown are left out. Taken by assignment_svc for score cards.",
    ("customer_id", "branch_id", "from_date"),
    (
        ident("customer_id", "The customer.", required=True),
        ident("branch_id", "The branch.", required=True),
        day("from_date", "The day.", required=True),
        amount("balance_minor", "The sum of the balances at its end.", required=True),
    ),
)
CUSTOMER_MONTHS = Table(
    "customer_months",
    "What score cards count of a customer in the business date's month, over the whole bank; a row for each who has "
    "business or wealth, or had business when the month began. Always all of them. Taken by assignment_svc.",
    ("customer_id", "month_date"),
    (
        ident("customer_id", "The customer.", required=True),
        day("month_date", "The first day of the month.", required=True),
        amount("deposit_average_minor", "deposit_month_average_minor of customer_figures, 0 without an account."),
        _signed("deposit_growth_minor", "That less the average of the month before; empty if one is unknown."),
        amount("wealth_minor", "wealth_minor of customer_figures, 0 for none."),
        amount("loan_minor", "What is owed on live loans, 0 for none; empty if unknown."),
        number("category_count", "Categories of the products held."),
        flag("had_business", "An account, loan or card was live at the end of the month before."),
        flag("has_business", "An account, loan or card is live."),
        flag("new_customer", "The first account, loan or card was opened in the month."),
        flag(
            "key_customer", "Deposits or clean loans are above the threshold of key customers, whatever the mark says."
        ),
    ),
)
DERIVED = {
    table.name: table
    for table in (
        MONTHLY_BALANCES,
        CUSTOMER_BRANCH_FIGURES,
        CUSTOMER_FIGURES,
        CUSTOMER_TAGS,
        KEY_TESTS,
        BRANCH_FACTS,
        BALANCE_STEPS,
        CUSTOMER_MONTHS,
    )
}
