"""Makes what the processes of a deployment prove themselves with: `python -m deploy.identities FOLDER [DONE_FILE]`.

FOLDER/authority/ is for this program only: all signing keys and the certificate authority. FOLDER/<application>/ is
what that application gets to see: `keys/` (everybody's public keys, its own private ones, `paging.key`) and `tls/`
(certificate.pem, key.pem, ca.pem). Run again, it makes what is missing or nearly over: keys are published 10 minutes
before anybody signs with them, so a run once a day rotates without a restart. With DONE_FILE it stays, does so daily,
and touches that file each time that all went well.
"""

import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from chassis import clock, paging
from chassis.files import write_once
from chassis.tokens import make_key

SERVICES = ("alert_svc", "assignment_svc", "campaign_svc", "customer_svc")
SIGNERS = (*SERVICES, "cli")
APPLICATIONS = (*SIGNERS, "gateway")
DAY_SECONDS = 86_400.0
KEY_LIFE = timedelta(days=30)
# A token lives 15 minutes and a session a day; an old key is kept far longer than either.
KEY_KEPT = timedelta(days=60)
# However late a run comes: by then everybody signs with the newer key, and what the old one signed has expired.
SUCCESSOR_AGE = timedelta(days=1)
CERTIFICATE_LIFE = timedelta(days=90)
AUTHORITY_LIFE = timedelta(days=3650)
RENEW_BEFORE = timedelta(days=30)

Authority = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def main(arguments: Sequence[str]) -> None:
    match [Path(argument) for argument in arguments]:
        case [folder]:
            make_identities(folder, clock.now())
        case [folder, done]:
            _make_daily(folder, done)
        case _:
            sys.exit(__doc__)


def _make_daily(folder: Path, done: Path) -> None:
    """Never returns. An error ends it: whoever supervises the process starts it anew."""
    # The first process of a container gets no signal that it does not ask for.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    while True:
        make_identities(folder, clock.now())
        done.touch()
        time.sleep(DAY_SECONDS)


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
    newest = max(created.values(), default=None)
    if newest is None or at - newest >= KEY_LIFE:
        make_key(kept, application, at)
    for path, create_time in created.items():
        succeeded = any(other > create_time and at - other >= SUCCESSOR_AGE for other in created.values())
        if succeeded and at - create_time >= KEY_KEPT:
            # The private key first, as it is made: nobody signs with what others do not know.
            (kept / "private" / application / path.name).unlink(missing_ok=True)
            path.unlink()


def _created(path: Path) -> datetime:
    """The creation that a key's name tells (chassis/tokens.py)."""
    return datetime.fromtimestamp(int(path.stem.rpartition("-")[2]), UTC)


def _share_keys(kept: Path, keys: Path, application: str) -> None:
    """Gives an application all public keys and its own private ones; what is forgotten goes there too."""
    for owner in SIGNERS:
        _share(kept / "public" / owner, keys / "public" / owner, kept / "public" / owner, 0o644)
    if application in SIGNERS:
        private = Path("private") / application
        _share(kept / private, keys / private, kept / "public" / application, 0o600)
        if not (keys / "paging.key").exists():
            write_once(keys / "paging.key", (kept / "paging.key").read_bytes(), 0o600)


def _share(source: Path, target: Path, published: Path, mode: int) -> None:
    """Makes the keys of `target` those of `source` that are published; what is there already is not written again."""
    wanted = {path.name for path in published.glob("*.pem")}
    present = {path.name for path in target.glob("*.pem")}
    for name in wanted - present:
        write_once(target / name, (source / name).read_bytes(), mode)
    for name in present - wanted:
        (target / name).unlink()


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
    # By the address a process's own health check calls it.
    names = [x509.UniformResourceIdentifier(f"banyan/{application}"), x509.IPAddress(ip_address("127.0.0.1"))]
    if application == "gateway":  # browsers call it by a name
        names += [x509.DNSName("localhost"), x509.DNSName("gateway")]
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
