"""The keys of the bank's OIDC issuer, and whether it signed a token (RS256 or ES256)."""

import asyncio
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt
import structlog
from jwt import PyJWK, PyJWKSet

from chassis import clock
from chassis.errors import Kind, Refused
from services.assignment_svc.domain.oidc import TOKEN_LENGTH_MAX

_ALGORITHMS = ("RS256", "ES256")
_FETCH_SECONDS = 3.0
_JWKS_BYTES_MAX = 1 << 20
# Keys are read again when they are old; sooner for a key that is not known, but not for each forged token.
_REREAD_SECONDS = 300.0
_REREAD_UNKNOWN_SECONDS = 10.0
_JUDGED_ELSEWHERE = ("verify_exp", "verify_nbf", "verify_iat", "verify_aud", "verify_iss", "verify_sub", "verify_jti")

log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


class IssuerKeys:
    """The issuer's public keys, from its JWKS at a URL (https, or http on this machine) or in a file."""

    def __init__(self, source: str, certificates: Path | None = None) -> None:
        self._source = source
        self._certificates = certificates
        self._keys: dict[str, PyJWK] = {}
        self._tried_at = float("-inf")
        self._failure: Exception | None = None
        self._reading = asyncio.Lock()

    async def claims(self, token: str) -> Mapping[str, Any] | None:
        """The claims of a token that the issuer signed; None for any other. What they say is not looked at here."""
        if len(token) > TOKEN_LENGTH_MAX:
            return None
        try:
            header = jwt.get_unverified_header(token)
        except jwt.InvalidTokenError:
            return None
        kid, algorithm = header.get("kid"), str(header.get("alg"))
        key = await self._key(kid) if isinstance(kid, str) and algorithm in _ALGORITHMS else None
        # A key of one kind must not be taken for another: its own algorithm is the only one it is used with.
        if key is None or key.algorithm_name != algorithm:
            return None
        # Times, issuer and audience are the domain's to judge, by the bank's clock.
        options: Any = {"verify_signature": True, **dict.fromkeys(_JUDGED_ELSEWHERE, False)}
        try:
            return jwt.decode(token, key, algorithms=[algorithm], options=options)
        except jwt.InvalidTokenError:
            return None

    async def _key(self, kid: str) -> PyJWK | None:
        async with self._reading:
            age = clock.monotonic_seconds() - self._tried_at
            if age > _REREAD_SECONDS or (kid not in self._keys and age > _REREAD_UNKNOWN_SECONDS):
                await self._read()
        if kid not in self._keys and self._failure is not None:
            message = "the keys of the OIDC issuer cannot be read"
            raise Refused(Kind.UNAVAILABLE, "OIDC_UNREACHABLE", message) from self._failure
        return self._keys.get(kid)

    async def _read(self) -> None:
        """Reads the keys; those known so far go on if that fails."""
        self._tried_at = clock.monotonic_seconds()
        try:
            self._keys = _usable(json.loads(await asyncio.to_thread(self._fetch)))
            self._failure = None
        except (OSError, ValueError, TypeError, AttributeError, jwt.PyJWTError) as error:
            self._failure = error
            log.warning("oidc_keys_unreadable", error=str(error))

    def _fetch(self) -> bytes:
        if urlsplit(self._source).scheme not in {"http", "https"}:
            return Path(self._source).read_bytes()
        context = ssl.create_default_context(cafile=str(self._certificates)) if self._certificates else None
        request = urllib.request.Request(self._source, headers={"accept": "application/json"})  # noqa: S310 - see above
        try:
            with urllib.request.urlopen(request, timeout=_FETCH_SECONDS, context=context) as answer:  # noqa: S310 - see above
                raw: bytes = answer.read(_JWKS_BYTES_MAX + 1)
        except urllib.error.HTTPError as error:
            # An answer too, with a connection of its own.
            error.close()
            raise
        if len(raw) > _JWKS_BYTES_MAX:
            raise ValueError("the key set is too large")
        return raw


def _usable(told: dict[str, Any]) -> dict[str, PyJWK]:
    """The keys that may sign id tokens: RSA with RS256 and P-256 with ES256, each with a kid."""
    keys: dict[str, PyJWK] = {}
    for key in PyJWKSet.from_dict(told).keys:
        is_ours = key.algorithm_name in _ALGORITHMS and key.public_key_use in {None, "sig"}
        if is_ours and key.key_id is not None:
            keys[key.key_id] = key
    return keys
