"""All servers of the sandbox, started and stopped together, around a job of GitHub Actions.

    with serve_world(WorldOptions(bottles=folder)) as world:
        subprocess.run(command, env={**os.environ, **world.environment})

`world.environment` is what a job's runner sets, with SANDBOX_ variables that say where what is.
`world.urls` names each server's URL: oidc, ca, log, timestamping, github, blobs, formulae, registry.
`world.bad_day("log=lost:1")` lets a server have a bad day, as `--fault` does; `world.faults["log"]` takes any
fault of `sandbox.github.faults`; `world.stop("ca")` stops a server for good; `world.requests["log"]` is what
it was asked. `world.issuer.issue("sigstore")` makes tokens, with claims changed if you like; `world.github`
is the attestation store (`.store`), the workflow runs (`.runs`) and how both answer (`.backend.options`).
"""

from __future__ import annotations

import json
import secrets
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from brew_provenance.errors import InputError
from brew_provenance.files import write_whole
from brew_provenance.policy import policy_for_tap
from brew_provenance.sandbox.github.attestations import AttestationStore, Clock, Visibility
from brew_provenance.sandbox.github.exchange import reply_error
from brew_provenance.sandbox.github.faults import Faults
from brew_provenance.sandbox.github.log import RequestLog
from brew_provenance.sandbox.github.options import Grant, Options
from brew_provenance.sandbox.github.runs import RUN_COMPLETED, WorkflowRuns
from brew_provenance.sandbox.github.service import AttestationService
from brew_provenance.sandbox.instance import LogVersion, VirtualSigstore
from brew_provenance.sandbox.services.authority import CertificateService
from brew_provenance.sandbox.services.baddays import BadDay
from brew_provenance.sandbox.services.formulae import PREFIX, FormulaService
from brew_provenance.sandbox.services.keeping import (
    KeptAttestations,
    load_runs,
    lock_folder,
    save_runs,
)
from brew_provenance.sandbox.services.oidc import REQUEST_PATH, TokenIssuer
from brew_provenance.sandbox.services.registry import BottleRegistry
from brew_provenance.sandbox.services.rekor import LogService
from brew_provenance.sandbox.services.runner import STEP_FILES, Rehearsal
from brew_provenance.sandbox.services.service import Form, Service
from brew_provenance.sandbox.services.timestamping import PATH as TIMESTAMP_PATH
from brew_provenance.sandbox.services.timestamping import TimestampService
from brew_provenance.sandbox.services.trustconfig import build_trust_config
from brew_provenance.sandbox.serving import LoopbackServer, serve
from brew_provenance.sandbox.wire import JsonObject, encode_json

PERMISSIONS: Final = frozenset({"id-token", "attestations", "actions"})
"""The lines of `permissions:` that a job can have here."""

_SECRETS: Final = (
    *("GH_TOKEN", "GITHUB_TOKEN", "GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN"),
    *("HOMEBREW_GITHUB_API_TOKEN", "HOMEBREW_DOCKER_REGISTRY_TOKEN"),
    *("HOMEBREW_DOCKER_REGISTRY_BASIC_AUTH_TOKEN", "ACTIONS_RUNTIME_TOKEN"),
    *("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL"),
)
FORMULA_KEY: Final = "formula-api.pem"
"""The file with the key that the formula API's documents verify under."""

_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class WorldOptions:
    """What a world is like."""

    rehearsal: Rehearsal = field(default_factory=Rehearsal)
    log_version: LogVersion = "rekor-v1"
    """Which log clients are told to use; with version 2 they are told of the timestamp authority as well."""

    formulae: Path | None = None
    """A folder of `NAME.json`, brew's description of each formula, for the formula API."""

    bottles: Path | None = None
    """A folder of bottles for the registry."""

    registry_requires_token: bool = True
    permissions: Collection[str] = PERMISSIONS
    """What the job's tokens may do: of PERMISSIONS."""

    state: Path | None = None
    """A folder in which attestations, log entries and runs outlive the world, and its files are found."""

    bad_days: Sequence[BadDay] = ()
    github: Options = field(default_factory=Options)
    """How GitHub's API answers; its tokens are the job's."""

    seed: str = "brew-provenance"
    """What the keys of the Sigstore instance are derived from."""

    clock: Clock = time.time


class World:
    """A world that is running."""

    def __init__(self, options: WorldOptions, folder: Path) -> None:
        """Make its parts, without starting a server; `folder` is where its files are.

        Raises InputError for files that cannot be used.
        """
        self.options = options
        self.folder = folder
        self.rehearsal = options.rehearsal
        self.sigstore = VirtualSigstore(options.seed)
        self.trusted_root: JsonObject = self.sigstore.trusted_root()
        """What a client must trust to accept what is signed here."""
        self.token = f"sandbox-github-{secrets.token_hex(16)}"
        """The job's GITHUB_TOKEN."""
        self.request_token = f"sandbox-request-{secrets.token_hex(16)}"
        """The job's ACTIONS_ID_TOKEN_REQUEST_TOKEN."""
        job, clock, state = self.rehearsal.job, options.clock, options.state
        self.issuer = TokenIssuer(job, self.request_token, clock=clock)
        self.certificates = CertificateService(self.sigstore, self.issuer, clock=clock)
        self.log = LogService(self.sigstore, state, clock=clock)
        self.timestamping = TimestampService(self.sigstore, clock=clock)
        self.github = self._make_github()
        self.formulae = FormulaService(options.formulae, self.now)
        self.registry = BottleRegistry(options.bottles, requires_token=options.registry_requires_token)
        self.services: Mapping[str, Service] = {
            "oidc": self.issuer.service,
            "ca": self.certificates.service,
            "log": self.log.service,
            "timestamping": self.timestamping.service,
            "formulae": self.formulae.service,
            "registry": self.registry.service,
        }
        """All servers but GitHub's."""
        self.urls: dict[str, str] = {}
        """Where each server is, without a slash at the end."""
        self._servers: dict[str, LoopbackServer] = {}
        self._forms: dict[str, tuple[Faults, Form]] = {
            **{name: (service.faults, service.form) for name, service in self.services.items()},
            "github": (self.github.faults, reply_error),
        }
        for day in options.bad_days:
            day.order(self._forms)

    @property
    def faults(self) -> Mapping[str, Faults]:
        """What goes wrong next with each server."""
        return {name: faults for name, (faults, _) in self._forms.items()}

    @property
    def requests(self) -> Mapping[str, RequestLog]:
        """What each server was asked."""
        logs = {name: service.log for name, service in self.services.items()}
        return {**logs, "github": self.github.log}

    @property
    def now(self) -> datetime:
        """The time in this world."""
        return datetime.fromtimestamp(int(self.options.clock()), UTC)

    @property
    def trust_config(self) -> JsonObject:
        """The client trust configuration of the running servers."""
        return self.trust_config_for(self.options.log_version)

    def trust_config_for(self, log_version: LogVersion) -> JsonObject:
        """Return the client trust configuration for one of the two logs."""
        uses_stamps = log_version == "rekor-v2"
        return build_trust_config(
            self.trusted_root,
            self.sigstore.epoch,
            oidc=self.urls["oidc"],
            ca=self.urls["ca"],
            log=self.urls["log"],
            log_version=log_version,
            timestamping=self.urls["timestamping"] + TIMESTAMP_PATH if uses_stamps else None,
        )

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables of a job in this world, those that override a real token with nothing included."""
        folder = self.folder
        runner = self.rehearsal.environment(folder, self.urls["github"], self.token)
        identity = {
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self.urls['oidc']}{REQUEST_PATH}?api-version=2.0",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": self.request_token,
        }
        jobs = self.rehearsal.jobs(self.now)
        return {
            **runner,
            **(identity if "id-token" in self.options.permissions else {}),
            "SANDBOX_GITHUB_API": self.urls["github"],
            "SANDBOX_TRUST_CONFIG": str(folder / "trust-config.json"),
            "SANDBOX_TRUSTED_ROOT": str(folder / "trusted-root.json"),
            "SANDBOX_FORMULA_API": self.urls["formulae"] + PREFIX,
            **({"SANDBOX_FORMULA_KEY": str(folder / FORMULA_KEY)} if self.options.formulae else {}),
            "SANDBOX_REGISTRY": self.urls["registry"],
            "SANDBOX_JOB_ID": str(jobs[0].id),
            "SANDBOX_STATE": str(folder),
        }

    def environment_for(self, outer: Mapping[str, str]) -> dict[str, str]:
        """Return `outer`, the environment of a process, changed into that of a job in this world.

        Nobody's own tokens are left in it, and no proxy stands before the servers.
        """
        kept = {name: value for name, value in outer.items() if name not in _SECRETS}
        direct = {}
        for name in ("NO_PROXY", "no_proxy"):
            hosts = [host for host in outer.get(name, "").split(",") if host]
            direct[name] = ",".join(dict.fromkeys([*hosts, _LOOPBACK]))
        return {**kept, **direct, **self.environment}

    def bad_day(self, text: str) -> None:
        """Let something go wrong: `SERVICE=KIND` or `SERVICE=KIND:N`. Raises UsageError."""
        BadDay.parse(text).order(self._forms)

    def stop(self, name: str) -> None:
        """Stop a server for good: connections to it are refused from now on."""
        self._servers[name].stop()

    def start(self, stack: ExitStack) -> None:
        """Start all servers, for as long as `stack` lasts, and write the files."""
        apps = {name: service.app for name, service in self.services.items()}
        for name, app in {**apps, "github": self.github.app, "blobs": self.github.blob_app}.items():
            server = stack.enter_context(serve(app))
            self._servers[name], self.urls[name] = server, server.url
        # All at once: one after the other, each takes the moment in which it looks whether it shall.
        stack.callback(self._begin_to_stop)
        self.github.backend.blob_origin = self.urls["blobs"]
        self._write_files()

    def _begin_to_stop(self) -> None:
        for server in self._servers.values():
            server.begin_to_stop()

    def finish(self) -> None:
        """Keep how the run ended, where anything is kept."""
        if self.options.state is None:
            return
        job = self.rehearsal.job
        run = self.github.runs.find(int(job.run_id), int(job.run_attempt))
        if run is not None:
            jobs = [
                replace(each, status=RUN_COMPLETED, conclusion=each.conclusion or "success")
                for each in self.github.runs.jobs(run.id, run.run_attempt)
            ]
            conclusion = run.conclusion or "success"
            self.github.runs.put(replace(run, status=RUN_COMPLETED, conclusion=conclusion), jobs)
        save_runs(self.options.state, self.github.runs, self.now)

    def _make_github(self) -> AttestationService:
        options, job = self.options, self.rehearsal.job
        store = (
            KeptAttestations(options.state / "attestations", options.clock)
            if options.state
            else AttestationStore(options.clock)
        )
        visibility = Visibility.PUBLIC if job.visibility == "public" else Visibility.PRIVATE
        store.add_repository(
            job.repository, visibility, repository_id=int(job.repository_id), owner_id=int(job.owner_id)
        )
        # Whoever checks homebrew/core asks for the notarisation's attestations too; there are none here.
        of_core = policy_for_tap("homebrew/core").source_repositories
        if job.repository in of_core:
            for other in set(of_core) - {job.repository}:
                store.add_repository(other)
        own = frozenset({job.repository})
        may = {name: own if name in options.permissions else frozenset[str]() for name in PERMISSIONS}
        grant = Grant(reads=own, writes=may["attestations"], actions=may["actions"])
        answers = replace(options.github, tokens={**options.github.tokens, self.token: grant})
        service = AttestationService(store, answers, clock=options.clock)
        runs = load_runs(options.state) if options.state else WorkflowRuns()
        known = runs.find(int(job.run_id), int(job.run_attempt))
        # A run that goes on in this world, as after something went wrong in the last, began in that one.
        start = known.started_at if known else self.now - timedelta(seconds=1)
        runs.put(self.rehearsal.run(start), self.rehearsal.jobs(start))
        service.backend.runs = runs
        return service

    def _write_files(self) -> None:
        folder = self.folder
        (folder / "temp").mkdir(exist_ok=True)
        files = {
            "trust-config.json": encode_json(self.trust_config),
            "trusted-root.json": encode_json(self.trusted_root) + b"\n",
            **({FORMULA_KEY: self.formulae.public_key} if self.options.formulae else {}),
            "event.json": json.dumps(self.rehearsal.event(), indent=1).encode(),
            **dict.fromkeys(STEP_FILES, b""),
        }
        for name, content in files.items():
            write_whole(folder / name, content)
        if self.options.state is not None:
            save_runs(self.options.state, self.github.runs, self.now)


@contextmanager
def serve_world(options: WorldOptions | None = None) -> Iterator[World]:
    """Serve a world on free ports of loopback until the context ends.

    Raises InputError for files that cannot be used, also where another world uses the same state, and
    UsageError without the extra `sandbox`.
    """
    options = options or WorldOptions()
    with ExitStack() as stack:
        if options.state is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="brew-provenance-sandbox-")))
        else:
            folder = options.state.absolute()
            options = replace(options, state=folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            stack.enter_context(lock_folder(folder))
            world = World(options, folder)
            world.start(stack)
        except OSError as error:
            raise InputError(
                error.filename or str(folder),
                error.strerror or str(error),
                "give a folder that can be written",
            ) from error
        try:
            yield world
        finally:
            # A folder that is gone by now keeps nothing.
            with suppress(OSError):
                world.finish()
