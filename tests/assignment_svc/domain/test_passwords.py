"""Which passwords are taken."""

import pytest

from services.assignment_svc.domain.passwords import password_fault


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        ("correct horse battery", None),
        ("榕树下的第七根气根垂到水边", None),
        ("k7#Wq2!zPm9x", None),
        ("short1!", "characters"),
        ("x" * 257, "characters"),
        ("aaaabbbbcccc", "different"),
        ("my-mei.wang-01", "login or the name"),
        ("hello MEI LAN 77", "login or the name"),
        ("Password1234!", "tried first"),
        ("P@ssw0rd2026!!", "tried first"),
        ("123456789012", "tried first"),
        ("2026-11-25 11:25", "tried first"),
        ("qwertyuiop12", "tried first"),
        ("Welcome2Banyan2026", "tried first"),
        ("abcdefghijklm", "tried first"),
        ("zyxwvutsrqponm", "tried first"),
        ("k7#Wqk7#Wqk7#Wq", "tried first"),
    ],
)
def test_a_password_is_long_varied_and_nothing_that_is_tried_first(password: str, problem: str | None) -> None:
    fault = password_fault(password, "mei.wang", "Mei Lan")
    assert (fault is None) == (problem is None)
    assert problem is None or (fault is not None and problem in fault)


def test_a_short_login_may_be_part_of_a_password() -> None:
    assert password_fault("correct horse battery", "co", "") is None
