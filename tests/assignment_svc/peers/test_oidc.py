"""Which tokens the issuer signed, by the keys that it publishes."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from chassis import clock
from chassis.errors import Kind, Refused
from services.assignment_svc.peers.oidc import IssuerKeys

CLAIMS = {"sub": "u1", "exp": 1}


async def test_tokens_of_both_algorithms_are_read_and_times_are_not_judged_here(key_server) -> None:
    keys = IssuerKeys(key_server.url)
    for kid, key, algorithm in (
        ("r1", key_server.add_rsa("r1"), "RS256"),
        ("e1", key_server.add_ec("e1"), "ES256"),
    ):
        assert await keys.claims(key_server.token(CLAIMS, key, algorithm, kid)) == CLAIMS
        clock_passes(keys)
    assert key_server.asked <= 2


def clock_passes(keys: IssuerKeys) -> None:
    keys._tried_at -= 11


async def test_forged_tokens_are_none(key_server) -> None:
    right, wrong = key_server.add_rsa("r1"), rsa.generate_private_key(public_exponent=65537, key_size=2048)
    key_server.add_ec("e1")
    keys = IssuerKeys(key_server.url)
    good = key_server.token(CLAIMS, right, "RS256", "r1")
    head, body, signature = good.split(".")
    for token in (
        key_server.token(CLAIMS, wrong, "RS256", "r1"),
        key_server.token(CLAIMS, None, "none", "r1"),
        key_server.token(CLAIMS, right, "RS384", "r1"),
        key_server.token(CLAIMS, right, "PS256", "r1"),
        key_server.token(CLAIMS, right, "RS256", None),
        key_server.token(CLAIMS, right, "RS256", "e1"),
        key_server.token(CLAIMS, "s" * 40, "HS256", "r1"),
        f"{head}.{body}.",
        f"{head}.{body[:-2]}AA.{signature}",
        "not a token",
        "x" * 9000,
        "",
    ):
        assert await keys.claims(token) is None
    assert await keys.claims(good) == CLAIMS


async def test_a_key_that_is_new_is_found_and_forgeries_do_not_ask_for_each(key_server) -> None:
    old = key_server.add_rsa("r1")
    keys = IssuerKeys(key_server.url)
    assert await keys.claims(key_server.token(CLAIMS, old, "RS256", "r1")) == CLAIMS
    new = key_server.add_ec("r2")
    token = key_server.token(CLAIMS, new, "ES256", "r2")
    assert [await keys.claims(token) for _ in range(5)] == [None] * 5
    assert key_server.asked == 1
    clock_passes(keys)
    assert await keys.claims(token) == CLAIMS
    assert key_server.asked == 2


async def test_a_server_that_fails_is_told_unless_the_key_is_known(key_server) -> None:
    key = key_server.add_rsa("r1")
    keys = IssuerKeys(key_server.url)
    token = key_server.token(CLAIMS, key, "RS256", "r1")
    key_server.status = 500
    with pytest.raises(Refused) as caught:
        await keys.claims(token)
    assert (caught.value.kind, caught.value.reason) == (Kind.UNAVAILABLE, "OIDC_UNREACHABLE")
    key_server.status = 200
    clock_passes(keys)
    assert await keys.claims(token) == CLAIMS
    key_server.status = 500
    keys._tried_at = clock.monotonic_seconds() - 301
    assert await keys.claims(token) == CLAIMS


async def test_keys_are_read_from_a_file_too_and_others_in_it_are_left_alone(key_server, tmp_path) -> None:
    key = key_server.add_rsa("r1")
    other = key_server.add_ec("e1")
    key_server.keys[-1]["use"] = "enc"
    symmetric = {"kty": "oct", "kid": "s", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "alg": "HS256"}
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [*key_server.keys, symmetric]}))
    keys = IssuerKeys(str(tmp_path / "keys.json"))
    assert await keys.claims(key_server.token(CLAIMS, key, "RS256", "r1")) == CLAIMS
    forged = key_server.token(CLAIMS, "secretsecretsecretsecretsecretsecret", "HS256", "s")
    assert await keys.claims(forged) is None
    assert await keys.claims(key_server.token(CLAIMS, other, "ES256", "e1")) is None
