"""The tables of the feed and those derived from it: the one place where a column is named, typed and described."""

from acrm.columns import Column, Rule, Table, amount, code, day, flag, ident, instant, text
from chassis.caller import Role

# Roles that a person can have; SERVICE is for programs.
STAFF_ROLES = tuple(role.value for role in Role if role is not Role.SERVICE)

# What a booking was. Codes, so that rules can be written on them; a source's own words are mapped by its adapter.
OPERATIONS = (
    "cash_in cash_out card_cash_out card_payment transfer_in transfer_out interest_credit interest_penalty fee "
    "loan_disbursement loan_instalment salary pension insurance household reversal other"
)

_CLOSED_TOO_EARLY = Rule("close_date", "close_date < open_date", "is before open_date")

BRANCHES = Table(
    "branches",
    "Outlets, regions and head offices of the bank, as a tree.",
    ("branch_id",),
    (
        ident("branch_id", "The branch.", required=True),
        text("display_name", "Its name as staff know it.", required=True),
        ident("parent_id", "The branch above; empty for a root. No branch is above itself.", reference="branches"),
        text("legal_entity", "The legal entity it belongs to; empty if the bank is one."),
        day("open_date", "First day of business."),
        day("close_date", "Day it was closed; empty while open."),
    ),
    (_CLOSED_TOO_EARLY,),
    required=True,
)
STAFF = Table(
    "staff",
    "People who work at the bank.",
    ("staff_id",),
    (
        ident("staff_id", "The staff member.", required=True),
        text("display_name", "The person's name.", required=True),
        ident("branch_id", "Where the person works now.", required=True, reference="branches"),
        Column("roles", "codes", "What the person does: codes joined by `;`.", required=True, codes=STAFF_ROLES),
        text("login", "The name to sign in with, once in the bank; empty if the person cannot sign in by password."),
        text("password_hash", "The argon2 hash of the password, encoded (`$argon2id$…`); given if login is."),
        day("active_from_date", "First day of work here; empty for always.", past=False),
        day("active_until_date", "Last day of work here; empty for no end.", past=False),
        ident("successor_id", "Who takes over the person's customers.", reference="staff"),
    ),
    (
        Rule("active_until_date", "active_until_date < active_from_date", "is before active_from_date"),
        Rule("successor_id", "successor_id = staff_id", "is the staff member"),
        Rule("password_hash", "(login IS NULL) <> (password_hash IS NULL)", "must be given exactly if login is"),
        Rule("password_hash", "NOT starts_with(password_hash, '$argon2')", "is not an argon2 hash"),
    ),
    unique=("login",),
)
PRODUCTS = Table(
    "products",
    "What the bank sells.",
    ("product_id",),
    (
        ident("product_id", "The product.", required=True),
        text("display_name", "Its name.", required=True),
        text("category", "What sort of product it is, such as `wealth` or `e_channel`.", required=True),
    ),
)
CUSTOMERS = Table(
    "customers",
    "People and companies the bank knows.",
    ("customer_id",),
    (
        ident("customer_id", "The customer.", required=True),
        code("customer_type", "A person or a company.", "INDIVIDUAL CORPORATE", required=True),
        text("display_name", "The customer's name."),
        code("sex", "A person's sex; empty if unknown.", "FEMALE MALE", required=False),
        day("birth_date", "A person's birthday."),
        text("id_type", "What sort of identity document, such as `ID_CARD`; given if id_number is."),
        text("id_number", "The document's number."),
        day("id_expiry_date", "Last day the document is valid.", past=False),
        text("mobile", "Mobile phone number."),
        text("occupation", "What the person does for a living."),
        text("residence_district", "District of residence."),
        day("customer_since_date", "Day the customer came to the bank."),
        code("state", "FROZEN by law; DECEASED for good.", "ACTIVE DECEASED FROZEN", required=True),
    ),
    (
        Rule("id_type", "(id_type IS NULL) <> (id_number IS NULL)", "must be given exactly if id_number is"),
        Rule("customer_since_date", "customer_since_date < birth_date", "is before birth_date"),
    ),
    required=True,
)
RELATIONS = Table(
    "relations",
    "Who stands by a customer: `related_customer_id` is the `kind` of `customer_id`.",
    ("customer_id", "related_customer_id", "kind"),
    (
        ident("customer_id", "The customer.", required=True, reference="customers"),
        ident("related_customer_id", "Who stands by him.", required=True, reference="customers"),
        code("kind", "As what.", "disponent guarantor guardian company_owner household"),
    ),
    (Rule("related_customer_id", "related_customer_id = customer_id", "is the customer"),),
)
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
    (_CLOSED_TOO_EARLY, Rule("maturity_date", "maturity_date < open_date", "is before open_date")),
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
    ),
    (
        Rule("close_date", "close_date < disburse_date", "is before disburse_date"),
        Rule("close_date", "(state = 'LIVE') = (close_date IS NOT NULL)", "must be given exactly if state is not LIVE"),
        Rule("due_date", "due_date < disburse_date", "is before disburse_date"),
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
    ),
    (_CLOSED_TOO_EARLY,),
)
BALANCES = Table(
    "balances",
    "End-of-day balances, one row for each day on which the balance changed. A balance holds until the next row; "
    "before the first row it is 0, so give at least one row from before the 30 days up to the business date. "
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
    ),
    (_CLOSED_TOO_EARLY,),
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
    ),
    (Rule("reversed_transaction_id", "reversed_transaction_id = transaction_id", "is the booking"),),
)
CONTACTS = Table(
    "contacts",
    "Contacts with customers, on every channel.",
    ("contact_id",),
    (
        ident("contact_id", "The contact.", required=True),
        ident("customer_id", "The customer.", required=True, reference="customers"),
        code("channel", "The way.", "SMS CALL PUSH MAIL WECHAT VISIT"),
        code("message_class", "What for.", "REGULATORY SERVICE COLLECTION RELATIONSHIP MARKETING"),
        instant("contact_time", "When."),
        code("state", "What became of it.", "ACCEPTED DELIVERED FAILED UNKNOWN"),
        ident("product_id", "The product it was about.", reference="products"),
        ident("campaign_id", "The campaign it belonged to."),
        text("outcome", "What the customer answered, such as `refused`."),
    ),
)

# In an order in which every table comes after those that it refers to.
_ORDERED = (
    BRANCHES,
    STAFF,
    PRODUCTS,
    CUSTOMERS,
    RELATIONS,
    ACCOUNTS,
    LOANS,
    CARDS,
    HOLDINGS,
    BALANCES,
    CONTACTS,
    TRANSACTIONS,
)
FEED = {table.name: table for table in _ORDERED}

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
CUSTOMER_BRANCH_FIGURES = Table(
    "customer_branch_figures",
    "Deposits by customer and branch, a row for each pair with an account, open or closed. Taken by customer_svc.",
    ("customer_id", "branch_id"),
    (
        ident("customer_id", "The customer.", required=True),
        ident("branch_id", "The branch.", required=True),
        amount(
            "deposit_balance_minor", "The sum of the live accounts' balances; empty if one is unknown.", minimum=None
        ),
        amount("deposit_average_minor", "deposit_sum_minor of branch_facts divided by 30, rounded down."),
    ),
)
DERIVED = {table.name: table for table in (CUSTOMER_BRANCH_FIGURES, BRANCH_FACTS)}
