"""Keys and certificates as a deployment gets them."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from chassis.caller import Role
from chassis.errors import Refused
from chassis.tokens import KeyRing, Signer, Verifier
from chassis.xds_resources import identity
from deploy.identities import APPLICATIONS, SERVICES, make_identities

START = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path):
    make_identities(tmp_path, START)
    return tmp_path


def certificate(folder, application):
    return x509.load_pem_x509_certificate((folder / application / "tls" / "certificate.pem").read_bytes())


def test_each_application_gets_its_own_private_keys_and_everybody_s_public_ones(folder):
    for application in APPLICATIONS:
        keys = folder / application / "keys"
        assert [each.name for each in keys.glob("private/*")] == ([] if application == "gateway" else [application])
        assert len(list(keys.glob("public/*/*.pem"))) == len(SERVICES) + 1
        assert (keys / "paging.key").read_bytes() == (folder / "authority" / "paging.key").read_bytes()
        assert (folder / application / "tls" / "key.pem").stat().st_mode & 0o077 == 0


def test_a_token_of_one_is_good_for_all(folder):
    at = START + timedelta(hours=1)
    token = Signer(KeyRing(folder / "assignment_svc" / "keys"), "assignment_svc").service_token(at)
    caller = Verifier(KeyRing(folder / "alert_svc" / "keys"), lambda _: False).verify(token, at)
    assert caller.roles == {Role.SERVICE}


def test_certificates_carry_the_name_that_callers_check(folder):
    authority = x509.load_pem_x509_certificate((folder / "alert_svc" / "tls" / "ca.pem").read_bytes())
    for application in SERVICES:
        found = certificate(folder, application)
        found.verify_directly_issued_by(authority)
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        wanted = identity(f"banyan.{application.removesuffix('_svc')}.v1.AnyService")
        assert names.get_values_for_type(x509.UniformResourceIdentifier) == [wanted]


def test_a_second_run_changes_nothing(folder):
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    make_identities(folder, START + timedelta(days=1))
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before


def test_what_grows_old_is_replaced_while_the_old_still_counts(folder):
    at = START + timedelta(days=31)
    old = Signer(KeyRing(folder / "cli" / "keys"), "cli").service_token(at)
    serial = certificate(folder, "cli").serial_number
    make_identities(folder, at)
    assert len(list(folder.glob("alert_svc/keys/public/cli/*.pem"))) == 2
    assert Verifier(KeyRing(folder / "alert_svc" / "keys"), lambda _: False).verify(old, at)
    make_identities(folder, START + timedelta(days=61))
    assert certificate(folder, "cli").serial_number != serial
    assert len(list(folder.glob("alert_svc/keys/public/cli/*.pem"))) == 2
    with pytest.raises(Refused):
        Verifier(KeyRing(folder / "alert_svc" / "keys"), lambda _: False).verify(old, at)
