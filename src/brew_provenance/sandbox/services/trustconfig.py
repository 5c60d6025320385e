"""What a Sigstore client is given to sign here: the instance's trusted root, and where its servers are.

Source: sigstore/protobuf-specs, sigstore_trustroot.proto: ClientTrustConfig and SigningConfig v0.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from brew_provenance.sandbox.instance import LogVersion
from brew_provenance.sandbox.wire import JsonObject, encode_time

CLIENT_TRUST_CONFIG: Final = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"
SIGNING_CONFIG: Final = "application/vnd.dev.sigstore.signingconfig.v0.2+json"

_OPERATOR = "sandbox.invalid"


def build_trust_config(  # noqa: PLR0913 - a URL for each server
    trusted_root: JsonObject,
    start: datetime,
    *,
    oidc: str,
    ca: str,
    log: str,
    log_version: LogVersion,
    timestamping: str | None,
) -> JsonObject:
    """Return a client trust configuration with one server of each kind, in use since `start`.

    `timestamping` may be None with a log of version 1, which has a clock of its own.
    """
    version = 1 if log_version == "rekor-v1" else 2
    return {
        "mediaType": CLIENT_TRUST_CONFIG,
        "trustedRoot": trusted_root,
        "signingConfig": {
            "mediaType": SIGNING_CONFIG,
            "caUrls": _services([ca], 1, start),
            "oidcUrls": _services([oidc], 1, start),
            "rekorTlogUrls": _services([log], version, start),
            "rekorTlogConfig": {"selector": "ANY"},
            "tsaUrls": _services([timestamping] if timestamping else [], 1, start),
            "tsaConfig": {"selector": "ANY"},
        },
    }


def _services(urls: Sequence[str], version: int, start: datetime) -> list[JsonObject]:
    return [
        {
            "url": url,
            "majorApiVersion": version,
            "validFor": {"start": encode_time(start)},
            "operator": _OPERATOR,
        }
        for url in urls
    ]
