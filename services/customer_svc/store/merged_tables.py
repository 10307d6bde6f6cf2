"""Which tables of customer_svc pass from one customer to another, and how the figures of two are added up."""

from collections.abc import Iterable, Mapping

from sqlalchemy import BigInteger, Integer

from chassis.sql.merging import MergedTable
from services.customer_svc.store.figure_columns import FIGURES

# An amount that is not known is not known of both, if there is business that it would tell of.
_COUNTED_BY = {
    **dict.fromkeys(("deposit", "demand", "time", "aum"), "account_count"),
    "loan": "loan_count",
    "card": "card_count",
}
_LATEST = {"loan_grade_date", "loan_settled_date", "card_last_use_date", "last_active_date"}
_WORST = {"loan_overdue_days", "card_overdue_days", "loan_grade"}
_KNOWN_ONLY = "CASE WHEN o.{0} IS NULL THEN t.{0} WHEN t.{0} IS NULL THEN o.{0} ELSE o.{0} + t.{0} END"
_ALL_TEXTS = """(
  SELECT array_agg(DISTINCT one ORDER BY one) FROM unnest(coalesce(o.{0}, '{{}}') || coalesce(t.{0}, '{{}}')) AS one
)"""
_UNKNOWN = "({0}.{1} IS NULL AND coalesce({0}.{2}, 0) > 0)"


def figures(prefix: str = "", names: Iterable[str] = FIGURES) -> dict[str, str]:
    """What becomes of two customers' figures, as expressions over `o` and `t`; the next night computes them anew."""
    return {f"{prefix}{name}": _figure(name, prefix) for name in names}


def _figure(name: str, prefix: str) -> str:
    column, kind = f"{prefix}{name}", FIGURES[name]
    if name == "holding_categories":
        return _ALL_TEXTS.format(column)
    if name in _LATEST | _WORST or name.startswith("largest"):
        return f"greatest(o.{column}, t.{column})"
    if kind not in {BigInteger, Integer}:
        return f"least(o.{column}, t.{column})"
    summed = _KNOWN_ONLY.format(column)
    count = _COUNTED_BY.get(name.partition("_")[0])
    if count is None or kind is Integer:
        return summed
    unknown = " OR ".join(_UNKNOWN.format(one, column, f"{prefix}{count}") for one in ("o", "t"))
    return f"CASE WHEN {unknown} THEN NULL ELSE {summed} END"


MONTHS: Mapping[str, str] = {
    "end_minor": "o.end_minor + t.end_minor",
    "average_minor": "o.average_minor + t.average_minor",
}
# As staged, several texts are one; those of the survivor do until the next night.
FIGURES_AS_TOLD: Mapping[str, str] = figures(names=[name for name in FIGURES if name != "holding_categories"])

_RELATED_TO_HIMSELF = "t.{0} IN (:survivor_id, :merged_id)"
TABLES = (
    MergedTable("accounts", ("account_id",)),
    MergedTable("loans", ("loan_id",)),
    MergedTable("cards", ("card_id",)),
    MergedTable("holdings", ("branch_id", "product_code", "open_date")),
    MergedTable(
        "relations",
        ("related_customer_id", "kind"),
        leaves_out=_RELATED_TO_HIMSELF.format("related_customer_id"),
    ),
    MergedTable(
        "relations",
        ("customer_id", "kind"),
        owner="related_customer_id",
        leaves_out=_RELATED_TO_HIMSELF.format("customer_id"),
    ),
    MergedTable("customer_branch_figures", ("branch_id",), combine=figures(), derived=True),
    MergedTable("monthly_balances", ("branch_id", "month_date"), combine=MONTHS, derived=True),
    MergedTable("potential_tags", ("tag_code",)),
    MergedTable("manual_tags", ("tag_code",)),
    MergedTable("tag_overrides", ("tag_code",)),
    MergedTable("tag_changes", ("change_id",)),
    MergedTable(
        "key_marks",
        (),
        combine={
            "asset": "o.asset OR t.asset",
            "loan": "o.loan OR t.loan",
            "manual_until_date": "greatest(o.manual_until_date, t.manual_until_date)",
            "since_date": "least(o.since_date, t.since_date)",
        },
    ),
    # One at a time may be pending, and one in force.
    MergedTable(
        "key_mark_proposals",
        ("proposal_id",),
        leaves_out="t.state IN ('PROPOSED', 'APPROVED') AND EXISTS (SELECT FROM key_mark_proposals p"
        " WHERE p.customer_id = :survivor_id AND p.state = t.state)",
    ),
    MergedTable("key_mark_changes", ("change_id",)),
    MergedTable("group_members", ("group_id", "generation")),
    MergedTable("notes", ("note_id",)),
    MergedTable("attachments", ("attachment_id",)),
    MergedTable("manual_relations", ("relation_id",), leaves_out=_RELATED_TO_HIMSELF.format("related_customer_id")),
    MergedTable(
        "manual_relations",
        ("relation_id",),
        owner="related_customer_id",
        leaves_out=_RELATED_TO_HIMSELF.format("customer_id"),
    ),
)
