"""Bundles of an instance with logs that sigstore-python does not read: older ones.

Their entry is of kind intoto/0.0.2, or comes with the log's promise and without its proof. All else
is asked of them that is asked of others; how much less a promise shows is a note in the verdict.
"""

from __future__ import annotations

from dataclasses import replace

from brew_provenance.bundle import Bundle, LoggedEntry
from brew_provenance.certificate import Claims, load_certificate
from brew_provenance.evidence import Evidence
from brew_provenance.verify.certificates import check_leaf, check_transparency
from brew_provenance.verify.entries import check_entry
from brew_provenance.verify.envelope import check_signature
from brew_provenance.verify.log import check_period, check_proof, verified_time
from brew_provenance.verify.refusal import Refusal
from brew_provenance.verify.roots import Instance
from brew_provenance.verify.timestamps import verified_times


def verify_logged(bundle: Bundle, der: bytes, logged: LoggedEntry, instance: Instance) -> Evidence:
    """Verify an envelope whose certificate is `der`. Raises Refusal, and ValueError for what is malformed."""
    certificate = load_certificate(der)
    # 4.2.1 and 4.2.2: the times of the signature.
    times = verified_times(bundle.timestamps, bundle.signature, instance.timestamp_authorities)
    promised = verified_time(logged, instance.logs)
    if promised is not None:
        times.insert(0, promised)
    elif not logged.is_proven:
        raise Refusal("log-promise-invalid", "it says no time, and there is no proof beside it")
    if not times:
        raise Refusal("timestamp-unverified", "no authority of the trusted root made one for this signature")
    # 4.3: the certificate, and the promise to log it.
    issuer = check_leaf(certificate, instance.authorities, [verified.time for verified in times])
    check_transparency(certificate, issuer, instance.certificate_logs)
    # 4.4: the log entry, which has to be in the log, and about this bundle.
    check_period(logged, instance.logs, times)
    check_proof(logged, instance.logs)
    check_entry(logged, bundle, certificate)
    # 4.5: the signature.
    check_signature(bundle, certificate)
    return Evidence(
        trusted_root=instance.name,
        claims=Claims.from_certificate(certificate),
        certificate=der,
        times=tuple(times),
        log_entry=replace(logged.entry, is_proven=logged.is_proven),
        signature=bundle.signature,
        payload_type=bundle.payload_type,
        payload=bundle.payload,
    )
