"""What is live at the end of a business date (docs/feed.md, live business)."""

from datetime import date

import ibis
from ibis import Deferred, _
from ibis.expr import types as ir

# A loan is live by its state: until the contract is closed and nothing is owed.
LOAN_LIVE: Deferred = _.state.isin(["LIVE"])


def day(business_date: date) -> ir.Scalar:
    """A date as an expression."""
    return ibis.literal(business_date, type="date")


def not_closed(business_date: date) -> Deferred:
    """An account or card is live before its close_date; nothing that the feed tells was opened after the date."""
    return _.close_date.isnull() | (_.close_date > day(business_date))


def last_live_day(open_date: str) -> ir.Value:
    """The last day on which something closed was live: the day before its close_date; empty without one.

    What was opened and closed on one day was never live; its day counts.
    """
    eve = _.close_date - ibis.interval(days=1)
    # The greater of an unknown day and a known one is the known one on some engines.
    return ibis.cases((_.close_date.notnull(), ibis.greatest(eve, _[open_date])))
