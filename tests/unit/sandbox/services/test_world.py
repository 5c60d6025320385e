"""A world: its environment, its files, what it keeps, and that nothing of it is left."""

from __future__ import annotations

import gc
import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
import requests
from tests.unit.builders import SHA256
from tests.unit.sandbox.github.conftest import bundle_for
from tests.unit.sandbox.services.conftest import Client
from tests.unit.sandbox.services.test_rekor import dsse

from brew_provenance.errors import InputError
from brew_provenance.sandbox.actions import ActionsJob
from brew_provenance.sandbox.github.runs import WorkflowRuns
from brew_provenance.sandbox.services.baddays import BadDay
from brew_provenance.sandbox.services.runner import Rehearsal
from brew_provenance.sandbox.services.world import World, WorldOptions, serve_world

REPOSITORY = ActionsJob().repository


def test_every_server_has_a_port_of_its_own(world: World) -> None:
    assert set(world.urls) == {
        *("oidc", "ca", "log", "timestamping", "formulae", "registry", "github", "blobs"),
    }
    assert len(set(world.urls.values())) == len(world.urls)
    assert world.requests.keys() == world.faults.keys() == world.urls.keys() - {"blobs"}


def test_the_environment_is_a_jobs(world: World, client: Client) -> None:
    found = world.environment
    assert found["GITHUB_REPOSITORY"] == REPOSITORY
    assert found["GITHUB_API_URL"] == found["SANDBOX_GITHUB_API"] == world.urls["github"]
    assert found["ACTIONS_ID_TOKEN_REQUEST_URL"].startswith(world.urls["oidc"])
    job = client.get("github", f"/repos/{REPOSITORY}/actions/jobs/{found['SANDBOX_JOB_ID']}").json()
    assert (job["runner_name"], job["name"]) == (found["RUNNER_NAME"], found["GITHUB_JOB"])
    assert (job["conclusion"], str(job["run_id"])) == ("success", found["GITHUB_RUN_ID"])
    assert "SANDBOX_FORMULA_KEY" not in found
    event = json.loads(Path(found["GITHUB_EVENT_PATH"]).read_bytes())
    assert event["repository"]["full_name"] == REPOSITORY
    for name in ("GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STEP_SUMMARY"):
        assert Path(found[name]).read_bytes() == b""
    assert Path(found["RUNNER_TEMP"]).is_dir()
    assert json.loads(Path(found["SANDBOX_TRUST_CONFIG"]).read_bytes()) == world.trust_config
    assert json.loads(Path(found["SANDBOX_TRUSTED_ROOT"]).read_bytes()) == world.trusted_root


def test_nobodys_own_secrets_or_proxies_get_into_it(world: World) -> None:
    outer = {
        "PATH": "/bin",
        "GH_TOKEN": "real",
        "GITHUB_TOKEN": "real",
        "HOMEBREW_GITHUB_API_TOKEN": "real",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "real",
        "NO_PROXY": "example.org,",
    }
    found = world.environment_for(outer)
    assert "real" not in found.values()
    assert (found["PATH"], found["GITHUB_TOKEN"]) == ("/bin", world.token)
    assert (found["NO_PROXY"], found["no_proxy"]) == ("example.org,127.0.0.1", "127.0.0.1")
    assert world.environment_for({"NO_PROXY": "127.0.0.1"})["NO_PROXY"] == "127.0.0.1"


def test_the_jobs_token_may_publish_and_no_other_is_known(world: World, client: Client) -> None:
    path = f"/repos/{REPOSITORY}/attestations"
    body = {"bundle": json.loads(bundle_for(SHA256))}
    assert client.post("github", path, json=body).status_code == 401
    mine = {"Authorization": f"Bearer {world.token}"}
    assert client.post("github", path, json=body, headers=mine).status_code == 201
    assert client.get("github", path, headers={"Authorization": "Bearer real"}).status_code == 401


def test_permissions_that_are_left_out_are_missed(session: requests.Session) -> None:
    job = replace(ActionsJob(), visibility="private")
    options = WorldOptions(Rehearsal(job), permissions=frozenset())
    with serve_world(options) as world:
        assert "ACTIONS_ID_TOKEN_REQUEST_URL" not in world.environment
        assert "ACTIONS_ID_TOKEN_REQUEST_TOKEN" not in world.environment
        client, mine = Client(world, session), {"Authorization": f"Bearer {world.token}"}
        body = {"bundle": json.loads(bundle_for(SHA256))}
        path = f"/repos/{REPOSITORY}"
        assert client.get("github", path).status_code == 404
        assert client.get("github", path, headers=mine).json()["private"] is True
        assert client.post("github", f"{path}/attestations", json=body, headers=mine).status_code == 403
        assert client.get("github", f"{path}/actions/runs/{job.run_id}", headers=mine).status_code == 403


def test_a_bad_day_can_be_there_from_the_beginning(session: requests.Session) -> None:
    with serve_world(WorldOptions(bad_days=[BadDay.parse("log=500:1")])) as world:
        client = Client(world, session)
        assert client.get("log", "/api/v1/log").status_code == 500
        assert client.get("log", "/api/v1/log").status_code == 200
        world.stop("log")
        with pytest.raises(requests.ConnectionError):
            client.get("log", "/api/v1/log")
        assert client.get("ca", "/api/v2/trustBundle").status_code == 200


@pytest.fixture
def serving() -> Iterator[None]:
    before = [thread for thread in threading.enumerate() if thread.name.startswith("serving ")]
    yield
    after = [thread for thread in threading.enumerate() if thread.name.startswith("serving ")]
    assert after == before


@pytest.mark.usefixtures("serving")
def test_nothing_is_left_of_it() -> None:
    with serve_world() as world:
        folder = world.folder
        assert folder.is_dir()
    assert not folder.exists()
    gc.collect()


@pytest.mark.usefixtures("serving")
def test_it_stops_when_its_block_fails() -> None:
    with pytest.raises(KeyError), serve_world():
        raise KeyError("x")


def test_what_was_published_is_there_in_the_next_world(tmp_path: Path, session: requests.Session) -> None:
    state = tmp_path / "state"
    with serve_world(WorldOptions(state=state)) as world:
        client = Client(world, session)
        mine = {"Authorization": f"Bearer {world.token}"}
        body = {"bundle": json.loads(bundle_for(SHA256))}
        assert client.post("github", f"/repos/{REPOSITORY}/attestations", json=body, headers=mine).ok
        signer = world.sigstore.signer(world.rehearsal.job, world.now)
        proposal = dsse(signer)
        assert client.post("log", "/api/v1/log/entries", json=proposal).status_code == 201
        run = client.get("github", f"/repos/{REPOSITORY}/actions/runs/{world.rehearsal.job.run_id}").json()
        assert run["status"] == "in_progress"

    job = replace(world.rehearsal.job, run_id="6")
    with serve_world(WorldOptions(Rehearsal(job), state=state)) as world:
        client = Client(world, session)
        found = client.get("github", f"/repos/{REPOSITORY}/attestations/{SHA256}").json()
        assert [row["bundle"] for row in found["attestations"]] == [body["bundle"]]
        assert client.post("log", "/api/v1/log/entries", json=proposal).status_code == 409
        path = f"/repos/{REPOSITORY}/actions/runs"
        run = client.get("github", f"{path}/{ActionsJob().run_id}").json()
        assert (run["status"], run["conclusion"]) == ("completed", "success")
        jobs = client.get("github", f"{path}/{ActionsJob().run_id}/jobs").json()["jobs"]
        assert {job["conclusion"] for job in jobs} == {"success"}
        assert client.get("github", f"{path}/6").json()["status"] == "in_progress"
        started = client.get("github", f"{path}/6").json()["run_started_at"]

    now = world.options.clock() + 3600
    with serve_world(WorldOptions(Rehearsal(job), state=state, clock=lambda: now)) as world:
        client = Client(world, session)
        run = client.get("github", f"{path}/6").json()
        assert (run["run_started_at"], run["status"]) == (started, "in_progress")
        built, _ = client.get("github", f"{path}/6/jobs").json()["jobs"]
        assert built["started_at"] == started
        assert datetime.fromisoformat(built["completed_at"]).timestamp() == int(now)
        world.github.backend.runs = WorkflowRuns()
    assert json.loads((state / "runs.json").read_bytes()) == []


def test_a_state_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError), serve_world(WorldOptions(state=tmp_path / "file")):
        pass
    (tmp_path / "runs.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError), serve_world(WorldOptions(state=tmp_path)):
        pass


def test_a_state_is_one_worlds_at_a_time(tmp_path: Path) -> None:
    options = WorldOptions(state=tmp_path)
    with (
        serve_world(options),
        pytest.raises(InputError, match="another sandbox is using it"),
        serve_world(options),
    ):
        pass
    with serve_world(options) as world:
        assert world.folder == tmp_path


def test_a_state_that_is_deleted_meanwhile_keeps_nothing(tmp_path: Path) -> None:
    with serve_world(WorldOptions(state=tmp_path / "state")):
        shutil.rmtree(tmp_path / "state")
    assert not (tmp_path / "state").exists()
