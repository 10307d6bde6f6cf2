"""Contact data at rest: encrypted to be shown, hashed under a key to be found.

The folder of data keys holds `cipher/<key id>.key` (AES-256-GCM) and `hash/<key id>.key` (HMAC-SHA-256), 32 bytes each
in hex. A key's id is the unix second of its creation. The newest key that everybody has had time to read writes; all of
them read and are searched under, so a key is added, what it does not protect yet is written anew, and the older one is
taken away. A sealed value begins with its key's id, and opens for its own customer and kind only.
"""

import hmac
import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from chassis import clock
from chassis.files import write_once
from chassis.written_numbers import same_document, same_mobile

# A key lies in the folder this long before it writes, so that everybody has read it by then.
KEY_REST = timedelta(minutes=10)
HASH_BYTES = 16
# Nothing longer is ever stored (the import refuses it), so nothing longer is found.
TEXT_LENGTH_MAX = 64

_KEY_BYTES = 32
_ID_BYTES = 4
_BLOCK_BYTES = 64
_NONCE_BYTES = 12
_TAG_BYTES = 16
_REREAD_SECONDS = 60.0
_REREAD_UNKNOWN_SECONDS = 5.0

if TYPE_CHECKING:
    from hashlib import _Hash  # pyright: ignore[reportPrivateUsage]  # the type has no other name

_Hasher = tuple["_Hash", "_Hash"]

log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


class ContactKind(StrEnum):
    """What is sealed; a value of one kind never opens as another, and never has the other's hash."""

    ID_NUMBER = "id_number"
    MOBILE = "mobile"


class KeyPurpose(StrEnum):
    """What a key is for; none serves both."""

    CIPHER = "cipher"
    HASH = "hash"


class DataKeysUnusable(Exception):
    """The folder is not one of data keys; says to operators what is wrong with it."""


class SealedUnreadable(Exception):
    """A sealed value does not open: its key is gone, or another one, or its bytes were changed. A fault of ours."""


@dataclass(frozen=True)
class DataKey:
    """A key of the folder; `writes` says that new values are written under it now."""

    purpose: KeyPurpose
    key_id: int
    create_time: datetime
    writes: bool


@dataclass(frozen=True)
class WritingKeys:
    """The ids of the keys that new values are written under."""

    cipher_key_id: int
    hash_key_id: int

    def of(self, purpose: KeyPurpose) -> int:
        """The one for a purpose."""
        return self.cipher_key_id if purpose is KeyPurpose.CIPHER else self.hash_key_id


def make_data_key(folder: Path, purpose: KeyPurpose, at: datetime) -> int:
    """Writes a new key, for its owner's eyes only, and returns its id."""
    key_id = int(at.timestamp())
    while True:
        try:
            write_once(folder / purpose / f"{key_id}.key", os.urandom(_KEY_BYTES).hex().encode(), 0o600)
        except FileExistsError:  # of the same second
            key_id += 1
        else:
            return key_id


def make_missing_data_keys(folder: Path, at: datetime) -> None:
    """Makes the first key of each purpose where there is none; it writes at once, having no older one."""
    for purpose in KeyPurpose:
        if not any((folder / purpose).glob("*.key")):
            make_data_key(folder, purpose, at)


def list_data_keys(folder: Path, at: datetime) -> list[DataKey]:
    """The keys of a folder, the oldest first. Raises DataKeysUnusable."""
    return [
        DataKey(purpose, key_id, datetime.fromtimestamp(key_id, at.tzinfo), key_id == _writing(keys, at))
        for purpose in KeyPurpose
        for keys in [_read_keys(folder / purpose)]
        for key_id in keys
    ]


def normalised(kind: ContactKind, text: str) -> str:
    """What two ways to write the same number have in common: it is what hashes are of."""
    return _NORMALISERS[kind](text)


_NORMALISERS: MappingProxyType[ContactKind, Callable[[str], str]] = MappingProxyType(
    {ContactKind.ID_NUMBER: same_document, ContactKind.MOBILE: same_mobile}
)


class DataKeys:
    """The keys of a folder. Reads it at first use, again when it is old, and sooner when a key is unknown.

    A folder that is spoiled later is told in the log, and the keys read before go on being used.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ciphers: dict[int, AESGCM] = {}
        # By key id, then by kind: each kind is hashed under a key of its own, made from the key of the folder.
        self._hashers: dict[int, dict[ContactKind, _Hasher]] = {}
        self._read_at = float("-inf")

    def check(self) -> None:
        """Raises DataKeysUnusable if the folder cannot be worked with."""
        self._read()

    def writing(self) -> WritingKeys:
        """The keys that values are written under now."""
        self._refresh()
        at = clock.now()
        return WritingKeys(_writing(self._ciphers, at), _writing(self._hashers, at))

    def key_ids(self, purpose: KeyPurpose) -> list[int]:
        """The ids of all keys that values can be read by, or are searched under."""
        self._refresh()
        return sorted(self._ciphers if purpose is KeyPurpose.CIPHER else self._hashers)

    def encrypt(self, kind: ContactKind, customer_id: str, text: str) -> bytes:
        """Seals a customer's value."""
        [sealed] = self.encrypt_all(kind, [customer_id], [text], self.writing().cipher_key_id)
        assert sealed is not None
        return sealed

    def decrypt(self, kind: ContactKind, customer_id: str, sealed: bytes) -> str:
        """Opens a customer's value. Raises SealedUnreadable."""
        return self._open(f"the {kind} of {customer_id}", _associated(kind, customer_id), sealed).decode()

    def seal_piece(self, name: str, content: bytes) -> bytes:
        """Seals a piece of a file that may hold contact data; it opens under the same name only."""
        key_id = self.writing().cipher_key_id
        nonce = os.urandom(_NONCE_BYTES)
        return key_id.to_bytes(_ID_BYTES) + nonce + self._ciphers[key_id].encrypt(nonce, content, _piece(name))

    def open_piece(self, name: str, sealed: bytes) -> bytes:
        """Opens a piece of a file. Raises SealedUnreadable."""
        return self._open(f"the piece {name}", _piece(name), sealed)

    def hashes(self, kind: ContactKind, text: str) -> list[bytes]:
        """The hashes that a value may be stored under, one for each live key; none of what nobody has."""
        if len(text) > TEXT_LENGTH_MAX or not normalised(kind, text):
            return []
        found = (self.hash_all(kind, [text], key_id)[0] for key_id in self.key_ids(KeyPurpose.HASH))
        return [hashed for hashed in found if hashed is not None]

    def encrypt_all(
        self, kind: ContactKind, customer_ids: Sequence[str], texts: Sequence[str | None], cipher_key_id: int
    ) -> list[bytes | None]:
        """Seals the values of many customers under one key; for a thread, if there are many."""
        cipher = self._ciphers[cipher_key_id].encrypt
        head, start = cipher_key_id.to_bytes(_ID_BYTES), f"{kind}\0"
        chance = os.urandom(_NONCE_BYTES * len(texts))
        nonces = (chance[at : at + _NONCE_BYTES] for at in range(0, len(chance), _NONCE_BYTES))
        return [
            None if text is None else head + nonce + cipher(nonce, text.encode(), (start + customer_id).encode())
            for customer_id, text, nonce in zip(customer_ids, texts, nonces, strict=True)
        ]

    def hash_all(self, kind: ContactKind, texts: Sequence[str | None], hash_key_id: int) -> list[bytes | None]:
        """Hashes many values under one key; for a thread, if there are many."""
        (inner, outer), normal = self._hashers[hash_key_id][kind], _NORMALISERS[kind]

        def digest(text: str) -> bytes:
            first, second = inner.copy(), outer.copy()
            first.update(normal(text).encode())
            second.update(first.digest())
            return second.digest()[:HASH_BYTES]

        return [None if text is None else digest(text) for text in texts]

    def _open(self, what: str, associated: bytes, sealed: bytes) -> bytes:
        key_id = int.from_bytes(sealed[:_ID_BYTES])
        cipher = self._cipher(key_id)
        if cipher is None or len(sealed) < _ID_BYTES + _NONCE_BYTES + _TAG_BYTES:
            raise SealedUnreadable(f"{what} is sealed under key {key_id}, which is not here")
        nonce, rest = sealed[_ID_BYTES : _ID_BYTES + _NONCE_BYTES], sealed[_ID_BYTES + _NONCE_BYTES :]
        try:
            return cipher.decrypt(nonce, rest, associated)
        except InvalidTag:
            message = f"{what} does not open by key {key_id}: other bytes, or another key"
            # Not chained: nothing about the bytes is to be found in a log.
            raise SealedUnreadable(message) from None

    def _cipher(self, key_id: int) -> AESGCM | None:
        self._refresh(_REREAD_UNKNOWN_SECONDS if key_id not in self._ciphers else _REREAD_SECONDS)
        return self._ciphers.get(key_id)

    def _refresh(self, older_than_seconds: float = _REREAD_SECONDS) -> None:
        if clock.monotonic_seconds() - self._read_at <= older_than_seconds:
            return
        try:
            self._read()
        except DataKeysUnusable:
            if not self._ciphers:
                raise
            log.exception("data_keys_unusable")
            self._read_at = clock.monotonic_seconds()

    def _read(self) -> None:
        ciphers, hashers = (_read_keys(self.folder / purpose) for purpose in KeyPurpose)
        self._ciphers = {key_id: AESGCM(key) for key_id, key in ciphers.items()}
        self._hashers = {
            key_id: {kind: _hasher(hmac.digest(key, kind.encode(), "sha256")) for kind in ContactKind}
            for key_id, key in hashers.items()
        }
        self._read_at = clock.monotonic_seconds()


def _piece(name: str) -> bytes:
    return f"piece\0{name}".encode()


def _hasher(key: bytes) -> _Hasher:
    """Both halves of HMAC-SHA-256 with the key in them (RFC 2104): `hmac` takes it in anew for each of many texts."""
    padded = key.ljust(_BLOCK_BYTES, b"\0")
    return sha256(bytes(byte ^ 0x36 for byte in padded)), sha256(bytes(byte ^ 0x5C for byte in padded))


def _associated(kind: ContactKind, customer_id: str) -> bytes:
    return f"{kind}\0{customer_id}".encode()


def _writing(keys: Collection[int], at: datetime) -> int:
    """The newest key that has rested, else the oldest."""
    rested = [key_id for key_id in keys if key_id + KEY_REST.total_seconds() <= at.timestamp()]
    return max(rested) if rested else min(keys)


def _read_keys(folder: Path) -> dict[int, bytes]:
    """The keys of one purpose by id, the oldest first."""
    keys: dict[int, bytes] = {}
    try:
        for path in folder.glob("*.key"):
            key = bytes.fromhex(path.read_text())
            if len(key) != _KEY_BYTES:
                raise DataKeysUnusable(f"{path} holds {len(key)} bytes, a data key has {_KEY_BYTES}")
            keys[int(path.stem)] = key
    except (OSError, ValueError) as error:
        raise DataKeysUnusable(f"the data keys in {folder} cannot be read: {error}") from error
    if not keys:
        raise DataKeysUnusable(f"{folder} holds no data key: name the folder that `banyan keys` or the set-up filled")
    return dict(sorted(keys.items()))
