"""What an id token of the bank's issuer says of who signs in (OpenID Connect Core 1.0, section 3.1.3.7)."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

TOKEN_LENGTH_MAX = 8192
SUBJECT_LENGTH_MAX = 255
# Clocks of two machines differ a little.
SKEW_MAX = timedelta(seconds=60)
# A token made longer ago is not that of a sign-in that goes on now.
AGE_MAX = timedelta(minutes=10)


@dataclass(frozen=True)
class Issuer:
    """The bank's OIDC issuer: who it is, for whom its tokens must be, and which claims tell what."""

    issuer: str
    audience: str
    login_claim: str = ""
    """The claim that tells the login at a first sign-in; empty: identities are mapped by an administrator only."""
    roles_claim: str = ""
    """The claim that tells role codes, which narrow the staff member's own; empty: it leaves them all."""


@dataclass(frozen=True)
class Identity:
    """Who a token speaks for, as its issuer names him."""

    subject: str
    login: str | None
    role_limit: tuple[str, ...] | None
    expire_time: datetime


def identity_of(claims: Mapping[str, Any], issuer: Issuer, nonce: str, at: datetime) -> Identity | None:
    """Who the claims of a token with a good signature speak for; None for whatever is wrong with them."""
    subject, expire, issued = claims.get("sub"), _instant(claims.get("exp")), _instant(claims.get("iat"))
    if claims.get("iss") != issuer.issuer or not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT_LENGTH_MAX:
        return None
    if expire is None or issued is None or not issued - SKEW_MAX <= at < expire + SKEW_MAX or at > issued + AGE_MAX:
        return None
    starts = _instant(claims["nbf"]) if "nbf" in claims else issued
    if starts is None or at < starts - SKEW_MAX:
        return None
    if not _is_for(claims, issuer.audience) or not _is_same(claims.get("nonce"), nonce):
        return None
    login = claims.get(issuer.login_claim) if issuer.login_claim else None
    limit = _role_limit(claims, issuer.roles_claim)
    return Identity(subject, login if isinstance(login, str) and login else None, limit, expire)


def _is_for(claims: Mapping[str, Any], audience: str) -> bool:
    """Made for us: alone, or with others and us as the party that asked for it."""
    told = claims.get("aud")
    audiences = [told] if isinstance(told, str) else told if isinstance(told, list) else []
    if audience not in audiences:
        return False
    party = claims.get("azp")
    return party == audience or (party is None and len(audiences) == 1)


def _is_same(told: object, nonce: str) -> bool:
    return isinstance(told, str) and bool(nonce) and hmac.compare_digest(told.encode(), nonce.encode())


def _role_limit(claims: Mapping[str, Any], claim: str) -> tuple[str, ...] | None:
    """The roles told; none at all if the claim is absent or badly made, since it must not widen."""
    if not claim:
        return None
    told = claims.get(claim)
    roles = told.split() if isinstance(told, str) else told if isinstance(told, list) else []
    return tuple(sorted({role for role in roles if isinstance(role, str)}))


def _instant(told: object) -> datetime | None:
    if isinstance(told, bool) or not isinstance(told, int | float):
        return None
    try:
        return datetime.fromtimestamp(told, UTC)
    except (OverflowError, ValueError, OSError):
        return None
