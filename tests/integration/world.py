"""A whole world on loopback: the signed formula API, GitHub's attestation store, and a scripted brew."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from brew_provenance.bottle import Bottle, BottleTag, bottle_url
from brew_provenance.formula import Formula
from brew_provenance.formula.apijson import read_formula
from brew_provenance.formula.internalapi import ROOT_URL
from brew_provenance.host import choose_tag
from brew_provenance.sandbox.actions import ActionsJob, build_statement, build_subject
from brew_provenance.sandbox.forgery import FORGERIES
from brew_provenance.sandbox.formulaapi import build_documents
from brew_provenance.sandbox.github.attestations import AttestationStore
from brew_provenance.sandbox.github.service import AttestationService
from brew_provenance.sandbox.instance import VirtualSigstore
from brew_provenance.sandbox.rehearsal import SIGNED_AT
from brew_provenance.sandbox.scenario import Scenario
from brew_provenance.sandbox.wire import encode_json

FIXTURES = Path(__file__).parents[2] / "formula-fixtures"
CORE, FIXTURE_TAP = "homebrew/core", "brew-provenance/fixtures"
TAG = BottleTag("linux", "x86_64")
"""The machine that all of this happens on, whichever the tests run on."""

BACKFILL = "trailofbits/homebrew-brew-verify"
"""The other repository that homebrew/core's policy knows of; it never has anything here."""

JOBS = {
    CORE: ActionsJob(
        repository="Homebrew/homebrew-core",
        workflow_path=".github/workflows/publish-commit-bottles.yml",
        event_name="workflow_dispatch",
    ),
    FIXTURE_TAP: ActionsJob(event_name="workflow_dispatch"),
}

BREW = r'''#!{python} -IS
"""Does what brew does, as far as its callers can tell, and notes what it was called with."""
import hashlib, json, os, pathlib, shutil, signal, sys, time

here = pathlib.Path(__file__).absolute().parent
script = json.loads((here / "script.json").read_text(encoding="utf-8"))
prefix = pathlib.Path(script["prefix"])
cellar = prefix / "Cellar"
command, *arguments = sys.argv[1:]
names = [argument for argument in arguments if not argument.startswith("-")]


def note(what, entry):
    with (here / what).open("a", encoding="utf-8") as notes:
        notes.write(json.dumps(entry) + "\n")


def cached(name):
    formula = script["formulae"][name]
    digest = hashlib.sha256(formula["url"].encode()).hexdigest()
    return pathlib.Path(os.environ["HOMEBREW_CACHE"]) / "downloads" / (digest + "--" + formula["file"])


def is_installed(name):
    formula = script["formulae"][name]
    keg = cellar / formula["name"] / formula["version"]
    return keg.is_dir() and any(keg.iterdir()) and (prefix / "opt" / formula["name"]).is_dir()


def make_keg(name, version, tap, poured=True):
    keg = cellar / name / version
    moved = keg.with_name(version + ".reinstall")
    if keg.is_dir():
        keg.rename(moved)
    keg.mkdir(parents=True)
    receipt = {{"homebrew_version": "7.0.4", "poured_from_bottle": poured, "source": {{"tap": tap}}}}
    (keg / "INSTALL_RECEIPT.json").write_text(json.dumps(receipt), encoding="utf-8")
    link = prefix / "opt" / name
    link.parent.mkdir(exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(keg)
    shutil.rmtree(moved, ignore_errors=True)


def pour(name):
    formula = script["formulae"][name]
    for needed in formula["needs"]:
        if not is_installed(needed):
            pour(needed)
    note("poured.jsonl", [name, hashlib.sha256(cached(name).read_bytes()).hexdigest()])
    make_keg(formula["name"], formula["version"], formula["tap"], name not in script["builds"])


environment = {{name: value for name, value in os.environ.items() if name.startswith("HOMEBREW_")}}
note("calls.jsonl", {{"argv": sys.argv[1:], "environment": environment, "cwd": os.getcwd()}})
print(script["says"].get(command, "==> brew " + command), file=sys.stderr)
if command in script["hangs"]:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    time.sleep(600)
if command in script["floods"]:
    while True:
        sys.stdout.write("/" * 65536)
if command in script["fails"]:
    sys.exit(script["fails"][command])
if command in script["lines"]:
    sys.stdout.buffer.write("".join(line + "\n" for line in script["lines"][command]).encode("latin-1"))
elif command == "--prefix":
    print(prefix)
elif command == "--cellar":
    print(cellar)
elif command == "--version":
    print("Homebrew 7.0.4")
elif command == "fetch":
    for name in names:
        if name not in script["skips"] and not cached(name).exists():
            cached(name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(script["formulae"][name]["source"], cached(name))
elif command == "--cache":
    for name in names:
        print(cached(name))
elif command == "info":
    print(json.dumps({{"formulae": [script["formulae"][name]["described"] for name in names]}}))
elif command in ("install", "upgrade", "reinstall"):
    print("==> Pouring")
    if not {{"-n", "--dry-run"}} & set(arguments):
        for name in names:
            if command == "reinstall" or not is_installed(name):
                pour(name)
        for keg in script["brings"]:
            make_keg(*keg)
    sys.exit(script["fails_late"])
'''


@dataclass(frozen=True)
class Call:
    """One call of brew."""

    argv: list[str]
    environment: Mapping[str, str]
    """Its HOMEBREW_ variables."""

    cwd: str


class ScriptedBrew:
    """A brew that is a script, whose next steps a test may change."""

    def __init__(self, folder: Path, prefix: Path, formulae: Mapping[str, Mapping[str, Any]]) -> None:
        folder.mkdir()
        prefix.mkdir()
        self._folder = folder
        self._script: dict[str, Any] = {
            "prefix": str(prefix),
            "formulae": formulae,
            "says": {},  # what it says on standard error, by command
            "hangs": [],
            "floods": [],
            "fails": {},  # exit code, by command
            "fails_late": 0,  # exit code, after it has poured
            "lines": {},  # standard output, by command
            "skips": [],  # formulae that it does not fetch
            "builds": [],  # formulae that it builds where it should pour
            "brings": [],  # kegs that it installs on its own
        }
        self.executable = folder / "brew"
        self.executable.write_text(BREW.format(python=sys.executable), encoding="utf-8")
        self.executable.chmod(0o755)
        self.will()

    def will(self, **changes: Any) -> None:
        """Change what it does from now on."""
        unknown = changes.keys() - self._script.keys()
        assert not unknown
        self._script |= changes
        (self._folder / "script.json").write_text(json.dumps(self._script), encoding="utf-8")

    @property
    def formulae(self) -> Mapping[str, Mapping[str, Any]]:
        """What it knows of formulae, by the names that it is given."""
        known: Mapping[str, Mapping[str, Any]] = self._script["formulae"]
        return known

    def forget(self) -> None:
        """Leave out of `calls` and of `poured` what was until now."""
        for name in ("calls.jsonl", "poured.jsonl"):
            (self._folder / name).unlink(missing_ok=True)

    @property
    def calls(self) -> list[Call]:
        """All calls so far."""
        return [Call(**entry) for entry in self._notes("calls.jsonl")]

    @property
    def commands(self) -> list[str]:
        """The commands of all calls so far."""
        return [call.argv[0] for call in self.calls]

    @property
    def poured(self) -> dict[str, str]:
        """The sha256 of the very files that it poured, by formula."""
        return dict(self._notes("poured.jsonl"))

    def _notes(self, name: str) -> list[Any]:
        path = self._folder / name
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]


@dataclass(frozen=True)
class Ground:
    """What all worlds share, as it takes a while to make."""

    sigstore: VirtualSigstore
    key: RSAPrivateKey
    formulae: Mapping[str, Formula]
    """By full name, those of both taps."""

    described: Mapping[str, Any]
    """brew's descriptions of the tap's own."""

    documents: Mapping[str, bytes]
    """The signed API's, by their paths."""

    bundles: Mapping[str, bytes]
    """An attestation of all bottles of a formula, by its full name."""

    def forge(self, full_name: str, forgery: str) -> bytes:
        """Return a forged attestation of a formula's bottle."""
        formula = self.formulae[full_name]
        bottle = bottle_of(formula)
        scenario = Scenario(
            sigstore=self.sigstore,
            job=JOBS[formula.tap],
            at=SIGNED_AT,
            artifact=(FIXTURES / "bottles" / str(bottle.file_name)).read_bytes(),
            name=str(bottle.file_name),
        )
        return next(known for known in FORGERIES if known.name == forgery).make(scenario)


def bottle_of(formula: Formula) -> Bottle:
    """Return the bottle that brew pours here."""
    choice = choose_tag([bottle.tag for bottle in formula.bottles], TAG)
    return next(bottle for bottle in formula.bottles if choice and bottle.tag == choice.tag)


def make_ground(folder: Path) -> Ground:
    """Make what all worlds share; `folder` is for files that are needed on the way."""
    sigstore, key = VirtualSigstore(), generate_private_key(65537, 2048)
    shutil.copytree(FIXTURES / "api", folder, dirs_exist_ok=True)
    hello = json.loads((folder / "hello.json").read_text(encoding="utf-8"))
    (folder / "hello.json").write_text(json.dumps(hello | {"aliases": ["hi"]}), encoding="utf-8")
    documents = build_documents(folder, key, generated_at=datetime.now(UTC), tags=[str(TAG)])
    documented = [json.loads(path.read_bytes()) for path in sorted(folder.glob("*.json"))]
    described = {document["full_name"]: document for document in documented}
    listed = json.loads(json.loads(documents["formula.jws.json"])["payload"])
    formulae = {formula.full_name: formula for formula in map(read_formula, [*described.values(), *listed])}
    bundles = {}
    for full_name, formula in formulae.items():
        subjects = [
            build_subject(str(bottle.file_name), bottle.digest.value) for bottle in formula.bottles
        ] or [build_subject("nothing", "0" * 64)]
        job = JOBS[formula.tap]
        bundles[full_name] = encode_json(
            sigstore.attest(build_statement(subjects, job.provenance()), job, at=SIGNED_AT)
        )
    return Ground(sigstore, key, formulae, described, documents, bundles)


class World:
    """A machine with a brew, an API and a store; all that is in the store is what a test attests."""

    def __init__(self, ground: Ground, folder: Path, url: str) -> None:
        self.ground = ground
        self.folder = folder
        self.cache = folder / "brew-cache"
        self.prefix = folder / "prefix"
        self.cellar = self.prefix / "Cellar"
        self.documents = dict(ground.documents)
        self.brew = ScriptedBrew(folder / "bin", self.prefix, dict(self._formulae()))
        store = AttestationStore()
        for repository in (*(job.repository for job in JOBS.values()), BACKFILL):
            store.add_repository(repository)
        self.service = AttestationService(store)
        root, key = folder / "root.json", folder / "key.pem"
        root.write_bytes(encode_json(ground.sigstore.trusted_root()))
        public = ground.key.public_key()
        key.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        self.api = f"{url}/api"
        self.options: list[object] = ["--formula-key", key, "--github-api", url, "--trusted-root", root]

    def attest(self, *names: str, tap: str = CORE) -> None:
        """Put attestations of all bottles of formulae into the store."""
        for name in names:
            self.put(name, self.ground.bundles[f"{tap}/{name}"], tap=tap)

    def put(self, name: str, bundle: bytes, *, tap: str = CORE) -> None:
        """Put any bundle into the store, to be found for the bottle of a formula."""
        digest = bottle_of(self.ground.formulae[f"{tap}/{name}"]).digest
        self.service.store.add(
            JOBS[tap].repository, bundle, digests=[digest], predicate_type="https://slsa.dev/provenance/v1"
        )

    def install(
        self,
        name: str,
        version: str | None = None,
        *,
        tap: str = CORE,
        receipt: bool = True,
        link: bool = True,
    ) -> Path:
        """Put a keg into the Cellar, of the latest version where none is given."""
        keg = self.cellar / name / (version or str(self.ground.formulae[f"{CORE}/{name}"].version))
        keg.mkdir(parents=True)
        if receipt:
            document = {"homebrew_version": "7.0.4", "poured_from_bottle": True, "source": {"tap": tap}}
            (keg / "INSTALL_RECEIPT.json").write_text(json.dumps(document), encoding="utf-8")
        if link:
            (self.prefix / "opt").mkdir(exist_ok=True)
            (self.prefix / "opt" / name).symlink_to(keg)
        return keg

    def kegs(self) -> set[str]:
        """Return what is in the Cellar, as `name/version`."""
        return {str(path.relative_to(self.cellar)) for path in self.cellar.glob("*/*")}

    def cached(self) -> dict[str, bytes]:
        """Return brew's download cache: contents by what stands after the digest of the URL."""
        paths = sorted((self.cache / "downloads").glob("*"))
        return {path.name.partition("--")[2]: path.read_bytes() for path in paths}

    def sha256(self, name: str, tap: str = CORE) -> str:
        """Return the digest of a formula's bottle."""
        return str(bottle_of(self.ground.formulae[f"{tap}/{name}"]).digest.value)

    def _formulae(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for formula in self.ground.formulae.values():
            if not formula.bottles or formula.name == "hello+plus":
                continue  # without any, or without one for this machine
            bottle, is_core = bottle_of(formula), formula.tap == CORE
            root = ROOT_URL if is_core else "https://ghcr.io/v2/brew-provenance/fixtures"
            yield (
                formula.name if is_core else formula.full_name,
                {
                    "name": formula.name,
                    "tap": formula.tap,
                    "version": formula.version,
                    "url": bottle_url(root, bottle.file_name, bottle.digest),
                    "file": str(bottle.file_name),
                    "source": str(FIXTURES / "bottles" / str(bottle.file_name)),
                    "needs": [need.name for need in formula.dependencies],
                    "described": self.ground.described.get(formula.full_name),
                },
            )


class Front:
    """The application that serves the API and the store of one world after another."""

    def __init__(self) -> None:
        self.world: World | None = None
        self._documents = Router([Route("/api/{path:path}", self._document)])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        is_of_store = scope["type"] == "http" and not scope["path"].startswith("/api/")
        app = self.world.service.app if self.world and is_of_store else self._documents
        await app(scope, receive, send)

    def _document(self, request: Request) -> Response:
        documents = self.world.documents if self.world else {}
        body = documents.get(request.path_params["path"])
        return Response(body or b"", 404 if body is None else 200)


def environment(world: World) -> dict[str, str]:
    """Return the variables that a shell on that machine has."""
    return {
        "PATH": f"{world.brew.executable.parent}:/usr/bin:/bin",
        "HOME": str(world.folder / "home"),
        "XDG_CACHE_HOME": str(world.folder / "cache"),
        "HOMEBREW_PREFIX": str(world.prefix),
        "HOMEBREW_REPOSITORY": str(world.prefix),
        "HOMEBREW_CACHE": str(world.cache),
        "HOMEBREW_API_DOMAIN": world.api,
    }


def names_of(call: Call) -> Sequence[str]:
    """Return what stands in a call after `--formula`."""
    return call.argv[call.argv.index("--formula") + 1 :]
