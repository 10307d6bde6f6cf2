"""Nights run in order, each over its own facts."""

from datetime import date

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Kind, Refused
from services.assignment_svc.store import allocation


async def check_night(tx: AsyncConnection, day: date) -> allocation.Progress:
    """Refuses a date before the last one decided, and a date whose facts are not there; they stay until `tx` ends."""
    so_far = await allocation.hold_progress(tx)
    if so_far.decided_date is not None and day < so_far.decided_date:
        raise night_past(so_far.decided_date)
    if so_far.facts_date != day:
        given = {"business_date": day.isoformat()}
        raise Refused(Kind.PRECONDITION, "FACTS_MISSING", f"no facts were imported for {day.isoformat()}", given)
    return so_far


def night_past(last: date) -> Refused:
    """Refuses to go back behind a night."""
    given = {"last_business_date": last.isoformat()}
    message = f"nights run in order: {last.isoformat()} was allocated already"
    return Refused(Kind.PRECONDITION, "BUSINESS_DATE_PAST", message, given)
