"""A kit made by a virtual Sigstore: what a tap's CI and a store would have left behind."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from brew_provenance import strictjson
from brew_provenance.bottle import ALL_TAG, Bottle, Digest
from brew_provenance.errors import InputError, NothingMatchedError
from brew_provenance.formula import Formula, FormulaError
from brew_provenance.formula.apijson import read_formula
from brew_provenance.sandbox.actions import ActionsJob, build_statement, build_subject
from brew_provenance.sandbox.forgery import FORGERIES
from brew_provenance.sandbox.instance import VirtualSigstore
from brew_provenance.sandbox.scenario import Scenario
from brew_provenance.sandbox.wire import JsonObject, encode_json
from brew_provenance.stores.kit import TRUSTED_ROOT, write_kit
from brew_provenance.strictjson import MalformedJSONError

SIGNED_AT: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)
"""When everything in a rehearsal is signed; fixed, so that a rehearsal can be repeated to the byte."""

_MAX_FORMULA_BYTES = 1024 * 1024
# The tags whose equal bottles `brew bottle --merge` makes one `all` bottle of, after they were attested.
_MERGED_TAGS = ("arm64_sonoma", "x86_64_linux")


def make_kit(
    folder: Path,
    fixtures: Path,
    *,
    unattested: Collection[str] = (),
    forged: Mapping[str, str] | None = None,
) -> int:
    """Write a kit for the formulae that `fixtures` describes, and return how many bottles it covers.

    `fixtures` holds `api/NAME.json`, brew's description of each formula, and `bottles/`, its bottles.
    Each formula gets one attestation for all of its bottles, as a publishing job makes it; those in
    `unattested` get none, and those in `forged` a forgery by its name in the catalogue.

    Raises InputError for files that cannot be used, and NothingMatchedError for a formula or a
    forgery that does not exist.
    """
    sigstore = VirtualSigstore()
    formulae = {path: _read_formula(path) for path in sorted((fixtures / "api").glob("*.json"))}
    names = {formula.name for formula in formulae.values()}
    for name in [*unattested, *(forged or {})]:
        if name not in names:
            raise NothingMatchedError(
                name, f"{fixtures} describes no such formula", f"one of {', '.join(sorted(names))}"
            )
    attestations: dict[Digest, list[bytes]] = {}
    for formula in formulae.values():
        for bottle in formula.bottles:
            attestations[bottle.digest] = []
        if not formula.bottles or formula.name in unattested:
            continue
        for bottle, bundle in _attest(sigstore, formula, fixtures, (forged or {}).get(formula.name)):
            attestations[bottle.digest].append(bundle)
    root = encode_json(sigstore.trusted_root()) + b"\n"
    described = {formula.full_name: path.read_bytes() for path, formula in formulae.items()}
    write_kit(folder, described, attestations, {TRUSTED_ROOT: root})
    return len(attestations)


def _attest(
    sigstore: VirtualSigstore, formula: Formula, fixtures: Path, forgery: str | None
) -> list[tuple[Bottle, bytes]]:
    job = _job(formula)
    if forgery is not None:
        return [(bottle, _forge(sigstore, job, bottle, fixtures, forgery)) for bottle in formula.bottles]
    subjects = [subject for bottle in formula.bottles for subject in _subjects(bottle)]
    bundle = encode_json(sigstore.attest(build_statement(subjects, job.provenance()), job, at=SIGNED_AT))
    return [(bottle, bundle) for bottle in formula.bottles]


def _job(formula: Formula) -> ActionsJob:
    user, _, repository = formula.tap.partition("/")
    return ActionsJob(repository=f"{user}/homebrew-{repository}", event_name="workflow_dispatch")


def _subjects(bottle: Bottle) -> list[JsonObject]:
    tags = _MERGED_TAGS if bottle.tag == ALL_TAG else (bottle.tag,)
    return [build_subject(str(bottle.with_tag(tag).file_name), bottle.digest.value) for tag in tags]


def _forge(sigstore: VirtualSigstore, job: ActionsJob, bottle: Bottle, fixtures: Path, name: str) -> bytes:
    forgery = next((forgery for forgery in FORGERIES if forgery.name == name), None)
    if forgery is None:
        raise NothingMatchedError(
            name, "the catalogue has no such forgery", "see `brew-provenance sandbox forgeries`"
        )
    path = fixtures / "bottles" / str(bottle.file_name)
    try:
        artifact = path.read_bytes()
    except OSError as error:
        raise InputError(
            str(path), error.strerror or str(error), "a forgery needs the bottle itself"
        ) from error
    scenario = Scenario(
        sigstore=sigstore, job=job, at=SIGNED_AT, artifact=artifact, name=str(bottle.file_name)
    )
    # Some forgeries are no JSON, which a kit, whose files are JSON lines, cannot hold.
    try:
        return encode_json(json.loads(forgery.make(scenario)))
    except ValueError as error:
        raise InputError(
            name, "this forgery cannot stand in a kit", "choose one whose bundle is JSON"
        ) from error


def _read_formula(path: Path) -> Formula:
    try:
        return read_formula(strictjson.loads(path.read_bytes(), _MAX_FORMULA_BYTES))
    except OSError as error:
        raise InputError(str(path), error.strerror or str(error), "give a readable folder") from error
    except (MalformedJSONError, FormulaError) as error:
        raise InputError(str(path), str(error), "give brew's JSON description of a formula") from error
