import pytest

from chassis.errors import Refused
from services.assignment_svc.domain.reasons import REASON_LENGTH_MAX, checked_reason


@pytest.mark.parametrize(
    ("reason", "least", "kept"),
    [(" 调岗 ", 1, "调岗"), ("x" * REASON_LENGTH_MAX, 1, "x" * REASON_LENGTH_MAX), ("  ", 0, "")],
)
def test_a_reason_is_kept_without_the_blanks_around_it(reason: str, least: int, kept: str) -> None:
    assert checked_reason(reason, least=least) == kept


@pytest.mark.parametrize(("reason", "least"), [("  ", 1), ("", 1), ("x" * (REASON_LENGTH_MAX + 1), 0)])
def test_one_that_says_too_little_or_too_much_is_refused_by_its_field(reason: str, least: int) -> None:
    with pytest.raises(Refused) as caught:
        checked_reason(reason, "leave.reason", least)
    (violation,) = caught.value.violations
    assert (violation.field, violation.description) == ("leave.reason", f"must have from {least} to 400 characters")
