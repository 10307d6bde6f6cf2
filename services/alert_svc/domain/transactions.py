"""Which transactions are taken, and why others are not."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

BATCH_MAX = 5_000
TEXT_MAX = 64
AHEAD_MAX = timedelta(days=1)
AMOUNT_MINOR_MAX = 10**15
"""Ten thousand milliards: a day's sum of 5,000 of them still fits 64 bits."""


class Direction(StrEnum):
    """Which way money went."""

    IN = "IN"
    OUT = "OUT"


class Reason(StrEnum):
    """Why a transaction was not stored."""

    ACCOUNT_UNKNOWN = "ACCOUNT_UNKNOWN"
    AMOUNT_INVALID = "AMOUNT_INVALID"
    TIME_INVALID = "TIME_INVALID"
    FIELD_INVALID = "FIELD_INVALID"


@dataclass(frozen=True, slots=True)
class Transaction:
    """A booking as core banking tells it. `event_time` is None where the message has none."""

    transaction_id: str
    account_id: str
    event_time: datetime | None
    direction: Direction | None
    amount_minor: int
    operation: str
    counterparty_bank: str
    counterparty_account: str
    standing_order: bool
    own_transfer: bool
    reversed_transaction_id: str


@dataclass(frozen=True)
class Rejection:
    """A transaction that was not stored, and the field that is to blame."""

    transaction_id: str
    reason: Reason
    field: str


def rejection_of(transaction: Transaction, now: datetime) -> Rejection | None:
    """Says why a transaction cannot be taken, as far as it alone tells; None if it can."""

    def reject(reason: Reason, field: str) -> Rejection:
        return Rejection(transaction.transaction_id, reason, field)

    if transaction.amount_minor <= 0 or transaction.amount_minor > AMOUNT_MINOR_MAX:
        return reject(Reason.AMOUNT_INVALID, "amount_minor")
    if transaction.event_time is None or transaction.event_time > now + AHEAD_MAX:
        return reject(Reason.TIME_INVALID, "event_time")
    if not transaction.transaction_id:
        return reject(Reason.FIELD_INVALID, "transaction")
    if not transaction.account_id:
        return reject(Reason.FIELD_INVALID, "account")
    if transaction.direction is None:
        return reject(Reason.FIELD_INVALID, "direction")
    texts = {
        "transaction": transaction.transaction_id,
        "account": transaction.account_id,
        "operation": transaction.operation,
        "counterparty_bank": transaction.counterparty_bank,
        "counterparty_account": transaction.counterparty_account,
        "reversed_transaction": transaction.reversed_transaction_id,
    }
    wrong = next((field for field, text in texts.items() if len(text) > TEXT_MAX or "\0" in text), None)
    return reject(Reason.FIELD_INVALID, wrong) if wrong else None
