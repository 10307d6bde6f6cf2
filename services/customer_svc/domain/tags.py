"""Tags of customers (domain.md 6): what they are, when a customer carries one, and the evidence in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any


class TagKind(StrEnum):
    """Where a tag comes from."""

    POTENTIAL = "POTENTIAL"
    MANUAL = "MANUAL"


@dataclass(frozen=True)
class TagPolicy:
    """The parameters of tags, one version of them."""

    version: int
    expiry_days: int
    """A potential tag is carried this many days after it was last confirmed."""
    override_days_max: int


@dataclass(frozen=True)
class Tag:
    """A tag's definition; without a branch it is the whole bank's."""

    code: str
    kind: TagKind
    display_name: str
    display_name_en: str
    rule_text: str
    rule_text_en: str
    branch_id: str | None
    actor: str
    create_time: datetime
    retire_time: datetime | None = None


@dataclass(frozen=True)
class WantedTags:
    """Which definitions are asked for: of one kind, or of any."""

    kind: TagKind | None = None
    with_retired: bool = False


@dataclass(frozen=True)
class Confirmation:
    """What the batch last said of a customer's potential tag."""

    rule_version: str
    as_of_date: date
    expiry_date: date
    evidence: Mapping[str, Any]
    told_date: date | None = None
    """The last night that told of tags at all; until another one has, nothing expires."""


@dataclass(frozen=True)
class Setting:
    """A manual tag as it was set; without an end it holds until it is removed."""

    reason: str
    end_date: date | None
    actor: str
    create_time: datetime


@dataclass(frozen=True)
class Override:
    """What a hand said against the batch, until a day."""

    is_set: bool
    reason: str
    end_date: date
    actor: str
    create_time: datetime


@dataclass(frozen=True)
class CustomerTag:
    """A tag of one customer with everything that was said of it."""

    customer_id: str
    tag: Tag
    confirmation: Confirmation | None = None
    setting: Setting | None = None
    override: Override | None = None

    def is_live(self, day: date) -> bool:
        """Whether he carries it on a day: a hand goes before the batch as long as it holds."""
        if self.override is not None and day <= self.override.end_date:
            return self.override.is_set
        if self.setting is not None and (self.setting.end_date is None or day <= self.setting.end_date):
            return True
        if self.confirmation is None:
            return False
        return min(day, self.confirmation.told_date or day) <= self.confirmation.expiry_date


@dataclass(frozen=True)
class TagChange:
    """One change of a customer's tag."""

    change_id: int
    tag_code: str
    kind: str
    reason: str
    end_date: date | None
    actor: str
    create_time: datetime


@dataclass(frozen=True)
class HandChange:
    """What somebody, at his branch, says of a customer's tag."""

    customer_id: str
    tag_code: str
    reason: str
    end_date: date | None
    actor: str
    branch_id: str
