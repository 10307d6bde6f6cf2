"""The bank that a home holds: loaded once, at the first start, from the source that was asked for."""

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from pathlib import Path

from argon2 import PasswordHasher
from pydantic import TypeAdapter

from devstack.home import Home, write_whole

Row = Mapping[str, str | None]

CUSTOMERS = 20_000
SEED = 1
STAFF_SECRET = "staff_password"  # noqa: S105 - the name of a file, not a password


class Format(StrEnum):
    """What a source of data looks like."""

    FEED = "feed"
    BERKA = "berka"
    DEMO = "demo"


class OtherBank(Exception):
    """The home holds a bank already, and it is not the one asked for."""


@dataclass(frozen=True)
class Source:
    """Which bank to load; None where the user did not say."""

    format: Format = Format.DEMO
    data: Path | None = None
    business_date: date | None = None
    customers: int | None = None
    seed: int | None = None

    @property
    def currency(self) -> str:
        """The currency of the amounts."""
        return "CZK" if self.format is Format.BERKA else "CNY"


@dataclass(frozen=True)
class SignIn:
    """A staff member to try a role with."""

    role: str
    login: str
    password: str


@dataclass(frozen=True)
class Bank:
    """What is written down of the bank of a home."""

    format: str
    data: str
    asked_date: str
    currency: str
    customers: int = 0
    """How many were made up; 0 of a bank that was not, as is its seed."""
    seed: int = 0
    begun: bool = False
    """Part of it may be stored: from then on no other bank has a place here."""
    loaded: bool = False
    business_date: str = ""
    sign_ins: tuple[SignIn, ...] = ()

    @property
    def source(self) -> Source:
        """Where it comes from."""
        made_up = self.format == Format.DEMO
        return Source(
            Format(self.format),
            Path(self.data) if self.data else None,
            date.fromisoformat(self.asked_date) if self.asked_date else None,
            self.customers if made_up else None,
            self.seed if made_up else None,
        )


_BANK = TypeAdapter(Bank)


def choose(home: Home, source: Source) -> Bank:
    """Remembers at the first start which bank the home holds; later, refuses a source that says otherwise.

    Later is once a load has begun: one that was killed left part of its bank, which only the same bank completes.
    A later start that names no data means: as it is.
    """
    found = read(home)
    asked = _asked(source)
    if found is None or not (found.begun or found.loaded):
        _write(home, asked)
        return asked
    if (
        (source.data and (asked.format, asked.data) != (found.format, found.data))
        or (source.business_date and asked.asked_date != found.asked_date)
        or (source.customers is not None and asked.customers != found.customers)
        or (source.seed is not None and asked.seed != found.seed)
    ):
        raise OtherBank(f"{home.root} holds another bank ({_told(found)}): choose another --home, or remove this one")
    return found


def _asked(source: Source) -> Bank:
    made_up = source.format is Format.DEMO
    return Bank(
        source.format,
        str(source.data.resolve()) if source.data else "",
        source.business_date.isoformat() if source.business_date else "",
        source.currency,
        _made_up(source)[0] if made_up else 0,
        _made_up(source)[1] if made_up else 0,
    )


def _made_up(source: Source) -> tuple[int, int]:
    """How many customers to make up, and from which seed."""
    return source.customers or CUSTOMERS, SEED if source.seed is None else source.seed


def _told(found: Bank) -> str:
    made_up = f"of {found.customers} customers" if found.customers else ""
    day = found.business_date or found.asked_date
    partly = "" if found.loaded else "loaded in part"
    return " ".join(filter(None, (found.format, found.data, made_up, day and f"as of {day}", partly)))


def load(home: Home, source: Source, publish: Callable[[Path, date | None], None]) -> Bank:
    """Converts or generates the feed, hands it to `publish`, and remembers that it is done."""
    password = home.secret(STAFF_SECRET)
    folder, business_date = _feed(home, source, PasswordHasher().hash(password))
    bank = read(home)
    assert bank is not None, "the bank is chosen before it is loaded"
    _write(home, replace(bank, begun=True))
    publish(folder, business_date)
    generated = source.format is not Format.FEED
    bank = replace(
        bank,
        loaded=True,
        business_date=business_date.isoformat() if business_date else "",
        sign_ins=tuple(_one_per_role(_staff(folder), _parents(folder), password)) if generated else (),
    )
    _write(home, bank)
    return bank


def read(home: Home) -> Bank | None:
    """The bank of a home; None before its first start."""
    try:
        return _BANK.validate_json((home.root / "bank.json").read_bytes())
    except FileNotFoundError:
        return None


def _write(home: Home, bank: Bank) -> None:
    write_whole(home.root / "bank.json", _BANK.dump_json(bank, indent=1).decode())


def _feed(home: Home, source: Source, password_hash: str) -> tuple[Path, date | None]:
    # Here, since they take a second to import, which every `banyan status` would wait for.
    from devstack import berka, demo  # noqa: PLC0415

    folder = home.root / "feed"
    if source.format is Format.DEMO:
        customers, seed = _made_up(source)
        return folder, demo.generate(folder, customers=customers, seed=seed, password_hash=password_hash)
    assert source.data is not None, f"the format {source.format} needs data"
    if source.format is Format.FEED:
        return source.data, source.business_date
    day = berka.convert(source.data, folder, business_date=source.business_date, password_hash=password_hash)
    return folder, day


def _staff(folder: Path) -> list[Row]:
    return _rows(folder, "staff", ["login", "roles", "branch_id"])


def _parents(folder: Path) -> set[str | None]:
    """The branches that have branches below them."""
    return {row["parent_id"] for row in _rows(folder, "branches", ["parent_id"])}


def _rows(folder: Path, table: str, columns: list[str]) -> list[Row]:
    from pyarrow import parquet  # noqa: PLC0415 - as above

    return parquet.read_table(folder / f"{table}.parquet", columns=columns).to_pylist()


def _one_per_role(staff: Iterable[Row], parents: Container[str | None], password: str) -> Iterable[SignIn]:
    """One staff member of each role: with few other roles, who show what it alone may do, and where customers are."""
    first: dict[str, str] = {}
    for member in sorted(staff, key=lambda one: ((one["roles"] or "").count(";"), one["branch_id"] in parents)):
        for role in filter(None, (member["roles"] or "").split(";")):
            if member["login"]:
                first.setdefault(role, member["login"])
    return [SignIn(role, login, password) for role, login in sorted(first.items())]
