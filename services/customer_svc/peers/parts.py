"""All that a customer's page shows of other services, asked at once with the caller's token."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import grpc

from services.customer_svc.domain.parts import Alert, Contact, OwnershipPeriod, Parts, Task
from services.customer_svc.peers import alerts, contacts, ownership_periods, tasks
from services.customer_svc.peers.answers import answer_or_missing, ask_seconds

CONTACTS_MAX = 10
ALERTS_MAX = 20
TASKS_MAX = 20
PERIODS_MAX = 50
# Handled ones are among those listed.
_ALERTS_LISTED = 50
_OPEN = frozenset({"UNREAD", "READ"})

AskParts = Callable[[str], Awaitable[Parts]]


@dataclass(frozen=True)
class Sources:
    """The channels to the services that know more of customers."""

    ownership: grpc.aio.Channel
    contacts: grpc.aio.Channel
    tasks: grpc.aio.Channel
    alerts: grpc.aio.Channel


def parts_from(sources: Sources) -> AskParts:
    """Asks these services about one customer; what does not come in time is missing, nothing fails."""

    async def ask(customer_id: str) -> Parts:
        seconds = ask_seconds()
        periods, made, raised, due = await asyncio.gather(
            answer_or_missing(
                "ownership_periods",
                ownership_periods.list_periods(sources.ownership, customer_id, PERIODS_MAX, seconds),
                list[OwnershipPeriod](),
            ),
            answer_or_missing("contacts", _last_contacts(sources, customer_id, seconds), list[Contact]()),
            answer_or_missing("alerts", _open_alerts(sources, customer_id, seconds), list[Alert]()),
            answer_or_missing(
                "tasks", tasks.list_open_tasks(sources.tasks, customer_id, TASKS_MAX, seconds), list[Task]()
            ),
        )
        missing = [one for one in (periods[1], made[1], raised[1], due[1]) if one is not None]
        return Parts(periods[0], made[0], raised[0], due[0], missing)

    return ask


async def _last_contacts(sources: Sources, customer_id: str, seconds: float) -> Sequence[Contact]:
    return (await contacts.list_contacts(sources.contacts, customer_id, CONTACTS_MAX, seconds)).contacts


async def _open_alerts(sources: Sources, customer_id: str, seconds: float) -> Sequence[Alert]:
    page = await alerts.list_alerts(sources.alerts, customer_id, _ALERTS_LISTED, seconds)
    return [alert for alert in page.alerts if alert.state in _OPEN][:ALERTS_MAX]
