"""Tokens: who may sign what, and how a token is checked (design.md 4.4). RS256 everywhere.

The folder of keys holds `private/<application>/<kid>.pem` and `public/<application>/<kid>.pem`. A kid is
`<application>-<unix seconds of its creation>`, an issuer is `banyan/<application>`, and a key signs for its own
issuer only.
"""

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from chassis import clock
from chassis.caller import Caller, Role
from chassis.errors import Kind, Refused
from chassis.files import write_once

AUDIENCE = "banyan"
# The one application where staff sign in; no other key may speak for a person.
STAFF_APPLICATION = "assignment_svc"
SERVICE_TOKEN_LIFE = timedelta(minutes=15)
# A key is published this long before it signs, so that everybody has read it by then.
KEY_REST = timedelta(minutes=10)

_ALGORITHM = "RS256"
_ISSUER_PREFIX = "banyan/"
_KEY_BITS = 2048
_TOKEN_LENGTH_MAX = 8192
_TOKENS_REMEMBERED_MAX = 10_000
# Clocks of two machines differ a little; a token from further ahead than this was not made in good faith.
_CLOCK_SKEW_MAX = timedelta(seconds=60)
_RENEW_BEFORE = timedelta(minutes=2)
_SERVICE_ROLES = frozenset({Role.SERVICE})
_REREAD_SECONDS = 60.0
_REREAD_UNKNOWN_SECONDS = 5.0

log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)


def issuer_of(application: str) -> str:
    """The issuer that an application signs as."""
    return _ISSUER_PREFIX + application


def make_key(folder: Path, application: str, at: datetime) -> str:
    """Writes a new pair of keys and returns its kid. The private one is for its owner's eyes only."""
    kid = f"{application}-{int(at.timestamp())}"
    key = rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    # The private key first: a published key that nobody can sign with would stand in the way for ever.
    write_once(folder / "private" / application / f"{kid}.pem", private, 0o600)
    write_once(folder / "public" / application / f"{kid}.pem", public, 0o644)
    return kid


@dataclass(frozen=True)
class PublicKey:
    """A key to check signatures with, and the application that it speaks for."""

    kid: str
    application: str
    key: rsa.RSAPublicKey


@dataclass(frozen=True)
class SigningKey:
    """A key to sign with."""

    kid: str
    key: rsa.RSAPrivateKey


class KeyRing:
    """The keys of a folder. Reads it again when it is old, and sooner when a kid is unknown."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._public: dict[str, PublicKey] = {}
        self._signing: dict[str, SigningKey] = {}
        self._read_at = float("-inf")

    def public(self, kid: str) -> PublicKey | None:
        """The key of this kid, or None. A key published a moment ago is found within 5 s."""
        age = clock.monotonic_seconds() - self._read_at
        if age > _REREAD_SECONDS or (kid not in self._public and age > _REREAD_UNKNOWN_SECONDS):
            self._read()
        return self._public.get(kid)

    def jwks(self) -> dict[str, Any]:
        """All public keys as a JSON Web Key Set (RFC 7517)."""
        if clock.monotonic_seconds() - self._read_at > _REREAD_UNKNOWN_SECONDS:
            self._read()
        keys: list[dict[str, Any]] = []
        for kid, public in sorted(self._public.items()):
            key = json.loads(RSAAlgorithm.to_jwk(public.key))
            keys.append({"kty": "RSA", "kid": kid, "use": "sig", "alg": _ALGORITHM, "n": key["n"], "e": key["e"]})
        return {"keys": keys}

    def signing(self, application: str, at: datetime) -> SigningKey:
        """The application's newest key that everybody has had time to read, else its oldest."""
        paths = sorted((self._folder / "private" / application).glob("*.pem"), key=lambda path: _created(path.stem))
        assert paths, f"{application} has no private key in {self._folder}"
        rested = [path for path in paths if _created(path.stem) + KEY_REST.total_seconds() <= at.timestamp()]
        path = rested[-1] if rested else paths[0]
        if path.stem not in self._signing:
            key = serialization.load_pem_private_key(path.read_bytes(), password=None)
            assert isinstance(key, rsa.RSAPrivateKey), f"{path} is not an RSA key"
            self._signing[path.stem] = SigningKey(path.stem, key)
        return self._signing[path.stem]

    def _read(self) -> None:
        found: dict[str, PublicKey] = {}
        for path in (self._folder / "public").glob("*/*.pem"):
            try:
                found[path.stem] = _public_key(path)
            except (OSError, ValueError, UnsupportedAlgorithm):
                # One spoiled file must not lock everybody out; its own tokens are refused.
                log.exception("key_unreadable", path=str(path))
        self._public = found
        self._read_at = clock.monotonic_seconds()


def _public_key(path: Path) -> PublicKey:
    application, kid = path.parent.name, path.stem
    key = serialization.load_pem_public_key(path.read_bytes())
    if not isinstance(key, rsa.RSAPublicKey) or not kid.startswith(f"{application}-"):
        raise ValueError("not an RSA key, or not named after its application")
    return PublicKey(kid, application, key)


def _created(kid: str) -> int:
    return int(kid.rpartition("-")[2])


class Signer:
    """Signs for one application."""

    def __init__(self, keys: KeyRing, application: str) -> None:
        self._keys = keys
        self._application = application
        self._service_token = ""
        self._service_expire_time = datetime.min.replace(tzinfo=UTC)

    def staff_token(  # noqa: PLR0913, PLR0917 -- a token has this many claims, each given by name
        self,
        staff_id: str,
        branch_id: str,
        roles: Sequence[Role],
        session_id: str,
        at: datetime,
        expire_time: datetime,
    ) -> str:
        """A token for a staff member's session; others take it only from the application where staff sign in."""
        claims = {"sub": staff_id, "branch": branch_id, "roles": [role.value for role in roles], "sid": session_id}
        return self._sign(claims, at, expire_time)

    def service_token(self, at: datetime) -> str:
        """The application's own token, for calls that nobody asked for; the same one until it nears its end."""
        if at + _RENEW_BEFORE >= self._service_expire_time:
            expire_time = at + SERVICE_TOKEN_LIFE
            claims = {"sub": issuer_of(self._application), "branch": "", "roles": [Role.SERVICE.value], "sid": ""}
            self._service_token = self._sign(claims, at, expire_time)
            self._service_expire_time = expire_time
        return self._service_token

    def _sign(self, claims: Mapping[str, Any], at: datetime, expire_time: datetime) -> str:
        signing = self._keys.signing(self._application, at)
        times = {"iat": int(at.timestamp()), "exp": int(expire_time.timestamp())}
        whole = {"iss": issuer_of(self._application), "aud": AUDIENCE, **claims, **times}
        return jwt.encode(whole, signing.key, _ALGORITHM, headers={"kid": signing.kid})


class Revocations:
    """Sessions signed out before their tokens expired; the org feed fills it in every process."""

    def __init__(self) -> None:
        self._expire_times: dict[str, datetime] = {}

    def add(self, session_id: str, expire_time: datetime) -> None:
        """Revokes a session, to be remembered until its last token has expired."""
        self._expire_times[session_id] = expire_time

    def is_revoked(self, session_id: str) -> bool:
        return session_id in self._expire_times

    def __contains__(self, session_id: object) -> bool:
        return session_id in self._expire_times

    def forget(self, at: datetime) -> None:
        """Drops the sessions whose last token has expired."""
        self._expire_times = {session: until for session, until in self._expire_times.items() if until > at}


class Verifier:
    """Says who a token speaks for. A token seen before costs a look-up; revocation is asked every time."""

    def __init__(self, keys: KeyRing, is_revoked: Callable[[str], bool]) -> None:
        self._keys = keys
        self.is_revoked = is_revoked
        self._verified: OrderedDict[str, Caller] = OrderedDict()

    def verify(self, token: str, at: datetime) -> Caller:
        """The caller that the token speaks for. Refuses a token that is forged, expired or revoked."""
        caller = self._verified.get(token)
        if caller is None:
            caller = self._check(token, at)
            self._verified[token] = caller
            if len(self._verified) > _TOKENS_REMEMBERED_MAX:
                self._verified.popitem(last=False)
        else:
            self._verified.move_to_end(token)
        if at >= caller.expire_time:
            del self._verified[token]
            raise _refused("TOKEN_EXPIRED", "the token has expired")
        if caller.session_id and self.is_revoked(caller.session_id):
            raise _refused("TOKEN_REVOKED", "the session was signed out")
        return caller

    def _check(self, token: str, at: datetime) -> Caller:
        if len(token) > _TOKEN_LENGTH_MAX:
            raise _refused("TOKEN_INVALID", "the token is too long")
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            public = self._keys.public(kid) if isinstance(kid, str) else None
            if public is None:
                raise _refused("TOKEN_INVALID", "the token's key is not known")
            claims: dict[str, Any] = jwt.decode(
                token,
                public.key,
                algorithms=[_ALGORITHM],
                audience=AUDIENCE,
                issuer=issuer_of(public.application),
                # Times are compared below, with the caller's "now": the library reads a clock of its own.
                options={"require": ["exp", "iat", "sub"], "verify_exp": False, "verify_iat": False},
            )
        except jwt.InvalidTokenError as error:
            raise _refused("TOKEN_INVALID", "the token is not valid") from error
        return _caller_of(token, public.application, claims, at)


def _caller_of(token: str, application: str, claims: Mapping[str, Any], at: datetime) -> Caller:
    """Reads the claims of a token whose signature holds; what is badly made is refused like a forgery."""
    try:
        roles = frozenset(Role(role) for role in claims["roles"])
        expire_time = datetime.fromtimestamp(claims["exp"], UTC)
        issue_time = datetime.fromtimestamp(claims["iat"], UTC)
        texts = [claims["sub"], claims["branch"], claims["sid"]]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise _refused("TOKEN_INVALID", "the token's claims are not valid") from error
    issuer = issuer_of(application)
    is_service = roles == _SERVICE_ROLES and texts == [issuer, "", ""]
    is_staff = application == STAFF_APPLICATION and Role.SERVICE not in roles and all(texts[:1] + texts[2:])
    well_made = all(isinstance(text, str) for text in texts) and issue_time <= at + _CLOCK_SKEW_MAX
    if not well_made or not (is_service or is_staff):
        raise _refused("TOKEN_INVALID", "the token's issuer may not say this")
    staff_id, branch_id, session_id = texts
    return Caller(staff_id, branch_id, roles, session_id, issuer, expire_time, token)


def _refused(reason: str, message: str) -> Refused:
    return Refused(Kind.UNAUTHENTICATED, reason, message)
