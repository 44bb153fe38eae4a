"""What the manager shows: merged metrics, health by check, listeners and clusters, and to whom."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import ClientSession, web

from capim.aio.clock import ManualClock
from coordinator import health
from coordinator.access import Gatekeeper, guard
from coordinator.diagnostics import (
    Metrics,
    debug_application,
    diagnostics_application,
    joined,
    profiler_application,
)
from coordinator.httpserver import HttpServer, split_address
from coordinator.prometheustext import merged
from tests.support.fleet import FakeFleet

if TYPE_CHECKING:
    from capim.api.gvk import GVR
    from capim.api.meta import JsonObject

ONE = """\
# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{code="200",path="a b"} 3.0
requests_total{code="404"} 1.0
# HELP took_s Time.
# TYPE took_s histogram
took_s_bucket{le="+Inf"} 2.0
took_s_sum 0.5
"""
OTHER = """\
# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{code="200",path="a b"} 4.0
# TYPE requests_created gauge
requests_created{code="200",path="a b"} 1.7e+09
# TYPE took_s histogram
took_s_bucket{le="+Inf"} 1.0 1700000000
listeners 7
garbage
"""


def test_samples_of_one_name_and_labels_add_up_and_families_stay_together() -> None:
    assert merged([ONE, OTHER]).splitlines() == [
        "# HELP requests_total Requests.",
        "# TYPE requests_total counter",
        'requests_total{code="200",path="a b"} 7.0',
        'requests_total{code="404"} 1.0',
        "# HELP took_s Time.",
        "# TYPE took_s histogram",
        'took_s_bucket{le="+Inf"} 3.0',
        "took_s_sum 0.5",
        "listeners 7.0",
    ]


def test_merging_nothing_is_nothing() -> None:
    assert merged([]) == ""


@pytest.mark.parametrize(
    ("checks", "verbose", "code", "text"),
    [
        pytest.param({"webhook": True}, False, 200, "ok", id="well"),
        pytest.param({}, False, 200, "ok", id="nothing-to-check"),
        pytest.param(
            {"webhook": True}, True, 200, "[+]webhook ok\ncheck passed\n", id="well-verbose"
        ),
        pytest.param(
            {"webhook": True, "fleet": False},
            False,
            500,
            "[+]webhook ok\n[-]fleet failed: not ready\ncheck failed\n",
            id="unwell",
        ),
    ],
)
def test_health(checks: dict[str, bool], verbose: bool, code: int, text: str) -> None:
    named = {name: (lambda good=good: good) for name, good in checks.items()}
    assert health.report(named, verbose=verbose) == (code, text)


def test_views_of_workers_are_joined_in_order() -> None:
    assert joined([b'{"b": 1}', b"", b'{"a": 2}']) == {"a": 2, "b": 1}
    assert list(joined([b'{"b": 1}', b'{"a": 2}'])) == ["a", "b"]


@pytest.mark.parametrize(
    ("address", "expected"),
    [(":9440", (None, 9440)), ("127.0.0.1:1", ("127.0.0.1", 1)), ("[::1]:2", ("::1", 2))],
)
def test_addresses(address: str, expected: tuple[str | None, int]) -> None:
    assert split_address(address) == expected


async def fetch(app: web.Application, path: str, **headers: str) -> tuple[int, str]:
    server = HttpServer("--test", "127.0.0.1:0", app)
    await server.start()
    try:
        async with (
            ClientSession() as session,
            session.get(f"http://127.0.0.1:{server.port}{path}", headers=headers) as response,
        ):
            return response.status, await response.text()
    finally:
        await server.stop()


@pytest.mark.parametrize(
    ("path", "code", "part"),
    [
        pytest.param("/readyz", 500, "[-]fleet failed", id="readyz"),
        pytest.param("/readyz/webhook", 200, "ok", id="one-check"),
        pytest.param("/healthz", 200, "ok", id="healthz"),
        pytest.param("/healthz/none", 404, "", id="no-such-check"),
    ],
)
def test_health_over_http(path: str, code: int, part: str) -> None:
    good = {"webhook": lambda: True}
    app = health.application(good, {**good, "fleet": lambda: False})
    status, text = asyncio.run(fetch(app, path))
    assert status == code
    assert part in text


@pytest.mark.parametrize(
    ("path", "subject"),
    [
        ("/listeners", "listeners"),
        ("/clusters", "clusters"),
        ("/clusters/ns/name", "cluster/ns/name"),
        ("/namespaces/ns/clusters/name", "cluster/ns/name"),
    ],
)
def test_debug_views(path: str, subject: str) -> None:
    status, text = asyncio.run(fetch(debug_application(FakeFleet()), path))
    assert status == 200
    assert subject in text


def test_a_cluster_that_no_worker_holds_is_not_found() -> None:
    status, text = asyncio.run(fetch(debug_application(FakeFleet(names=())), "/clusters/ns/name"))
    assert (status, text) == (404, "no worker holds cluster ns/name\n")


def test_metrics_have_the_coordinators_own() -> None:
    metrics = Metrics()
    metrics.observe("InMemoryCluster", "success", 0.1)
    status, text = asyncio.run(fetch(diagnostics_application(metrics, FakeFleet()), "/metrics"))
    assert status == 200
    name = "controller_runtime_reconcile_total"
    assert f'{name}{{controller="InMemoryCluster",result="success"}} 1.0' in text


def test_stacks_of_tasks_are_shown() -> None:
    status, text = asyncio.run(fetch(profiler_application(), "/debug/pprof/goroutine"))
    assert status == 200
    assert "task " in text


def test_an_address_that_is_off_is_not_bound_and_a_taken_one_names_its_flag() -> None:
    async def scenario() -> None:
        off = HttpServer("--test", "0", web.Application())
        await off.start()
        await off.stop()
        first = HttpServer("--test", "127.0.0.1:0", web.Application())
        await first.start()
        second = HttpServer("--test", f"127.0.0.1:{first.port}", web.Application())
        with pytest.raises(ValueError, match=r"--test: cannot listen on 127\.0\.0\.1"):
            await second.start()
        await first.stop()

    asyncio.run(scenario())


class Reviews:
    """A management API that answers the two reviews."""

    def __init__(self, *, known: bool, allowed: bool) -> None:
        self.asked: list[str] = []
        self._answers: dict[str, JsonObject] = {
            "tokenreviews": {"authenticated": known, "user": {"username": "prometheus"}},
            "subjectaccessreviews": {"allowed": allowed},
        }

    async def create(self, gvr: GVR, namespace: str, body: JsonObject) -> JsonObject:
        self.asked.append(gvr.resource)
        return {"status": self._answers[gvr.resource]}


@pytest.mark.parametrize(
    ("authorization", "known", "allowed", "code"),
    [
        pytest.param("", True, True, 401, id="no-token"),
        pytest.param("Basic x", True, True, 401, id="no-bearer"),
        pytest.param("Bearer x", False, True, 401, id="unknown"),
        pytest.param("Bearer x", True, False, 403, id="not-allowed"),
        pytest.param("Bearer x", True, True, 200, id="allowed"),
    ],
)
def test_who_may_read_metrics(authorization: str, known: bool, allowed: bool, code: int) -> None:
    client: Any = Reviews(known=known, allowed=allowed)
    keeper = Gatekeeper(client, ManualClock())
    app = diagnostics_application(Metrics(), FakeFleet(), [guard(keeper)])
    status, _ = asyncio.run(fetch(app, "/metrics", Authorization=authorization))
    assert status == code


def test_a_verdict_is_remembered_for_a_minute() -> None:
    async def scenario() -> None:
        reviews, clock = Reviews(known=True, allowed=True), ManualClock()
        client: Any = reviews
        keeper = Gatekeeper(client, clock)
        for _ in range(2):
            assert await keeper.status("Bearer x", "/metrics") == 200
        assert reviews.asked == ["tokenreviews", "subjectaccessreviews"]
        await keeper.status("Bearer y", "/metrics")
        clock.advance(60)
        await keeper.status("Bearer x", "/metrics")
        assert len(reviews.asked) == 6

    asyncio.run(scenario())
