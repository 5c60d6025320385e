"""Bundles of an instance without a log, as GitHub's own: time comes from timestamp authorities alone.

That this is the way to verify is the trusted root's word, not the bundle's: it is for roots that
know no log of any kind. Sigstore client specification, 4.6, "No Transparency Service".
"""

from __future__ import annotations

from brew_provenance.bundle import Bundle
from brew_provenance.certificate import Claims, load_certificate
from brew_provenance.evidence import Evidence
from brew_provenance.verify.certificates import check_leaf
from brew_provenance.verify.envelope import check_signature
from brew_provenance.verify.refusal import Refusal
from brew_provenance.verify.roots import Instance
from brew_provenance.verify.timestamps import verified_times


def verify_timestamped(bundle: Bundle, der: bytes, instance: Instance) -> Evidence:
    """Verify an envelope whose certificate is `der`. Raises Refusal, and ValueError for what is malformed."""
    certificate = load_certificate(der)
    if bundle.logged is not None:
        # A log that nobody here trusts says nothing, and what cannot be checked is not passed over.
        raise Refusal("log-entry-unexpected", f"of kind {bundle.logged.entry.kind}")
    if not bundle.timestamps:
        raise Refusal("time-missing", "no signed timestamp, and the certificate's instance keeps no log")
    # 4.2.1: the time of the signature.
    times = verified_times(bundle.timestamps, bundle.signature, instance.timestamp_authorities)
    if not times:
        raise Refusal("timestamp-unverified", "no authority of the trusted root made one for this signature")
    # 4.3: the certificate. An instance without a log of certificates promises no transparency.
    check_leaf(certificate, instance.authorities, [verified.time for verified in times])
    # 4.5: the signature. There is no log entry for 4.4 to check.
    check_signature(bundle, certificate)
    return Evidence(
        trusted_root=instance.name,
        claims=Claims.from_certificate(certificate),
        certificate=der,
        times=tuple(times),
        log_entry=None,
        signature=bundle.signature,
        payload_type=bundle.payload_type,
        payload=bundle.payload,
    )
