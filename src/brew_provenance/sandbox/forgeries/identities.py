"""Certificates whose claims cannot be read, or name nobody that a policy could name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from cryptography import x509
from cryptography.hazmat import asn1

from brew_provenance.sandbox.actions import ActionsJob
from brew_provenance.sandbox.ca import LeafProfile, name_claim
from brew_provenance.sandbox.scenario import Forgery, Make, Scenario
from brew_provenance.sandbox.wire import encode_json

_USER_NAME_TYPE = name_claim(7)


def _certify(change: Callable[[LeafProfile, Scenario], LeafProfile]) -> Make:
    """Return a maker whose certificate says other things than the job; the rest is right."""

    def make(scenario: Scenario) -> bytes:
        profile = change(scenario.sigstore.profile(scenario.job, scenario.at), scenario)
        signer = scenario.sigstore.issue(profile)
        return encode_json(scenario.sigstore.attest(scenario.statement(), signer, at=scenario.at))

    return make


def _omit(number: int) -> Make:
    """Return a maker whose certificate lacks a claim."""
    return _certify(
        lambda leaf, _: dataclasses.replace(
            leaf, claims={key: value for key, value in leaf.claims.items() if key != number}
        )
    )


def _claim(number: int, value: str) -> Make:
    """Return a maker whose certificate claims something else in one place."""
    return _certify(lambda leaf, _: dataclasses.replace(leaf, claims={**leaf.claims, number: value}))


def _encode(number: int, encode: Callable[[str], bytes]) -> Make:
    """Return a maker whose certificate writes a claim's right value in another way."""
    return _certify(
        lambda leaf, _: dataclasses.replace(
            leaf, raw_extensions={name_claim(number): encode(leaf.claims[number])}
        )
    )


def _name(build: Callable[[Scenario], tuple[x509.GeneralName, ...]]) -> Make:
    """Return a maker whose certificate names its holder otherwise, and no build signer."""
    return _certify(
        lambda leaf, scenario: dataclasses.replace(
            leaf,
            names=build(scenario),
            claims={key: value for key, value in leaf.claims.items() if key != 9},
        )
    )


def _impersonate(uri: Callable[[ActionsJob], str]) -> Make:
    """Return a maker whose certificate and predicate name this signer."""

    def make(scenario: Scenario) -> bytes:
        signer_uri = uri(scenario.job)
        profile = scenario.sigstore.profile(scenario.job, scenario.at)
        profile = dataclasses.replace(
            profile,
            names=(x509.UniformResourceIdentifier(signer_uri),),
            claims={**profile.claims, 9: signer_uri},
        )
        statement = scenario.statement()
        statement["predicate"]["runDetails"]["builder"]["id"] = signer_uri
        signer = scenario.sigstore.issue(profile)
        return encode_json(scenario.sigstore.attest(statement, signer, at=scenario.at))

    return make


def _replace_server(server: str) -> Make:
    """Return a maker whose signer has the right path on another server."""
    return _impersonate(lambda job: f"{server}/{job.job_workflow_ref}")


def _rewrite(rewrite: Callable[[str, ActionsJob], str]) -> Make:
    """Return a maker whose signer's URI is the right one rewritten."""
    return _impersonate(lambda job: rewrite(job.signer_uri, job))


def _user_name(_: Scenario) -> tuple[x509.GeneralName, ...]:
    return (x509.OtherName(_USER_NAME_TYPE, asn1.encode_der("publish.yml")),)


_CLAIMS = (
    Forgery(
        "claim-not-der",
        "certificate-claims-malformed",
        "The issuer is bare UTF-8 where Fulcio writes DER.",
        _encode(8, str.encode),
    ),
    Forgery(
        "claim-with-tail",
        "certificate-claims-malformed",
        "Bytes follow the build signer's DER string.",
        _encode(9, lambda value: asn1.encode_der(value) + b".attacker.yml"),
    ),
    Forgery(
        "claim-of-other-type",
        "certificate-claims-malformed",
        "The repository is a DER IA5String instead of a UTF8String.",
        _encode(12, lambda value: asn1.encode_der(asn1.IA5String(value))),
    ),
    Forgery(
        "claim-with-long-length",
        "certificate-claims-malformed",
        "The repository id's length is written in more bytes than DER allows.",
        _encode(15, lambda value: b"\x0c\x81%c%b" % (len(value), value.encode())),
    ),
    Forgery(
        "claim-not-utf8",
        "certificate-claims-malformed",
        "The runner environment is not UTF-8.",
        _encode(11, lambda value: b"\x0c%c%b\xff" % (len(value) + 1, value.encode())),
    ),
    Forgery(
        "two-signers",
        "certificate-claims-malformed",
        "The certificate has a second name beside the right one.",
        _certify(
            lambda leaf, s: dataclasses.replace(
                leaf,
                names=(*leaf.names, x509.UniformResourceIdentifier(f"{s.job.server}/attacker")),
            )
        ),
    ),
    Forgery(
        "issuers-disagree",
        "certificate-claims-disagree",
        "The old and the new issuer claim differ.",
        _claim(1, "https://accounts.google.com"),
    ),
    Forgery(
        "signers-disagree",
        "certificate-claims-disagree",
        "The build signer is another one than the certificate's name.",
        _claim(9, "https://github.com/attacker/tap/.github/workflows/publish.yml@refs/heads/main"),
    ),
    Forgery(
        "repositories-disagree",
        "certificate-claims-disagree",
        "The old and the new repository claim differ.",
        _claim(5, "attacker/homebrew-fixtures"),
    ),
    Forgery(
        "refs-disagree",
        "certificate-claims-disagree",
        "The old and the new ref claim differ.",
        _claim(6, "refs/heads/feature"),
    ),
    Forgery(
        "commits-disagree",
        "certificate-claims-disagree",
        "The old and the new commit claim differ.",
        _claim(3, "0" * 40),
    ),
    Forgery(
        "events-disagree",
        "certificate-claims-disagree",
        "The old and the new event claim differ.",
        _claim(2, "pull_request"),
    ),
    *(
        Forgery(
            f"no-{what.replace(' ', '-')}-claim",
            "certificate-claim-missing",
            f"The certificate does not say the {what}.",
            _omit(number),
        )
        for number, what in {
            11: "runner environment",
            12: "repository",
            14: "source ref",
            15: "repository id",
            17: "owner id",
        }.items()
    ),
)

_NAMES = (
    Forgery(
        "signer-is-a-person",
        "signer-identity-malformed",
        "The certificate is for an e-mail address.",
        _name(lambda _: (x509.RFC822Name("publish@brew-provenance.example"),)),
    ),
    Forgery(
        "signer-is-a-user-name",
        "signer-identity-malformed",
        "The certificate is for a user name, in the form of Fulcio's other name.",
        _name(_user_name),
    ),
    *(
        Forgery(name, "signer-identity-malformed", what, _replace_server(server))
        for name, what, server in (
            (
                "signer-on-other-host",
                "The signer has the right path on another host.",
                "https://github.com.attacker.example",
            ),
            (
                "signer-with-user-info",
                "The right host stands before an @ sign, another one after it.",
                "https://github.com@attacker.example",
            ),
            (
                "signer-with-port",
                "The signer's URI names a port.",
                "https://github.com:443",
            ),
            (
                "signer-with-trailing-dot",
                "The signer's host ends in a dot.",
                "https://github.com.",
            ),
            (
                "signer-over-http",
                "The signer's URI has another scheme.",
                "http://github.com",
            ),
        )
    ),
    Forgery(
        "signer-with-encoded-slash",
        "signer-identity-malformed",
        "The slash between owner and repository is percent-encoded.",
        _rewrite(lambda uri, job: uri.replace(f"{job.owner}/", f"{job.owner}%2f")),
    ),
    Forgery(
        "signer-with-encoded-homoglyph",
        "signer-identity-malformed",
        "The owner's name has a percent-encoded Cyrillic letter in it.",
        _rewrite(lambda uri, job: uri.replace(job.owner, job.owner.replace("o", "%d0%be"))),
    ),
    Forgery(
        "signer-in-folder",
        "signer-identity-malformed",
        "The workflow's path ends as the right one, but lies where GitHub runs no workflows.",
        _rewrite(lambda uri, _: uri.replace("/publish.yml", "/attacker/.github/workflows/publish.yml")),
    ),
    Forgery(
        "signer-without-suffix",
        "signer-identity-malformed",
        "The workflow's name differs where a pattern has a dot, so that it is no YAML file.",
        _rewrite(lambda uri, _: uri.replace("publish.yml", "publish-yml")),
    ),
    Forgery(
        "signer-with-query",
        "signer-identity-malformed",
        "The workflow's path stands in a query.",
        _rewrite(lambda uri, _: uri.replace("/.github/", "?/.github/")),
    ),
    Forgery(
        "signer-without-ref",
        "signer-identity-malformed",
        "The signer's URI names no ref.",
        _rewrite(lambda uri, job: uri.removesuffix(f"@{job.ref}")),
    ),
)

IDENTITIES: tuple[Forgery, ...] = (*_CLAIMS, *_NAMES)
