"""Rightly signed attestations of our own build type that do not hold together."""

from __future__ import annotations

from collections.abc import Callable

from brew_provenance.sandbox.builds import BuildJob
from brew_provenance.sandbox.scenario import Forgery, Make, Scenario, alter_statement, reach
from brew_provenance.sandbox.wire import JsonObject

_STRANGER = "https://github.com/attacker/homebrew-fixtures"
_OTHER_ID = "999999991"

Change = Callable[[JsonObject, Scenario], object]


def _build(change: Change) -> Make:
    """Return a maker whose statement is right, of our own build type, but for a change of the predicate."""

    def edit(statement: JsonObject, scenario: Scenario) -> None:
        statement["predicate"] = BuildJob(scenario.job, scenario.bottle).predicate()
        change(statement["predicate"], scenario)

    return alter_statement(edit)


def _lie(name: str, code: str, what: str, change: Change) -> Forgery:
    return Forgery(name, code, what, _build(change))


def _parameters(predicate: JsonObject) -> JsonObject:
    return reach(predicate, "buildDefinition", "externalParameters")


def _internal(predicate: JsonObject, name: str) -> JsonObject:
    return reach(predicate, "buildDefinition", "internalParameters", name)


def _dependency(predicate: JsonObject, name: str) -> JsonObject:
    dependencies: list[JsonObject] = predicate["buildDefinition"]["resolvedDependencies"]
    return next(dependency for dependency in dependencies if dependency["name"] == name)


def _metadata(predicate: JsonObject) -> JsonObject:
    return reach(predicate, "runDetails", "metadata")


def _builder(predicate: JsonObject) -> JsonObject:
    return reach(predicate, "runDetails", "builder")


def _move_ref(predicate: JsonObject, ref: str) -> None:
    """Have it built at another ref, consistently."""
    _parameters(predicate)["ref"] = ref
    tap, formula = _dependency(predicate, "tap"), _dependency(predicate, "formula")
    tap["uri"] = f"{tap['uri'].partition('@')[0]}@{ref}"
    formula["uri"] = tap["uri"]


def _move_formula(predicate: JsonObject, path: str) -> None:
    """Have the formula's file elsewhere, consistently."""
    formula = _dependency(predicate, "formula")
    formula["uri"] = f"{formula['uri'].partition('#')[0]}#{path}"
    formula["annotations"]["path"] = path


def _build_farewell(predicate: JsonObject) -> None:
    """Have another formula built, consistently."""
    _parameters(predicate)["formula"] = "farewell"
    _move_formula(predicate, "Formula/f/farewell.rb")


def _publish_in_same_run(predicate: JsonObject, scenario: Scenario) -> None:
    """Have it built in the very run that publishes it, as the certificate describes that."""
    job = scenario.job
    _move_ref(predicate, job.ref)
    _metadata(predicate)["invocationId"] = job.run_uri
    _internal(predicate, "github").update(event_name=job.event_name, head_sha=job.sha)


def _lie_of_same_run(change: Callable[[JsonObject], object]) -> Change:
    def edit(predicate: JsonObject, scenario: Scenario) -> None:
        _publish_in_same_run(predicate, scenario)
        change(predicate)

    return edit


def _second_subject(statement: JsonObject, scenario: Scenario) -> None:
    statement["predicate"] = BuildJob(scenario.job, scenario.bottle).predicate()
    statement["subject"].append({"name": "another.tar.gz", "digest": {"sha256": "0" * 64}})


def _name_others(predicate: JsonObject, scenario: Scenario) -> None:
    other = {
        "name": str(scenario.bottle).replace(scenario.bottle.tag, "x86_64_linux"),
        "invocationId": _metadata(predicate)["invocationId"],
        "runner": {**_internal(predicate, "runner"), "os": "Linux"},
    }
    predicate["buildDefinition"]["internalParameters"]["identicalBottles"] = [other]


BOTTLE_BUILDS: tuple[Forgery, ...] = (
    Forgery(
        "build-of-two-bottles",
        "build-subjects-many",
        "One statement describes the build of two bottles.",
        alter_statement(_second_subject),
    ),
    _lie(
        "build-parameter-more",
        "external-parameters-unknown",
        "The build took an external parameter that its build type does not define.",
        lambda predicate, _: _parameters(predicate).update(options="--with-backdoor"),
    ),
    _lie(
        "build-formula-unpinned",
        "predicate-malformed",
        "The formula's content is not pinned.",
        lambda predicate, _: _dependency(predicate, "formula")["annotations"].clear(),
    ),
    _lie(
        "build-tap-twice",
        "predicate-malformed",
        "The predicate names two taps.",
        lambda predicate, _: predicate["buildDefinition"]["resolvedDependencies"].append(
            dict(_dependency(predicate, "tap"))
        ),
    ),
    _lie(
        "build-of-another-tap",
        "parameters-other-tap",
        "The build is said to be of another tap.",
        lambda predicate, _: _parameters(predicate).update(tap="attacker/fixtures"),
    ),
    _lie(
        "build-of-another-formula",
        "parameters-other-formula",
        "The build is said to be of another formula, in whose file it was.",
        lambda predicate, _: _build_farewell(predicate),
    ),
    _lie(
        "build-for-another-tag",
        "parameters-other-tag",
        "The build is said to be for another tag.",
        lambda predicate, _: _parameters(predicate).update(tag="arm64_tahoe"),
    ),
    _lie(
        "build-of-another-rebuild",
        "parameters-other-rebuild",
        "The build is said to be of another rebuild.",
        lambda predicate, scenario: _parameters(predicate).update(rebuild=scenario.bottle.rebuild + 1),
    ),
    _lie(
        "build-identical-to-others",
        "identical-bottles-mismatch",
        "The build is said to be that of other tags too, though the bottle is for one.",
        _name_others,
    ),
    _lie(
        "build-path-outside",
        "formula-path-unusable",
        "The formula's file is outside of the tap.",
        lambda predicate, scenario: _move_formula(predicate, f"../{scenario.bottle.formula}.rb"),
    ),
    _lie(
        "build-tap-of-stranger",
        "predicate-source-mismatch",
        "The tap is another repository than the certificate's.",
        lambda predicate, _: [
            _dependency(predicate, name).update(uri=f"git+{_STRANGER}@{_parameters(predicate)['ref']}")
            for name in ("tap", "formula")
        ],
    ),
    _lie(
        "build-formula-of-stranger",
        "predicate-source-mismatch",
        "The formula is from another repository than the tap.",
        lambda predicate, _: _dependency(predicate, "formula").update(
            uri=f"git+{_STRANGER}@{_parameters(predicate)['ref']}"
        ),
    ),
    _lie(
        "build-ref-lie",
        "predicate-ref-mismatch",
        "The ref is another one than the tap's.",
        lambda predicate, _: _parameters(predicate).update(ref="refs/pull/72/merge"),
    ),
    _lie(
        "build-repository-id-lie",
        "predicate-repository-id-mismatch",
        "The build ran in a repository with another id.",
        lambda predicate, _: _internal(predicate, "github").update(repository_id=_OTHER_ID),
    ),
    _lie(
        "build-owner-id-lie",
        "predicate-owner-id-mismatch",
        "The build ran for an owner with another id.",
        lambda predicate, _: _internal(predicate, "github").update(repository_owner_id=_OTHER_ID),
    ),
    _lie(
        "build-event-lie",
        "predicate-event-mismatch",
        "The ref is a pull request's, and the event is none of a pull request.",
        lambda predicate, _: _internal(predicate, "github").update(event_name="push"),
    ),
    _lie(
        "build-on-another-system",
        "runner-other-system",
        "The runner has another operating system than the bottle is for.",
        lambda predicate, _: _internal(predicate, "runner").update(os="Windows"),
    ),
    _lie(
        "build-labels-lie",
        "runner-labels-contradict",
        "The runner is said to be GitHub's, and has the label of those that are not.",
        lambda predicate, _: _internal(predicate, "runner").update(labels=["self-hosted", "macOS"]),
    ),
    _lie(
        "builder-no-workflow",
        "builder-malformed",
        "The builder is not a workflow.",
        lambda predicate, _: _builder(predicate).update(id="https://github.com/actions/runner/github-hosted"),
    ),
    _lie(
        "builder-with-host-in-user-part",
        "builder-malformed",
        "The builder's host is another one, which looks like GitHub's.",
        lambda predicate, _: _builder(predicate).update(
            id=_builder(predicate)["id"].replace("github.com", "github.com@evil.example", 1)
        ),
    ),
    _lie(
        "builder-of-stranger",
        "builder-not-allowed",
        "The bottle was built by a workflow of another repository, which the policy does not list.",
        lambda predicate, _: _builder(predicate).update(
            id=f"{_STRANGER}/.github/workflows/tests.yml@refs/heads/main"
        ),
    ),
    _lie(
        "build-run-of-stranger",
        "predicate-invocation-mismatch",
        "The build run is another repository's.",
        lambda predicate, _: _metadata(predicate).update(
            invocationId=f"{_STRANGER}/actions/runs/1/attempts/1"
        ),
    ),
    _lie(
        "build-run-by-path-tricks",
        "predicate-invocation-mismatch",
        "The build run's address leads to another repository's.",
        lambda predicate, scenario: _metadata(predicate).update(
            invocationId=f"{scenario.job.repository_uri}/../../attacker/tap/actions/runs/1/attempts/1"
        ),
    ),
    _lie(
        "build-after-signing",
        "build-times-contradict",
        "The build ended after it was attested.",
        lambda predicate, _: _metadata(predicate).update(finishedOn="2030-01-01T00:00:00Z"),
    ),
    _lie(
        "build-ends-before-it-begins",
        "build-times-contradict",
        "The build ended before it began.",
        lambda predicate, _: _metadata(predicate).update(finishedOn="2020-01-01T00:00:00Z"),
    ),
    _lie(
        "same-run-later-attempt",
        "predicate-invocation-mismatch",
        "The build is of a later attempt of the run than the one that published it.",
        _lie_of_same_run(
            lambda predicate: _metadata(predicate).update(
                invocationId=_metadata(predicate)["invocationId"].rpartition("/")[0] + "/2"
            )
        ),
    ),
    _lie(
        "same-run-other-event",
        "predicate-event-mismatch",
        "The run that built and published has two events.",
        _lie_of_same_run(lambda predicate: _internal(predicate, "github").update(event_name="schedule")),
    ),
    _lie(
        "same-run-other-ref",
        "predicate-ref-mismatch",
        "The run that built and published has two refs.",
        _lie_of_same_run(lambda predicate: _move_ref(predicate, "refs/heads/other")),
    ),
    _lie(
        "same-run-other-head",
        "predicate-commit-mismatch",
        "The run that built and published has two commits.",
        _lie_of_same_run(lambda predicate: _internal(predicate, "github").update(head_sha="0" * 40)),
    ),
)
"""Attestations of our own build type, each wrong in one way."""
