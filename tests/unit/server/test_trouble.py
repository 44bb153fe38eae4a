"""In scope: what a client sees of faults at the API server, through TLS and HTTP. Out: whom they choose."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from capim.aio.clock import wall_clock
from capim.api.faults import Effect, Fault, Schedule
from capim.runtime.etcdmembers import AlarmType, EtcdTrouble
from capim.runtime.faults import FaultBook
from tests.support.served import ask, connected
from tests.unit.catalogue.site import CONTROL_PLANE, JSON, KEY, MERGE, WORKER, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.catalogue.site import Site

NODE = f"/api/v1/nodes/{WORKER}"


@pytest.fixture
def site() -> Iterator[Site]:
    with serve() as served:
        yield served


def declare(site: Site, effect: Effect, **fields: Any) -> FaultBook:
    """Let one fault be all there are."""
    book = FaultBook(KEY, wall_clock)
    schedule = Schedule(wall_clock() - 1, 3600.0)
    book.set([Fault("u", "default/f", effect, schedule, "7", **fields)])
    site.do(lambda: site.running.listener.follow_faults(book))
    return book


def heal(site: Site) -> None:
    """Let there be no fault any more."""
    site.do(lambda: site.running.listener.follow_faults(None))


@pytest.mark.parametrize(
    ("effect", "code", "reason"),
    [
        (Effect.INTERNAL_ERROR, 500, "InternalError"),
        (Effect.SERVICE_UNAVAILABLE, 503, "ServiceUnavailable"),
        (Effect.TIMEOUT, 504, "Timeout"),
    ],
)
def test_errors_are_statuses(site: Site, effect: Effect, code: int, reason: str) -> None:
    declare(site, effect)
    answer = site.send("GET", NODE)
    assert answer.status == code
    status = answer.json()
    assert (status["kind"], status["code"], status["reason"]) == ("Status", code, reason)
    heal(site)
    assert site.get(NODE)["metadata"]["name"] == WORKER


def test_too_many_requests_are_answered_as_by_flow_control(site: Site) -> None:
    declare(site, Effect.TOO_MANY_REQUESTS)
    answer = site.send("GET", NODE)
    assert (answer.status, answer.headers["Retry-After"]) == (429, "1")


def test_a_conflict_changes_nothing(site: Site) -> None:
    declare(site, Effect.CONFLICT)
    patch = {"metadata": {"labels": {"a": "b"}}}
    answer = site.send("PATCH", NODE, patch, content_type=MERGE, accept=JSON)
    assert (answer.status, answer.json()["reason"]) == (409, "Conflict")
    assert "a" not in site.get(NODE)["metadata"]["labels"]


def test_a_reset_is_one(site: Site) -> None:
    declare(site, Effect.CONNECTION_RESET)
    with pytest.raises(ConnectionResetError):
        site.send("GET", NODE)


def test_latency_delays_and_other_clients_go_on(site: Site) -> None:
    declare(site, Effect.LATENCY, latency_s=0.1, user_agents=("slow/*",))
    with connected(site.running.listener.port, site.context) as other:
        started = time.perf_counter()
        assert ask(other, "GET", NODE, user_agent="slow/1").status == 200
        assert time.perf_counter() - started >= 0.1
        started = time.perf_counter()
        assert ask(other, "GET", NODE, user_agent="fast/1").status == 200
        assert time.perf_counter() - started < 0.1


def test_who_waits_is_served_when_the_fault_goes(site: Site) -> None:
    book = declare(site, Effect.LATENCY, latency_s=3600.0)
    with connected(site.running.listener.port, site.context) as waiting:
        waiting.request("GET", NODE)
        while not site.do(book.take_hits):
            pass  # the request is on its way
        heal(site)
        assert waiting.getresponse().status == 200


def label(site: Site) -> str | None:
    listed = site.get("/api/v1/nodes")["items"]
    node = next(one for one in listed if one["metadata"]["name"] == WORKER)
    one = site.get(NODE)["metadata"]["labels"].get("changed")
    assert node["metadata"]["labels"].get("changed") == one
    return one if one is None else str(one)


def test_stale_reads_show_what_was_there_when_the_fault_began(site: Site) -> None:
    declare(site, Effect.STALE_READS)
    patch = {"metadata": {"labels": {"changed": "yes"}}}
    assert site.send("PATCH", NODE, patch, content_type=MERGE, accept=JSON).status == 200
    maps, body = "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "new"}}
    assert site.send("POST", maps, body, content_type=JSON, accept=JSON).status == 201
    assert label(site) is None
    informers = site.send("GET", "/api/v1/nodes?resourceVersion=0&limit=500", accept=JSON).json()
    version = site.get("/api/v1/nodes")["metadata"]["resourceVersion"]
    assert informers["metadata"]["resourceVersion"] == version
    assert site.send("GET", f"{maps}/new").status == 404
    heal(site)
    assert label(site) == "yes"
    assert site.send("GET", f"{maps}/new").status == 200


def test_a_slow_body_is_whole_in_the_end(site: Site) -> None:
    declare(site, Effect.SLOW_BODY, latency_s=0.1)
    started = time.perf_counter()
    assert site.get(NODE)["metadata"]["name"] == WORKER
    assert time.perf_counter() - started >= 0.1
    assert site.send("HEAD", NODE).body == b""
    assert site.get(NODE)["metadata"]["name"] == WORKER


def test_who_got_no_answer_is_reset_when_the_fault_goes(site: Site) -> None:
    book = declare(site, Effect.HANGING)
    with connected(site.running.listener.port, site.context) as waiting:
        waiting.request("GET", NODE)
        while not site.do(book.take_hits):
            pass  # the request is on its way
        heal(site)
        with pytest.raises(ConnectionResetError):
            waiting.getresponse()


def test_who_has_given_up_is_not_remembered_for_ever(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("capim.server.trouble._WAITING_LIMIT", 3)
    book = declare(site, Effect.HANGING)
    for _ in range(6):
        with connected(site.running.listener.port, site.context) as waiting:
            waiting.request("GET", NODE)
            while not site.do(book.take_hits):
                pass  # the request is on its way
        while any(not it.is_closing() for it in site.do(lambda: connections(site))):
            pass  # so is the end
    assert len(site.do(lambda: site.running.listener._api._trouble._waiting)) <= 4
    heal(site)


def connections(site: Site) -> list[asyncio.Transport]:
    listener = site.running.listener
    listener._forget()
    return list(listener._connections.values())


def test_a_storm_of_410_sends_informers_back_to_their_lists(site: Site) -> None:
    declare(site, Effect.EXPIRED)
    answer = site.send("GET", "/api/v1/nodes", accept=JSON)
    assert (answer.status, answer.json()["reason"]) == (410, "Expired")
    with site.watch("/api/v1/nodes?watch=true&resourceVersion=1", accept=JSON) as events:
        told = list(events)
    assert [(one["type"], one["object"]["code"]) for one in told] == [("ERROR", 410)]
    assert site.get(NODE)["metadata"]["name"] == WORKER


@pytest.mark.parametrize(
    ("alarms", "text"),
    [
        (AlarmType.NOSPACE, "etcdserver: mvcc: database space exceeded"),
        (AlarmType.CORRUPT, "etcdserver: corrupt cluster"),
    ],
)
def test_writes_fail_as_etcd_says(site: Site, alarms: AlarmType, text: str) -> None:
    declare(site, Effect.LATENCY, verbs=("watch",), latency_s=1.0)  # there is a book
    site.cluster.etcd.trouble = EtcdTrouble(alarms={CONTROL_PLANE: {alarms}})
    answer = site.send("PATCH", NODE, {}, content_type=MERGE, accept=JSON)
    assert (answer.status, answer.json()["message"]) == (500, text)
    assert site.get(NODE)["metadata"]["name"] == WORKER


def test_a_write_without_quorum_waits_and_goes_on_when_there_is_one(site: Site) -> None:
    declare(site, Effect.LATENCY, verbs=("watch",), latency_s=1.0)
    trouble = site.cluster.etcd.trouble = EtcdTrouble(no_leader=True)
    cached = site.send("GET", f"{NODE}?resourceVersion=0")
    assert cached.json()["metadata"]["name"] == WORKER
    headers = {"Content-Type": MERGE}
    with connected(site.running.listener.port, site.context) as waiting:
        waiting.request("PATCH", NODE, b'{"metadata":{"labels":{"a":"b"}}}', headers)
        while not site.do(lambda: site.running.listener._api._trouble._waiting):
            pass  # the request is on its way
        trouble.no_leader = False
        heal(site)
        assert waiting.getresponse().status == 200


def test_errors_are_counted_by_their_code(site: Site) -> None:
    declare(site, Effect.INTERNAL_ERROR)
    site.send("GET", NODE)
    totals, *_ = site.do(site.running.metrics.collect)  # on its own loop: counted after the answer
    assert [one.labels["code"] for one in totals.samples if one.value] == ["500"]


def test_what_is_no_request_is_refused_as_ever(site: Site) -> None:
    declare(site, Effect.INTERNAL_ERROR)
    assert site.send("GET", "/api/v1/nothings").status == 404
