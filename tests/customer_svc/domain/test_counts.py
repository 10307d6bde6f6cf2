import pytest

from services.customer_svc.domain.counts import Told, coarse, exact


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (0, Told(0, "< 10")),
        (9, Told(0, "< 10")),
        (10, Told(10, "10")),
        (12, Told(10, "10")),
        (13, Told(15, "15")),
        (1_000_002, Told(1_000_000, "1000000")),
    ],
)
def test_an_analyst_is_told_no_small_count_and_no_exact_one(count: int, told: Told) -> None:
    assert coarse(count) == told


def test_others_are_told_the_count() -> None:
    assert exact(3) == Told(3, "3")
