import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.customer_svc.domain.counts import HIDDEN, Told, coarse, exact, facet_counts


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


def texts(counts, number: int, *, partition: bool = True) -> list[str]:
    found = facet_counts(
        [(f"v{place}", count) for place, count in enumerate(counts)], number, hidden=True, partition=partition
    )
    return [told.text for _, told in found.values] + [found.other.text]


def test_the_20_largest_values_are_told_and_the_rest_as_one_sum() -> None:
    found = facet_counts([(f"v{count}", count) for count in range(1, 24)], 276, hidden=False, partition=True)
    assert [value for value, _ in found.values] == [f"v{count}" for count in range(23, 3, -1)]
    assert found.other == exact(1 + 2 + 3)


@pytest.mark.parametrize(
    ("counts", "number", "told"),
    [
        pytest.param((50, 30), 80, ["50", "30", "< 10"], id="nothing is small"),
        pytest.param((50, 30, 7), 87, ["50", "*", "< 10", "< 10"], id="one small count is the total less the others"),
        pytest.param((50, 30, 8, 7), 95, ["50", "30", "< 10", "< 10", "< 10"], id="two hide each other"),
        pytest.param((50, 30, 2, 3), 85, ["50", "*", "< 10", "< 10", "< 10"], id="two that are few together do not"),
        pytest.param((50, 30), 84, ["50", "*", "< 10"], id="those without a value are such a count"),
        pytest.param((50, 30, 7), 187, ["50", "30", "< 10", "< 10"], id="many without a value hide it already"),
        pytest.param((7,), 7, ["< 10", "< 10"], id="there is nothing else to hide"),
    ],
)
def test_what_would_tell_a_small_count_by_subtraction_is_hidden(counts, number: int, told: list[str]) -> None:
    assert texts(counts, number) == told


@pytest.mark.parametrize(
    ("count", "number", "told"), [(95, 100, "*"), (100, 100, "100"), (90, 100, "90"), (3, 100, "< 10"), (3, 8, "< 10")]
)
def test_a_value_that_some_share_stands_against_those_who_lack_it(count: int, number: int, told: str) -> None:
    assert texts((count,), number, partition=False)[0] == told


@given(st.lists(st.integers(1, 40), max_size=30), st.integers(0, 30))
def test_no_small_count_is_the_total_less_all_that_is_told(counts: list[int], rest: int) -> None:
    number = sum(counts) + rest
    found = facet_counts(
        [(str(place), count) for place, count in enumerate(counts)], number, hidden=True, partition=True
    )
    ordered = sorted(counts, reverse=True)
    cells = [*ordered[:20], sum(ordered[20:])]
    told = [each for _, each in found.values] + [found.other]
    unknown = rest + sum(cell for cell, each in zip(cells, told, strict=True) if each in {HIDDEN, coarse(0)})
    some_small = any(0 < cell < 10 for cell in (*cells, rest))
    all_hidden = all(each in {HIDDEN, coarse(0)} for each in told)
    assert not some_small or unknown >= 10 or all_hidden
