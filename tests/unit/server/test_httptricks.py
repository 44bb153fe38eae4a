"""Tricks with the head and framing of a request: each refused as a real server refuses it, or harmless.

What a kube-apiserver 1.35 answered to the same bytes is the expectation, except where the module
`httphead` names a departure: there 400 stands for 200.
"""

from __future__ import annotations

import asyncio

import pytest

from capim.server.http import BODY_LIMIT_BYTES
from tests.support.memory import MemoryClient, make_api
from tests.support.served import make_served, resource

GET = b"GET /version HTTP/1.1\r\nHost: x\r\n"
OBJECT = b'{"metadata":{"name":"o"}}'
CHUNKS = b"%x\r\n" % len(OBJECT) + OBJECT + b"\r\n0\r\n\r\n"


def post(framing: bytes, body: bytes = OBJECT, version: bytes = b"1.1") -> bytes:
    line = b"POST /api/v1/namespaces/default/configmaps HTTP/" + version
    return line + b"\r\nHost: x\r\n" + framing + b"\r\n\r\n" + body


def get(target: bytes) -> bytes:
    return b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n"


LENGTH = b"Content-Length: %d" % len(OBJECT)

REFUSED = [
    pytest.param(GET.replace(b"\r\n", b"\n") + b"\n", 400, id="lines-end-with-lf"),
    pytest.param(GET + b"A: b\x00c\r\n\r\n", 400, id="nul-in-value"),
    pytest.param(GET + b"A\x00: b\r\n\r\n", 400, id="nul-in-name"),
    pytest.param(get(b"/ver\x00sion"), 400, id="nul-in-path"),
    pytest.param(get(b"/ver sion"), 400, id="space-in-path"),
    pytest.param(get(b"version"), 400, id="no-slash"),
    pytest.param(GET + b"A: b\r\n c\r\n\r\n", 400, id="obs-fold"),
    pytest.param(GET + b"A : b\r\n\r\n", 400, id="space-before-colon"),
    pytest.param(GET + b"A\r\n\r\n", 400, id="no-colon"),
    pytest.param(GET + b": b\r\n\r\n", 400, id="no-name"),
    pytest.param(GET + b"Host: y\r\n\r\n", 400, id="two-hosts"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, id="host-with-space"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, id="host-with-slash"),
    pytest.param(b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505, id="http-2"),
    pytest.param(b"GET /\r\n\r\n", 400, id="http-0.9"),
    pytest.param(b"G(T / HTTP/1.1\r\nHost: x\r\n\r\n", 400, id="method-is-no-token"),
    pytest.param(GET + b"Expect: miracles\r\n\r\n", 417, id="expects-miracles"),
    pytest.param(post(LENGTH + b"\r\n" + LENGTH), 400, id="length-twice"),
    pytest.param(post(LENGTH + b"\r\nContent-Length: 1"), 400, id="two-lengths"),
    pytest.param(post(LENGTH + b", 1"), 400, id="list-of-lengths"),
    pytest.param(post(b"Content-Length: +%d" % len(OBJECT)), 400, id="length-with-plus"),
    pytest.param(post(b"Content-Length: -1"), 400, id="negative-length"),
    pytest.param(post(b"Content-Length: 0x19"), 400, id="hexadecimal-length"),
    pytest.param(post(b"Content-Length: 99999999999999999999"), 400, id="length-overflows"),
    pytest.param(post(LENGTH + b"\r\nTransfer-Encoding: chunked", CHUNKS), 400, id="cl-te"),
    pytest.param(post(b"Transfer-Encoding: chunked\r\n" + LENGTH, CHUNKS), 400, id="te-cl"),
    pytest.param(post(b"Transfer-Encoding: gzip, chunked", CHUNKS), 501, id="coding-in-coding"),
    pytest.param(
        post(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", CHUNKS), 400, id="te-te"
    ),
    pytest.param(post(b"Transfer-Encoding: identity", CHUNKS), 501, id="identity"),
    pytest.param(post(b"Transfer-Encoding: xchunked", CHUNKS), 501, id="like-chunked"),
    pytest.param(post(b"Transfer-Encoding: chunked", CHUNKS, b"1.0"), 400, id="chunks-of-http-1.0"),
    pytest.param(
        post(b"Transfer-Encoding: chunked", CHUNKS.replace(b"\r\n", b"\n")), 400, id="chunks-of-lf"
    ),
    pytest.param(post(b"Transfer-Encoding: chunked", b"zz\r\n"), 400, id="chunk-of-no-length"),
    pytest.param(post(b"Transfer-Encoding: chunked", b"f" * 17), 400, id="chunk-overflows"),
    pytest.param(post(b"Content-Length: %d" % (BODY_LIMIT_BYTES + 1)), 413, id="body-too-large"),
    pytest.param(
        post(b"Transfer-Encoding: chunked", b"%x\r\n" % (BODY_LIMIT_BYTES + 1) + bytes(1 << 22)),
        413,
        id="chunks-too-large",
    ),
]


@pytest.mark.parametrize(("sent", "status"), REFUSED)
def test_trick_is_refused_and_what_hides_behind_it_is_not_read(sent: bytes, status: int) -> None:
    served = make_served()
    client = MemoryClient(make_api(served))
    answers = client.send(sent + post(LENGTH))
    assert [it.status for it in answers] == [status]
    if status == 413:  # until then the client is given time to read the answer
        assert client.send(bytes(BODY_LIMIT_BYTES)) == []
    assert client.transport.closed
    assert served.group.list(resource("configmaps"), "default").items == []


@pytest.mark.parametrize(("sent", "status"), REFUSED[:4])
def test_trick_behind_a_good_request_is_refused_as_well(sent: bytes, status: int) -> None:
    client = MemoryClient(make_api())
    assert [it.status for it in client.send(GET + b"\r\n" + sent)] == [200, status]


@pytest.mark.parametrize(
    ("target", "status"),
    [
        pytest.param(b"https://other/version", 200, id="absolute"),
        pytest.param(b"HTTP://u:p@other:1/version?x", 200, id="absolute-with-user"),
        pytest.param(b"https://other", 200, id="absolute-without-path"),
        pytest.param(b"ftp://other/version", 404, id="another-scheme"),
        pytest.param(b"*", 404, id="asterisk"),
        pytest.param(b"//version", 404, id="double-slash"),
        pytest.param(b"//api/v1/namespaces/default/secrets/s", 404, id="double-slash-before-api"),
        pytest.param(b"/api/v1//namespaces/default/secrets/s", 404, id="empty-segment"),
        pytest.param(b"/api/./v1/namespaces/default/secrets/s", 404, id="dot"),
        pytest.param(b"/version/../api/v1/namespaces/default/secrets/s", 404, id="dots"),
        pytest.param(b"/api/v1/namespaces/x/%2e%2e/default/secrets/s", 404, id="escaped-dots"),
        pytest.param(b"/healthz/..%2fapi/v1/namespaces/default/secrets/s", 404, id="from-healthz"),
        pytest.param(b"/api/v1/namespaces/default%2fsecrets/s", 404, id="escaped-slash"),
        pytest.param(b"/api/v1/namespaces/default/secrets/s%00", 404, id="escaped-nul"),
        pytest.param(b"/version#x", 404, id="fragment"),
        pytest.param(b"/api/v1/namespaces/default/secrets/%zz", 404, id="escape-of-nothing"),
    ],
)
def test_odd_target_reaches_nothing_else(target: bytes, status: int) -> None:
    served = make_served()
    secret = {"metadata": {"name": "s"}, "stringData": {"word": "opened"}}
    served.group.create(resource("secrets"), "default", secret)
    (answer,) = MemoryClient(make_api(served)).send(get(target))
    assert answer.status == status
    assert b"secret" not in answer.body.lower() or status == 404


@pytest.mark.parametrize(
    "target",
    [
        b"/healthz/..%2fapi/v1/nodes",
        b"/readyz/../api/v1/nodes",
        b"https://x/readyz/../api/v1/nodes",
        b"/%72eadyz/../api/v1/nodes",
        b"/api/v1/nodes?/readyz",
        b"/api/v1/nodes#/readyz",
        b"https://readyz/api/v1/nodes",
    ],
)
def test_public_paths_open_no_others_to_the_anonymous(target: bytes) -> None:
    served = make_served()
    served.group.create(resource("nodes"), "", {"metadata": {"name": "inside"}})
    (answer,) = MemoryClient(make_api(served), peer=None).send(get(target))
    assert answer.status in {401, 404}
    assert b"inside" not in answer.body


def test_connect_opens_nothing() -> None:
    client = MemoryClient(make_api())
    answers = client.send(b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: x\r\n\r\n" + GET + b"\r\n")
    assert [it.status for it in answers] == [404]
    assert client.transport.closed


def test_bytes_behind_an_upgrade_that_nobody_grants_are_not_kept() -> None:
    client = MemoryClient(make_api())
    client.send(b"GET /api/v1/nodes?watch=1 HTTP/1.1\r\nHost: x\r\n")
    upgrade = b"Connection: Upgrade\r\nUpgrade: nothing\r\n\r\n"

    async def go() -> None:
        client.connection.data_received(upgrade)

    asyncio.run(go())
    assert not client.transport.reading
