"""Keys and certificates as a deployment gets them."""

import subprocess
import sys
import time
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
        if application == "gateway":  # it signs nothing and gives no pages
            assert not (keys / "paging.key").exists()
        else:
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
    def files():
        return {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in folder.rglob("*") if file.is_file()}

    before = files()
    make_identities(folder, START + timedelta(days=1))
    assert files() == before  # not even written again: others read them at any time


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


@pytest.mark.parametrize("late", [timedelta(days=61), timedelta(days=400)])
def test_a_late_run_locks_nobody_out(folder, late):
    at = START + late
    before = Signer(KeyRing(folder / "cli" / "keys"), "cli").service_token(at)
    make_identities(folder, at)
    verifier = Verifier(KeyRing(folder / "alert_svc" / "keys"), lambda _: False)
    # The new key rests for 10 minutes: until then there is only the old one to sign with.
    soon = at + timedelta(minutes=5)
    for token in (before, Signer(KeyRing(folder / "cli" / "keys"), "cli").service_token(soon)):
        assert verifier.verify(token, soon)
    make_identities(folder, at + timedelta(hours=23))
    assert len(list(folder.glob("*/keys/public/cli/*.pem"))) == 2 * len(APPLICATIONS)
    make_identities(folder, at + timedelta(days=1))
    assert len(list(folder.glob("*/keys/public/cli/*.pem"))) == len(APPLICATIONS)
    assert [path.name for path in folder.glob("cli/keys/private/cli/*")] == [
        path.name for path in folder.glob("authority/public/cli/*")
    ]


def test_nobody_signs_with_a_key_that_was_never_published(folder):
    # As a run leaves it that is ended between the two halves of a pair.
    orphan = folder / "authority" / "private" / "cli" / f"cli-{int(START.timestamp()) + 60}.pem"
    orphan.write_bytes(next(orphan.parent.iterdir()).read_bytes())
    make_identities(folder, START + timedelta(days=1))
    assert not (folder / "cli" / "keys" / "private" / "cli" / orphan.name).exists()


def test_it_stays_and_says_when_it_was_done(tmp_path):
    done = tmp_path / "done"
    with subprocess.Popen([sys.executable, "-m", "deploy.identities", tmp_path / "identities", done]) as process:
        while not done.exists():
            assert process.poll() is None
            time.sleep(0.02)
        assert certificate(tmp_path / "identities", "gateway")
        assert process.poll() is None
        process.terminate()
    assert process.returncode == 0
