"""What the claims of an id token are worth."""

from datetime import UTC, datetime, timedelta

import pytest

from services.assignment_svc.domain.oidc import Identity, Issuer, identity_of

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
AT = int(NOW.timestamp())
ISSUER = Issuer("https://id.bank", "banyan-web", "preferred_username", "roles")
GOOD = {
    "iss": "https://id.bank",
    "aud": "banyan-web",
    "sub": "u1",
    "exp": AT + 300,
    "iat": AT,
    "nonce": "n",
    "preferred_username": "mei",
    "roles": ["MANAGER", "TELLER"],
}


def test_good_claims_tell_who_signs_in() -> None:
    told = identity_of(GOOD, ISSUER, "n", NOW)
    assert told == Identity("u1", "mei", ("MANAGER", "TELLER"), NOW + timedelta(seconds=300))


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://id.bank/"},
        {"iss": None},
        {"aud": "other"},
        {"aud": None},
        {"aud": ["banyan-web", "other"]},
        {"aud": ["banyan-web", "other"], "azp": "other"},
        {"azp": "other"},
        {"sub": ""},
        {"sub": 7},
        {"sub": "x" * 256},
        {"exp": AT - 61},
        {"exp": "soon"},
        {"exp": None},
        {"exp": 1e30},
        {"iat": AT + 61},
        {"iat": AT - 601, "exp": AT + 300},
        {"iat": True},
        {"nbf": AT + 61},
        {"nbf": "x"},
        {"nonce": "m"},
        {"nonce": None},
        {"nonce": ["n"]},
    ],
)
def test_claims_that_are_wrong_anywhere_tell_nobody(changed: dict[str, object]) -> None:
    claims = {name: value for name, value in (GOOD | changed).items() if value is not None}
    assert identity_of(claims, ISSUER, "n", NOW) is None


def test_a_token_for_several_is_taken_if_we_asked_for_it() -> None:
    several = GOOD | {"aud": ["banyan-web", "other"], "azp": "banyan-web"}
    assert identity_of(several, ISSUER, "n", NOW) is not None


def test_an_empty_nonce_is_none() -> None:
    assert identity_of(GOOD | {"nonce": ""}, ISSUER, "", NOW) is None


@pytest.mark.parametrize(
    ("told", "limit"), [("MANAGER  TELLER", ("MANAGER", "TELLER")), (None, ()), (7, ()), ([7, "LOBBY"], ("LOBBY",))]
)
def test_roles_that_are_badly_told_are_none(told: object, limit: tuple[str, ...]) -> None:
    claims = {name: value for name, value in (GOOD | {"roles": told}).items() if value is not None}
    identity = identity_of(claims, ISSUER, "n", NOW)
    assert identity is not None
    assert identity.role_limit == limit


def test_without_a_claim_for_roles_all_stay() -> None:
    identity = identity_of(GOOD, Issuer("https://id.bank", "banyan-web"), "n", NOW)
    assert identity is not None
    assert (identity.role_limit, identity.login) == (None, None)
