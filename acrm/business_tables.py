"""The tables of the feed that tell what customers have at the bank, and what is booked there."""

from acrm.columns import CLOSED_TOO_EARLY, Rule, Table, amount, code, day, flag, ident, instant, number, text

# What a booking was. Codes, so that rules can be written on them; a source's own words are mapped by its adapter.
OPERATIONS = (
    "cash_in cash_out card_cash_out card_payment transfer_in transfer_out interest_credit interest_penalty fee "
    "loan_disbursement loan_instalment salary pension insurance household reversal other"
)

# From the best to the worst.
GRADES = "NORMAL SPECIAL_MENTION SUBSTANDARD DOUBTFUL LOSS"

ACCOUNTS = Table(
    "accounts",
    "Deposit accounts. One is live from open_date until the end of the day before close_date.",
    ("account_id",),
    (
        ident("account_id", "The account.", required=True),
        ident("customer_id", "Its owner.", required=True, reference="customers"),
        ident("branch_id", "The branch that keeps it.", required=True, reference="branches"),
        code("kind", "Payable on demand, or at a date.", "DEMAND TIME"),
        day("open_date", "Day it was opened.", required=True),
        day("close_date", "Day it was closed; empty while open."),
        day("maturity_date", "Day a time deposit is due.", past=False),
        amount("balance_minor", "Balance at the end of the business date; empty if unknown.", minimum=None),
    ),
    (CLOSED_TOO_EARLY, Rule("maturity_date", "maturity_date < open_date", "is before open_date")),
)
LOANS = Table(
    "loans",
    "Loans and credit lines. One is live while its state is LIVE: until the contract is closed and nothing is owed.",
    ("loan_id",),
    (
        ident("loan_id", "The loan.", required=True),
        ident("customer_id", "The borrower.", required=True, reference="customers"),
        ident("branch_id", "The branch that lent.", required=True, reference="branches"),
        text("product", "The loan product, such as `mortgage` or `revolving_line`."),
        amount("principal_minor", "The amount lent, or the line.", required=True),
        amount("outstanding_minor", "What is owed at the end of the business date; empty if unknown."),
        flag("outstanding_estimated", "outstanding_minor was computed, not told by the core system."),
        day("disburse_date", "Day of disbursement, or of opening of the line.", required=True),
        day("due_date", "Day the last instalment is due.", past=False),
        day("close_date", "First day on which it was not live any more; given exactly if the state is not LIVE."),
        code("state", "WRITTEN_OFF loans are held by collection and no longer live.", "LIVE SETTLED WRITTEN_OFF"),
        flag("in_arrears", "Something due was not paid."),
        ident("officer_id", "The loan officer.", reference="staff"),
        flag("revolving", "A line that may be drawn again after it was paid back; principal_minor is the line."),
        code("collateral", "What secures it.", "NONE MORTGAGE PLEDGE GUARANTEE", required=False),
        day(
            "next_due_date", "Day the next instalment or interest is due; given only if the state is LIVE.", past=False
        ),
        amount("next_due_minor", "What is due then; given only if next_due_date is."),
        number("overdue_days", "For how many days something due has been unpaid, 0 for none; empty if unknown."),
        amount("overdue_minor", "Principal due and unpaid; empty if unknown."),
        amount("interest_arrears_minor", "Interest due and unpaid; empty if unknown."),
        code("grade", "The five-tier grade.", GRADES, required=False),
        day("grade_date", "Day since when it has this grade; given only if grade is."),
        day(
            "last_overdue_date",
            "The last day on which anything was unpaid for longer than the bank's tolerance; empty if none was.",
        ),
    ),
    (
        Rule("close_date", "close_date < disburse_date", "is before disburse_date"),
        Rule("close_date", "(state = 'LIVE') = (close_date IS NOT NULL)", "must be given exactly if state is not LIVE"),
        Rule("due_date", "due_date < disburse_date", "is before disburse_date"),
        Rule("next_due_date", "state <> 'LIVE' AND next_due_date IS NOT NULL", "is given though state is not LIVE"),
        Rule("next_due_minor", "next_due_minor IS NOT NULL AND next_due_date IS NULL", "has no next_due_date"),
        Rule("overdue_days", "state <> 'LIVE' AND overdue_days IS NOT NULL", "is given though state is not LIVE"),
        *(
            Rule(name, f"{name} > 0 AND NOT in_arrears", "is above 0 though in_arrears is false")
            for name in ("overdue_days", "overdue_minor", "interest_arrears_minor")
        ),
        Rule("grade_date", "grade_date IS NOT NULL AND grade IS NULL", "has no grade"),
        Rule("grade_date", "grade_date < disburse_date", "is before disburse_date"),
        Rule("last_overdue_date", "last_overdue_date < disburse_date", "is before disburse_date"),
    ),
)
CARDS = Table(
    "cards",
    "Credit cards. One is live from open_date until the end of the day before close_date.",
    ("card_id",),
    (
        ident("card_id", "The card.", required=True),
        ident("customer_id", "Its holder.", required=True, reference="customers"),
        ident("branch_id", "The branch that issued it.", required=True, reference="branches"),
        text("product", "The card product, such as `gold`."),
        amount("limit_minor", "The credit limit; empty if unknown or none."),
        day("open_date", "Day it was issued.", required=True),
        day("close_date", "Day it was given back; empty while valid."),
        ident("manager_id", "The card's manager.", reference="staff"),
        amount("used_minor", "What is owed on it at the end of the business date; empty if unknown."),
        day("due_date", "Day the next repayment is due; empty if nothing is.", past=False),
        amount("due_minor", "What is due then; given only if due_date is."),
        number("overdue_days", "For how many days something due has been unpaid, 0 for none; empty if unknown."),
        amount("instalment_minor", "The part of used_minor that is paid back in instalments."),
        day("last_use_date", "Day of the last purchase or cash withdrawal; empty if it was never used."),
    ),
    (
        CLOSED_TOO_EARLY,
        Rule("due_minor", "due_minor IS NOT NULL AND due_date IS NULL", "has no due_date"),
        Rule("last_use_date", "last_use_date < open_date", "is before open_date"),
    ),
)
BALANCES = Table(
    "balances",
    "End-of-day balances, one row for each day on which the balance changed. A balance holds until the next row; "
    "before the first row it is 0, so give at least one row from before the 30 days up to the business date, and one "
    "from before the year for averages of the year. "
    "Needed for accounts with a known balance only. Read by the nightly batch.",
    ("account_id", "balance_date"),
    (
        ident("account_id", "The account.", required=True, reference="accounts"),
        day("balance_date", "The day.", required=True),
        amount("balance_minor", "The balance at its end.", required=True, minimum=None),
    ),
)
HOLDINGS = Table(
    "holdings",
    "Products a customer has signed up for.",
    ("customer_id", "branch_id", "product_code", "open_date"),
    (
        ident("customer_id", "The customer.", required=True, reference="customers"),
        ident("branch_id", "Where he signed up.", required=True, reference="branches"),
        ident("product_code", "The product, a product_id of `products`.", required=True, reference="products"),
        day("open_date", "Day he signed up.", required=True),
        day("close_date", "Day he left; empty while he has it."),
        amount("amount_minor", "What it is worth, of products that hold money such as wealth and insurance."),
        day("maturity_date", "Day it ends by itself.", past=False),
    ),
    (CLOSED_TOO_EARLY, Rule("maturity_date", "maturity_date < open_date", "is before open_date")),
)
TRANSACTIONS = Table(
    "transactions",
    "Bookings on accounts.",
    ("transaction_id",),
    (
        ident("transaction_id", "The booking, unique for ever.", required=True),
        ident("account_id", "The account.", required=True, reference="accounts"),
        instant("event_time", "When it happened; 12:00 bank time if the source tells only a date."),
        code("direction", "Into the account or out of it.", "IN OUT"),
        amount("amount_minor", "How much, above 0.", required=True, minimum=1),
        code("operation", "What it was.", OPERATIONS, required=False),
        text("counterparty_bank", "The other side's bank."),
        text("counterparty_account", "The other side's account."),
        flag("standing_order", "Made by a permanent order or as an own loan's instalment."),
        flag("own_transfer", "Between accounts of one and the same customer."),
        ident("reversed_transaction_id", "The booking that this one undoes; it may be older than the feed."),
        code(
            "channel",
            "Where the customer made it; SYSTEM for what he did not make himself, as interest and standing orders.",
            "COUNTER ATM POS MOBILE ONLINE SYSTEM",
            required=False,
        ),
    ),
    (Rule("reversed_transaction_id", "reversed_transaction_id = transaction_id", "is the booking"),),
)
