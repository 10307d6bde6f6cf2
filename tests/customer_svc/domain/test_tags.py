from datetime import UTC, date, datetime

import pytest

from services.customer_svc.domain.tags import Confirmation, CustomerTag, Override, Setting, Tag, TagKind

NOW = datetime(2026, 6, 30, tzinfo=UTC)
LAST = date(2026, 7, 10)
TAG = Tag("CHURN_RISK", TagKind.POTENTIAL, "", "", "", "", None, "", NOW)
SAID = Confirmation("1", date(2026, 6, 5), LAST, {})


def override(is_set: bool, until: date = LAST) -> Override:  # noqa: FBT001 -- a row of the table
    return Override(is_set, "r", until, "h1", NOW)


@pytest.mark.parametrize(
    ("confirmation", "setting", "said", "day", "live"),
    [
        (None, None, None, LAST, False),
        (SAID, None, None, LAST, True),
        (SAID, None, None, date(2026, 7, 11), False),
        # A hand goes before the batch, until its last day.
        (SAID, None, override(is_set=False), LAST, False),
        (SAID, None, override(is_set=False, until=date(2026, 7, 9)), LAST, True),
        (None, None, override(is_set=True), LAST, True),
        (None, None, override(is_set=True), date(2026, 7, 11), False),
        # Manual tags hold until their end, if they have one.
        (None, Setting("r", None, "h1", NOW), None, date.max, True),
        (None, Setting("r", LAST, "h1", NOW), None, LAST, True),
        (None, Setting("r", LAST, "h1", NOW), None, date(2026, 7, 11), False),
    ],
)
def test_what_is_carried_on_a_day(confirmation, setting, said, day, live) -> None:
    assert CustomerTag("c1", TAG, confirmation, setting, said).is_live(day) is live
