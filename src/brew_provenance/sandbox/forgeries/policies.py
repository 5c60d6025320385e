"""Rightly made evidence of jobs that the policy does not allow."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from brew_provenance.sandbox.actions import ActionsJob
from brew_provenance.sandbox.scenario import Forgery, Make, alter_job

_OTHER_COMMIT = "0" * 40
_OTHER_ID = "999999991"
_CYRILLIC_O = "\u043e"


def _issued_by(change: str) -> Make:
    """Return a maker whose job's token another issuer signed; {} stands for the right one."""
    return alter_job(lambda job: replace(job, issuer=change.format(job.issuer)))


def _signed_in(repository: str) -> Make:
    """Return a maker whose job a reusable workflow of another repository runs."""
    return alter_job(
        lambda job: replace(job, signer=f"{_fill(repository, job)}/{job.workflow_path}@{job.ref}")
    )


def _signed_by(path: str) -> Make:
    """Return a maker whose job is of another workflow of the right repository."""
    return alter_job(lambda job: replace(job, workflow_path=path))


def _signed_at(ref: str) -> Make:
    """Return a maker whose job a reusable workflow at another ref runs."""
    return alter_job(lambda job: replace(job, signer=f"{job.repository}/{job.workflow_path}@{ref}"))


def _called_from(repository: str) -> Make:
    """Return a maker whose job is another repository's, and runs the right workflow."""
    return alter_job(lambda job: replace(job, repository=_fill(repository, job), signer=job.job_workflow_ref))


def _called_at(ref: str, event_name: str) -> Make:
    """Return a maker whose job is of another ref, and runs the right workflow."""
    return alter_job(lambda job: replace(job, ref=ref, event_name=event_name, signer=job.job_workflow_ref))


def _called_by_stranger(job: ActionsJob) -> ActionsJob:
    return replace(
        job,
        repository="attacker/homebrew-fixtures",
        repository_id=_OTHER_ID,
        owner_id=_OTHER_ID,
        signer=job.job_workflow_ref,
    )


def _fill(repository: str, job: ActionsJob) -> str:
    return repository.format(
        repository=job.repository,
        owner=job.owner,
        homoglyph=job.repository.replace("o", _CYRILLIC_O, 1),
    )


def _sign_on(day: datetime) -> Make:
    """Return a maker that signs at another time."""
    return lambda scenario: replace(scenario, at=day).good()


_ISSUERS = (
    Forgery(
        "issuer-of-enterprise",
        "issuer-not-allowed",
        "The issuer is GitHub's for one enterprise.",
        _issued_by("{}/attacker"),
    ),
    Forgery(
        "issuer-with-slash",
        "issuer-not-allowed",
        "The issuer ends in a slash.",
        _issued_by("{}/"),
    ),
    Forgery(
        "issuer-in-capitals",
        "issuer-not-allowed",
        "The issuer is in capitals.",
        alter_job(lambda job: replace(job, issuer=job.issuer.upper())),
    ),
    Forgery(
        "issuer-on-other-host",
        "issuer-not-allowed",
        "The issuer is another host whose name begins as the right one.",
        _issued_by("{}.attacker.example"),
    ),
)

_SIGNERS = (
    Forgery(
        "signer-of-stranger",
        "signer-repository-not-allowed",
        "A reusable workflow of another owner ran the job.",
        _signed_in("attacker/homebrew-fixtures"),
    ),
    Forgery(
        "signer-in-sibling",
        "signer-repository-not-allowed",
        "A reusable workflow of another repository of the owner ran the job.",
        _signed_in("{owner}/homebrew-other"),
    ),
    Forgery(
        "signer-in-longer-name",
        "signer-repository-not-allowed",
        "A reusable workflow of a repository whose name begins as the right one ran the job.",
        _signed_in("{repository}-evil"),
    ),
    Forgery(
        "other-workflow",
        "signer-workflow-not-allowed",
        "Another workflow signed.",
        _signed_by(".github/workflows/tests.yml"),
    ),
    Forgery(
        "workflow-in-capitals",
        "signer-workflow-not-allowed",
        "The workflow's name differs from the right one in its case.",
        _signed_by(".github/workflows/PUBLISH.yml"),
    ),
    Forgery(
        "workflow-with-longer-name",
        "signer-workflow-not-allowed",
        "The workflow's name begins as the right one.",
        _signed_by(".github/workflows/publish.yml.attacker.yml"),
    ),
    Forgery(
        "workflow-with-other-suffix",
        "signer-workflow-not-allowed",
        "The workflow's name ends in yaml.",
        _signed_by(".github/workflows/publish.yaml"),
    ),
    Forgery(
        "signer-from-branch",
        "signer-ref-not-allowed",
        "The signing workflow is that of another branch.",
        _signed_at("refs/heads/feature"),
    ),
    Forgery(
        "signer-from-longer-branch",
        "signer-ref-not-allowed",
        "The signing workflow is that of a branch whose name begins as the right one.",
        _signed_at("refs/heads/main-2"),
    ),
    Forgery(
        "signer-from-tag",
        "signer-ref-not-allowed",
        "The signing workflow is that of a tag named as the branch.",
        _signed_at("refs/tags/main"),
    ),
    Forgery(
        "signer-from-pull-request",
        "signer-ref-not-allowed",
        "The signing workflow is that of a pull request.",
        _signed_at("refs/pull/7/merge"),
    ),
    Forgery(
        "signer-from-commit",
        "signer-ref-not-allowed",
        "The signing workflow is that of a commit, which any fork can make.",
        _signed_at(_OTHER_COMMIT),
    ),
)

_SOURCES = (
    Forgery(
        "source-of-stranger",
        "source-repository-not-allowed",
        "A stranger's repository called the right workflow.",
        alter_job(_called_by_stranger),
    ),
    Forgery(
        "source-with-longer-name",
        "source-repository-not-allowed",
        "The source repository's name begins as the right one.",
        _called_from("{repository}-evil"),
    ),
    Forgery(
        "source-with-homoglyph",
        "source-repository-not-allowed",
        "The source repository's owner has a Cyrillic letter in its name.",
        _called_from("{homoglyph}"),
    ),
    Forgery(
        "source-recreated",
        "source-repository-id-not-allowed",
        "Somebody made a new repository under the right name.",
        alter_job(lambda job: replace(job, repository_id=_OTHER_ID)),
    ),
    Forgery(
        "source-with-longer-id",
        "source-repository-id-not-allowed",
        "The source repository's id begins as the right one.",
        alter_job(lambda job: replace(job, repository_id=f"{job.repository_id}0")),
    ),
    Forgery(
        "owner-recreated",
        "source-owner-id-not-allowed",
        "Somebody took the owner's name after it was given up.",
        alter_job(lambda job: replace(job, owner_id=_OTHER_ID)),
    ),
    Forgery(
        "source-from-branch",
        "source-ref-not-allowed",
        "Another branch called the right workflow.",
        _called_at("refs/heads/feature", "push"),
    ),
    Forgery(
        "source-from-pull-request",
        "source-ref-not-allowed",
        "A pull request called the right workflow.",
        _called_at("refs/pull/7/merge", "pull_request"),
    ),
    Forgery(
        "source-from-tag",
        "source-ref-not-allowed",
        "A tag named as the branch called the right workflow.",
        _called_at("refs/tags/main", "push"),
    ),
)

_CIRCUMSTANCES = (
    Forgery(
        "self-hosted-runner",
        "runner-environment-not-allowed",
        "The job ran on somebody's own machine.",
        alter_job(lambda job: replace(job, runner_environment="self-hosted")),
    ),
    Forgery(
        "runner-in-capitals",
        "runner-environment-not-allowed",
        "The kind of runner differs from the allowed one in its case.",
        alter_job(lambda job: replace(job, runner_environment=job.runner_environment.upper())),
    ),
    Forgery(
        "signed-before-policy",
        "signed-too-early",
        "The bundle was signed in the last second before the policy begins.",
        _sign_on(datetime(2023, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ),
    Forgery(
        "signed-after-policy",
        "signed-too-late",
        "The bundle was signed in the first second after the policy has ended.",
        _sign_on(datetime(2030, 1, 1, 0, 0, 1, tzinfo=UTC)),
    ),
)

POLICIES: tuple[Forgery, ...] = (*_ISSUERS, *_SIGNERS, *_SOURCES, *_CIRCUMSTANCES)
