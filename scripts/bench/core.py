"""The recorded homebrew-core, genuine attestations for all of its bottles, and a store that serves them."""

from __future__ import annotations

import json
import lzma
import multiprocessing
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, cast

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from brew_provenance.bottle import Bottle, BottleFileName, Digest, bottle_url
from brew_provenance.formula import Formula, package_version
from brew_provenance.formula.bottleblock import DEFAULT_ROOT_URL
from brew_provenance.formula.version import detect_version
from brew_provenance.sandbox.actions import ActionsJob, build_statement, build_subject
from brew_provenance.sandbox.formulaapi import sign_jws
from brew_provenance.sandbox.github.attestations import AttestationStore
from brew_provenance.sandbox.github.options import Budgets, Options
from brew_provenance.sandbox.github.service import AttestationService, serve_github
from brew_provenance.sandbox.instance import VirtualSigstore
from brew_provenance.sandbox.rehearsal import SIGNED_AT
from brew_provenance.sandbox.wire import encode_json

TAP: Final = "homebrew/core"
REPOSITORY: Final = "Homebrew/homebrew-core"
JOB: Final = ActionsJob(
    repository=REPOSITORY,
    event_name="workflow_dispatch",
    workflow_path=".github/workflows/publish-commit-bottles.yml",
)


@dataclass(frozen=True)
class Served:
    """A store in a process of its own."""

    url: str
    """Its API's URL."""

    trusted_root: bytes
    """What its attestations verify under."""

    connection: Connection

    def requests(self) -> tuple[int, int]:
        """Return how many list calls it was asked for so far, and how many requests of any kind."""
        self.connection.send(True)  # noqa: FBT003 - a request for counts
        lists, requests = self.connection.recv()
        return int(lists), int(requests)


@contextmanager
def served_store(limit: int | None, *, copies: int = 1, per_bottle: bool = False) -> Iterator[Served]:
    """Serve attestations of the first `limit` recorded formulae, so many times, on loopback."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    server = context.Process(target=_serve, args=(theirs, limit, copies, per_bottle), daemon=True)
    server.start()
    # It ends with that process now, however that ends.
    theirs.close()
    url, trusted_root = ours.recv()
    yield Served(url, trusted_root, ours)
    ours.send(False)  # noqa: FBT003 - the end
    with suppress(EOFError):
        server.join()


def _serve(connection: Connection, limit: int | None, copies: int, per_bottle: bool) -> None:  # noqa: FBT001
    """Serve an attestation for each group of bottles until something false is received."""
    sigstore = VirtualSigstore()
    signer = sigstore.signer(JOB, SIGNED_AT)
    store = AttestationStore()
    store.add_repository(REPOSITORY)
    for group in _groups(copied(recorded_formulae(limit), copies), per_bottle=per_bottle):
        subjects = [build_subject(str(bottle.file_name), bottle.digest.value) for bottle in group]
        statement = build_statement(subjects, JOB.provenance())
        store.add(REPOSITORY, encode_json(sigstore.attest(statement, signer, at=SIGNED_AT)))
    # The command shows nobody its token but GitHub.
    answers = Options(bulk_requires_token=False, budgets=Budgets(anonymous=1_000_000))
    service = AttestationService(store, answers, keep_log=100_000)
    with serve_github(service, blobs_apart=False) as served:
        connection.send((served.url, encode_json(sigstore.trusted_root())))
        while connection.recv():
            connection.send((service.log.count("POST", "*/bulk-list"), service.log.total))


def _groups(formulae: Iterable[Formula], *, per_bottle: bool) -> Iterator[Sequence[Bottle]]:
    for formula in formulae:
        if per_bottle:
            yield from ([bottle] for bottle in formula.bottles)
        else:
            yield formula.bottles


def _recorded() -> list[dict[str, Any]]:
    default = Path(__file__).parents[3] / "shared" / "data"
    folder = Path(os.environ.get("BREW_PROVENANCE_DATA") or default)
    path = folder / "homebrew" / "homebrew-core-2026-08-22.jsonl.xz"
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def recorded_formulae(limit: int | None) -> list[Formula]:
    """Return the formulae of the recorded homebrew-core that have bottles and a version that is known."""
    return [formula for row in _recorded()[:limit] if (formula := _formula(row)).bottles]


def formula_api(limit: int | None, key: RSAPrivateKey) -> bytes:
    """Return the signed `formula.jws.json` that describes the same formulae, as long as the real one."""
    documents = [
        _described(row, formula) for row in _recorded()[:limit] if (formula := _formula(row)).bottles
    ]
    return sign_jws(json.dumps(documents, ensure_ascii=False).encode(), key)


def _stable(row: dict[str, Any]) -> str | None:
    url, tag = str(row["url"]), row["url_tag"]
    return cast("str | None", row["version"]) or detect_version(url, tag=str(tag) if tag else None)


def _formula(row: dict[str, Any]) -> Formula:
    name, stable, declared = str(row["name"]), _stable(row), row["bottles"]
    revision, rebuild = int(row["revision"] or 0), int(row["rebuild"] or 0)
    if not stable or not isinstance(declared, dict):
        return Formula(TAP, name, None, ())
    version = package_version(stable, revision)
    bottles = []
    for tag, declaration in declared.items():
        file_name = BottleFileName(name, version, tag, rebuild)
        digest = Digest("sha256", declaration["sha256"])
        place = bottle_url(DEFAULT_ROOT_URL, file_name, digest)
        bottles.append(Bottle(TAP, name, version, rebuild, tag, digest, place))
    return Formula(TAP, name, version, tuple(bottles))


# What a description of brew's has beside what is recorded; nobody reads it, and it takes its room.
_BESIDE: Final = {
    "oldnames": [],
    "versioned_formulae": [],
    "license": "GPL-3.0-or-later",
    "compatibility_version": 1,
    "autobump": True,
    "no_autobump_message": None,
    "skip_livecheck": False,
    "pour_bottle_only_if": None,
    "keg_only": False,
    "keg_only_reason": None,
    "options": [],
    "recommended_dependencies": [],
    "optional_dependencies": [],
    "uses_from_macos_bounds": [],
    "requirements": [],
    "conflicts_with": [],
    "conflicts_with_reasons": [],
    "link_overwrite": [],
    "installed": [],
    "linked_keg": None,
    "pinned": False,
    "outdated": False,
    "deprecation_date": None,
    "deprecation_replacement_formula": None,
    "deprecation_replacement_cask": None,
    "disable_date": None,
    "disable_replacement_formula": None,
    "disable_replacement_cask": None,
    "post_install_defined": False,
    "service": None,
    "tap_git_head": "5b1e7f1c7d3a49b0a4c2f0f1a9f3f1e2d3c4b5a6",
}


def _described(row: dict[str, Any], formula: Formula) -> dict[str, Any]:
    files = {
        bottle.tag: {"cellar": ":any", "url": bottle.url, "sha256": bottle.digest.value}
        for bottle in formula.bottles
    }
    stable = {
        "url": row["url"],
        "tag": row["url_tag"],
        "revision": row["url_commit"],
        "using": None,
        "checksum": row["source_sha256"],
    }
    return {
        **_BESIDE,
        "name": formula.name,
        "full_name": formula.name,
        "tap": TAP,
        "aliases": row["aliases"],
        "desc": f"The tool {formula.name} \N{EM DASH} as brew's one line would say it",
        "homepage": f"https://example.org/{formula.name}",
        "versions": {"stable": _stable(row), "head": None, "bottle": True},
        "urls": {"stable": stable},
        "revision": int(row["revision"] or 0),
        "version_scheme": int(row["version_scheme"] or 0),
        "bottle": {
            "stable": {"rebuild": int(row["rebuild"] or 0), "root_url": DEFAULT_ROOT_URL, "files": files}
        },
        "dependencies": row["dependencies"],
        "build_dependencies": row["dependencies"],
        "test_dependencies": row["dependencies"],
        "caveats": f"To run {formula.name} at login, and for what else it can do, see its manual.\n" * 8,
        "deprecated": False,
        "deprecation_reason": None,
        "disabled": False,
        "disable_reason": None,
        "ruby_source_path": row["path"],
        "ruby_source_checksum": {"sha256": formula.bottles[0].digest.value},
        "variations": {tag: {"dependencies": row["dependencies"]} for tag in ("sonoma", "ventura")},
    }


def copied(formulae: Sequence[Formula], copies: int) -> Iterator[Formula]:
    """Yield formulae so many times, each time under another name and with other digests."""
    for number in range(copies):
        for formula in formulae:
            yield formula if number == 0 else _copy(formula, number)


def _copy(formula: Formula, number: int) -> Formula:
    name = f"{formula.name}-copy{number}"
    bottles = tuple(
        replace(
            bottle,
            formula=name,
            digest=Digest("sha256", f"{number:04x}{bottle.digest.value[4:]}"),
            url=f"{bottle.url}{number}",
        )
        for bottle in formula.bottles
    )
    return replace(formula, name=name, bottles=bottles)
