"""In scope: faults that befall all connections of a cluster at once. Out: faults of single requests."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import time
from typing import TYPE_CHECKING

import pytest

from capim.aio.clock import wall_clock
from capim.api.faults import Effect, Fault, Schedule
from capim.runtime.etcdmembers import EtcdTrouble
from capim.runtime.faults import FaultBook
from tests.support.served import ask, connected
from tests.unit.catalogue.site import CONTROL_PLANE, JSON, KEY, MERGE, WORKER, serve
from tests.unit.catalogue.test_etcd import _Etcd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.catalogue.site import Site

NODE = f"/api/v1/nodes/{WORKER}"
WATCH = "/api/v1/nodes?watch=true&resourceVersion="


@pytest.fixture
def site() -> Iterator[Site]:
    with serve() as served:
        yield served


def declare(site: Site, effect: Effect) -> None:
    book = FaultBook(KEY, wall_clock)
    book.set([Fault("u", "default/f", effect, Schedule(wall_clock() - 1, 3600.0), "7")])
    site.do(lambda: site.running.listener.follow_faults(book))


def heal(site: Site) -> None:
    site.do(lambda: site.running.listener.follow_faults(None))


def touch(site: Site, value: str) -> None:
    patch = {"metadata": {"labels": {"touched": value}}}
    assert site.send("PATCH", NODE, patch, content_type=MERGE, accept=JSON).status == 200


def now(site: Site) -> str:
    return str(site.get("/api/v1/nodes")["metadata"]["resourceVersion"])


def test_watches_are_cut_in_the_middle_and_may_begin_anew(site: Site) -> None:
    with site.watch(WATCH + now(site), accept=JSON) as events:
        declare(site, Effect.WATCHES_CUT)
        assert next(events, None) is None  # the client's library calls a reset an end
    with site.watch(WATCH + now(site), accept=JSON) as events:
        touch(site, "again")
        assert next(events)["object"]["metadata"]["labels"]["touched"] == "again"


def test_stalled_watches_tell_what_was_missed(site: Site) -> None:
    with site.watch(WATCH + now(site), accept=JSON) as events:
        declare(site, Effect.WATCHES_STALLED)
        touch(site, "one")
        with site.watch(WATCH + now(site), accept=JSON) as late:
            touch(site, "two")
            heal(site)
            assert next(late)["object"]["metadata"]["labels"]["touched"] == "two"
        seen = [next(events)["object"]["metadata"]["labels"]["touched"] for _ in range(2)]
    assert seen == ["one", "two"]


def test_an_unreachable_port_takes_connections_and_says_nothing(site: Site) -> None:
    site.get(NODE)
    declare(site, Effect.UNREACHABLE)
    port = site.running.listener.port
    plain = socket.create_connection(("127.0.0.1", port), timeout=0.1)
    with plain, pytest.raises(TimeoutError):
        site.context.wrap_socket(plain, server_hostname="127.0.0.1")
    site.connection.request("GET", NODE)
    assert site.connection.sock is not None
    site.connection.sock.settimeout(0.1)
    with pytest.raises(TimeoutError):
        site.connection.sock.recv(1)
    heal(site)
    site.connection.sock.settimeout(5)
    assert json.load(site.connection.getresponse())["metadata"]["name"] == WORKER
    with connected(port, site.context) as fresh:
        assert ask(fresh, "GET", NODE).status == 200


@pytest.mark.parametrize(
    ("effect", "complaint"),
    [
        (Effect.CERTIFICATE_EXPIRED, "certificate has expired"),
        (Effect.HANDSHAKE_FAILURE, "EOF"),
    ],
)
def test_handshakes_fail_and_old_connections_go_on(
    site: Site, effect: Effect, complaint: str
) -> None:
    site.get(NODE)
    declare(site, effect)
    port = site.running.listener.port
    with connected(port, site.context) as fresh, pytest.raises(ssl.SSLError, match=complaint):
        fresh.request("GET", NODE)
    assert site.get(NODE)["metadata"]["name"] == WORKER
    heal(site)
    with connected(site.running.listener.port, site.context) as fresh:
        assert ask(fresh, "GET", NODE).status == 200


def test_what_comes_while_the_port_was_closed_suffers_too(site: Site) -> None:
    declare(site, Effect.HANDSHAKE_FAILURE)

    async def again() -> None:
        await site.running.listener.close()
        await site.running.listener.open()

    asyncio.run_coroutine_threadsafe(again(), site.loop).result(5)
    port = site.running.listener.port
    with connected(port, site.context) as fresh, pytest.raises(ssl.SSLError):
        fresh.request("GET", NODE)


def test_a_slow_member_answers_late(site: Site) -> None:
    site.cluster.etcd.trouble = EtcdTrouble(slow={CONTROL_PLANE: 0.05})
    started = time.perf_counter()
    status = _Etcd(site, CONTROL_PLANE).call("Maintenance", "Status", "StatusRequest")
    assert time.perf_counter() - started >= 0.05
    assert status.leader
