"""The server's side of mutual TLS, with files that are read again when they change."""

from typing import Any

import grpc
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from chassis.xds_resources import Tls

log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

_Stamp = tuple[tuple[int, int, int], ...]


def server_credentials(tls: Tls) -> grpc.ServerCredentials:
    """Credentials that show a new connection the newest certificate, and want the authority's one of every caller.

    Raises if the files cannot be used. Later, while they cannot (a key is there and its certificate is not yet), the
    ones before stay in use.
    """
    files = _Files(tls)
    changed: Any = files.changed  # its type stub forgets that None is an answer
    return grpc.dynamic_ssl_server_credentials(files.read(), changed, require_client_authentication=True)


class _Files:
    """The three files, as last read."""

    def __init__(self, tls: Tls) -> None:
        self._tls = tls
        self._stamp: _Stamp = ()

    def read(self) -> grpc.ServerCertificateConfiguration:
        # Stamped before they are read: what changes meanwhile is read once more.
        stamp = self._stamp_now()
        key, chain = self._tls.key.read_bytes(), self._tls.certificate.read_bytes()
        authority = self._tls.authority.read_bytes()
        _check(key, chain, authority)
        self._stamp = stamp
        return grpc.ssl_server_certificate_configuration([(key, chain)], authority)

    def changed(self) -> grpc.ServerCertificateConfiguration | None:
        """What gRPC asks before each handshake, in a thread of its own: None if all is as it was."""
        try:
            if self._stamp_now() == self._stamp:
                return None
            found = self.read()
        except (OSError, ValueError, TypeError) as error:
            log.warning("certificates_unusable", error=str(error))
            return None
        log.info("certificates_renewed")
        return found

    def _stamp_now(self) -> _Stamp:
        found = [path.stat() for path in (self._tls.key, self._tls.certificate, self._tls.authority)]
        return tuple((file.st_mtime_ns, file.st_ino, file.st_size) for file in found)


def _check(key: bytes, chain: bytes, authority: bytes) -> None:
    """Raises what gRPC would keep to itself: it then refuses every connection."""
    x509.load_pem_x509_certificates(authority)
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    shown = x509.load_pem_x509_certificates(chain)[0].public_key().public_bytes(*form)
    if serialization.load_pem_private_key(key, password=None).public_key().public_bytes(*form) != shown:
        raise ValueError("the key is not the certificate's")
