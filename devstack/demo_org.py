"""The demo bank's branches, staff and products. Few rows, so they are written one by one."""

from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from devstack.demo_columns import Numbers
from devstack.demo_words import CITIES, FEMALE_NAMES, MALE_NAMES, PRODUCTS, STREETS, SURNAMES

CUSTOMERS_PER_OUTLET = 500
OUTLETS_MAX = 2_000
OUTLETS_MIN = 6
OUTLETS_PER_REGION = 8
MANAGERS_PER_OUTLET = 4
# Of so many outlets, one has a manager who left, and another one a manager who moved.
LEFT_EVERY = 5
MOVED_EVERY = 7
_OUTLET_ROLES = ("PRIVATE_MANAGER", "LOBBY", "TELLER")
_REGION_ROLES = ("APPROVER", "MARKETER")
_HEAD_OFFICE_ROLES = ("ADMIN", "ANALYST", "AUDITOR", "APPROVER", "MARKETER")

Row = dict[str, object]

_FIRST_DAY = date(1998, 6, 1)


@dataclass(frozen=True)
class Org:
    """The organisation: its rows, its outlets' ids, and who made an outlet's loans and cards."""

    branches: list[Row]
    staff: list[Row]
    outlet_ids: list[str]
    staff_ids: list[str]
    officers: Numbers
    """For each outlet, the numbers (in `staff_ids`) of its managers, those who left or moved since included."""


def make_org(customers: int, seed: int, today: date, password_hash: str) -> Org:
    """A tree of head office, regions and outlets, sized by the number of customers."""
    outlets = max(OUTLETS_MIN, min(OUTLETS_MAX, customers // CUSTOMERS_PER_OUTLET))
    regions = max(2, outlets // OUTLETS_PER_REGION)
    names = _Names()
    branches: list[Row] = [{"branch_id": "HQ", "display_name": "榕城农村商业银行总行", "open_date": _FIRST_DAY}]
    for region in range(regions):
        name = names.new(CITIES[region % len(CITIES)], "分行")
        branches.append(
            {"branch_id": f"R{region + 1:03d}", "display_name": name, "parent_id": "HQ", "open_date": _FIRST_DAY}
        )
    for outlet in range(outlets):
        region = outlet % regions
        name = names.new(CITIES[region % len(CITIES)] + STREETS[outlet // regions % len(STREETS)], "支行")
        opened = _FIRST_DAY + timedelta(days=outlet * 37 % 6000)
        place = {"branch_id": f"B{outlet + 1:04d}", "parent_id": f"R{region + 1:03d}"}
        branches.append({**place, "display_name": name, "open_date": opened})
    people = _People(seed, today, password_hash)
    officers = _hire(people, [str(branch["branch_id"]) for branch in branches])
    outlet_ids = [f"B{outlet + 1:04d}" for outlet in range(outlets)]
    return Org(branches, people.staff, outlet_ids, [str(member["staff_id"]) for member in people.staff], officers)


def products() -> list[Row]:
    """What the demo bank sells."""
    names = ("product_id", "display_name", "category")
    return [dict(zip(names, product, strict=True)) for product in PRODUCTS]


class _Names:
    """Names branches; a place that comes again is numbered."""

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def new(self, place: str, kind: str) -> str:
        self._seen[place] += 1
        return place + (f"第{self._seen[place]}" if self._seen[place] > 1 else "") + kind


class _People:
    """Hires staff one after another."""

    def __init__(self, seed: int, today: date, password_hash: str) -> None:
        self.today = today
        self.staff: list[Row] = []
        self._chance = np.random.default_rng([seed, 1])
        self._password_hash = password_hash

    def hire(self, branch_id: str, roles: str, login: str) -> Row:
        given = FEMALE_NAMES if self._chance.random() < 0.5 else MALE_NAMES  # noqa: PLR2004 - evens
        name = str(self._chance.choice(SURNAMES)) + "".join(self._chance.choice(list(given), 2))
        member: Row = {
            "staff_id": f"S{len(self.staff) + 1:05d}",
            "display_name": name,
            "branch_id": branch_id,
            "roles": roles,
            "login": login,
            "password_hash": self._password_hash,
            "active_from_date": self.today - timedelta(days=int(self._chance.integers(200, 6000))),
        }
        self.staff.append(member)
        return member


def _hire(people: _People, branch_ids: list[str]) -> Numbers:
    """Staffs every branch; answers the managers of each outlet as they were before some left or moved."""
    officers: list[list[int]] = []
    for role in _HEAD_OFFICE_ROLES:
        people.hire("HQ", role, role.lower())
    outlet_ids = [branch_id for branch_id in branch_ids if branch_id.startswith("B")]
    for branch_id in branch_ids:
        people.hire(branch_id, "BRANCH_HEAD", f"head-{branch_id}")
        for role in _REGION_ROLES if branch_id.startswith("R") else ():
            people.hire(branch_id, role, f"{role.lower()}-{branch_id}")
        if branch_id.startswith("B"):
            for role in _OUTLET_ROLES:
                people.hire(branch_id, role, f"{role.lower()}-{branch_id}")
            first = len(people.staff)
            managers = [
                people.hire(branch_id, "MANAGER", f"manager{n + 1}-{branch_id}") for n in range(MANAGERS_PER_OUTLET)
            ]
            _change(people.today, managers, len(officers), outlet_ids)
            officers.append(list(range(first, first + MANAGERS_PER_OUTLET)))
    return np.array(officers, dtype=np.int64)


def _change(today: date, managers: list[Row], outlet: int, outlet_ids: list[str]) -> None:
    """Lets some managers leave, with a successor but for every second, and some move to the next outlet."""
    if outlet % LEFT_EVERY == 0:
        gone = {"active_until_date": today - timedelta(days=90), "login": None, "password_hash": None}
        managers[-1].update(gone, successor_id=managers[0]["staff_id"] if outlet % (2 * LEFT_EVERY) == 0 else None)
    if outlet % MOVED_EVERY == 0:
        managers[-2].update(branch_id=outlet_ids[(outlet + 1) % len(outlet_ids)])
    if outlet % MOVED_EVERY == 1:
        managers[-2].update(active_until_date=today + timedelta(days=30), successor_id=managers[1]["staff_id"])
