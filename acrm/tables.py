"""The tables of the feed: here and in the modules beside it each column is named, typed and described, once."""

from acrm.business_tables import ACCOUNTS, BALANCES, CARDS, HOLDINGS, LOANS, TRANSACTIONS
from acrm.columns import CLOSED_TOO_EARLY, Column, Rule, Table, code, day, degrees, ident, number, text
from acrm.contact_tables import COMPLAINTS, CONSENTS, CONTACTS, OPT_OUTS
from chassis.caller import Role

# Roles that a person can have; SERVICE is for programs.
STAFF_ROLES = tuple(role.value for role in Role if role is not Role.SERVICE)

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
    (CLOSED_TOO_EARLY,),
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
        text("category", "What sort of product it is, such as `mobile_bank` or `wealth`.", required=True),
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
        text("industry", "The line of business of a company."),
        number("risk_rating", "The customer's appetite for risk, from 1 (cautious) to 5 (bold).", minimum=1, maximum=5),
        day("risk_rating_expiry_date", "Last day the rating is valid; given only if risk_rating is.", past=False),
    ),
    (
        Rule("id_type", "(id_type IS NULL) <> (id_number IS NULL)", "must be given exactly if id_number is"),
        Rule("customer_since_date", "customer_since_date < birth_date", "is before birth_date"),
        Rule(
            "risk_rating_expiry_date",
            "risk_rating_expiry_date IS NOT NULL AND risk_rating IS NULL",
            "has no risk_rating",
        ),
    ),
    required=True,
)
CUSTOMER_LOCATIONS = Table(
    "customer_locations",
    "Where customers live or do business, of those of whom it is known: visits are compared with it.",
    ("customer_id",),
    (
        ident("customer_id", "The customer.", required=True, reference="customers"),
        degrees("latitude", "Decimal degrees north, at least -90.", 90),
        degrees("longitude", "Decimal degrees east, at least -180.", 180),
    ),
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

# In an order in which every table comes after those that it refers to.
_ORDERED = (
    BRANCHES,
    STAFF,
    PRODUCTS,
    CUSTOMERS,
    CUSTOMER_LOCATIONS,
    RELATIONS,
    ACCOUNTS,
    LOANS,
    CARDS,
    HOLDINGS,
    BALANCES,
    COMPLAINTS,
    CONSENTS,
    OPT_OUTS,
    CONTACTS,
    TRANSACTIONS,
)
FEED = {table.name: table for table in _ORDERED}
