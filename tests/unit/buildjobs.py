"""A build job as brew leaves it: a tap's clone, bottles with their JSON, and a runner's environment."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Final

import pygit2
from tests.unit.archives import directory, member, packed
from tests.unit.repositories import Files, commit, formula, make_repository

from brew_provenance.formula.bottleblock import without_bottle_block

TAP: Final = "octo/tap"
REMOTE: Final = "https://github.com/octo/homebrew-tap"
PATH: Final = "Formula/f/foo.rb"
SOURCE: Final = formula()
FILE: Final = "foo--1.1.arm64_sonoma.bottle.tar.gz"
RECORD: Final = "foo--1.1.arm64_sonoma.bottle.build-record"


def bottle_of(source: bytes, name: str = "foo", version: str = "1.1") -> bytes:
    """Return a bottle in which brew has packed a formula."""
    keg = f"{name}/{version}".encode()
    text = without_bottle_block(source)
    return packed(
        directory(keg), directory(keg + b"/.brew"), member(keg + b"/.brew/%s.rb" % name.encode(), text)
    )


def environment(**changes: str | None) -> dict[str, str]:
    """Return what the runner tells a job; a None takes something away."""
    variables: dict[str, str | None] = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": "push",
        "GITHUB_JOB": "tests",
        "GITHUB_REF": "refs/heads/main",
        "GITHUB_REPOSITORY": "octo/homebrew-tap",
        "GITHUB_REPOSITORY_ID": "801234567",
        "GITHUB_REPOSITORY_OWNER_ID": "161234567",
        "GITHUB_RUN_ATTEMPT": "1",
        "GITHUB_RUN_ID": "9876543210",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_SHA": "a" * 40,
        "GITHUB_WORKFLOW_REF": "octo/homebrew-tap/.github/workflows/tests.yml@refs/heads/main",
        "ImageOS": "ubuntu24",
        "ImageVersion": "20260301.1.0",
        "RUNNER_ARCH": "X64",
        "RUNNER_ENVIRONMENT": "github-hosted",
        "RUNNER_NAME": "GitHub Actions 3",
        "RUNNER_OS": "Linux",
    }
    return {name: value for name, value in (variables | changes).items() if value is not None}


def write_event(path: Path, head: str) -> dict[str, str]:
    """Write a pull request's event, and return the variables that go with it."""
    path.write_text(json.dumps({"pull_request": {"head": {"sha": head}}}), encoding="utf-8")
    return {
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_EVENT_PATH": str(path),
        "GITHUB_REF": "refs/pull/7/merge",
    }


class Build:
    """One job's folders."""

    def __init__(self, folder: Path, files: Files | None = None, *, bare: bool = False) -> None:
        self.tap = folder / "tap"
        self.bottles = folder / "bottles"
        self.bottles.mkdir(parents=True)
        self.repository: pygit2.Repository = make_repository(self.tap, bare=bare)
        self.commit = commit(self.repository, {PATH: SOURCE} if files is None else files)

    def write_working_copy(self, content: bytes = SOURCE, path: str = PATH) -> Path:
        file = self.tap / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return file

    def bottle(
        self,
        source: bytes = SOURCE,
        *,
        name: str = "foo",
        version: str = "1.1",
        tag: str = "arm64_sonoma",
        rebuild: int = 0,
        **changes: Any,
    ) -> Path:
        """Write a bottle and its `*.bottle.json`, and return the bottle's file."""
        content = bottle_of(source, name, version)
        suffix = f".{rebuild}" if rebuild else ""
        file = self.bottles / f"{name}--{version}.{tag}.bottle{suffix}.tar.gz"
        file.write_bytes(content)
        document = self.describe(
            hashlib.sha256(content).hexdigest(), file.name, name, version, tag, rebuild, **changes
        )
        self.write_json(document, f"{name}--{version}.{tag}.bottle.json")
        return file

    def describe(
        self, sha256: str, file: str, name: str, version: str, tag: str, rebuild: int, **changes: Any
    ) -> dict[str, Any]:
        """Return what brew writes of a bottle; `changes` are to what it says of the formula."""
        told = {
            "name": name,
            "pkg_version": version,
            "path": f"Library/Taps/octo/homebrew-tap/{PATH}",
            "tap_git_path": PATH.replace("foo", name),
            "tap_git_revision": self.commit,
            "tap_git_remote": REMOTE,
            "desc": "Foo",
        } | changes
        tagged = {
            "filename": file.replace("--", "-"),
            "local_filename": file,
            "sha256": sha256,
            "tab": {"homebrew_version": "7.0.4", "compiler": "clang"},
            "all_files": ["bin/foo"],
        }
        return {
            f"{TAP}/{name}": {
                "formula": {key: value for key, value in told.items() if value is not None},
                "bottle": {"root_url": "x", "cellar": "any", "rebuild": rebuild, "tags": {tag: tagged}},
            }
        }

    def write_json(self, document: object, name: str) -> Path:
        file = self.bottles / name
        file.write_text(json.dumps(document), encoding="utf-8")
        return file

    def environment(self, **changes: str | None) -> dict[str, str]:
        return environment(**{"GITHUB_SHA": self.commit} | changes)
