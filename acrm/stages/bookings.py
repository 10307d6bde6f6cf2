"""Which bookings count, and what came and went by customer and branch (domain.md 6, netting)."""

from datetime import date, timedelta

import ibis
from ibis import Deferred, _
from ibis.expr import types as ir

from acrm.stages.expressions import day, not_no, one_if, yes
from chassis.clock import bank_noon

# The bank's own bookings come from nowhere outside; an instalment of an own loan is named by the domain's rule.
_BY_THE_BANK = ("interest_credit", "interest_penalty", "fee", "loan_disbursement", "loan_instalment")
# What nobody but the customer sets off.
_BY_THE_CUSTOMER = ("cash_in", "cash_out", "card_cash_out", "card_payment", "transfer_out", "insurance", "household")
CHANNELS = ("COUNTER", "ATM", "POS", "MOBILE", "ONLINE")
_SPANS = (30, 90)

# How the totals of bookings add up over branches.
FLOW_TOTALS = {
    **{f"{way}_{days}d_minor": "sum" for way in ("inflow", "outflow", "other_bank") for days in _SPANS},
    **{f"other_bank_{days}d_count": "sum" for days in _SPANS},
    **{f"{channel.lower()}_90d_count": "sum" for channel in CHANNELS},
    "salary_90d_count": "sum",
    "largest_in_90d_minor": "max",
    "largest_out_90d_minor": "max",
    "last_active_date": "max",
    "first_booking_date": "min",
}


def standing_bookings(transactions: ir.Table, accounts: ir.Table, business_date: date) -> ir.Table:
    """The bookings that stand: none that was reversed, no reversal; with their day of bank time and their owner.

    `outside` is true of what came from, or went to, outside: not between own accounts, not by a standing order, not the
    bank's own doing. `own_doing` is true of what the customer himself set off.
    """
    reversed_ids = transactions.filter(_.reversed_transaction_id.notnull()).select(
        transaction_id="reversed_transaction_id"
    )
    stands = transactions.anti_join(reversed_ids, "transaction_id").filter(
        _.reversed_transaction_id.isnull() & not_no(_.operation != "reversal")
    )
    owned = stands.inner_join(accounts.select("account_id", "customer_id", "branch_id"), "account_id")
    offset = bank_noon(business_date).utcoffset()
    assert offset is not None, "bank time has an offset"
    by_customer = yes(_.operation.isin(_BY_THE_CUSTOMER))
    return owned.select(
        "customer_id",
        "branch_id",
        "amount_minor",
        "operation",
        "channel",
        booking_date=(_.event_time + ibis.interval(seconds=int(offset.total_seconds()))).date(),
        incoming=_.direction == "IN",
        outside=~_.own_transfer & ~_.standing_order & ~yes(_.operation.isin(_BY_THE_BANK)),
        own_doing=by_customer & ~_.standing_order & not_no(_.channel != "SYSTEM"),
        other_bank=(_.operation == "transfer_out") & _.counterparty_bank.notnull(),
    )


def flows(stands: ir.Table, business_date: date) -> ir.Table:
    """By customer and branch what FLOW_TOTALS names, as far as the feed's bookings reach."""
    since = {days: _.booking_date >= day(business_date - timedelta(days=days - 1)) for days in _SPANS}
    incoming, outgoing = _.outside & _.incoming, _.outside & ~_.incoming
    elsewhere = outgoing & yes(_.other_bank)
    totals: dict[str, Deferred] = {}
    for days, recent in since.items():
        for way, counts in (("inflow", incoming), ("outflow", outgoing), ("other_bank", elsewhere)):
            totals[f"{way}_{days}d_minor"] = (_.amount_minor * one_if(counts & recent)).sum()
        totals[f"other_bank_{days}d_count"] = one_if(elsewhere & recent).sum()
    for channel in CHANNELS:
        totals[f"{channel.lower()}_90d_count"] = one_if((_.channel == channel) & since[90]).sum()
    return stands.group_by("customer_id", "branch_id").agg(
        **totals,
        salary_90d_count=one_if((_.operation == "salary") & since[90]).sum(),
        largest_in_90d_minor=_.amount_minor.max(where=incoming & since[90]),
        largest_out_90d_minor=_.amount_minor.max(where=outgoing & since[90]),
        last_active_date=_.booking_date.max(where=_.own_doing),
        first_booking_date=_.booking_date.min(),
    )
