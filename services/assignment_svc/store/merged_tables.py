"""Which tables of assignment_svc pass from one customer to another, and how the facts of one branch are united."""

from collections.abc import Mapping

from chassis.sql.merging import MergedTable

# The loan or card that speaks for the branch, as acrm chooses it: the largest amount (unknown last), then the earliest,
# then by id.
_CHOICE = (
    "(t.{kind}_live AND (NOT o.{kind}_live OR (coalesce(t.{amount}, -1), o.{since}, o.{kind}_id)"
    " > (coalesce(o.{amount}, -1), t.{since}, t.{kind}_id)))"
)
_LOAN = _CHOICE.format(kind="loan", amount="loan_outstanding_minor", since="loan_first_disburse_date")
_CARD = _CHOICE.format(kind="card", amount="card_limit_minor", since="card_first_open_date")
_LIVE = "({0}.loan_live OR {0}.card_live OR {0}.deposit_live)"


def _chosen(choice: str, *names: str) -> dict[str, str]:
    return {name: f"CASE WHEN {choice} THEN t.{name} ELSE o.{name} END" for name in names}


# As docs/feed.md defines the columns, over `o` and `t`; the customer's state is the survivor's.
FACTS_AS_TOLD: Mapping[str, str] = {
    "loan_live": "o.loan_live OR t.loan_live",
    **_chosen(_LOAN, "loan_id", "loan_outstanding_minor", "loan_officer_id"),
    "loan_first_disburse_date": "least(o.loan_first_disburse_date, t.loan_first_disburse_date)",
    "loan_end_date": "greatest(o.loan_end_date, t.loan_end_date)",
    "card_live": "o.card_live OR t.card_live",
    **_chosen(_CARD, "card_id", "card_limit_minor", "card_manager_id"),
    "card_first_open_date": "least(o.card_first_open_date, t.card_first_open_date)",
    "deposit_live": "o.deposit_live OR t.deposit_live",
    "deposit_sum_minor": "o.deposit_sum_minor + t.deposit_sum_minor",
    "relation_since_date": "least(o.relation_since_date, t.relation_since_date)",
    "last_live_date": "greatest(o.last_live_date, t.last_live_date)",
}
# Stored, the last live day is empty while anything is live.
FACTS_AS_STORED = {
    **FACTS_AS_TOLD,
    "last_live_date": f"CASE WHEN NOT ({_LIVE.format('o')} OR {_LIVE.format('t')})"
    " THEN greatest(o.last_live_date, t.last_live_date) END",
}

_NEW_REV = "rev = pg_current_xact_id()"
TABLES = (
    MergedTable("branch_facts", ("branch_id",), combine=FACTS_AS_STORED, derived=True, touch=_NEW_REV),
    MergedTable("ownership_hold", ("hold_id",), touch=_NEW_REV),
    MergedTable("officer_override", ("loan_id",), touch=_NEW_REV),
    # Each customer may have one that binds him: the other's binds nobody any more, and lapses when it is answered.
    MergedTable("ownership_request", ("request_id",), touch="exclusive = false"),
    MergedTable("request_approval", ("request_id", "side")),
    MergedTable("request_transition", ("request_id", "transition_id")),
    MergedTable("row_protection", ("branch_id",)),
    # Who was near to one of them must not meet the other either.
    MergedTable("staff_relation", ("staff_id",)),
    # The survivor's own stays; the other's takes the place only if there is none.
    MergedTable("private_manager", ()),
    MergedTable("visit", ("visit_id",)),
    MergedTable("visit_version", ("visit_id", "version")),
    # Of a month, and of where he lives, there is one row: the survivor's stays.
    MergedTable("visit_duty", ("month_date",)),
    MergedTable("customer_locations", ()),
)
