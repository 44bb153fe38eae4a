"""What the manager shows of itself and its workers: metrics, listeners, clusters, stacks."""

from __future__ import annotations

import asyncio
import io
import sys
import traceback
from typing import TYPE_CHECKING, Any, Final

import orjson
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

from capim import __version__
from capim.aio.process import usage
from capim.aio.taskmetrics import TaskMetrics
from capim.api import infrastructure as infra
from capim.api.meta import get_condition, parse_time
from coordinator.prometheustext import merged

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aiohttp.typedefs import Middleware

    from capim.api.meta import JsonObject
    from coordinator.fleetview import FleetView


_PROVISIONING_BUCKETS_S: Final = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600)
#: condition -> how its phase is called here
_PHASES: Final = {
    infra.VM_PROVISIONED_CONDITION: "vm",
    infra.NODE_PROVISIONED_CONDITION: "node",
    infra.ETCD_PROVISIONED_CONDITION: "etcd",
    infra.API_SERVER_PROVISIONED_CONDITION: "apiServer",
    infra.READY_CONDITION: "ready",
}


class Metrics:
    """The coordinator's own numbers, under the names controller-runtime's dashboards know."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.registry.register(TaskMetrics("manager"))
        self.reconciles = Counter(
            "controller_runtime_reconcile",
            "Reconciles by controller and result",
            ["controller", "result"],
            registry=self.registry,
        )
        self.reconcile_s = Histogram(
            "controller_runtime_reconcile_time_seconds",
            "How long a reconcile took",
            ["controller"],
            registry=self.registry,
        )

        self.provisioning_s = Histogram(
            "capim_provisioning_duration_seconds",
            "How long after its creation an object had passed a phase",
            ["kind", "phase"],
            buckets=_PROVISIONING_BUCKETS_S,
            registry=self.registry,
        )

    def written(self, before: JsonObject, after: JsonObject, now: float) -> None:
        """Observe the phases that an object passed with what was written of it."""
        for condition in (after.get("status") or {}).get("conditions") or ():
            phase = _PHASES.get(condition["type"])
            if phase is None or condition["status"] != "True":
                continue
            old = get_condition(before, condition["type"])
            if old is None or old["status"] != "True":
                age_s = now - parse_time(after["metadata"]["creationTimestamp"])
                self.provisioning_s.labels(after["kind"], phase).observe(max(0.0, age_s))

    def observe(self, controller: str, outcome: str, seconds: float) -> None:
        """Count one reconcile."""
        self.reconciles.labels(controller, outcome).inc()
        self.reconcile_s.labels(controller).observe(seconds)


def diagnostics_application(
    metrics: Metrics, fleet: FleetView, middlewares: Iterable[Middleware] = ()
) -> web.Application:
    """Serve `/metrics`: this process and the sum of all workers."""

    async def show_metrics(_: web.Request) -> web.Response:
        answers = await fleet.query("metrics")
        texts = [generate_latest(metrics.registry), *answers.values()]
        text = merged(part.decode(errors="replace") for part in texts)
        return web.Response(text=text, headers={"Content-Type": "text/plain; version=0.0.4"})

    app = web.Application(middlewares=list(middlewares))
    app.router.add_get("/metrics", show_metrics)
    return app


def debug_application(fleet: FleetView, middlewares: Iterable[Middleware] = ()) -> web.Application:
    """Serve `/listeners` as the original does, the workers, and a cluster's inside by its name."""

    async def show_all(request: web.Request) -> web.Response:
        answers = await fleet.query(request.path.strip("/"))
        return _json(joined(answers.values()))

    async def show_shards(_: web.Request) -> web.Response:
        return _json(shards(fleet, await fleet.query("shard")))

    async def show_cluster(request: web.Request) -> web.Response:
        info = request.match_info
        answers = await fleet.query(f"cluster/{info['namespace']}/{info['name']}")
        found = next((body for body in answers.values() if body), None)
        if found is None:
            text = f"no worker holds cluster {info['namespace']}/{info['name']}\n"
            return web.Response(status=404, text=text)
        return _json(orjson.loads(found))

    app = web.Application(middlewares=list(middlewares))
    app.router.add_get("/shards", show_shards)
    app.router.add_get("/listeners", show_all)
    app.router.add_get("/clusters", show_all)
    app.router.add_get("/clusters/{namespace}/{name}", show_cluster)
    app.router.add_get("/namespaces/{namespace}/clusters/{name}", show_cluster)
    return app


def shards(fleet: FleetView, answers: Mapping[str, bytes]) -> dict[str, Any]:
    """Return the manager and its workers, in their order; one that does not answer has a name alone."""
    workers = [
        {
            "name": one.name,
            "ready": one.ready,
            **orjson.loads(answers.get(one.name) or b"{}"),
        }
        for one in fleet.workers()
    ]
    manager = {"version": __version__, "installation": fleet.installation, **usage()}
    return {"manager": manager, "workers": workers}


def joined(bodies: Iterable[bytes]) -> dict[str, Any]:
    """Join the workers' JSON objects into one, sorted by key."""
    views: dict[str, Any] = {}
    for body in bodies:
        if body:
            views |= orjson.loads(body)
    return dict(sorted(views.items()))


def _json(view: object) -> web.Response:
    body = orjson.dumps(view, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    return web.Response(body=body, content_type="application/json")


def profiler_application(middlewares: Iterable[Middleware] = ()) -> web.Application:
    """Serve `/debug/pprof/goroutine`: where every task and thread is. Go's other profiles have no like."""

    async def show_stacks(_: web.Request) -> web.Response:
        return web.Response(text=stacks())

    app = web.Application(middlewares=list(middlewares))
    app.router.add_get("/debug/pprof/goroutine", show_stacks)
    return app


def stacks() -> str:
    """Write the stack of every task and thread of this process."""
    text = io.StringIO()
    for task in asyncio.all_tasks():
        text.write(f"task {task.get_name()}\n")
        task.print_stack(file=text)
    for number, frame in sys._current_frames().items():  # noqa: SLF001 - the only way to see threads
        text.write(f"thread {number}\n{''.join(traceback.format_stack(frame))}")
    return text.getvalue()
