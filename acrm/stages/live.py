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
