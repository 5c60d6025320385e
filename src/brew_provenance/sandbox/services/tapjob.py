"""The job that a tap's repository would start, as far as the repository and a few options say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from brew_provenance.errors import InputError, UsageError
from brew_provenance.sandbox.services.runner import Rehearsal

_PULL_REQUEST_REF = "refs/pull/{}/merge"


def with_tap(rehearsal: Rehearsal, folder: Path) -> Rehearsal:
    """Return a rehearsal at the commit that is checked out in a git repository.

    In a pull request that commit merges its head, which is its second parent, into its base. Raises
    InputError for a folder that is no repository, or has no commit.
    """
    import pygit2  # noqa: PLC0415 - for this alone

    try:
        repository = pygit2.Repository(str(folder))
        try:
            commit = repository.head.peel(pygit2.Commit)
            sha, parents = str(commit.id), [str(parent) for parent in commit.parent_ids]
        finally:
            repository.free()
    except (pygit2.GitError, KeyError, ValueError) as error:
        raise InputError(
            str(folder), f"no commit can be read: {error}", "give a tap's git repository"
        ) from error
    job = replace(rehearsal.job, sha=sha)
    if rehearsal.is_of_pull_request and len(parents) == 2:
        return replace(rehearsal, job=job, base_sha=parents[0], head_sha=parents[1])
    return replace(rehearsal, job=job)


def with_options(  # noqa: PLR0913 - one parameter an option
    rehearsal: Rehearsal,
    *,
    repository: str | None = None,
    event: str | None = None,
    workflow: str | None = None,
    ref: str | None = None,
    run_id: int | None = None,
    run_attempt: int | None = None,
    is_private: bool = False,
) -> Rehearsal:
    """Return a rehearsal of a job of another repository, event, workflow, ref or run.

    Without a ref, a pull request has the one of its merge, and all else the main branch. Raises
    UsageError for what no job can have.
    """
    changes: dict[str, str] = {}
    if repository is not None:
        owner, slash, name = repository.partition("/")
        if not (owner and slash and name) or "/" in name:
            raise UsageError(f"--repo {repository}", "not OWNER/REPO", "name a repository")
        changes["repository"] = repository
    if event is not None:
        changes["event_name"] = event
    if workflow is not None:
        changes["workflow_path"] = workflow
    if ref is None and (event or "") == "pull_request":
        ref = _PULL_REQUEST_REF.format(rehearsal.pull_request)
    if ref is not None:
        if not ref.startswith("refs/"):
            raise UsageError(f"--ref {ref}", "not a full ref", f"write for example refs/heads/{ref}")
        changes["ref"] = ref
    if run_id is not None:
        changes["run_id"] = str(run_id)
    if run_attempt is not None:
        changes["run_attempt"] = str(run_attempt)
    if is_private:
        changes["visibility"] = "private"
    return replace(rehearsal, job=replace(rehearsal.job, **changes))
