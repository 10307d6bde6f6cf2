"""The tables of the feed that tell how the bank and its customers speak, and what customers allow."""

from acrm.columns import Rule, Table, code, ident, instant, text

# The channels for which a customer can allow or refuse contacts.
_CONSENT_CHANNELS = "ALL SMS CALL PUSH MAIL WECHAT"
_CATEGORY = "`ALL`, or a category of `products`."

COMPLAINTS = Table(
    "complaints",
    "Complaints of customers. Read by the nightly batch.",
    ("complaint_id",),
    (
        ident("complaint_id", "The complaint.", required=True),
        ident("customer_id", "Who complains.", required=True, reference="customers"),
        text("channel", "How it came, such as `counter` or `hotline`."),
        text("category", "What about, such as `fees`."),
        instant("open_time", "When it came."),
        instant("close_time", "When it was settled; empty while open.", required=False),
    ),
    (Rule("close_time", "close_time < open_time", "is before open_time"),),
)
CONSENTS = Table(
    "consents",
    "What customers allow, or no longer allow, by channel and category: the last word on each.",
    ("customer_id", "channel", "category"),
    (
        ident("customer_id", "The customer.", required=True, reference="customers"),
        code("channel", "The way; ALL for every one.", _CONSENT_CHANNELS),
        text("category", _CATEGORY, required=True),
        code("state", "Whether it holds.", "GRANTED WITHDRAWN"),
        instant("state_time", "Since when."),
        text("version", "The version of the text that the customer agreed to."),
        text("proof", "Where the proof is kept, such as the number of a form."),
    ),
)
OPT_OUTS = Table(
    "opt_outs",
    "What customers do not want to hear, by channel and category.",
    ("customer_id", "channel", "category"),
    (
        ident("customer_id", "The customer.", required=True, reference="customers"),
        code("channel", "The way; ALL for every one.", _CONSENT_CHANNELS),
        text("category", _CATEGORY, required=True),
        instant("opt_out_time", "When he said so."),
    ),
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
