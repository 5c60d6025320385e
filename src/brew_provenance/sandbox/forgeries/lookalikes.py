"""Signers, names and digests that a person or a lax reader takes for the right ones."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable

from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from brew_provenance.sandbox.actions import ActionsJob, build_subject
from brew_provenance.sandbox.scenario import Forgery, Make, Scenario, alter_statement
from brew_provenance.sandbox.wire import JsonObject, encode_bytes, encode_json

_MEGABYTE = 1 << 20
_CYRILLIC_E = "\u0435"
_CYRILLIC_O = "\u043e"
_FULL_WIDTH_DOT = "\uff0e"
_ZERO_WIDTH_SPACE = "\u200b"
_RIGHT_TO_LEFT = "\u202e"
_FULL_WIDTH = str.maketrans("0123456789", "".join(chr(0xFF10 + digit) for digit in range(10)))
_ACUTE = "\u0301"


def _name_raw(rewrite: Callable[[bytes, ActionsJob], bytes]) -> Make:
    """Return a maker whose certificate's name is these bytes, whether they are a URI or not.

    It has no build signer's claim, which could contradict it.
    """

    def make(scenario: Scenario) -> bytes:
        profile = scenario.sigstore.profile(scenario.job, scenario.at)
        uri = rewrite(scenario.job.signer_uri.encode(), scenario.job)
        # The library writes ASCII alone; what is as long takes its place.
        stand_in = "x" * len(uri)
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(stand_in)]).public_bytes()
        profile = dataclasses.replace(
            profile,
            names=(),
            claims={number: value for number, value in profile.claims.items() if number != 9},
            raw_extensions={ExtensionOID.SUBJECT_ALTERNATIVE_NAME: names.replace(stand_in.encode(), uri)},
        )
        signer = scenario.sigstore.issue(profile)
        return encode_json(scenario.sigstore.attest(scenario.statement(), signer, at=scenario.at))

    return make


def _named(rename: Callable[[Scenario], str]) -> Make:
    """Return a maker whose statement gives the bottle's digest this name."""
    return alter_statement(
        lambda statement, s: statement.update(subject=[build_subject(rename(s), s.digest)])
    )


def _digested(build: Callable[[Scenario], JsonObject]) -> Make:
    """Return a maker whose statement gives the bottle's name this digest."""
    return alter_statement(
        lambda statement, s: statement.update(subject=[{"name": s.name, "digest": build(s)}])
    )


def _resign_by(change: Callable[[ActionsJob], ActionsJob]) -> Make:
    """Return a maker whose statement, which stays as it is, another job signs."""
    return lambda scenario: encode_json(
        scenario.sigstore.attest(scenario.statement(), change(scenario.job), at=scenario.at)
    )


def _append(more: str) -> Make:
    """Return a maker whose certificate's name is followed by something."""
    return _name_raw(lambda uri, _: uri + more.encode())


def _swap(right: str, wrong: str) -> Make:
    """Return a maker whose certificate's name has one part in the place of another."""
    return _name_raw(lambda uri, _: uri.replace(right.encode(), wrong.encode(), 1))


def _swap_in_owner(right: str, wrong: str) -> Make:
    """Return a maker whose certificate's name has other letters in its owner."""
    return _name_raw(
        lambda uri, job: uri.replace(job.owner.encode(), job.owner.replace(right, wrong).encode(), 1)
    )


_SIGNERS = tuple(
    Forgery(f"signer-{name}", "signer-identity-malformed", what, make)
    for name, what, make in (
        (
            "host-in-capitals",
            "The signer's host is written in capitals.",
            _swap("github.com", "GitHub.com"),
        ),
        (
            "scheme-in-capitals",
            "The signer's scheme is written in capitals.",
            _swap("https:", "HTTPS:"),
        ),
        (
            "on-international-host",
            "The signer's host is an international one whose name looks alike.",
            _swap("github.com", "xn--gthub-n4a.com"),
        ),
        (
            "with-empty-port",
            "A colon without a port follows the signer's host.",
            _swap("github.com", "github.com:"),
        ),
        (
            "with-backslash",
            "A backslash parts the right host from another one.",
            _swap("github.com/", "github.com\\@attacker.example/"),
        ),
        (
            "with-nul",
            "A NUL parts the right host from another one, which readers in C do not see.",
            _swap("github.com/", "github.com\0.attacker.example/"),
        ),
        (
            "with-newline",
            "A newline follows the signer's URI.",
            _append("\n"),
        ),
        (
            "with-space",
            "A space follows the signer's URI.",
            _append(" "),
        ),
        (
            "with-fragment",
            "The right path stands in the fragment of another one.",
            _swap("github.com/", "github.com/attacker/tap#/"),
        ),
        (
            "with-dot-segments",
            "The path to the right repository leads over another one.",
            _swap("github.com/", "github.com/attacker/../"),
        ),
        (
            "with-double-slash",
            "Two slashes stand before the owner.",
            _swap("github.com/", "github.com//"),
        ),
        (
            "with-encoded-dot",
            "The dot of the workflow's file name is percent-encoded.",
            _swap("publish.yml", "publish%2eyml"),
        ),
        (
            "with-encoded-at",
            "The sign before the ref is percent-encoded.",
            _swap("publish.yml@", "publish.yml%40"),
        ),
        (
            "with-encoded-nul",
            "A percent-encoded NUL parts the right file name from the rest.",
            _swap("publish.yml@", "publish.yml%00.attacker.yml@"),
        ),
        (
            "with-short-ref",
            "The ref is the branch's name alone.",
            _swap("@refs/heads/", "@"),
        ),
    )
)

_OTHER_SIGNERS = (
    Forgery(
        "signer-with-cyrillic-letter",
        "signer-identity-malformed",
        "The owner's name has a Cyrillic letter in it, which no URI may hold.",
        _swap_in_owner("o", _CYRILLIC_O),
    ),
    Forgery(
        "signer-with-second-ref",
        "signer-ref-not-allowed",
        "A look-alike of the right ref stands behind another one.",
        _swap("publish.yml@", "publish.yml@refs/heads/attacker@"),
    ),
    Forgery(
        "workflow-with-attackers-suffix",
        "signer-workflow-not-allowed",
        "The right file name stands before that of another workflow.",
        _swap("publish.yml", "publish.yml.attacker.yml"),
    ),
    Forgery(
        "workflow-with-prefix",
        "signer-workflow-not-allowed",
        "The workflow's name ends as the right one.",
        _swap("publish.yml", "attacker-publish.yml"),
    ),
    Forgery(
        "resigned-by-stranger",
        "signer-repository-not-allowed",
        "Another repository's job signed the right statement as it stands.",
        _resign_by(
            lambda job: dataclasses.replace(
                job, repository="attacker/homebrew-fixtures", repository_id="7", owner_id="7"
            )
        ),
    ),
    Forgery(
        "resigned-by-sibling-workflow",
        "signer-workflow-not-allowed",
        "Another workflow of the right repository signed the right statement as it stands.",
        _resign_by(lambda job: dataclasses.replace(job, workflow_path=".github/workflows/tests.yml")),
    ),
    Forgery(
        "resigned-by-later-run",
        "predicate-invocation-mismatch",
        "A later run of the right workflow signed the statement of an earlier one.",
        _resign_by(lambda job: dataclasses.replace(job, run_id="9876543211")),
    ),
)

_NAMES = tuple(
    Forgery(f"name-{name}", code, what, _named(rename))
    for name, code, what, rename in (
        (
            "with-cyrillic-letter",
            "subject-name-not-a-bottle",
            "The formula's name has a Cyrillic letter in it.",
            lambda s: s.name.replace("e", _CYRILLIC_E, 1),
        ),
        (
            "with-zero-width-space",
            "subject-name-not-a-bottle",
            "A space of no width stands in the formula's name.",
            lambda s: s.name[:1] + _ZERO_WIDTH_SPACE + s.name[1:],
        ),
        (
            "with-combining-accent",
            "subject-name-not-a-bottle",
            "An accent follows the formula's first letter.",
            lambda s: s.name[:1] + _ACUTE + s.name[1:],
        ),
        (
            "turned-around",
            "subject-name-not-a-bottle",
            "A sign that turns the direction of writing stands before the name.",
            lambda s: _RIGHT_TO_LEFT + s.name,
        ),
        (
            "with-full-width-dot",
            "subject-name-not-a-bottle",
            "A dot of full width stands in the version.",
            lambda s: str(
                dataclasses.replace(s.bottle, version=s.bottle.version.replace(".", _FULL_WIDTH_DOT, 1))
            ),
        ),
        (
            "in-capitals",
            "subject-other-formula",
            "The formula's name is in capitals.",
            lambda s: s.name.replace(s.bottle.formula, s.bottle.formula.upper(), 1),
        ),
        (
            "with-suffix-in-capitals",
            "subject-name-not-a-bottle",
            "The suffix is in capitals.",
            lambda s: s.name.removesuffix(".tar.gz") + ".TAR.GZ",
        ),
        (
            "in-parent-folder",
            "subject-name-not-a-bottle",
            "The name leads to the folder above.",
            lambda s: f"../{s.name}",
        ),
        (
            "in-this-folder",
            "subject-name-not-a-bottle",
            "The name is a path in the same folder.",
            lambda s: f"./{s.name}",
        ),
        ("at-the-root", "subject-name-not-a-bottle", "The name is an absolute path.", lambda s: f"/{s.name}"),
        (
            "behind-backslash",
            "subject-name-not-a-bottle",
            "The name is a path as Windows writes it.",
            lambda s: f"..\\{s.name}",
        ),
        (
            "behind-encoded-path",
            "subject-name-not-a-bottle",
            "A percent-encoded path stands before the name.",
            lambda s: f"%2e%2e%2f{s.name}",
        ),
        ("with-slash", "subject-name-not-a-bottle", "A slash follows the name.", lambda s: f"{s.name}/"),
        (
            "with-nul",
            "subject-name-not-a-bottle",
            "A NUL and another name follow the name.",
            lambda s: f"{s.name}\0.sig",
        ),
        ("with-newline", "subject-name-not-a-bottle", "A newline follows the name.", lambda s: f"{s.name}\n"),
        (
            "with-space",
            "subject-name-not-a-bottle",
            "A space stands before the name.",
            lambda s: f" {s.name}",
        ),
        (
            "as-url",
            "subject-name-not-a-bottle",
            "The name is a URL that ends in it.",
            lambda s: f"https://ghcr.io/v2/{s.name}",
        ),
        ("empty", "subject-name-not-a-bottle", "The subject has no name.", lambda _: ""),
        (
            "with-digest-of-url",
            "subject-other-formula",
            "The name has the digest of a URL before it, as the backfill's have.",
            lambda s: f"{s.digest}--{s.name}",
        ),
        (
            "with-rebuild-nought",
            "subject-name-not-a-bottle",
            "The name says the rebuild that is none.",
            lambda s: s.name.replace(".bottle.", ".bottle.0."),
        ),
        (
            "of-a-megabyte",
            "subject-name-not-a-bottle",
            "The name is followed by a megabyte of letters.",
            lambda s: s.name + "a" * _MEGABYTE,
        ),
    )
)

_DIGESTS = tuple(
    Forgery(f"digest-{name}", code, what, _digested(build))
    for name, code, what, build in (
        (
            "of-algorithm-in-capitals",
            "subject-digest-mismatch",
            "The algorithm is written in capitals.",
            lambda s: {"SHA256": s.digest},
        ),
        (
            "of-algorithm-with-dash",
            "subject-digest-mismatch",
            "The algorithm is written with a dash.",
            lambda s: {"sha-256": s.digest},
        ),
        (
            "by-sha1",
            "subject-digest-mismatch",
            "The digest is the artifact's SHA-1.",
            lambda s: {"sha1": hashlib.sha1(s.artifact, usedforsecurity=False).hexdigest()},
        ),
        (
            "by-truncated-sha512",
            "subject-digest-malformed",
            "The digest is the artifact's SHA-512, cut to the length of the right one.",
            lambda s: {"sha512": hashlib.sha512(s.artifact).hexdigest()[:64]},
        ),
        (
            "with-algorithm",
            "subject-digest-malformed",
            "The algorithm stands before the digest.",
            lambda s: {"sha256": f"sha256:{s.digest}"},
        ),
        (
            "behind-space",
            "subject-digest-malformed",
            "A space stands before the digest.",
            lambda s: {"sha256": f" {s.digest}"},
        ),
        (
            "in-base64",
            "subject-digest-malformed",
            "The digest is in base64.",
            lambda s: {"sha256": encode_bytes(bytes.fromhex(s.digest))},
        ),
        (
            "in-full-width-digits",
            "subject-digest-malformed",
            "The digest's digits are of full width.",
            lambda s: {"sha256": s.digest.translate(_FULL_WIDTH)},
        ),
        (
            "of-a-megabyte",
            "subject-digest-malformed",
            "The digest is followed by a megabyte of noughts.",
            lambda s: {"sha256": s.digest + "0" * _MEGABYTE},
        ),
        ("empty", "subject-digest-mismatch", "The subject has no digest.", lambda _: {}),
    )
)

LOOKALIKES: tuple[Forgery, ...] = (*_SIGNERS, *_OTHER_SIGNERS, *_NAMES, *_DIGESTS)
