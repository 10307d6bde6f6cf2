"""Saved groups of customers: what may be said of one, who sees it, how far it may be shared, and who may be its owner.

A group's members are found with what its owner may see, and whoever refers to the group reaches only members whom he
sees himself, at least at the level that the group's query looks at. So sharing a group gives nobody a sight of
customers that he lacks; it is limited all the same, since a group's name tells something of a branch's business.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from services.customer_svc.domain.counts import Told, coarse, exact
from services.customer_svc.domain.query import Fault
from services.customer_svc.domain.viewing import Level, Viewer

DISPLAY_NAME_LENGTH_MAX = 100
DESCRIPTION_LENGTH_MAX = 1_000
MEMBERS_A_CALL_MAX = 10_000
LIST_MEMBERS_MAX = 1_000_000
GROUPS_OF_ONE_MAX = 1_000
KEPT_AFTER_DELETION = timedelta(days=30)

# Who may find, or at least count, customers other than by being one of the branch's other staff.
_MAY_OWN = frozenset({"BRANCH_HEAD", "MANAGER", "PRIVATE_MANAGER", "MARKETER", "ANALYST"})
_SHARE_WITH_BANK_FROM_TOP = frozenset({"BRANCH_HEAD", "MARKETER"})
_SERVICE = "SERVICE"


class Kind(StrEnum):
    """What a group is made of."""

    QUERY = "QUERY"
    LIST = "LIST"


class Sharing(StrEnum):
    """Who sees a group beside its owner."""

    PRIVATE = "PRIVATE"
    BRANCH = "BRANCH"
    BANK = "BANK"


class GroupOrder(StrEnum):
    """What groups are listed by."""

    DISPLAY_NAME = "DISPLAY_NAME"
    UPDATE_TIME = "UPDATE_TIME"


class Whose(StrEnum):
    """Which groups are listed."""

    ALL = "ALL"
    MINE = "MINE"
    SHARED = "SHARED"


@dataclass(frozen=True)
class Draft:
    """What an owner says of his group."""

    display_name: str
    description: str = ""
    sharing: Sharing = Sharing.PRIVATE
    shared_branch_id: str | None = None
    kind: Kind = Kind.QUERY
    query: bytes | None = None
    """The query as the wire brought it."""
    refresh_nightly: bool = False


@dataclass(frozen=True)
class Built:
    """The members that count."""

    generation: int
    least: Level
    """What the owner must be to a customer to be told that he is a member."""
    least_of_others: Level
    member_count: int
    time: datetime
    took: timedelta


@dataclass(frozen=True)
class Group:
    """A group as it is stored. Its etag is its version."""

    group_id: str
    owner_id: str
    draft: Draft
    version: int
    query_version: int
    create_time: datetime
    update_time: datetime
    delete_time: datetime | None
    built: Built | None
    build_operation_id: str | None

    def least_for(self, viewer: Viewer) -> Level:
        """What a viewer must be to a customer to know that he is in the group, which must have been built."""
        assert self.built is not None, "of what was never built nobody is a member"
        return self.built.least if viewer.staff_id == self.owner_id else self.built.least_of_others

    @property
    def has_build(self) -> bool:
        """It is built from its query: a QUERY group whenever somebody wants it, a frozen list once."""
        return self.draft.query is not None and (self.draft.kind is Kind.QUERY or self.built is None)

    @property
    def expire_time(self) -> datetime | None:
        """Until when a deleted group comes back."""
        return self.delete_time + KEPT_AFTER_DELETION if self.delete_time else None


@dataclass(frozen=True)
class Place:
    """Where a viewer stands in the tree of branches."""

    above: frozenset[str]
    """His branch and all branches above it."""
    below: frozenset[str]
    """His branch and all branches below it."""
    is_top: bool
    """His branch is known and none is above it: he works at head office."""


def sees_group(group: Group, viewer: Viewer, place: Place) -> bool:
    """Says whether a viewer sees a group at all; a deleted one is seen by its owner only."""
    if group.owner_id == viewer.staff_id:
        return True
    if group.delete_time is not None:
        return False
    if _SERVICE in viewer.roles or group.draft.sharing is Sharing.BANK:
        return True
    return group.draft.sharing is Sharing.BRANCH and group.draft.shared_branch_id in place.above


def told_count(group: Group, viewer: Viewer, *, small_hidden: bool) -> Told | None:
    """How many members a viewer is told of: the owner, as he may be told a count, and services; nobody else."""
    if group.built is None:
        return None
    if _SERVICE in viewer.roles:
        return exact(group.built.member_count)
    if group.owner_id != viewer.staff_id:
        return None
    return coarse(group.built.member_count) if small_hidden else exact(group.built.member_count)


def draft_faults(draft: Draft, viewer: Viewer, place: Place) -> Iterator[Fault]:
    """Everything that is wrong with what an owner says of his group, except its query."""
    if not draft.display_name.strip() or len(draft.display_name) > DISPLAY_NAME_LENGTH_MAX:
        yield Fault("FIELD_INVALID", "display_name", f"must have 1 to {DISPLAY_NAME_LENGTH_MAX} characters")
    if len(draft.description) > DESCRIPTION_LENGTH_MAX:
        yield Fault("FIELD_INVALID", "description", f"must have at most {DESCRIPTION_LENGTH_MAX} characters")
    if draft.kind is Kind.QUERY and draft.query is None:
        yield Fault("FIELD_INVALID", "query", "is required for a QUERY group")
    if draft.kind is Kind.LIST and draft.refresh_nightly:
        yield Fault("FIELD_INVALID", "refresh_nightly", "is for QUERY groups only")
    yield from _sharing_faults(draft, viewer, place)


def _sharing_faults(draft: Draft, viewer: Viewer, place: Place) -> Iterator[Fault]:
    branch_id = draft.shared_branch_id
    if draft.sharing is not Sharing.BRANCH and branch_id is not None:
        yield Fault("FIELD_INVALID", "shared_branch", "is for sharing BRANCH only")
    if draft.sharing is Sharing.BRANCH and branch_id is None:
        yield Fault("FIELD_INVALID", "shared_branch", "is required for sharing BRANCH")
    if draft.sharing is Sharing.BRANCH and branch_id is not None and branch_id not in place.below:
        yield Fault("SHARING_FORBIDDEN", "shared_branch", "must be your branch or one below it")
    if draft.sharing is Sharing.BANK and not may_share_with_bank(viewer, place):
        yield Fault("SHARING_FORBIDDEN", "sharing", "BANK is for analysts, and for heads and marketers of head office")


def may_share_with_bank(viewer: Viewer, place: Place) -> bool:
    """Says whether a viewer may show a group to everybody."""
    return "ANALYST" in viewer.roles or (place.is_top and bool(viewer.roles & _SHARE_WITH_BANK_FROM_TOP))


def unfit(viewer: Viewer | None, active_from: date | None, active_until: date | None, day: date) -> str | None:
    """Why nothing is found in somebody's name any more; None if he works here and may find customers, or count them."""
    if viewer is None or (active_until is not None and active_until < day):
        return "the owner has left"
    if active_from is not None and active_from > day:
        return "the owner has not begun to work"
    if not viewer.roles & _MAY_OWN:
        return "the owner has no role any more that finds customers"
    return None


def closes_cycle(group_id: str, reached: Collection[str]) -> bool:
    """Says whether a group is among those that its query reaches, directly or through other groups."""
    return group_id in reached
