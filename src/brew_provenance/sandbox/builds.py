"""The job that built a bottle, as an attestation of our own build type describes it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from brew_provenance.bottle import ALL_TAG, BottleFileName
from brew_provenance.sandbox.actions import ActionsJob
from brew_provenance.sandbox.wire import JsonObject

BUILD_TYPE = (
    "https://github.com/brew-provenance/brew-provenance/tree/main/src/brew_provenance/buildtypes/bottle/v1"
)
_FORMULA = b"class Hello < Formula\nend\n"
_BREW = "https://github.com/Homebrew/brew"


@dataclass(frozen=True)
class BuildJob:
    """A job of a pull request's run that built one bottle; the publishing job's repository is the tap's."""

    publisher: ActionsJob
    bottle: BottleFileName
    ref: str = "refs/pull/71/merge"
    event_name: str = "pull_request"
    commit: str = "1f2e3d4c5b6a79880796a5b4c3d2e1f0a1b2c3d4"
    head: str = "9a8b7c6d5e4f30212f3e4d5c6b7a8990a1b2c3d4"
    workflow_path: str = ".github/workflows/tests.yml"
    run_id: str = "8765432109"
    run_attempt: str = "1"
    job_id: str = "24680135791"
    started_on: str = "2026-03-01T11:20:00Z"
    finished_on: str = "2026-03-01T11:28:30Z"
    source_url: str = "https://example.org/hello.tar.gz"
    source_sha256: str = "5a" * 32
    formula: bytes = _FORMULA
    """The formula's file at `commit`."""

    packed: bytes | None = None
    """That file without its bottle block, where it has one."""

    path: str | None = None
    """The file in the tap, where it is not in the folder of the formula's first letter."""

    @property
    def tap(self) -> str:
        """The tap's name, by the publisher's repository."""
        return self.publisher.repository.lower().replace("/homebrew-", "/")

    @property
    def formula_path(self) -> str:
        """The formula's file in the tap."""
        name = self.bottle.formula
        return self.path or f"Formula/{name[0].lower()}/{name}.rb"

    @property
    def run_uri(self) -> str:
        """The page of the run's attempt."""
        return f"{self.publisher.repository_uri}/actions/runs/{self.run_id}/attempts/{self.run_attempt}"

    def predicate(self) -> JsonObject:
        """Return the predicate that describes the job."""
        uri = f"git+{self.publisher.repository_uri}@{self.ref}"
        workflow = f"{self.publisher.repository_uri}/{self.workflow_path}@{self.ref}"
        return {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "tap": self.tap,
                    "formula": self.bottle.formula,
                    "tag": self.bottle.tag,
                    "rebuild": self.bottle.rebuild,
                    "ref": self.ref,
                },
                "internalParameters": {
                    "runner": _runner(self.bottle.tag),
                    "github": {
                        "repository_id": self.publisher.repository_id,
                        "repository_owner_id": self.publisher.owner_id,
                        "event_name": self.event_name,
                        "job_id": self.job_id,
                        "head_sha": self.head,
                    },
                    "identicalBottles": self._identical(),
                },
                "resolvedDependencies": [
                    {"name": "tap", "uri": uri, "digest": {"gitCommit": self.commit}},
                    self._formula(uri),
                    {
                        "name": "brew",
                        "uri": f"git+{_BREW}@refs/tags/7.0.4",
                        "digest": {"gitCommit": "0123456789abcdef0123456789abcdef01234567"},
                    },
                    {
                        "name": "source",
                        "uri": self.source_url,
                        "digest": {"sha256": self.source_sha256},
                    },
                ],
            },
            "runDetails": {
                "builder": {"id": workflow},
                "metadata": {
                    "invocationId": self.run_uri,
                    "startedOn": self.started_on,
                    "finishedOn": self.finished_on,
                },
                "byproducts": [
                    {"name": _json_name(self.bottle), "digest": {"sha256": "6b" * 32}},
                ],
            },
        }

    def _formula(self, uri: str) -> JsonObject:
        packed = self.formula if self.packed is None else self.packed
        header = b"blob %d\0" % len(self.formula)
        return {
            "name": "formula",
            "uri": f"{uri}#{self.formula_path}",
            "digest": {
                "gitBlob": hashlib.sha1(header + self.formula, usedforsecurity=False).hexdigest(),
                "sha256": hashlib.sha256(self.formula).hexdigest(),
            },
            "annotations": {
                "path": self.formula_path,
                "sha256WithoutBottleBlock": hashlib.sha256(packed).hexdigest(),
            },
        }

    def _identical(self) -> list[JsonObject]:
        """Return the bottles of which an `all` bottle was made; none for any other."""
        if self.bottle.tag != ALL_TAG:
            return []
        parts = (self.bottle.formula, self.bottle.version)
        return [
            {
                "name": str(BottleFileName(*parts, tag, self.bottle.rebuild)),
                "invocationId": self.run_uri,
                "runner": _runner(tag),
            }
            for tag in ("arm64_sonoma", "x86_64_linux")
        ]


def _json_name(bottle: BottleFileName) -> str:
    """Return how brew calls the file beside a bottle, which leaves the rebuild out."""
    return f"{bottle.formula}--{bottle.version}.{bottle.tag}.bottle.json"


def _runner(tag: str) -> JsonObject:
    if tag.endswith("_linux"):
        name, os, label, image = "GitHub Actions 1000000042", "Linux", "ubuntu-24.04", "ubuntu24"
    else:
        name, os, label, image = "GitHub Actions 1000000043", "macOS", "macos-15", "macos15"
    return {
        "name": name,
        "os": os,
        "arch": "ARM64" if tag.startswith("arm64_") else "X64",
        "environment": "github-hosted",
        "labels": [label],
        "image": {"os": image, "version": "20260301.1.0"},
    }
