"""Nights run in order, each over its own facts."""

from datetime import date

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Kind, Refused
from services.assignment_svc.store import allocation

# The longest time without a night, over holidays: a wrong date in the future would shut out every night until then.
AHEAD_DAYS_MAX = 10


async def check_night(tx: AsyncConnection, day: date) -> allocation.Progress:
    """Refuses a date before the last one decided, and a date whose facts are not there; they stay until `tx` ends."""
    so_far = await allocation.hold_progress(tx)
    if so_far.decided_date is not None and day < so_far.decided_date:
        raise night_past(so_far.decided_date)
    if so_far.facts_date != day:
        given = {"business_date": day.isoformat()}
        raise Refused(Kind.PRECONDITION, "FACTS_MISSING", f"no facts were imported for {day.isoformat()}", given)
    return so_far


def check_changes(so_far: allocation.Progress, day: date) -> None:
    """Refuses facts that come within a day: before the first night, until the last one has run, and of a wrong date."""
    if so_far.business_date is None or so_far.decided_date is None:
        raise Refused(Kind.PRECONDITION, "NIGHT_MISSING", "no night has run yet: send the whole facts first")
    if so_far.facts_date is None or so_far.facts_date > so_far.business_date:
        given = {"facts_date": so_far.facts_date.isoformat() if so_far.facts_date else ""}
        raise Refused(Kind.PRECONDITION, "NIGHT_PENDING", "whole facts wait for their night", given)
    if day < so_far.decided_date:
        raise night_past(so_far.decided_date)
    if (day - so_far.decided_date).days > AHEAD_DAYS_MAX:
        given = {"last_business_date": so_far.decided_date.isoformat()}
        message = f"{day.isoformat()} is more than {AHEAD_DAYS_MAX} days after the last date"
        raise Refused(Kind.PRECONDITION, "BUSINESS_DATE_AHEAD", message, given)


def night_past(last: date) -> Refused:
    """Refuses to go back behind a night."""
    given = {"last_business_date": last.isoformat()}
    message = f"nights run in order: {last.isoformat()} was allocated already"
    return Refused(Kind.PRECONDITION, "BUSINESS_DATE_PAST", message, given)
