"""Pages by keyset: the opaque token that asks for the next one, and how large a page may be."""

import base64
import binascii
import contextlib
import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from google.protobuf.message import Message

from chassis.caller import caller_or_none
from chassis.errors import Refused, invalid_field
from chassis.files import write_once

PAGE_SIZE_DEFAULT = 50
PAGE_SIZE_MAX = 1000
PAGE_BYTES_MAX = 2 << 20

M = TypeVar("M", bound=Message)

# A message in a list brings its field's tag and its own length.
_FRAME_BYTES_MAX = 8
_MAC_LENGTH = 16
_SECRET_LENGTH = 32
_TOKEN_LENGTH_MAX = 4096

# What a keyset is made of: what JSON keeps as it is.
KeyPart = str | int | bool | None


def secret(keys: Path) -> bytes:
    """The deployment's secret for page tokens, from `paging.key` in the folder of keys; made if it is not there yet.

    All instances need the same: a token given by one comes back to another.
    """
    path = keys / "paging.key"
    if not path.exists():
        # Another process may be first: its secret is the one.
        with contextlib.suppress(FileExistsError):
            write_once(path, secrets.token_bytes(_SECRET_LENGTH), 0o600)
    found = path.read_bytes()
    assert len(found) >= _SECRET_LENGTH, f"{path} must hold at least {_SECRET_LENGTH} bytes"
    return found


def encode(key: Sequence[KeyPart], request: Message, secret: bytes) -> str:
    """The token for what comes after `key`, a page or the rest of a stream, good only for the same request.

    How large a page is, and which token asked for it, makes no other request of it.
    """
    content = json.dumps(list(key), ensure_ascii=False, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_mac(content, request, secret) + content).decode().rstrip("=")


def decode(token: str, request: Message, secret: bytes) -> tuple[KeyPart, ...] | None:
    """The key that a token starts after; None for the first page. Refuses a forged token and another request's."""
    if not token:
        return None
    if len(token) > _TOKEN_LENGTH_MAX:
        raise _invalid()
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise _invalid() from error
    mac, content = raw[:_MAC_LENGTH], raw[_MAC_LENGTH:]
    if not hmac.compare_digest(mac, _mac(content, request, secret)):
        raise _invalid()
    return tuple(json.loads(content))


def page_size(asked: int, default: int = PAGE_SIZE_DEFAULT, most: int = PAGE_SIZE_MAX) -> int:
    """How many items a page gets: 0 asks for the default, more than the most gets the most, less than 0 is refused."""
    if asked < 0:
        raise invalid_field("page_size", "must not be negative")
    return min(asked or default, most)


def cut(items: Sequence[M], most: int = PAGE_BYTES_MAX) -> Sequence[M]:
    """The first items, as many as fit into a page of 2 MiB, and always one; the next page goes on after the last."""
    size = 0
    for place, item in enumerate(items):
        size += item.ByteSize() + _FRAME_BYTES_MAX
        if size > most and place > 0:
            return items[:place]
    return items


def _mac(content: bytes, request: Message, secret: bytes) -> bytes:
    bare = type(request)()
    bare.CopyFrom(request)
    for field in ("page_size", "page_token", "resume_token"):
        if field in bare.DESCRIPTOR.fields_by_name:
            bare.ClearField(field)
    caller = caller_or_none()
    # What a token carries, such as how many were left out of the first page, is its caller's alone.
    asked = f"{request.DESCRIPTOR.full_name}\n{caller.staff_id if caller else ''}\n".encode() + bare.SerializeToString(
        deterministic=True
    )
    told = hashlib.sha256(asked).digest() + content
    return hmac.digest(secret, told, "sha256")[:_MAC_LENGTH]


def _invalid() -> Refused:
    return invalid_field("page_token", "is not a token of this request", "PAGE_TOKEN_INVALID")
