"""Receiving and sending, without a server: what is sent when the client goes away, and when it stays."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from brew_provenance.sandbox.github.attestations import AttestationStore
from brew_provenance.sandbox.github.exchange import (
    BodyTooLongError,
    DisconnectedError,
    Drip,
    Reply,
    receive_body,
    send_reply,
)
from brew_provenance.sandbox.github.service import AttestationService

Message = dict[str, Any]

GONE: Message = {"type": "http.disconnect"}


class Client:
    """A client that sends some messages, and stays for ever unless the last one says that it is gone."""

    def __init__(self, *messages: Message) -> None:
        self.messages = list(messages)
        self.got: list[Message] = []

    async def receive(self) -> Any:
        if not self.messages:
            await asyncio.Event().wait()
        return self.messages.pop(0)

    async def send(self, message: Any) -> None:
        self.got.append(message)

    @property
    def pieces(self) -> list[bytes]:
        return [message["body"] for message in self.got[1:]]


def piece(body: bytes, *, more: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


def send(reply: Reply, *messages: Message) -> Client:
    client = Client(*messages)
    asyncio.run(send_reply(reply, client.receive, client.send))
    return client


def test_a_body_is_put_together() -> None:
    client = Client(piece(b"ab", more=True), {"type": "http.request", "more_body": True}, piece(b"c"))
    assert asyncio.run(receive_body(client.receive, 3)) == b"abc"


def test_a_body_has_a_limit_that_is_seen_to_before_it_is_complete() -> None:
    client = Client(piece(b"ab", more=True), piece(b"cd", more=True))
    with pytest.raises(BodyTooLongError):
        asyncio.run(receive_body(client.receive, 3))


def test_a_client_may_go_away_in_the_middle_of_its_request() -> None:
    client = Client(piece(b"ab", more=True), GONE)
    with pytest.raises(DisconnectedError):
        asyncio.run(receive_body(client.receive, 3))


def test_an_unfinished_request_is_not_answered() -> None:
    service = AttestationService(AttestationStore())
    client = Client(piece(b"ab", more=True), GONE)
    scope = {"type": "http", "method": "POST", "path": "/nothing"}

    async def serve() -> None:
        await service.app(scope, client.receive, client.send)

    asyncio.run(serve())
    assert client.got == []
    assert service.log.total == 0


def test_a_reply_is_sent_at_once() -> None:
    client = send(Reply(200, b"abc", {"x-a": "b"}))
    assert client.got == [
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"x-a", b"b"), (b"content-length", b"3")],
        },
        {"type": "http.response.body", "body": b"abc", "more_body": False},
    ]


@pytest.mark.parametrize(
    ("reply", "pieces", "more"),
    [
        (Reply(200, b"abcde", drip=Drip(2, 0)), [b"ab", b"cd", b"e"], False),
        (Reply(200, b"abcd", drip=Drip(2, 0)), [b"ab", b"cd"], False),
        (Reply(200, b"ab", drip=Drip(2, 1000)), [b"ab"], False),
        (Reply(200, b"", drip=Drip(2, 1000)), [b""], False),
        (Reply(200, b"abcde", keep=2), [b"ab"], True),
        (Reply(200, b"abcde", keep=9), [b"abcde"], True),
        (Reply(200, b"abcde", keep=0), [b""], True),
        (Reply(200, b"abcde", keep=3, drip=Drip(2, 0)), [b"ab", b"c"], True),
        (Reply(200, b"abcde", wait=0.001), [b"abcde"], False),
    ],
)
def test_a_body_is_sent_in_pieces_or_in_part(reply: Reply, pieces: list[bytes], *, more: bool) -> None:
    client = send(reply)
    assert client.pieces == pieces
    assert client.got[-1]["more_body"] == more
    assert (b"content-length", b"%d" % len(reply.body)) in client.got[0]["headers"]


def test_nothing_more_is_sent_to_a_client_that_has_gone() -> None:
    assert send(Reply(200, b"abc", wait=1000), GONE).got == []
    assert send(Reply(200, b"abcde", drip=Drip(2, 1000)), GONE).pieces == [b"ab"]
