"""What a refresh token is worth."""

from datetime import UTC, datetime, timedelta

from services.assignment_svc.domain.sessions import SESSION_LIFE, USED_HASHES_MAX, Refresh, begun, judge, renewed

NOW = datetime(2024, 3, 1, 9, tzinfo=UTC)
SESSION = begun("session", "staff", b"first", NOW)


def test_only_the_newest_refresh_token_works() -> None:
    after = renewed(SESSION, b"second", NOW)
    assert judge(after, b"second", NOW) is Refresh.GOOD
    assert judge(after, b"never given", NOW) is Refresh.WORTHLESS


def test_the_second_use_of_a_token_shows_a_thief() -> None:
    after = renewed(renewed(SESSION, b"second", NOW), b"third", NOW)
    assert judge(after, b"first", NOW) is Refresh.STOLEN
    assert judge(after, b"second", NOW) is Refresh.STOLEN


def test_a_session_ends_twelve_hours_after_its_last_refresh() -> None:
    later = NOW + timedelta(hours=11)
    after = renewed(SESSION, b"second", later)
    assert judge(SESSION, b"first", NOW + SESSION_LIFE) is Refresh.WORTHLESS
    assert judge(after, b"second", NOW + SESSION_LIFE) is Refresh.GOOD
    assert judge(after, b"second", later + SESSION_LIFE) is Refresh.WORTHLESS


def test_a_session_keeps_a_limited_past() -> None:
    session = SESSION
    for number in range(USED_HASHES_MAX + 5):
        session = renewed(session, str(number).encode(), NOW)
    assert len(session.used_hashes) == USED_HASHES_MAX
