"""What is live at the end of a business date (docs/feed.md, live business)."""

from datetime import date

import ibis
from ibis import Deferred, _

from acrm.stages.expressions import cases, day, greatest

# A loan is live by its state: until the contract is closed and nothing is owed.
LOAN_LIVE: Deferred = _.state.isin(["LIVE"])


def not_closed(business_date: date) -> Deferred:
    """An account or card is live before its close_date; nothing that the feed tells was opened after the date."""
    return _.close_date.isnull() | (_.close_date > day(business_date))


def last_live_day(open_date: str) -> Deferred:
    """The last day on which something closed was live: the day before its close_date; empty without one.

    What was opened and closed on one day was never live; its day counts.
    """
    eve = _.close_date - ibis.interval(days=1)
    # The greater of an unknown day and a known one is the known one on some engines.
    return cases((_.close_date.notnull(), greatest(eve, _[open_date])))
