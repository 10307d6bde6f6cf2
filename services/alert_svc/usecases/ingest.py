"""Takes a batch of transactions: each counts once, and what their days reach becomes an alert."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from services.alert_svc.domain.alerts import DayFigures, Rule, rule_for, threshold_reached
from services.alert_svc.domain.transactions import Reason, Rejection, Transaction, rejection_of
from services.alert_svc.store import alerts, transactions
from services.alert_svc.store.alerts import Reached


@dataclass(frozen=True)
class Ingested:
    """What became of a batch."""

    stored_count: int
    duplicate_count: int
    rejections: tuple[Rejection, ...]
    alert_count: int
    """Alerts raised, changed or withdrawn."""


async def ingest(tx: AsyncConnection, batch: Sequence[Transaction], now: datetime) -> Ingested:
    """Stores what is new of a batch and brings the alerts of its days up to date, all in one transaction."""
    judged = [(one, rejection_of(one, now)) for one in batch]
    fit = [one for one, rejection in judged if rejection is None]
    holders = await transactions.lock_holders(tx, sorted({one.account_id for one in fit}))
    refused = [rejection for _, rejection in judged if rejection is not None]
    misplaced = await _misplaced_reversals(tx, fit)
    refused += [Rejection(one.transaction_id, Reason.FIELD_INVALID, "reversed_transaction") for one in misplaced]
    fit = [one for one in fit if one not in misplaced]
    known = {one.transaction_id: one for one in reversed(fit) if one.account_id in holders}
    strangers = [
        Rejection(one.transaction_id, Reason.ACCOUNT_UNKNOWN, "account") for one in fit if one.account_id not in holders
    ]
    fresh = await transactions.claim_ids(tx, list(known)) if known else set[str]()
    changed = 0
    if fresh:
        taken = [(known[one], holders[known[one].account_id]) for one in sorted(fresh)]
        days = await transactions.add(tx, taken)
        changed = await _tell(tx, days)
    duplicates = len(fit) - len(strangers) - len(fresh)
    return Ingested(len(fresh), duplicates, (*refused, *strangers), changed)


async def _misplaced_reversals(tx: AsyncConnection, fit: Sequence[Transaction]) -> list[Transaction]:
    """Reversals of what was booked on another account: nobody undoes another customer's transaction."""
    reversing = [one for one in fit if one.reversed_transaction_id]
    stored = await transactions.accounts_of(tx, [one.reversed_transaction_id for one in reversing])
    return [one for one in reversing if stored.get(one.reversed_transaction_id, one.account_id) != one.account_id]


async def _tell(tx: AsyncConnection, days: set[transactions.Day]) -> int:
    rules = await alerts.rules(tx)
    # No day below the least threshold can reach one, so most days never leave the database.
    least = min((rule.threshold_minor for rule in rules), default=0)
    found = await transactions.day_figures(tx, days, least)
    return await alerts.put(tx, [_reached(day, rules) for day in found])


def _reached(day: DayFigures, rules: Sequence[Rule]) -> Reached:
    rule = rule_for(day, rules)
    return Reached(day, threshold_reached(day, rule) if rule else None)
