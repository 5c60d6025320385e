"""The API's endpoints, from a request to an answer, and the table of their routes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from brew_provenance.bundle import read_bundle
from brew_provenance.findings import Finding
from brew_provenance.sandbox.github.actionsapi import ACTIONS_ROUTES, describe_repository
from brew_provenance.sandbox.github.attestations import (
    Attestation,
    Content,
    InvalidBundleError,
    read_content,
)
from brew_provenance.sandbox.github.backend import (
    Backend,
    Caller,
    Endpoint,
    find_of_owner,
    find_repository,
    read_digest,
    read_digests,
    read_request,
)
from brew_provenance.sandbox.github.exchange import Call, RefusedError, Reply, reply_json
from brew_provenance.sandbox.github.listing import list_many_of_owner, list_of_owner, list_of_repository
from brew_provenance.sandbox.github.options import INLINE_VERSION
from brew_provenance.sandbox.wire import JsonObject, encode_json
from brew_provenance.statement import MAX_SUBJECTS


def show_repository(backend: Backend, call: Call, caller: Caller) -> Reply:
    """Say that a repository is there."""
    return reply_json(200, describe_repository(find_repository(backend, call, caller)))


def show_rate_limit(backend: Backend, _: Call, caller: Caller) -> Reply:
    """Say what the caller has left."""
    allowance = backend.limiter.look(caller.token, backend.options.budgets)
    core = {
        "limit": allowance.limit,
        "used": allowance.used,
        "remaining": allowance.remaining,
        "reset": allowance.reset,
    }
    document: JsonObject = {"resources": {"core": core}}
    if caller.version == INLINE_VERSION:
        document["rate"] = core
    return reply_json(200, document)


def create(backend: Backend, call: Call, caller: Caller) -> Reply:
    """Take a bundle in when its shape and its statement allow it; its signature is not looked at."""
    repository = find_repository(backend, call, caller)
    caller.require_token()
    caller.require_write(repository.full_name)
    bundle = read_request(call).get("bundle")
    if not isinstance(bundle, dict):
        raise RefusedError(422, 'Invalid request.\n\n"bundle" wasn\'t supplied.')
    raw = encode_json(bundle)
    if isinstance(fault := read_bundle(raw), Finding):
        raise RefusedError(422, f"Invalid Argument - {fault.detail}")
    try:
        content = read_content(raw)
    except InvalidBundleError as error:
        raise RefusedError(422, f"Invalid Argument - {error}") from error
    _check_subjects(content, refuses_equal_digests=backend.options.refuses_equal_digests)
    number = backend.store.add(
        repository.full_name, raw, digests=content.digests, predicate_type=content.predicate_type
    )
    return reply_json(201, {"id": number})


def delete_by_id(backend: Backend, call: Call, caller: Caller) -> Reply:
    """Delete one attestation of an account."""
    caller.require_token()
    return _delete(backend, call, caller, [backend.store.get(int(call.parameters["attestation_id"]))], 204)


def delete_by_digest(backend: Backend, call: Call, caller: Caller) -> Reply:
    """Delete an account's attestations for a digest."""
    caller.require_token()
    digest = read_digest(call.parameters["digest"])
    return _delete(backend, call, caller, find_of_owner(backend, call, caller, digest), 204)


def delete_many(backend: Backend, call: Call, caller: Caller) -> Reply:
    """Delete an account's attestations by their ids, or by digests."""
    caller.require_token()
    found: list[Attestation | None] = []
    match read_request(call):
        case {"attestation_ids": [*numbers], **rest} if not rest:
            found = [backend.store.get(number) for number in numbers if isinstance(number, int)]
        case {"subject_digests": digests, **rest} if not rest:
            for digest in read_digests(digests):
                found.extend(find_of_owner(backend, call, caller, digest))
        case _:
            raise RefusedError(422, "Invalid request.\n\nGive either attestation_ids or subject_digests.")
    return _delete(backend, call, caller, found, 200)


def answer_nothing(_backend: Backend, _call: Call, _caller: Caller) -> Reply:
    """Answer what no route leads to."""
    raise RefusedError(404, "Not Found")


_OF_OWNER: tuple[tuple[str, str, Endpoint], ...] = (
    ("POST", "bulk-list", list_many_of_owner),
    ("POST", "delete-request", delete_many),
    ("DELETE", "digest/{digest}", delete_by_digest),
    ("DELETE", "{attestation_id:int}", delete_by_id),
    ("GET", "{digest}", list_of_owner),
)

ROUTES: Final[Sequence[tuple[str, str, Endpoint]]] = (
    ("GET", "/repos/{owner}/{repository}/attestations/{digest}", list_of_repository),
    ("POST", "/repos/{owner}/{repository}/attestations", create),
    *ACTIONS_ROUTES,
    ("GET", "/repos/{owner}/{repository}", show_repository),
    ("GET", "/rate_limit", show_rate_limit),
    *(
        (method, f"/{kind}/{{owner}}/attestations/{rest}", endpoint)
        for kind in ("orgs", "users")
        for method, rest, endpoint in _OF_OWNER
    ),
)
"""Method, path and endpoint."""


def _check_subjects(content: Content, *, refuses_equal_digests: bool) -> None:
    if content.subject_count > MAX_SUBJECTS:
        raise RefusedError(422, f"Invalid Argument - more than {MAX_SUBJECTS} subjects in statement")
    known = content.digests if refuses_equal_digests else set(content.subjects)
    if len(known) < len(content.subjects):
        raise RefusedError(422, "Invalid Argument - duplicate subject in statement")


def _delete(
    backend: Backend, call: Call, caller: Caller, found: Sequence[Attestation | None], status: int
) -> Reply:
    prefix = f"{call.parameters['owner'].lower()}/"
    own = [item for item in found if item and item.repository.lower().startswith(prefix)]
    if not own:
        raise RefusedError(404, "Not Found")
    for item in own:
        caller.require_write(item.repository)
    backend.store.delete(item.id for item in own)
    return Reply(status)
