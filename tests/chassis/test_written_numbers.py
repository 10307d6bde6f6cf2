import pytest

from chassis.written_numbers import same_document, same_mobile

NUMBER = "13812345678"
FULL_WIDTH = {ord("0") + digit: 0xFF10 + digit for digit in range(10)}


@pytest.mark.parametrize(
    ("same", "written", "meant"),
    [
        (same_mobile, "+86 138-1234-5678", NUMBER),
        (same_mobile, "0086 138 1234 5678", NUMBER),
        (same_mobile, "(+86)13812345678", NUMBER),
        (same_mobile, NUMBER.translate(FULL_WIDTH), NUMBER),
        (same_mobile, "٠١٢", "012"),
        (same_mobile, "none", "NONE"),
        (same_mobile, "+420 601 123 456", "420601123456"),
        (same_document, "11010119900101123x", "11010119900101123X"),
        (same_document, " 1101 0119-9001.0112/3\uff38 ", "11010119900101123X"),
        (same_document, "护照 ab-1", "护照AB1"),
        (same_document, "--", ""),
    ],
)
def test_a_number_is_the_same_however_it_is_written(same, written, meant):
    assert same(written) == meant
