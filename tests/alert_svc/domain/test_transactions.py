from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.alert_svc.domain.transactions import Direction, Reason, Transaction, rejection_of

NOW = datetime(2026, 6, 30, 4, tzinfo=UTC)
GOOD = Transaction(
    transaction_id="t1",
    account_id="a1",
    event_time=NOW,
    direction=Direction.IN,
    amount_minor=1,
    operation="cash_in",
    counterparty_bank="",
    counterparty_account="",
    standing_order=False,
    own_transfer=False,
    reversed_transaction_id="",
)


def test_a_transaction_up_to_a_day_ahead_of_the_clock_is_taken() -> None:
    assert rejection_of(GOOD, NOW) is None
    assert rejection_of(replace(GOOD, event_time=NOW + timedelta(days=1)), NOW) is None


@pytest.mark.parametrize(
    ("change", "reason", "field"),
    [
        ({"amount_minor": 0}, Reason.AMOUNT_INVALID, "amount_minor"),
        ({"amount_minor": -1}, Reason.AMOUNT_INVALID, "amount_minor"),
        ({"amount_minor": 2**62}, Reason.AMOUNT_INVALID, "amount_minor"),
        ({"event_time": None}, Reason.TIME_INVALID, "event_time"),
        ({"event_time": NOW + timedelta(days=1, seconds=1)}, Reason.TIME_INVALID, "event_time"),
        ({"transaction_id": ""}, Reason.FIELD_INVALID, "transaction"),
        ({"account_id": ""}, Reason.FIELD_INVALID, "account"),
        ({"direction": None}, Reason.FIELD_INVALID, "direction"),
        ({"operation": "x" * 65}, Reason.FIELD_INVALID, "operation"),
        ({"counterparty_bank": "a\0b"}, Reason.FIELD_INVALID, "counterparty_bank"),
    ],
)
def test_a_bad_transaction_is_rejected_with_its_field(change: dict[str, object], reason: Reason, field: str) -> None:
    rejection = rejection_of(replace(GOOD, **change), NOW)
    assert rejection is not None
    assert (rejection.reason, rejection.field) == (reason, field)
