import pyarrow as pa
import pytest

from chassis.sql.row_checks import Bad, check

SECRET = pa.schema([pa.field("mobile", pa.string(), metadata={"secret": "1", "length_max": "5"})])
RANGED = pa.schema([pa.field("tier", pa.int64(), metadata={"range": "1..6"})])


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("123456", "is longer than 5 characters"),
        ("1\x002", "holds a NUL character"),
        ("1\x1f2", "holds a control character"),
        ("1\x9f2", "holds a control character"),
    ],
)
def test_what_is_wrong_with_a_secret_is_told_and_the_secret_is_not(value, problem):
    found = check(pa.record_batch([pa.array(["12345", None, value])], schema=SECRET), SECRET)
    assert found.count == 1
    assert Bad(2, "mobile", "", problem) in found.bad


def test_whole_numbers_stay_between_their_ends():
    found = check(pa.record_batch([pa.array([1, 6, None, 0, 7, -(2**63)])], schema=RANGED), RANGED)
    assert [(bad.offset, bad.problem) for bad in found.bad] == [
        (offset, "is not between 1 and 6") for offset in (3, 4, 5)
    ]
