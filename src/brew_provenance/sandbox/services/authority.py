"""Fulcio's API: certificates for whoever has a token and proves a key (sigstore/fulcio, fulcio.proto)."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_public_key

from brew_provenance.sandbox.actions import ActionsJob
from brew_provenance.sandbox.github.exchange import Call, RefusedError, Reply, reply_json
from brew_provenance.sandbox.instance import VirtualSigstore
from brew_provenance.sandbox.services.oidc import TokenError, TokenIssuer
from brew_provenance.sandbox.services.service import Service, read_member, read_object, read_text, rpc_error
from brew_provenance.sandbox.wire import JsonObject

AUDIENCE: Final = "sigstore"
"""Whom a token has to be for."""

_MAX_BODY_BYTES: Final = 64 * 1024


class CertificateService:
    """Issues certificates to whoever has a token of the issuer."""

    def __init__(
        self, sigstore: VirtualSigstore, issuer: TokenIssuer, *, clock: Callable[[], float] = time.time
    ) -> None:
        """Let `sigstore` issue for the jobs of `issuer`; certificates begin at what `clock` says."""
        self._sigstore = sigstore
        self._issuer = issuer
        self._clock = clock
        self.service = Service(
            "ca",
            [
                ("POST", "/api/v2/signingCert", self._sign),
                ("GET", "/api/v2/trustBundle", self._show_chain),
                ("GET", "/api/v2/configuration", self._show_issuers),
            ],
            rpc_error,
            max_body=_MAX_BODY_BYTES,
        )
        """What is served."""

    def _sign(self, call: Call) -> Reply:
        request = read_object(call)
        job = self._read_job(call, request)
        if "certificateSigningRequest" in request:
            key = _read_request(request)
        else:
            key = _read_proof(request, job.subject)
        at = datetime.fromtimestamp(int(self._clock()), UTC)
        authority = self._sigstore.authority
        profile = self._sigstore.profile(job, at)
        leaf = authority.issue(profile, key, [self._sigstore.certificate_log])
        chain = _encode_chain(leaf, authority.intermediate, authority.root)
        return reply_json(200, {"signedCertificateEmbeddedSct": {"chain": {"certificates": chain}}})

    def _read_job(self, call: Call, request: JsonObject) -> ActionsJob:
        scheme, _, token = call.headers.get("authorization", "").partition(" ")
        if "credentials" in request:
            token = read_text(request, "credentials", "oidcIdentityToken")
        elif scheme.lower() != "bearer" or not token:
            raise RefusedError(401, "There was an error processing the credentials: there is no token")
        try:
            claims = self._issuer.read(token, AUDIENCE, {self._issuer.job.issuer})
            return ActionsJob.from_token(claims)
        except (TokenError, ValueError) as error:
            raise RefusedError(401, f"There was an error processing the identity token: {error}") from error

    def _show_chain(self, _: Call) -> Reply:
        authority = self._sigstore.authority
        certificates = _encode_chain(authority.intermediate, authority.root)
        return reply_json(200, {"chains": [{"certificates": certificates}]})

    def _show_issuers(self, _: Call) -> Reply:
        issuer = {
            "issuerUrl": self._issuer.job.issuer,
            "audience": AUDIENCE,
            "challengeClaim": "sub",
            "issuerType": "ci-provider",
        }
        return reply_json(200, {"issuers": [issuer]})


def _encode_chain(*certificates: x509.Certificate) -> list[str]:
    return [certificate.public_bytes(Encoding.PEM).decode() for certificate in certificates]


def _read_request(request: JsonObject) -> ec.EllipticCurvePublicKey:
    """Return the key of a certificate signing request that is signed with it."""
    raw = _decode(read_text(request, "certificateSigningRequest"), "certificateSigningRequest")
    try:
        signing_request = x509.load_pem_x509_csr(raw)
        key = _check_key(signing_request.public_key())
        proven = signing_request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm) as error:
        raise RefusedError(400, f"The certificate signing request could not be parsed: {error}") from error
    if not proven:
        raise RefusedError(400, "The signature of the certificate signing request could not be verified")
    return key


def _read_proof(request: JsonObject, challenge: str) -> ec.EllipticCurvePublicKey:
    """Return a key that has signed the token's subject."""
    wanted = read_member(request, "publicKeyRequest")
    pem = read_text(wanted, "publicKey", "content")
    proof = _decode(read_text(wanted, "proofOfPossession"), "proofOfPossession")
    try:
        key = _check_key(load_pem_public_key(pem.encode()))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise RefusedError(
            400, f"The public key supplied in the request could not be parsed: {error}"
        ) from error
    try:
        key.verify(proof, challenge.encode(), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as error:
        raise RefusedError(
            400, "The signature supplied in the request could not be verified: it is not over the subject"
        ) from error
    return key


def _check_key(key: object) -> ec.EllipticCurvePublicKey:
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise RefusedError(400, "The public key supplied in the request is not of the curve P-256")
    return key


def _decode(text: str, name: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise RefusedError(400, f"{name} is not base64") from error
