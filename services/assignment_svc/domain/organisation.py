"""Branches and staff."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime


@dataclass(frozen=True)
class Branch:
    """An outlet or a level above outlets. `head_id`: its active head, the first by id if there are several."""

    branch_id: str
    display_name: str
    parent_id: str | None
    legal_entity: str | None
    open_date: date | None
    close_date: date | None
    head_id: str | None
    update_time: datetime
    gone: bool = False
    rev: int = 0

    @property
    def etag(self) -> str:
        """The state of the branch as its readers name it."""
        return f"{self.rev:x}"

    def is_open(self, day: date) -> bool:
        """Says whether it has business on a day; the first and the last one included."""
        return (self.open_date or date.min) <= day <= (self.close_date or date.max)


@dataclass(frozen=True)
class Staff:
    """A member of the staff; active from the first to the last day, both included."""

    staff_id: str
    display_name: str
    branch_id: str
    roles: tuple[str, ...]
    login: str | None
    active_from_date: date | None
    active_until_date: date | None
    successor_id: str | None
    update_time: datetime
    gone: bool = False
    rev: int = 0

    @property
    def etag(self) -> str:
        """The state of the member as his readers name it."""
        return f"{self.rev:x}"

    def is_active(self, day: date) -> bool:
        return (self.active_from_date or date.min) <= day <= (self.active_until_date or date.max)


@dataclass(frozen=True)
class RevokedSession:
    """A session that was ended before its tokens expired; may be forgotten after `expire_time`."""

    session_id: str
    expire_time: datetime


OrgItem = Branch | Staff | RevokedSession


def circles(parents: Mapping[str, str | None]) -> frozenset[str]:
    """The branches that are their own ancestors; a parent that is not in the mapping is a top."""
    sound: set[str] = set()
    found: set[str] = set()
    for start in parents:
        path: dict[str, int] = {}
        at: str | None = start
        while at is not None and at in parents and at not in sound and at not in path and at not in found:
            path[at] = len(path)
            at = parents[at]
        steps = list(path)
        if at in path:
            found.update(steps[path[at] :])
            sound.update(steps[: path[at]])
        else:
            sound.update(steps)
    return frozenset(found)
