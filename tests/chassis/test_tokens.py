import base64
import hmac
import json
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from chassis import telemetry, tokens
from chassis.caller import Role
from chassis.errors import Kind, Refused
from chassis.tokens import KeyRing, Revocations, Signer, Verifier, issuer_of, make_key

AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
CREATED = AT - timedelta(hours=1)
UNTIL = AT + timedelta(minutes=15)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for application in ("assignment_svc", "customer_svc"):
        make_key(folder, application, CREATED)
    return folder


@pytest.fixture
def ring(folder: Path) -> KeyRing:
    return KeyRing(folder)


@pytest.fixture
def revocations() -> Revocations:
    return Revocations()


@pytest.fixture
def verifier(ring: KeyRing, revocations: Revocations) -> Verifier:
    return Verifier(ring, revocations.is_revoked)


@pytest.fixture
def staff_token(ring: KeyRing) -> str:
    return Signer(ring, "assignment_svc").staff_token("s1", "b1", [Role.MANAGER, Role.LOBBY], "x1", AT, UNTIL)


def refusal(verifier: Verifier, token: str, at: datetime = AT) -> str:
    with pytest.raises(Refused) as raised:
        verifier.verify(token, at)
    assert raised.value.kind is Kind.UNAUTHENTICATED
    return raised.value.reason


def signed(ring: KeyRing, application: str = "assignment_svc", kid: str | None = None, **changes: Any) -> str:
    """A staff token with other claims than it should have; None leaves a claim out."""
    claims: dict[str, Any] = {
        "iss": issuer_of(application),
        "aud": "banyan",
        "sub": "s1",
        "branch": "b1",
        "roles": ["MANAGER"],
        "sid": "x1",
        "iat": int(AT.timestamp()),
        "exp": int(UNTIL.timestamp()),
    }
    claims = {name: value for name, value in (claims | changes).items() if value is not None}
    key = ring.signing(application, AT)
    return jwt.encode(claims, key.key, "RS256", headers={"kid": kid or key.kid})


def test_a_staff_token_tells_who_calls(verifier: Verifier, staff_token: str):
    caller = verifier.verify(staff_token, AT)
    assert (caller.staff_id, caller.branch_id, caller.session_id) == ("s1", "b1", "x1")
    assert caller.roles == {Role.MANAGER, Role.LOBBY}
    assert (caller.issuer, caller.expire_time, caller.token) == ("banyan/assignment_svc", UNTIL, staff_token)
    assert not caller.is_service
    assert staff_token not in repr(caller)


def test_a_service_token_tells_which_service_calls(ring: KeyRing, verifier: Verifier):
    caller = verifier.verify(Signer(ring, "customer_svc").service_token(AT), AT)
    assert (caller.staff_id, caller.branch_id, caller.session_id) == ("banyan/customer_svc", "", "")
    assert caller.is_service
    assert caller.roles == {Role.SERVICE}


def test_a_service_token_is_kept_until_2_minutes_before_its_end(ring: KeyRing):
    signer = Signer(ring, "customer_svc")
    first = signer.service_token(AT)
    assert signer.service_token(AT + timedelta(minutes=12, seconds=59)) == first
    assert signer.service_token(AT + timedelta(minutes=13)) != first


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"iss": "banyan/customer_svc"}, id="the issuer of another key"),
        pytest.param({"iss": "accounts.example.com"}, id="a foreign issuer"),
        pytest.param({"iss": None}, id="no issuer"),
        pytest.param({"aud": "other"}, id="another audience"),
        pytest.param({"aud": None}, id="no audience"),
        pytest.param({"exp": None}, id="no end"),
        pytest.param({"exp": "soon"}, id="an end that is no number"),
        pytest.param({"exp": 10**20}, id="an end beyond all years"),
        pytest.param({"iat": None}, id="no beginning"),
        pytest.param({"iat": int(AT.timestamp()) + 120}, id="from two minutes ahead"),
        pytest.param({"sub": None}, id="nobody"),
        pytest.param({"sub": 7}, id="a number for a person"),
        pytest.param({"sub": ""}, id="an empty person"),
        pytest.param({"sid": None}, id="no session"),
        pytest.param({"sid": ""}, id="an empty session, which nobody could revoke"),
        pytest.param({"roles": None}, id="no roles"),
        pytest.param({"roles": ["EMPEROR"]}, id="an unknown role"),
        pytest.param({"roles": "MANAGER"}, id="roles that are no list"),
        pytest.param({"roles": ["MANAGER", "SERVICE"]}, id="a person who is a service"),
        pytest.param({"roles": [["MANAGER"]]}, id="roles inside roles"),
        pytest.param({"kid": "assignment_svc-1"}, id="an unknown key"),
        pytest.param({"kid": f"customer_svc-{int(CREATED.timestamp())}"}, id="the key of another application"),
    ],
)
def test_a_token_that_says_what_its_issuer_may_not_say_is_refused(
    changes: dict[str, Any], ring: KeyRing, verifier: Verifier
):
    assert refusal(verifier, signed(ring, **changes)) == "TOKEN_INVALID"


def test_only_the_application_where_staff_sign_in_may_sign_for_staff(ring: KeyRing, verifier: Verifier):
    assert verifier.verify(signed(ring), AT).staff_id == "s1"
    assert refusal(verifier, signed(ring, "customer_svc")) == "TOKEN_INVALID"


def test_a_service_may_not_speak_for_another(ring: KeyRing, verifier: Verifier):
    token = signed(ring, "customer_svc", sub="banyan/alert_svc", branch="", roles=["SERVICE"], sid="")
    assert refusal(verifier, token) == "TOKEN_INVALID"


def forged_key(token: str) -> str:
    header = jwt.get_unverified_header(token)
    claims = jwt.decode(token, options={"verify_signature": False})
    return jwt.encode(claims, rsa.generate_private_key(65537, 2048), "RS256", headers=header)


def without_signature(token: str) -> str:
    _, claims, _ = token.split(".")
    header = {"alg": "none", "kid": jwt.get_unverified_header(token)["kid"]}
    return f"{base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip('=')}.{claims}."


def other_claims(token: str) -> str:
    header, claims, signature = token.split(".")
    told = json.loads(base64.urlsafe_b64decode(claims + "=="))
    told["roles"] = ["ADMIN"]
    return f"{header}.{base64.urlsafe_b64encode(json.dumps(told).encode()).decode().rstrip('=')}.{signature}"


@pytest.mark.parametrize(
    "forge",
    [
        pytest.param(forged_key, id="a key of one's own"),
        pytest.param(without_signature, id="the algorithm none"),
        pytest.param(other_claims, id="other claims under the old signature"),
        pytest.param(lambda token: token[:-8], id="cut"),
        pytest.param(lambda _: "not.a.token", id="no token"),
        pytest.param(lambda _: "", id="empty"),
        pytest.param(lambda _: "ü.é.ß", id="not even ASCII"),
        pytest.param(lambda token: token + "A" * 8192, id="endless"),
    ],
)
def test_a_forged_token_is_refused(forge: Callable[[str], str], verifier: Verifier, staff_token: str):
    verifier.verify(staff_token, AT)  # that the true one is known helps nobody
    assert refusal(verifier, forge(staff_token)) == "TOKEN_INVALID"


def test_a_token_signed_with_the_public_key_as_a_password_is_refused(
    folder: Path, verifier: Verifier, staff_token: str
):
    kid = jwt.get_unverified_header(staff_token)["kid"]
    password = (folder / "public" / "assignment_svc" / f"{kid}.pem").read_bytes()
    header = {"alg": "HS256", "typ": "JWT", "kid": kid}
    told = b".".join(
        base64.urlsafe_b64encode(part).rstrip(b"=")
        for part in (
            json.dumps(header).encode(),
            json.dumps(jwt.decode(staff_token, options={"verify_signature": False})).encode(),
        )
    )
    mac = base64.urlsafe_b64encode(hmac.digest(password, told, "sha256")).rstrip(b"=")
    assert refusal(verifier, (told + b"." + mac).decode()) == "TOKEN_INVALID"


def test_a_token_ends_at_its_second(verifier: Verifier, staff_token: str):
    verifier.verify(staff_token, UNTIL - timedelta(milliseconds=1))
    assert refusal(verifier, staff_token, UNTIL) == "TOKEN_EXPIRED"
    assert refusal(verifier, staff_token, UNTIL + timedelta(days=1)) == "TOKEN_EXPIRED"


def test_a_revoked_session_is_refused_though_its_token_is_remembered(
    verifier: Verifier, revocations: Revocations, staff_token: str
):
    verifier.verify(staff_token, AT)
    revocations.add("x1", UNTIL)
    assert refusal(verifier, staff_token) == "TOKEN_REVOKED"


def test_a_revocation_is_forgotten_when_its_last_token_is_over(revocations: Revocations):
    revocations.add("x1", UNTIL)
    revocations.add("x2", UNTIL + timedelta(minutes=1))
    revocations.forget(UNTIL)
    assert "x1" not in revocations
    assert "x2" in revocations


def test_a_token_is_checked_once(verifier: Verifier, staff_token: str, monkeypatch: pytest.MonkeyPatch):
    caller = verifier.verify(staff_token, AT)
    monkeypatch.setattr(jwt, "decode", None)
    assert verifier.verify(staff_token, AT) is caller


def test_the_least_used_token_is_forgotten_first(ring: KeyRing, verifier: Verifier, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tokens, "_TOKENS_REMEMBERED_MAX", 2)
    first, second, third = (signed(ring, sub=f"s{number}") for number in range(3))
    for token in (first, second, first, third):
        verifier.verify(token, AT)
    assert list(verifier._verified) == [first, third]


def test_a_new_key_signs_after_10_minutes_and_the_first_at_once(tmp_path: Path):
    first = make_key(tmp_path, "cli", AT)
    ring = KeyRing(tmp_path)
    assert ring.signing("cli", AT).kid == first
    second = make_key(tmp_path, "cli", AT + timedelta(days=30))
    assert ring.signing("cli", AT + timedelta(days=30, minutes=9)).kid == first
    assert ring.signing("cli", AT + timedelta(days=30, minutes=10)).kid == second


def test_an_old_keys_tokens_are_good_while_it_is_published(tmp_path: Path):
    old = make_key(tmp_path, "cli", AT - timedelta(days=30))
    ring = KeyRing(tmp_path)
    token = Signer(ring, "cli").service_token(AT)
    make_key(tmp_path, "cli", AT - timedelta(minutes=10))
    assert Verifier(KeyRing(tmp_path), lambda _: False).verify(token, AT).is_service
    (tmp_path / "public" / "cli" / f"{old}.pem").unlink()
    assert refusal(Verifier(KeyRing(tmp_path), lambda _: False), token) == "TOKEN_INVALID"


def test_a_new_key_is_found_within_5_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    now = 1000.0
    monkeypatch.setattr("chassis.clock.monotonic_seconds", lambda: now)
    ring = KeyRing(tmp_path)
    assert ring.public("cli-1") is None
    kid = make_key(tmp_path, "cli", AT)
    now += 4
    assert ring.public(kid) is None  # nobody makes us read the folder for every made-up kid
    now += 1.1
    assert ring.public(kid) is not None
    (tmp_path / "public" / "cli" / f"{kid}.pem").unlink()
    now += 59
    assert ring.public(kid) is not None
    now += 2
    assert ring.public(kid) is None


def test_the_key_set_is_what_the_edge_reads(ring: KeyRing, staff_token: str):
    keys = ring.jwks()["keys"]
    assert [key["kid"].rpartition("-")[0] for key in keys] == ["assignment_svc", "customer_svc"]
    assert {(key["kty"], key["alg"], key["use"]) for key in keys} == {("RSA", "RS256", "sig")}
    assert all("d" not in key for key in keys)
    key = jwt.PyJWK(keys[0])
    assert jwt.decode(
        staff_token, key.key, ["RS256"], audience="banyan", options={"verify_exp": False, "verify_iat": False}
    )


def test_a_private_key_is_for_its_owner_only(folder: Path):
    for path in (folder / "private").glob("*/*.pem"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        key = serialization.load_pem_private_key(path.read_bytes(), None)
        assert isinstance(key, rsa.RSAPrivateKey)
        assert key.key_size == 2048


def test_a_key_is_never_overwritten(tmp_path: Path):
    make_key(tmp_path, "cli", AT)
    with pytest.raises(FileExistsError):
        make_key(tmp_path, "cli", AT)


def test_one_spoiled_key_locks_nobody_else_out(tmp_path: Path):
    make_key(tmp_path, "cli", AT - timedelta(hours=1))
    foreign = tmp_path / "public" / "cli" / "alert_svc-1.pem"
    foreign.write_bytes(next((tmp_path / "public" / "cli").glob("*.pem")).read_bytes())
    (tmp_path / "public" / "cli" / "cli-1.pem").write_text("spoiled")
    telemetry.log_through_stdlib()
    ring = KeyRing(tmp_path)
    assert ring.public("cli-1") is None
    assert ring.public("alert_svc-1") is None
    assert Verifier(ring, lambda _: False).verify(Signer(ring, "cli").service_token(AT), AT).is_service
