"""Where in a feed somebody is, and what a source sends next."""

import base64
import binascii
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from google.protobuf.message import Message

from chassis import paging
from chassis.errors import Refused, invalid_field

T = TypeVar("T")
M = TypeVar("M", bound=Message)

_TOKEN_LENGTH_MAX = 1_000
_REV_MAX = 2**63 - 1


@dataclass(frozen=True)
class Cursor:
    """The last item read, by its revision and key, in one epoch of one source; (0, "") is the beginning."""

    node: str
    epoch: int
    rev: int
    key: str

    def token(self) -> str:
        """The cursor as an opaque text."""
        parts = json.dumps([self.node, self.epoch, self.rev, self.key], separators=(",", ":"), ensure_ascii=False)
        return base64.urlsafe_b64encode(parts.encode()).decode().rstrip("=")

    @classmethod
    def parse(cls, token: str) -> "Cursor":
        """The cursor in a token. Refuses what is none."""
        if len(token) > _TOKEN_LENGTH_MAX:
            raise _invalid()
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            node, epoch, rev, key = json.loads(raw)
        except (binascii.Error, ValueError, TypeError, RecursionError) as error:
            raise _invalid() from error
        texts = isinstance(node, str) and isinstance(key, str) and "\0" not in key
        if not texts or type(epoch) is not int or type(rev) is not int or not 0 <= rev <= _REV_MAX:
            raise _invalid()
        return cls(node, epoch, rev, key)

    def is_of(self, other: "Cursor") -> bool:
        """Says whether both stand in the same epoch of the same source, so that one may follow the other."""
        return (self.node, self.epoch) == (other.node, other.epoch)


@dataclass(frozen=True)
class Page(Generic[T]):
    """What a source sends at once: items in the order of change; none in a heartbeat.

    `caught_up`: nothing more was there when this was read, and all that was being written when the watch began is told.
    """

    items: Sequence[T]
    cursors: Sequence[Cursor]
    """Where each item stands."""
    resume_token: str
    caught_up: bool
    source_time: datetime

    def parts(self, to_wire: Callable[[T], M]) -> Iterator["Page[M]"]:
        """The page as pages of messages that are small enough to send, each with the token that goes on after it."""
        rest, cursors = [to_wire(item) for item in self.items], self.cursors
        while len(kept := paging.cut(rest)) < len(rest):
            count = len(kept)
            yield Page(kept, cursors[:count], cursors[count - 1].token(), caught_up=False, source_time=self.source_time)
            rest, cursors = rest[count:], cursors[count:]
        yield Page(rest, cursors, self.resume_token, self.caught_up, self.source_time)


def _invalid() -> Refused:
    return invalid_field("resume_token", "must be a token that this feed gave")
