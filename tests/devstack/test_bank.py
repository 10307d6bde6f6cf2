from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from devstack import bank, demo
from devstack.bank import Format, OtherBank, SignIn, Source
from devstack.home import Home

DEMO = Source(format=Format.DEMO, customers=200)


@pytest.fixture
def feed(tmp_path: Path) -> Source:
    return Source(format=Format.FEED, data=tmp_path, business_date=date(2026, 1, 31))


class Published:
    """Stands for the import of a feed, which is tested where it is."""

    def __init__(self) -> None:
        self.folders: list[tuple[Path, date | None]] = []

    def __call__(self, folder: Path, business_date: date | None) -> None:
        self.folders.append((folder, business_date))


def test_a_bank_is_loaded_once(home: Home, feed: Source):
    published = Published()
    assert not bank.choose(home, feed).loaded
    bank.load(home, feed, published)
    assert published.folders == [(feed.data, date(2026, 1, 31))]
    assert bank.choose(home, feed).loaded


def test_a_bank_whose_load_failed_is_loaded_at_the_next_start(home: Home, feed: Source):
    def broken(_folder: Path, _day: date | None) -> None:
        raise ConnectionError

    bank.choose(home, feed)
    with pytest.raises(ConnectionError):
        bank.load(home, feed, broken)
    assert not bank.choose(home, feed).loaded


def test_a_load_that_was_cut_off_lets_no_other_bank_in(home: Home, feed: Source, tmp_path: Path):
    def killed(_folder: Path, _day: date | None) -> None:
        raise KeyboardInterrupt

    bank.choose(home, feed)
    with pytest.raises(KeyboardInterrupt):
        bank.load(home, feed, killed)
    with pytest.raises(OtherBank, match="loaded in part"):
        bank.choose(home, replace(feed, data=tmp_path.parent))
    as_it_is = bank.choose(home, Source())
    assert (as_it_is.loaded, as_it_is.source) == (False, feed)


def test_a_bank_of_which_nothing_was_stored_gives_way_to_another(home: Home, feed: Source):
    bank.choose(home, DEMO)
    assert bank.choose(home, feed).format == "feed"


def test_a_demo_bank_of_another_size_or_seed_is_another_bank(home: Home):
    bank.choose(home, DEMO)
    bank.load(home, DEMO, Published())
    with pytest.raises(OtherBank, match="demo of 200 customers"):
        bank.choose(home, replace(DEMO, customers=300))
    with pytest.raises(OtherBank):
        bank.choose(home, replace(DEMO, seed=2))
    assert bank.choose(home, DEMO).customers == bank.choose(home, Source()).customers == 200


def test_a_home_keeps_to_its_bank(home: Home, feed: Source):
    bank.choose(home, feed)
    bank.load(home, feed, Published())
    with pytest.raises(OtherBank, match="choose another --home"):
        bank.choose(home, replace(feed, format=Format.BERKA))
    with pytest.raises(OtherBank, match="as of 2026-01-31"):
        bank.choose(home, replace(feed, business_date=date(2026, 1, 30)))
    assert bank.choose(home, Source()).format == "feed"


def test_staff_of_a_feed_have_their_own_passwords(home: Home, feed: Source):
    bank.choose(home, feed)
    assert bank.load(home, feed, Published()).sign_ins == ()


def test_one_of_each_role_is_named_with_few_other_roles_and_at_a_branch_with_customers():
    members = [
        {"login": "ann", "roles": "BRANCH_HEAD", "branch_id": "HQ"},
        {"login": "amy", "roles": "MANAGER;BRANCH_HEAD", "branch_id": "B1"},
        {"login": "ada", "roles": "BRANCH_HEAD", "branch_id": "B1"},
        {"login": "bob", "roles": "MANAGER", "branch_id": "B1"},
        {"login": None, "roles": "AUDITOR", "branch_id": "B1"},
    ]
    assert list(bank._one_per_role(members, {"HQ", None}, "secret")) == [
        SignIn("BRANCH_HEAD", "ada", "secret"),
        SignIn("MANAGER", "bob", "secret"),
    ]


def test_the_demo_bank_has_a_sign_in_for_every_role(home: Home):
    published = Published()
    bank.choose(home, DEMO)
    held = bank.load(home, DEMO, published)
    [(folder, day)] = published.folders
    assert folder == home.root / "feed"
    assert held.business_date == (day.isoformat() if day else "")
    assert {"BRANCH_HEAD", "MANAGER"} <= {one.role for one in held.sign_ins}
    assert {one.password for one in held.sign_ins} == {home.secret(bank.STAFF_SECRET)}
    assert bank.read(home) == held


def test_amounts_of_the_berka_bank_are_in_its_own_currency():
    assert Source(format=Format.BERKA, data=Path("x")).currency == "CZK"
    assert Source().currency == "CNY"


def test_the_password_hash_handed_on_is_that_of_the_password_shown(home: Home, monkeypatch: pytest.MonkeyPatch):
    seen: list[str] = []

    def generate(target: Path, *, customers: int, seed: int, password_hash: str) -> date:
        assert (customers, seed) == (200, 1)
        seen.append(password_hash)
        return generate_demo(target, customers=customers, seed=seed, password_hash=password_hash)

    generate_demo = demo.generate
    monkeypatch.setattr("devstack.demo.generate", generate)
    bank.choose(home, DEMO)
    held = bank.load(home, DEMO, Published())
    assert PasswordHasher().verify(seen[0], held.sign_ins[0].password)
