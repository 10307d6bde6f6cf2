"""Makes what the processes of a deployment prove themselves with: `python -m deploy.identities FOLDER`.

FOLDER/authority/ is for this program only: all signing keys and the certificate authority. FOLDER/<application>/ is
what that application gets to see: `keys/` (everybody's public keys, its own private ones, `paging.key`) and `tls/`
(certificate.pem, key.pem, ca.pem). Run again, it makes what is missing or nearly over: keys are published 10 minutes
before anybody signs with them, so a run once a day rotates without a restart.
"""

import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from chassis import clock, paging
from chassis.tokens import make_key

SERVICES = ("alert_svc", "assignment_svc", "campaign_svc", "customer_svc")
SIGNERS = (*SERVICES, "cli")
APPLICATIONS = (*SIGNERS, "gateway")
KEY_LIFE = timedelta(days=30)
# A token lives 15 minutes and a session a day; an old key is kept far longer than either.
KEY_KEPT = timedelta(days=60)
CERTIFICATE_LIFE = timedelta(days=90)
AUTHORITY_LIFE = timedelta(days=3650)
RENEW_BEFORE = timedelta(days=30)

Authority = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def main(arguments: Sequence[str]) -> None:
    [folder] = arguments
    make_identities(Path(folder), clock.now())


def make_identities(folder: Path, at: datetime) -> None:
    """Brings the folder up to date."""
    kept = folder / "authority"
    for application in SIGNERS:
        _rotate(kept, application, at)
    paging.secret(kept)
    authority = _authority(kept, at)
    for application in APPLICATIONS:
        _share_keys(kept, folder / application / "keys", application)
        _certify(authority, folder / application / "tls", application, at)


def _rotate(kept: Path, application: str, at: datetime) -> None:
    """Adds a key when the newest grows old, and forgets those that no living token was signed with."""
    public = kept / "public" / application
    created = {path: _created(path) for path in public.glob("*.pem")}
    if not created or at - max(created.values()) >= KEY_LIFE:
        make_key(kept, application, at)
    for path, time in created.items():
        if at - time >= KEY_KEPT:
            path.unlink()
            (kept / "private" / application / path.name).unlink()


def _created(path: Path) -> datetime:
    """The creation that a key's name tells (chassis/tokens.py)."""
    return datetime.fromtimestamp(int(path.stem.rpartition("-")[2]), UTC)


def _share_keys(kept: Path, keys: Path, application: str) -> None:
    """Gives an application all public keys and its own private ones; what is forgotten goes there too."""
    for part in (Path("public"), Path("private") / application):
        source = kept / part
        if not source.exists():  # the gateway signs nothing
            continue
        shutil.copytree(source, keys / part, dirs_exist_ok=True)
        for copy in (keys / part).rglob("*.pem"):
            if not (source / copy.relative_to(keys / part)).exists():
                copy.unlink()
    shutil.copy2(kept / "paging.key", keys / "paging.key")


def _authority(kept: Path, at: datetime) -> Authority:
    certificate_file, key_file = kept / "ca.pem", kept / "ca-key.pem"
    if key_file.exists():
        certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return certificate, key
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Banyan deployment")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    constraints = x509.BasicConstraints(ca=True, path_length=0)
    certificate = _valid(builder, at, AUTHORITY_LIFE).add_extension(constraints, critical=True)
    signed = certificate.sign(key, hashes.SHA256())
    _write(certificate_file, signed.public_bytes(serialization.Encoding.PEM))
    _write(key_file, _private(key))
    return signed, key


def _certify(authority: Authority, folder: Path, application: str, at: datetime) -> None:
    """Gives an application a certificate with its identity, unless it has one that is good for a while."""
    file = folder / "certificate.pem"
    if file.exists():
        has = x509.load_pem_x509_certificate(file.read_bytes())
        if has.not_valid_after_utc - at > RENEW_BEFORE and has.issuer == authority[0].subject:
            return
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, application)])
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(f"banyan/{application}")]
    if application == "gateway":  # browsers call it by a name
        names += [x509.DNSName("localhost"), x509.DNSName("gateway"), x509.IPAddress(ip_address("127.0.0.1"))]
    builder = x509.CertificateBuilder(authority[0].subject, subject, key.public_key(), x509.random_serial_number())
    unsigned = (
        _valid(builder, at, CERTIFICATE_LIFE)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    _write(folder / "key.pem", _private(key))
    _write(file, unsigned.sign(authority[1], hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    _write(folder / "ca.pem", authority[0].public_bytes(serialization.Encoding.PEM))


def _valid(builder: x509.CertificateBuilder, at: datetime, life: timedelta) -> x509.CertificateBuilder:
    return builder.not_valid_before(at - timedelta(minutes=5)).not_valid_after(at + life)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key.private_bytes(*form)


def _write(path: Path, content: bytes) -> None:
    """Writes a file that only its owner reads, as a whole: readers look again at any time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    draft.touch(mode=0o600)
    draft.write_bytes(content)
    draft.replace(path)


if __name__ == "__main__":
    main(sys.argv[1:])
