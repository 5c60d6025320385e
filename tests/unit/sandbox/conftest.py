from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from cryptography.x509 import Certificate
from sigstore.models import Bundle, ClientTrustConfig
from sigstore.verify import Verifier

from brew_provenance.sandbox.instance import VirtualSigstore
from brew_provenance.sandbox.scenario import Scenario

Verify = Callable[[VirtualSigstore, bytes], bytes]
VerifyMessage = Callable[[VirtualSigstore, bytes, bytes], None]


class Anyone:
    def verify(self, cert: Certificate) -> None:
        """Accept every certificate, so that only cryptography is judged."""


def build_verifier(sigstore: VirtualSigstore) -> Verifier:
    config = {
        "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
        "trustedRoot": sigstore.trusted_root(),
        "signingConfig": {"mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json"},
    }
    return Verifier(trusted_root=ClientTrustConfig.from_json(json.dumps(config)).trusted_root)


@pytest.fixture
def verify() -> Verify:
    def verify_envelope(sigstore: VirtualSigstore, bundle: bytes) -> bytes:
        _, payload = build_verifier(sigstore).verify_dsse(Bundle.from_json(bundle), Anyone())
        return payload

    return verify_envelope


@pytest.fixture
def verify_message() -> VerifyMessage:
    def verify_artifact(sigstore: VirtualSigstore, bundle: bytes, artifact: bytes) -> None:
        build_verifier(sigstore).verify_artifact(artifact, Bundle.from_json(bundle), Anyone())

    return verify_artifact


@pytest.fixture
def scenario() -> Scenario:
    return Scenario()
