"""Each forgery of these kinds of bundle is refused for its own reason, by cryptography alone."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from tests.unit.verify.worlds import SCENARIO, private_root, public_root, read, trusted

from brew_provenance.bundle import Bundle, read_bundle
from brew_provenance.evidence import Evidence
from brew_provenance.findings import Finding
from brew_provenance.sandbox.ca import build_certificate, build_name
from brew_provenance.sandbox.forgeries.certificates import CERTIFICATES
from brew_provenance.sandbox.forgeries.older import OLDER
from brew_provenance.sandbox.forgeries.timestamped import TIMESTAMPED
from brew_provenance.sandbox.scenario import Forgery, Scenario
from brew_provenance.verify import Verifier
from brew_provenance.verify.envelope import check_signature
from brew_provenance.verify.refusal import Refusal

VERIFIERS = {
    "with logs first": Verifier([trusted(public_root()), trusted(private_root())]),
    "without logs first": Verifier([trusted(private_root()), trusted(public_root())]),
}


@pytest.mark.parametrize("order", VERIFIERS)
@pytest.mark.parametrize("forgery", [*TIMESTAMPED, *OLDER, *CERTIFICATES], ids=lambda forgery: forgery.name)
def test_a_forgery_is_refused_for_its_own_reason_in_whichever_order_roots_are_given(
    forgery: Forgery, order: str
) -> None:
    bundle = read_bundle(forgery.make(SCENARIO))
    found = VERIFIERS[order].verify(bundle, ()) if isinstance(bundle, Bundle) else bundle
    assert isinstance(found, Finding)
    assert found.code == forgery.code, found.detail


@pytest.mark.parametrize("order", VERIFIERS)
@pytest.mark.parametrize(
    "make",
    [
        Scenario.bundle,
        Scenario.bundle_v2,
        Scenario.bundle_private,
        Scenario.bundle_intoto,
        Scenario.bundle_promised,
    ],
)
def test_what_they_are_made_of_is_accepted(make: object, order: str) -> None:
    assert callable(make)
    assert isinstance(VERIFIERS[order].verify(read(make(SCENARIO)), ()), Evidence)


def test_a_key_on_a_curve_that_sigstore_does_not_use_signs_nothing() -> None:
    key = ec.generate_private_key(ec.SECP256K1())
    name = build_name("a signer")
    certificate = (
        build_certificate(name, key.public_key(), name, key.public_key())
        .not_valid_before(SCENARIO.at)
        .not_valid_after(SCENARIO.at)
        .sign(key, SHA256())
    )
    with pytest.raises(Refusal) as refused:
        check_signature(read(SCENARIO.bundle()), certificate)
    assert refused.value.finding.code == "certificate-key-unsupported"
