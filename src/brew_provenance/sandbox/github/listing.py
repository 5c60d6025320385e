"""The two ways to look attestations up: for one digest, and for many at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import quote, urlencode

from brew_provenance.bottle import Digest
from brew_provenance.sandbox.github.attestations import Attestation
from brew_provenance.sandbox.github.backend import (
    Backend,
    Caller,
    find_of_owner,
    find_repository,
    read_digest,
    read_digests,
    read_request,
)
from brew_provenance.sandbox.github.exchange import JSON_TYPE, Call, RefusedError, Reply
from brew_provenance.sandbox.github.options import LINKED_VERSION, BulkShape, Inline, Missing, NoRows
from brew_provenance.sandbox.github.pages import CursorError, Page, Parts, Row, cut_page, enclose, encode_row
from brew_provenance.sandbox.wire import encode_json

_PREDICATE_TYPES = {
    "provenance": ("https://slsa.dev/provenance/",),
    "sbom": ("https://spdx.dev/Document", "https://cyclonedx.org/bom"),
    "release": ("https://in-toto.io/attestation/release/",),
}


def list_of_repository(backend: Backend, call: Call, caller: Caller) -> Reply:
    """List a repository's attestations for a digest."""
    repository = find_repository(backend, call, caller)
    digest = read_digest(call.parameters["digest"])
    name = repository.full_name.lower()
    found = backend.store.find(repository.owner, digest)
    return _list(backend, call, caller, digest, [it for it in found if it.repository.lower() == name])


def list_of_owner(backend: Backend, call: Call, caller: Caller) -> Reply:
    """List an account's attestations for a digest, from all the repositories that the caller can see."""
    _require_owner(backend, call)
    digest = read_digest(call.parameters["digest"])
    return _list(backend, call, caller, digest, find_of_owner(backend, call, caller, digest))


def list_many_of_owner(backend: Backend, call: Call, caller: Caller) -> Reply:
    """List an account's attestations for many digests, a page of rows for all of them together."""
    options = backend.options
    if options.bulk_requires_token and caller.token is None:
        raise RefusedError(options.bulk_refusal, "Requires authentication")
    _require_owner(backend, call)
    request = read_request(call)
    digests = read_digests(request.get("subject_digests"))
    if len(digests) > options.max_bulk_digests:
        raise RefusedError(
            422, f"Invalid request.\n\nNo more than {options.max_bulk_digests} items are allowed."
        )
    predicate_type = request.get("predicate_type")
    if predicate_type is not None and not isinstance(predicate_type, str):
        raise RefusedError(422, "Invalid request.\n\npredicate_type is not a string.")
    rows = [
        Row(attestation, digest, place)
        for place, digest in enumerate(digests)
        for attestation in find_of_owner(backend, call, caller, digest)
        if _is_of_type(attestation, predicate_type)
    ]
    page = _page(rows, call)
    encode = _row_encoder(backend, call, caller, names_initiator=options.bulk_initiator)
    by_digest: dict[Digest, list[Parts]] = {digest: [] for digest in digests}
    for row in page.rows:
        by_digest[row.digest].append(encode(row))
    members = [
        [b'"%b":' % str(digest).encode(), *value]
        for digest, found in by_digest.items()
        if (value := _encode_rows(found, options.bulk_missing))
    ]
    info = {
        "has_next": page.next is not None,
        "has_previous": page.previous is not None,
        "next": page.next,
        "previous": page.previous,
    }
    parts = [
        b'{"attestations_subject_digests":',
        *_encode_members(members, options.bulk_shape),
        b',"page_info":%b}' % encode_json(info),
    ]
    return Reply(200, b"".join(parts), {"content-type": JSON_TYPE})


def _require_owner(backend: Backend, call: Call) -> None:
    if backend.store.owner_id(call.parameters["owner"]) is None:
        raise RefusedError(404, "Not Found")


def _list(
    backend: Backend, call: Call, caller: Caller, digest: Digest, found: Sequence[Attestation]
) -> Reply:
    predicate_type = call.query.get("predicate_type")
    rows = [Row(attestation, digest, 0) for attestation in found if _is_of_type(attestation, predicate_type)]
    if not rows and backend.options.no_rows is NoRows.NOT_FOUND:
        raise RefusedError(404, "Not Found")
    page = _page(rows, call)
    encode = _row_encoder(backend, call, caller, names_initiator=True)
    body = b"".join(enclose(b'{"attestations":[', (encode(row) for row in page.rows), b"]}"))
    links = [
        f'<{_link(call, parameter, cursor)}>; rel="{relation}"'
        for relation, parameter, cursor in (("next", "after", page.next), ("prev", "before", page.previous))
        if cursor is not None
    ]
    return Reply(200, body, {"content-type": JSON_TYPE} | ({"link": ", ".join(links)} if links else {}))


def _is_of_type(attestation: Attestation, wanted: str | None) -> bool:
    if wanted is None:
        return True
    if prefixes := _PREDICATE_TYPES.get(wanted):
        return attestation.predicate_type.startswith(prefixes)
    return attestation.predicate_type == wanted


def _page(rows: Sequence[Row], call: Call) -> Page:
    try:
        return cut_page(rows, call.query)
    except CursorError as error:
        raise RefusedError(422, f"Invalid request.\n\n{error}") from error


def _link(call: Call, parameter: str, cursor: str) -> str:
    query = {name: value for name, value in call.query.items() if name not in {"after", "before"}}
    return f"{call.origin}{quote(call.path, safe='/:')}?{urlencode(query | {parameter: cursor})}"


def _row_encoder(
    backend: Backend, call: Call, caller: Caller, *, names_initiator: bool
) -> Callable[[Row], Parts]:
    options = backend.options
    sign = backend.urls.signer(options.url_lifetime)
    origin = encode_json(backend.blob_origin or call.origin).removesuffix(b'"')

    def encode(row: Row) -> Parts:
        attestation = row.attestation
        inline = Inline.ABSENT if caller.version == LINKED_VERSION else options.inline(attestation)
        url = b'%b%b"' % (origin, sign(attestation.blob_path).encode())
        return encode_row(attestation, url, inline, names_initiator=names_initiator)

    return encode


def _encode_rows(rows: Sequence[Parts], missing: Missing) -> Parts:
    if rows or missing is Missing.EMPTY:
        return enclose(b"[", rows, b"]")
    return [b"null"] if missing is Missing.NULL else []


def _encode_members(members: Sequence[Parts], shape: BulkShape) -> Parts:
    match shape:
        case BulkShape.MAP:
            return enclose(b"{", members, b"}")
        case BulkShape.LIST:
            return enclose(b"[", (enclose(b"{", [member], b"}") for member in members), b"]")
