from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.contact_room import (
    BANK_ZONE,
    Blocks,
    Cap,
    Instant,
    Room,
    Wanted,
    default_caps,
    keys_of,
    room_left,
)

NOON = datetime(2026, 6, 1, 12, tzinfo=BANK_ZONE)
SMS = Wanted("SMS")
FREE = Blocks()


def sms(*days, **more):
    return [Instant("SMS", NOON + timedelta(days=day), **more) for day in days]


def cap(limit, days, **more):
    return Cap("THE_CAP", limit, None if days is None else timedelta(days=days), **more)


def allowed(times, limit, length):
    """The definition: no limit + 1 consecutive contacts lie within less than the length."""
    return all(last - first >= length for first, last in zip(times, times[limit:], strict=False))


def left_by_definition(at, times, limit, length):
    """How many contacts at `at` the definition allows, looking at the contacts that could share a window with it."""
    near = [time for time in times if abs(time - at) < length]
    left = 0
    # What the past broke already is not this contact's doing: only runs of contacts around it count.
    while left <= limit:
        runs = sorted([*near, *[at] * (left + 1)])
        around = [runs[start : start + limit + 1] for start in range(len(runs) - limit)]
        if any(run[0] <= at <= run[-1] and run[-1] - run[0] < length for run in around):
            return left
        left += 1
    raise AssertionError("a limit was never reached")


@pytest.mark.parametrize(
    ("days", "limit", "length", "left"),
    [
        ((), 2, 7, 2),
        ((-1,), 2, 7, 1),
        ((-1, -2), 2, 7, 0),
        ((-7,), 1, 7, 1),  # exactly one length apart: no window in common
        ((7,), 1, 7, 1),
        ((-6.999,), 1, 7, 0),
        ((3,), 1, 7, 0),  # a promise for the day after tomorrow counts
        ((-4, 4), 2, 7, 1),  # eight days apart: no window holds both
        ((-3, 3), 2, 7, 0),
        ((-1, -1, -1), 2, 7, 0),  # an excess of the past is no negative room
        ((-40,), 0, 7, 0),  # 0 allows nothing
    ],
)
def test_a_window_reaches_both_ways_and_is_half_open(days, limit, length, left):
    assert room_left(SMS, NOON, sms(*days), [cap(limit, length)], FREE).left == left


def test_no_limit_is_no_cap_and_zero_is_a_closed_door():
    assert room_left(SMS, NOON, sms(-1), [cap(None, 7)], FREE) == Room(None)
    assert room_left(SMS, NOON, [], [cap(0, 7)], FREE) == Room(0, "THE_CAP", 0, 0)


def test_a_day_is_the_calendar_day_of_bank_time():
    before_midnight = Instant("SMS", datetime(2026, 5, 31, 15, 59, tzinfo=UTC))
    after_midnight = Instant("SMS", datetime(2026, 5, 31, 16, 0, tzinfo=UTC))
    assert room_left(SMS, NOON, [before_midnight], [cap(1, None)], FREE).left == 1
    assert room_left(SMS, NOON, [after_midnight], [cap(1, None)], FREE).left == 0


def test_only_what_a_cap_counts_takes_room():
    caps = [cap(1, 30, channels=frozenset({"SMS"}), category="LOAN")]
    about_loans = Wanted("SMS", category="LOAN")
    for instant in (Instant("CALL", NOON, category="LOAN"), *sms(0, message_class="SERVICE"), *sms(0, category="CARD")):
        assert room_left(about_loans, NOON, [instant], caps, FREE).left == 1
    assert room_left(about_loans, NOON, sms(-2, category="LOAN"), caps, FREE).left == 0
    assert room_left(Wanted("SMS", category="CARD"), NOON, sms(-2, category="LOAN"), caps, FREE).left is None


def test_contacts_with_others_on_the_number_count_for_the_number_only():
    others = sms(-1, other_person=True)
    assert room_left(SMS, NOON, others, [cap(1, 7)], FREE).left == 1
    assert room_left(SMS, NOON, others, [cap(1, 7, per="NUMBER")], FREE).left == 0
    assert room_left(Wanted("PUSH"), NOON, others, [cap(1, 7, per="NUMBER")], FREE).left is None


def test_the_tightest_cap_decides_and_is_named():
    room = room_left(SMS, NOON, sms(-1), [cap(5, 30), replace(cap(2, 7), rule_id="WEEK")], FREE)
    assert room == Room(1, "WEEK", 1, 2)


def test_a_person_is_in_a_campaign_from_the_first_contact_to_the_last():
    caps = [Cap("AT_ONCE", 1, counted="CAMPAIGNS_AT_ONCE")]
    around, over = sms(-5, 5, campaign_id="c1"), sms(-5, -2, campaign_id="c2")
    assert room_left(SMS, NOON, over, caps, FREE).left is None
    assert room_left(SMS, NOON, [*around, *over], caps, FREE).left == 0
    assert room_left(replace(SMS, campaign_id="c1"), NOON, around, caps, FREE).left is None, "he is in it already"


def test_a_campaign_is_counted_once_when_it_is_entered():
    caps = [Cap("YEAR", 2, timedelta(days=365), counted="CAMPAIGN_ENTRIES")]
    entered = [*sms(-300, -299, -1, campaign_id="c1"), *sms(-10, -9, campaign_id="c2")]
    assert room_left(SMS, NOON, entered[:3], caps, FREE).left is None
    assert room_left(SMS, NOON, entered, caps, FREE).left == 0
    assert room_left(SMS, NOON + timedelta(days=65), entered, caps, FREE).left is None, "exactly a year after the first"


def test_one_campaign_makes_a_limited_number_of_contacts():
    caps = [Cap("EACH", 3, counted="CONTACTS_OF_CAMPAIGN")]
    made = sms(-9, -5, campaign_id="c1")
    assert room_left(replace(SMS, campaign_id="c1"), NOON, made, caps, FREE).left == 1
    assert room_left(SMS, NOON, made, caps, FREE).left == 3


@pytest.mark.parametrize(
    ("blocks", "rule_id"),
    [
        (Blocks(do_not_contact_until=NOON + timedelta(seconds=1)), "DO_NOT_CONTACT"),
        (Blocks(do_not_contact_until=NOON), ""),
        (Blocks(opt_outs=frozenset({"SMS/LOAN"})), "OPT_OUT"),
        (Blocks(opt_outs=frozenset({"ALL/LOAN"})), "OPT_OUT"),
        (Blocks(opt_outs=frozenset({"SMS/ALL"})), "OPT_OUT"),
        (Blocks(opt_outs=frozenset({"ALL/ALL"})), "OPT_OUT"),
        (Blocks(opt_outs=frozenset({"CALL/LOAN", "SMS/CARD"})), ""),
        (Blocks(consents={"SMS/ALL": False}), "CONSENT_WITHDRAWN"),
        (Blocks(consents={"SMS/ALL": True, "ALL/LOAN": False}), "CONSENT_WITHDRAWN"),
        (Blocks(consents={"SMS/ALL": True}, consent_required=True), ""),
        (Blocks(consents={"CALL/ALL": True}, consent_required=True), "CONSENT_MISSING"),
    ],
)
def test_what_blocks_leaves_no_room_whatever_the_counts(blocks, rule_id):
    room = room_left(Wanted("SMS", category="LOAN"), NOON, [], [cap(9, 7)], blocks)
    assert (room.left, room.rule_id) == ((0, rule_id) if rule_id else (9, "THE_CAP"))


def test_an_opt_out_is_from_marketing_only():
    blocks = Blocks(opt_outs=frozenset({"ALL/ALL"}), consents={"ALL/ALL": False}, consent_required=True)
    for message_class in ("SERVICE", "REGULATORY", "COLLECTION", "RELATIONSHIP"):
        assert room_left(Wanted("SMS", message_class), NOON, [], default_caps(), blocks).rule_id != "OPT_OUT"


def test_a_contact_without_a_category_is_blocked_by_what_speaks_of_all():
    assert keys_of("SMS", None) == ("SMS/ALL", "ALL/ALL")


def test_the_default_caps_are_those_of_the_bank():
    told = {each.rule_id: each.limit for each in default_caps()}
    assert told["PERSON_SMS_365D"] == told["NUMBER_SMS_365D"] == 24
    assert told["PERSON_ALL_30D"] == 8
    assert told["CAMPAIGNS_365D"] == 20
    assert "NUMBER_PUSH_30D" not in told
    assert len(told) == len(default_caps()) == 23
    assert room_left(SMS, NOON, sms(-2, -8, -20), default_caps(), FREE) == Room(1, "PERSON_SMS_DAY", 0, 1)


moments = st.integers(-40, 40).map(lambda hours: NOON + timedelta(hours=hours))


@given(moments, st.lists(moments, max_size=12).map(sorted), st.integers(0, 4), st.integers(1, 30))
def test_room_is_what_the_definition_of_a_window_allows(at, times, limit, hours):
    length = timedelta(hours=hours)
    instants = [Instant("SMS", time) for time in times]
    room = room_left(SMS, at, instants, [Cap("ANY", limit, length)], FREE)
    assert room.left == left_by_definition(at, times, limit, length)


@given(moments, st.lists(moments, max_size=12).map(sorted), st.integers(0, 4), st.integers(1, 30))
def test_filling_the_room_of_a_sound_history_breaks_no_window(at, times, limit, hours):
    length = timedelta(hours=hours)
    sound = []
    for time in times:
        if allowed(sorted([*sound, time]), limit, length):
            sound.append(time)
    left = room_left(SMS, at, [Instant("SMS", time) for time in sound], [Cap("ANY", limit, length)], FREE).left
    assert left is not None
    assert allowed(sorted([*sound, *[at] * left]), limit, length)
    assert not allowed(sorted([*sound, *[at] * (left + 1)]), limit, length)
