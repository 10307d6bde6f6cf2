"""What is wrong with a visit as it was sent, field by field."""

import math
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.assignment_svc.domain.geography import Place
from services.assignment_svc.domain.visit_faults import Moment, content_faults, sent_faults
from services.assignment_svc.domain.visits import Attachment, CheckRules, Content, Fix, Sent, VisitKind

RULES = CheckRules(3, 3, 200, 500, 150, 5, 20, 200, 300)
NOW = datetime(2026, 6, 30, 4, tzinfo=UTC)
MOMENT = Moment(NOW, date(2026, 6, 30), date(2020, 1, 1))
FILE = Attachment("door.jpg", "image/jpeg", 1_000, "a" * 64)
SENT = Sent(Content(VisitKind.VISIT, "talked", (FILE,)), Fix(Place(30, 120), 10), NOW, False, "", "")  # noqa: FBT003 -- online


def wrong(sent: Sent, moment: Moment = MOMENT) -> list[str]:
    return [field for field, _ in sent_faults(sent, moment, RULES)]


def test_a_good_visit_has_no_fault_online_and_offline() -> None:
    assert wrong(SENT) == []
    offline = replace(SENT, captured_offline=True, device_id="d-1", client_visit_id="7", device_time=NOW.replace(day=1))
    assert wrong(offline) == []
    assert wrong(replace(SENT, content=Content(VisitKind.PHONE, "talked"), fix=None)) == []


@pytest.mark.parametrize(
    ("latitude", "longitude", "accuracy_m", "fields"),
    [
        (90, -180, 100_000, []),
        (-90.1, 0, 10, ["location.latitude"]),
        (0, 180.1, 10, ["location.longitude"]),
        (math.nan, math.nan, math.nan, ["location.latitude", "location.longitude", "location.accuracy_m"]),
        (math.inf, -math.inf, math.inf, ["location.latitude", "location.longitude", "location.accuracy_m"]),
        (0, 0, 0, ["location.accuracy_m"]),
        (0, 0, -1, ["location.accuracy_m"]),
        (0, 0, 100_001, ["location.accuracy_m"]),
    ],
)
def test_a_place_is_on_the_globe_and_known_to_some_metres(latitude, longitude, accuracy_m, fields) -> None:
    assert wrong(replace(SENT, fix=Fix(Place(latitude, longitude), accuracy_m))) == fields


@pytest.mark.parametrize(
    ("ahead", "offline", "fields"),
    [
        (timedelta(minutes=5), False, []),
        (timedelta(minutes=5, seconds=1), False, ["device_time"]),
        (timedelta(minutes=5, seconds=1), True, ["device_time"]),
        (timedelta(minutes=-5), False, []),
        (timedelta(minutes=-5, seconds=-1), False, ["device_time"]),
        (timedelta(days=-400), True, []),
    ],
)
def test_a_visit_is_not_of_the_future_and_if_sent_at_once_not_of_the_past(ahead, offline, fields) -> None:
    device = {"captured_offline": True, "device_id": "d", "client_visit_id": "v"} if offline else {}
    assert wrong(replace(SENT, device_time=NOW + ahead, **device)) == fields


def test_a_visit_is_not_before_the_branch_held_the_customer() -> None:
    assert wrong(SENT, Moment(NOW, date(2026, 6, 30), date(2026, 6, 30))) == []
    assert wrong(SENT, Moment(NOW, date(2026, 6, 30), date(2026, 7, 1))) == ["device_time"]


@pytest.mark.parametrize(
    ("offline", "device", "visit", "fields"),
    [
        (True, "", "", ["device", "client_visit"]),
        (True, "d", "", ["client_visit"]),
        (False, "", "v", ["device"]),
        (False, "d d", "v", ["device"]),
        (False, "d", "v" * 65, ["client_visit"]),
        (False, "d", "v", []),
    ],
)
def test_a_device_names_itself_and_its_visit(offline, device, visit, fields) -> None:
    sent = replace(SENT, captured_offline=offline, device_id=device, client_visit_id=visit)
    assert wrong(sent) == fields


@pytest.mark.parametrize(
    ("text", "is_good"),
    [
        ("x", True),
        ("x" * 4_000, True),
        ("两人\n谈了存款", True),
        ("", False),
        (" \n", False),
        ("x" * 4_001, False),
        ("a\x00b", False),
        ("a\x1bb", False),
    ],
)
def test_a_content_is_a_text_of_some_length(text, is_good) -> None:
    assert [field for field, _ in content_faults(Content(VisitKind.PHONE, text))] == ([] if is_good else ["content"])


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"file_name": "../x"}, "file_name"),
        ({"file_name": ".."}, "file_name"),
        ({"file_name": " x"}, "file_name"),
        ({"file_name": "a\u202ejpg.exe"}, "file_name"),
        ({"media_type": "text/html"}, "media_type"),
        ({"size_bytes": 0}, "size_bytes"),
        ({"size_bytes": (1 << 30) + 1}, "size_bytes"),
        ({"sha256": "g" * 64}, "sha256"),
    ],
)
def test_what_is_told_of_a_file_is_checked(changed, field) -> None:
    content = Content(VisitKind.PHONE, "x", (FILE, replace(FILE, **changed)))
    assert [name for name, _ in content_faults(content)] == [f"attachments[1].{field}"]


def test_a_visit_has_at_most_ten_files() -> None:
    assert [name for name, _ in content_faults(Content(VisitKind.PHONE, "x", (FILE,) * 11))] == ["attachments"]


@given(st.builds(Fix, st.builds(Place, st.floats(), st.floats()), st.floats()), st.text(), st.text(), st.text())
def test_nothing_that_is_sent_breaks_the_check(fix, text, device, visit) -> None:
    content = Content(VisitKind.VISIT, text, (Attachment(text, device, 1, visit),))
    sent = replace(SENT, content=content, fix=fix, device_id=device, client_visit_id=visit)
    assert set(wrong(sent)) <= {
        *("location.latitude", "location.longitude", "location.accuracy_m", "content", "device", "client_visit"),
        *(f"attachments[0].{field}" for field in ("file_name", "media_type", "sha256")),
    }
