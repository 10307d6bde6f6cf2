"""Certificates as Envoy takes them without a restart (SDS): it is told a file that names the files (PEM).

Envoy watches the folders of the files that a secret names, and reads them again when something is moved there (`mv`,
a symlink that is exchanged): what is written in place goes unseen. Until a pair is whole it keeps the one before.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_SECRET = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"  # noqa: S105 (a type's name)


def write_certificate(secret: Path, chain: Path, key: Path) -> None:
    """Writes the secret of a certificate and its key. Raises FileNotFoundError if one of them is not there."""
    content = {"certificate_chain": _file(chain), "private_key": _file(key)}
    _write(secret, {"tls_certificate": content})


def write_authority(secret: Path, authority: Path) -> None:
    """Writes the secret of the authority that peers' certificates come from. Raises FileNotFoundError without it."""
    _write(secret, {"validation_context": {"trusted_ca": _file(authority)}})


def reference(secret: Path) -> Mapping[str, Any]:
    """What a TLS context says to get this secret (SdsSecretConfig)."""
    source = {"path_config_source": {"path": str(secret)}, "resource_api_version": "V3"}
    return {"name": secret.stem, "sds_config": source}


def _file(path: Path) -> Mapping[str, str]:
    path.stat()  # Envoy would only go without
    return {"filename": str(path)}


def _write(secret: Path, content: Mapping[str, Any]) -> None:
    secret.parent.mkdir(parents=True, exist_ok=True)
    secret.write_text(json.dumps({"resources": [{"@type": _SECRET, "name": secret.stem, **content}]}))
