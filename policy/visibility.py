"""Who may see what of a customer (domain.md 3, "Who may see what"): one decision for get, list, search, sort and count.

`scope_of` turns a viewer into the rows of ownership that open a customer to him; `Scope.level` applies it to one
customer's rows, and a store applies the same value to all customers by building SQL from `Scope.grants`. Readings of
the matrix that its text leaves open:

- "Manager on a side" is the manager whom the row names, while he works at the row's branch, not every manager there:
  the matrix is "per customer", "other staff of the branch" see existence only, unassigned customers are listed for
  claims by bands and tags only, and an acting manager would need no right of his own otherwise.
- A private manager sees the key customers whose private manager he is as their primary side does, from any branch.
- A head sees through every row of his branch and of the branches below it; the best row counts ("nearest").
- Lobby staff get more than existence only with an open ticket, which is decided where tickets are known.
- Roles add up: a head who is an administrator too sees as a head.
- A condition is a way to see. It reaches only customers of whom the viewer sees the field unmasked, since a masked
  number ("138****5678") could else be found out in 10,000 searches.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import Literal

Side = Literal["PRIMARY", "SECONDARY"]

# Whose named customers are his; the head sees all of his branch and of those below.
_MANAGERS = frozenset({"MANAGER", "PRIVATE_MANAGER"})
_OTHER_STAFF = _MANAGERS | {"LOBBY", "TELLER", "APPROVER"}


class Level(IntEnum):
    """What a viewer is to one customer; a higher level sees at least what a lower one sees."""

    NONE = 0
    """The customer does not exist for him."""
    EXISTENCE = 1
    SECONDARY = 2
    PRIMARY = 3
    SERVICE = 4


class Sight(Enum):
    """How a field is shown."""

    HIDDEN = "HIDDEN"
    MASKED = "MASKED"
    CLEAR = "CLEAR"


@dataclass(frozen=True)
class Viewer:
    """Who looks: a staff member at his branch, or a service (role SERVICE)."""

    staff_id: str
    branch_id: str
    roles: frozenset[str]


@dataclass(frozen=True)
class Covered:
    """A colleague's role that the viewer covers today: the role, the colleague, his branch and those below it."""

    staff_id: str
    role: str
    branch_id: str
    subtree: frozenset[str] = frozenset()


@dataclass(frozen=True)
class OwnerRow:
    """One branch's ownership of a customer; no manager means the branch's virtual one.

    A key customer's private manager, who may sit anywhere, stands with the primary row.
    """

    branch_id: str
    side: Side
    manager_id: str | None
    private_manager_id: str | None = None


@dataclass(frozen=True)
class Grant:
    """Rows that open a customer: those of `branch_ids` (None: of any branch), of one manager if one is named.

    With `private_manager_id` only the rows of this private manager's key customers. They open him at the level of the
    row's side, or to his existence only.
    """

    branch_ids: frozenset[str] | None
    manager_id: str | None = None
    existence_only: bool = False
    private_manager_id: str | None = None

    def level(self, row: OwnerRow) -> Level:
        """What this row opens."""
        if self.branch_ids is not None and row.branch_id not in self.branch_ids:
            return Level.NONE
        if self.manager_id is not None and row.manager_id != self.manager_id:
            return Level.NONE
        if self.private_manager_id is not None and row.private_manager_id != self.private_manager_id:
            return Level.NONE
        return Level.EXISTENCE if self.existence_only else _LEVEL_OF_SIDE[row.side]


@dataclass(frozen=True)
class Scope:
    """Whom a viewer sees and how: customers with a row that some grant opens; with `everyone` also those without."""

    home_branch_id: str
    grants: tuple[Grant, ...] = ()
    everyone: bool = False
    near: frozenset[str] = frozenset()
    """Customers whom nobody's row opens to him: himself and his declared relatives."""

    def level(self, rows: Iterable[OwnerRow]) -> Level:
        """What the viewer is to the customer with these rows: the best that any row opens."""
        if self.everyone:
            return Level.SERVICE
        return max((grant.level(row) for row in rows for grant in self.grants), default=Level.NONE)

    def level_for(self, customer_id: str, rows: Iterable[OwnerRow]) -> Level:
        """What the viewer is to this customer with these rows: nobody looks at himself, nor at a relative."""
        return Level.NONE if customer_id in self.near else self.level(rows)

    def own_branch_id(self, rows: Sequence[OwnerRow]) -> str | None:
        """The branch that `own.*` means for this customer.

        It is the branch of the row that gives the level; of several secondary ones the viewer's own, else the lowest
        id. None where nothing is shown of any branch, and for services, who have no branch.
        """
        opened = [
            (-level, row.branch_id != self.home_branch_id, row.branch_id)
            for row in rows
            if (level := self._row_level(row)) >= Level.SECONDARY
        ]
        return min(opened)[2] if opened else None

    @property
    def best(self) -> Level:
        """The best level that any customer could have for this viewer."""
        if self.everyone:
            return Level.SERVICE
        reached = (Level.EXISTENCE if grant.existence_only else Level.PRIMARY for grant in self.grants)
        return max(reached, default=Level.NONE)

    def _row_level(self, row: OwnerRow) -> Level:
        return max((grant.level(row) for grant in self.grants), default=Level.NONE)


def scope_of(
    viewer: Viewer, subtree: frozenset[str], covered: Iterable[Covered] = (), near: frozenset[str] = frozenset()
) -> Scope:
    """Whom a viewer may see by name. `subtree` is his branch with all branches below it.

    Of `covered` he sees what his colleagues see by these roles; a service covers nobody. Whoever is `near` to him is
    left out.
    """
    if "SERVICE" in viewer.roles:
        return Scope(viewer.branch_id, everyone=True)
    grants = _grants(viewer, subtree)
    if viewer.roles & _OTHER_STAFF:
        grants.append(Grant(frozenset({viewer.branch_id}), existence_only=True))
    for each in covered:
        grants += _grants(Viewer(each.staff_id, each.branch_id, frozenset({each.role})), each.subtree)
    return Scope(viewer.branch_id, tuple(dict.fromkeys(grants)), near=near)


def _grants(viewer: Viewer, subtree: frozenset[str]) -> list[Grant]:
    """What the roles of heads and managers open."""
    own = frozenset({viewer.branch_id})
    grants: list[Grant] = []
    if "BRANCH_HEAD" in viewer.roles:
        grants.append(Grant(subtree | own))
    if viewer.roles & _MANAGERS:
        grants.append(Grant(own, manager_id=viewer.staff_id))
    if "PRIVATE_MANAGER" in viewer.roles:
        grants.append(Grant(None, private_manager_id=viewer.staff_id))
    return grants


def level(viewer: Viewer, rows: Iterable[OwnerRow], subtree: frozenset[str]) -> Level:
    """What a viewer is to the customer with these rows of ownership."""
    return scope_of(viewer, subtree).level(rows)


@dataclass(frozen=True)
class CountScope:
    """Whom a viewer may count, and how exactly he is told."""

    scope: Scope
    names_nobody: bool
    """He sees counts only, so no condition may point at one person."""
    small_counts_hidden: bool


def count_scope_of(viewer: Viewer, subtree: frozenset[str], covered: Iterable[Covered] = ()) -> CountScope:
    """Whom a viewer may count: whom he sees; a marketer his branch and those below; an analyst the whole bank.

    Somebody who sees customers by name counts exactly those, whatever other roles he has.
    """
    named = scope_of(viewer, subtree, covered)
    if named.best > Level.EXISTENCE:
        return CountScope(named, names_nobody=False, small_counts_hidden=False)
    if "MARKETER" in viewer.roles:
        reach = Scope(viewer.branch_id, (Grant(subtree | {viewer.branch_id}),))
        return CountScope(reach, names_nobody=True, small_counts_hidden=False)
    if "ANALYST" in viewer.roles:
        return CountScope(Scope("", (Grant(None),)), names_nobody=True, small_counts_hidden=True)
    return CountScope(named, names_nobody=False, small_counts_hidden=False)


# Fields of a customer by their name on the wire, and the least level that sees each (in the second table: masked).
_IDENTITY = (
    "customer_type",
    "display_name",
    "sex",
    "birth_date",
    "id_type",
    "id_expiry_date",
    "occupation",
    "residence_district",
    "customer_since_date",
    "industry",
)
CLEAR_FROM: Mapping[str, Level] = MappingProxyType(
    {
        **dict.fromkeys(_IDENTITY, Level.SECONDARY),
        "id_number": Level.PRIMARY,
        "mobile": Level.PRIMARY,
        # A death or a legal freeze is told to nobody who need not know, and neither is that something changed on the
        # day when nothing else did; that they may be hidden is told of every customer.
        "state": Level.PRIMARY,
        "update_time": Level.PRIMARY,
        # A secondary side sees its own row and the primary's branch.
        "owners": Level.PRIMARY,
        "ownership_periods": Level.PRIMARY,
        "total": Level.PRIMARY,
        "other_branches": Level.PRIMARY,
        "own": Level.SECONDARY,
        "related_people": Level.SECONDARY,
        # Computed on the whole bank's money, so telling of it: tags, the key mark, tier, contribution, lifecycle.
        "tags": Level.PRIMARY,
        "key_mark": Level.PRIMARY,
        "value": Level.PRIMARY,
        # Needed wherever something is sold to him, and before anybody contacts him.
        "risk_rating": Level.SECONDARY,
        "risk_rating_expiry_date": Level.SECONDARY,
        "contact_room": Level.SECONDARY,
        # That, how and when another branch contacted him; not about what, nor by whom.
        "contacts": Level.SECONDARY,
        # As the services that keep them show them to him.
        "alerts": Level.SECONDARY,
        "tasks": Level.SECONDARY,
        "notes": Level.SECONDARY,
        "business_date": Level.SECONDARY,
    }
)
_MASKED_FROM: Mapping[str, Level] = MappingProxyType(
    dict.fromkeys(("id_number", "mobile", "state", "owners", "ownership_periods"), Level.SECONDARY)
)
CONTACT_FIELDS = frozenset({"id_number", "mobile"})
NAMING_FIELDS = CONTACT_FIELDS | {"display_name"}
"""Fields that point at one person: no condition of somebody who sees counts only."""


def sight(field: str, at: Level) -> Sight:
    """How a field of a customer is shown at a level."""
    if at >= CLEAR_FROM[field]:
        return Sight.CLEAR
    return Sight.MASKED if field in _MASKED_FROM and at >= _MASKED_FROM[field] else Sight.HIDDEN


def masked_fields(at: Level) -> tuple[str, ...]:
    """The fields that are emptied or masked at a level, by name."""
    return tuple(sorted(field for field in CLEAR_FROM if sight(field, at) is not Sight.CLEAR))


def least_level(fields: Iterable[str]) -> Level:
    """The level from which all these fields are seen: what a condition or an order on them confines the answer to."""
    return max((CLEAR_FROM[field] for field in fields), default=Level.EXISTENCE)


_LEVEL_OF_SIDE: Mapping[Side, Level] = MappingProxyType({"PRIMARY": Level.PRIMARY, "SECONDARY": Level.SECONDARY})
