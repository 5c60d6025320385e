"""Trusted roots and certificates that depart from the sandbox's in one respect."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

from brew_provenance.bundle import Bundle, read_bundle
from brew_provenance.evidence import Evidence
from brew_provenance.findings import Finding
from brew_provenance.sandbox.ca import CertificateAuthority, build_certificate, build_key_usage, build_name
from brew_provenance.sandbox.envelope import read_signature
from brew_provenance.sandbox.keys import derive_key
from brew_provenance.sandbox.private import PrivateSigstore
from brew_provenance.sandbox.scenario import Scenario
from brew_provenance.sandbox.signer import Signer
from brew_provenance.sandbox.trustroot import Period, describe_authority
from brew_provenance.sandbox.wire import JsonObject
from brew_provenance.trust import TrustedRoot
from brew_provenance.verify import Verifier

SCENARIO: Final = Scenario()
AT: Final = SCENARIO.at
ALWAYS: Final = SCENARIO.private.period
STAMPING: Final = (ExtendedKeyUsageOID.TIME_STAMPING,)


def trusted(document: JsonObject, name: str = "a root") -> TrustedRoot:
    """Return a trusted root as a file holds it."""
    return TrustedRoot(name, json.dumps(document).encode(), built_in=False)


def read(document: JsonObject) -> Bundle:
    """Return a bundle that has the right shape."""
    bundle = read_bundle(json.dumps(document).encode())
    assert isinstance(bundle, Bundle), bundle
    return bundle


def answer(root: JsonObject, document: JsonObject) -> Evidence | Finding:
    """Verify a bundle under one root."""
    return Verifier([trusted(root)]).verify(read(document), ())


def code(root: JsonObject, document: JsonObject) -> str:
    """Return the code of what keeps a bundle from being accepted, or "accepted"."""
    found = answer(root, document)
    return found.code if isinstance(found, Finding) else "accepted"


def private_root(**changes: Any) -> JsonObject:
    """Return the root of the instance without logs, with other fields in it."""
    return {**SCENARIO.private.trusted_root(), **changes}


def public_root(**changes: Any) -> JsonObject:
    """Return the root of the instance with logs, with other fields in it."""
    return {**SCENARIO.sigstore.trusted_root(), **changes}


def authority(chain: Sequence[x509.Certificate], period: Period = ALWAYS) -> JsonObject:
    """Return an authority as a root names it."""
    return describe_authority(chain, "https://authority.invalid", period)


def issuers(private: PrivateSigstore = SCENARIO.private) -> list[x509.Certificate]:
    """Return the chain of the private instance's certificate authority."""
    return [private.authority.intermediate, private.authority.root]


def distant_stampers() -> list[x509.Certificate]:
    """Return the chain of a timestamp authority with another one between it and its root, as GitHub's."""
    above = ladder([1, 0])
    key = SCENARIO.private.timestamp_authority.key.public_key()
    issuer_key = derive_key("ladder", "1")
    signer = (
        build_certificate(build_name("sandbox-tsa"), key, above[0].subject, issuer_key.public_key())
        .not_valid_before(SCENARIO.private.epoch)
        .not_valid_after(ALWAYS.end)
        .add_extension(build_key_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage(STAMPING), critical=True)
        .sign(issuer_key, hashes.SHA256(), ecdsa_deterministic=True)
    )
    return [signer, *above]


def stampers(*, without: str = "", **changes: Any) -> list[x509.Certificate]:
    """Return the chain of the private timestamp authority, whose own certificate says something else."""
    given: dict[str, Any] = {
        "purposes": STAMPING,
        "critical": True,
        "signs": True,
        "start": SCENARIO.private.epoch,
        "end": ALWAYS.end,
        **changes,
    }
    private = SCENARIO.private
    root, root_key = private.timestamp_authority.root, derive_key(private.seed, "tsa root")
    builder = (
        build_certificate(
            build_name("sandbox-tsa"),
            private.timestamp_authority.key.public_key(),
            root.subject,
            root_key.public_key(),
        )
        .not_valid_before(given["start"])
        .not_valid_after(given["end"])
    )
    if without != "usage":
        builder = builder.add_extension(build_key_usage(digital_signature=given["signs"]), critical=True)
    if without != "purposes":
        builder = builder.add_extension(x509.ExtendedKeyUsage(given["purposes"]), critical=given["critical"])
    return [builder.sign(root_key, hashes.SHA256(), ecdsa_deterministic=True), root]


def stamped_by(chain: Sequence[x509.Certificate], at: datetime = AT) -> JsonObject:
    """Return the private instance's bundle, with the timestamp of an authority that has this chain."""
    signer = SCENARIO.private.signer(SCENARIO.job, AT)
    envelope = SCENARIO.envelope(signer)
    tsa = replace(SCENARIO.private.timestamp_authority, certificate=chain[0])
    timestamps = [tsa.stamp(read_signature(envelope), at)]
    return SCENARIO.private.stamp(envelope, signer, at=AT, timestamps=timestamps)


def ladder(lengths: Sequence[int], *, expired: int | None = None) -> list[x509.Certificate]:
    """Return a chain of authorities from the one that issues to the root, with these path lengths.

    `expired` is the place, counted from the root, of one that ended before the scenario's time.
    """
    names = [build_name(f"step {number}") for number in range(len(lengths))]
    keys = [derive_key("ladder", str(number)) for number in range(len(lengths))]
    chain = []
    for number, length in enumerate(lengths):
        above = max(number - 1, 0)
        end = AT - timedelta(days=1) if number == expired else ALWAYS.end
        public_key, issuer_key = keys[number].public_key(), keys[above].public_key()
        chain.append(
            build_certificate(names[number], public_key, names[above], issuer_key)
            .not_valid_before(SCENARIO.private.epoch)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=True, path_length=length), critical=True)
            .add_extension(build_key_usage(certificate_sign=True), critical=True)
            .sign(keys[above], hashes.SHA256(), ecdsa_deterministic=True)
        )
    return chain[::-1]


def signed_under(chain: Sequence[x509.Certificate], step: int) -> JsonObject:
    """Return a private bundle whose certificate the authority at this place from the root issued."""
    issuer = CertificateAuthority(chain[-1], chain[::-1][step], derive_key("ladder", str(step)))
    key = derive_key("ladder", "leaf")
    profile = SCENARIO.private.profile(SCENARIO.job, AT)
    signer = Signer(key, issuer.issue(profile, key.public_key(), []))
    return SCENARIO.private.attest(SCENARIO.statement(), signer, at=AT)
