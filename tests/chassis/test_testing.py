"""The helper of other services' tests is itself held: also that it is the real server, with mutual TLS if told."""

from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from banyan.alert.v1 import alert_service_pb2_grpc
from banyan.alert.v1.alert_service_pb2 import GetAlertRequest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from chassis import clock
from chassis.caller import Role
from chassis.server import Instance
from chassis.settings import ServiceSettings
from chassis.testing import SignedIn, app_of, in_process
from tests.chassis.scripted import ALLOWED, Script, served


async def test_a_service_is_called_as_whoever_the_test_wants(tmp_path: Path):
    signed_in, script = SignedIn(tmp_path), Script()
    async with in_process(app_of(served(script), ALLOWED, signed_in), tmp_path) as channel:
        stub = alert_service_pb2_grpc.AlertServiceStub(channel)
        request = GetAlertRequest(name="alerts/1")
        for metadata in (
            signed_in.staff(Role.LOBBY, Role.TELLER, staff_id="s7", branch_id="b7"),
            signed_in.service("alert_svc"),
        ):
            await stub.GetAlert(request, metadata=metadata)
    told = [(caller.staff_id, caller.branch_id, caller.roles) for caller in script.callers if caller]
    assert told == [
        ("s7", "b7", {Role.LOBBY, Role.TELLER}),
        ("banyan/alert_svc", "", {Role.SERVICE}),
    ]


class Authority:
    """Issues certificates in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, folder.name)])
        self.certificate = self._build(self.name, self.key.public_key(), x509.BasicConstraints(ca=True, path_length=0))
        self.path = self._write("ca.pem", self.certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str) -> tuple[Path, Path]:
        """Writes a certificate for a service on localhost, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.DNSName(name)])
        certificate = self._build(subject, key.public_key(), names)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return (
            self._write(f"{name}.pem", certificate.public_bytes(serialization.Encoding.PEM)),
            self._write(f"{name}.key", private),
        )

    def _build(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, extension: x509.ExtensionType
    ) -> x509.Certificate:
        at = clock.now()
        builder = x509.CertificateBuilder(self.name, subject, key, x509.random_serial_number())
        builder = builder.not_valid_before(at - timedelta(hours=1)).not_valid_after(at + timedelta(hours=1))
        return builder.add_extension(extension, critical=True).sign(self.key, hashes.SHA256())

    def _write(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content)
        return path


@pytest.mark.parametrize("peer", ["of the deployment", "of another authority", "without certificate", "in plain text"])
async def test_with_certificates_only_peers_of_the_deployment_are_heard(peer: str, tmp_path: Path):
    authority, foreign = Authority(tmp_path / "own"), Authority(tmp_path / "foreign")
    certificate, key = authority.issue("test_svc")
    signed_in = SignedIn(tmp_path / "keys")
    settings = ServiceSettings.model_validate(
        {
            "home": tmp_path,
            "keys": tmp_path / "keys",
            "database_url": "",
            "tls_certificate": certificate,
            "tls_key": key,
            "tls_ca": authority.path,
        }
    )
    instance = Instance(settings, app_of(served(Script()), ALLOWED, signed_in))
    target = f"localhost:{instance.bind()}"
    await instance.start()
    async with _channel(target, peer, authority, foreign) as channel:
        stub = alert_service_pb2_grpc.AlertServiceStub(channel)
        call = stub.GetAlert(GetAlertRequest(name="alerts/1"), metadata=signed_in.staff(Role.TELLER), timeout=5)
        if peer == "of the deployment":
            assert await call
        else:
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await call
            assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    await instance.stop(0)


def _channel(target: str, peer: str, authority: Authority, foreign: Authority) -> grpc.aio.Channel:
    if peer == "in plain text":
        return grpc.aio.insecure_channel(target)
    root = authority.path.read_bytes()
    if peer == "without certificate":
        return grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(root))
    certificate, key = (authority if peer == "of the deployment" else foreign).issue("peer_svc")
    credentials = grpc.ssl_channel_credentials(root, key.read_bytes(), certificate.read_bytes())
    return grpc.aio.secure_channel(target, credentials)
