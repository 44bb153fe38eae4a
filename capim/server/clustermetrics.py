"""/metrics of one fake API server, in the names and labels of a kube-apiserver 1.35. No I/O of its own.

Counts are the cluster's own. Durations are the whole process's, shared out by those counts: the clusters
of a process are served by the same code, and a histogram for each would cost each a hundred kilobytes.
What a scrape does not find here it would find there: queues, caches and the Go runtime, which are not.
"""

from __future__ import annotations

import resource as limits
from bisect import bisect_right
from typing import TYPE_CHECKING, Final, TypeAlias

import orjson

from capim.aio.clock import wall_clock
from capim.server import health
from capim.server.http import Response
from capim.server.version import document

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from capim.runtime.store import Store
    from capim.server.endpoints import Control
    from capim.server.metrics import Durations, RequestLabels

PATHS: Final = ("/metrics", "/metrics/slis")
_TEXT: Final = b"text/plain; version=0.0.4; charset=utf-8; escaping=underscores"
#: of a histogram's buckets, in seconds
_BOUNDS: Final = (
    *(0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5),
    *(2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60),
)
_VERBS: Final = {
    "create": "POST",
    "delete": "DELETE",
    "deletecollection": "DELETECOLLECTION",
    "get": "GET",
    "list": "LIST",
    "patch": "PATCH",
    "update": "PUT",
    "watch": "WATCH",
}
#: what an API server asks of etcd for each verb
_OPERATIONS: Final = {
    "create": "create",
    "delete": "delete",
    "get": "get",
    "list": "list",
    "patch": "update",
    "update": "update",
}
Labels: TypeAlias = tuple[tuple[str, str], ...]
#: what follows the family's name, labels, value
Sample: TypeAlias = tuple[str, Labels, float]


def answer(path: str, control: Control) -> Response:
    """Answer a scrape."""
    families = _slis() if path.endswith("slis") else _families(control)
    text = "".join(_family(*family) for family in families)
    return Response(200, text.encode(), _TEXT)


def _families(control: Control) -> Iterator[tuple[str, str, str, Iterable[Sample]]]:
    store, rows = control.served.group.store, list(control.tally.rows())
    requests = [(it.labels, it, count) for it, count in rows if it.labels is not None]
    yield (
        "apiserver_current_inflight_requests",
        "gauge",
        "[STABLE] Requests that are answered just now.",
        [("", (("request_kind", kind),), value) for kind, value in _IN_FLIGHT],
    )
    yield (
        "apiserver_longrunning_requests",
        "gauge",
        "[STABLE] Open watches.",
        _watches(store),
    )
    yield (
        "apiserver_request_duration_seconds",
        "histogram",
        "[STABLE] How long answers took.",
        (sample for labels, it, count in requests for sample in _histogram(labels, it, count)),
    )
    yield (
        "apiserver_request_total",
        "counter",
        "[STABLE] Requests that were answered.",
        (("", (("code", it.code), *_labels(it)), count) for it, _, count in requests),
    )
    yield from _stored(store)
    yield (
        "etcd_requests_total",
        "counter",
        "[ALPHA] Requests to etcd.",
        _etcd(requests),
    )
    yield from _process(control)


_IN_FLIGHT: Final = (("mutating", 0.0), ("readOnly", 1.0))


def _labels(it: RequestLabels) -> Labels:
    return (
        ("component", "apiserver" if it.resource else ""),
        ("dry_run", it.dry_run),
        ("group", it.group),
        ("resource", it.resource),
        ("scope", it.scope),
        ("subresource", it.subresource),
        ("verb", _VERBS.get(it.verb, "GET")),
        ("version", it.version),
    )


def _histogram(labels: RequestLabels, all_: Durations, count: int) -> Iterator[Sample]:
    """Share out the process's durations: this cluster had `count` of them."""
    own, total = _labels(labels), sum(all_.counts)
    cumulative, running = [0], 0
    for each in all_.counts:
        running += each
        cumulative.append(running)
    for bound in _BOUNDS:
        upto = cumulative[bisect_right(all_.buckets, bound)]
        yield "_bucket", (*own, ("le", f"{bound:g}")), count * upto // total
    yield "_bucket", (*own, ("le", "+Inf")), count
    yield "_sum", own, all_.total * count / total
    yield "_count", own, count


def _watches(store: Store) -> Iterator[Sample]:
    for (group, plural), count in sorted(store.subscriptions.counts().items()):
        named = (("component", "apiserver"), ("group", group), ("resource", plural))
        rest = (("scope", "cluster"), ("subresource", ""), ("verb", "WATCH"), ("version", "v1"))
        yield "", (*named, *rest), count


def _stored(store: Store) -> Iterator[tuple[str, str, str, Iterable[Sample]]]:
    kinds = sorted({it.group_resource for it in store.resources if it.stored})
    counts = [(group, plural, store.count((group, plural))) for group, plural in kinds]
    yield (
        "apiserver_resource_objects",
        "gauge",
        "[ALPHA] Objects that are stored.",
        (("", (("group", group), ("resource", it)), count) for group, it, count in counts),
    )
    yield (
        "apiserver_storage_objects",
        "gauge",
        "[STABLE] Objects that are stored.",
        (
            ("", (("resource", f"{it}.{group}" if group else it),), count)
            for group, it, count in counts
        ),
    )
    own = sum(stored.size for table in store.tables() for stored in table.own())
    yield (
        "apiserver_storage_size_bytes",
        "gauge",
        "[STABLE] Bytes that are stored.",
        [("", (("storage_cluster_id", "etcd-0"),), own)],
    )


def _etcd(requests: list[tuple[RequestLabels, Durations, int]]) -> Iterator[Sample]:
    counts: dict[tuple[str, str, str], int] = {}
    for labels, _, count in requests:
        if operation := _OPERATIONS.get(labels.verb):
            key = (labels.group, operation, labels.resource)
            counts[key] = counts.get(key, 0) + count
    for key, count in sorted(counts.items()):
        yield "", tuple(zip(("group", "operation", "resource"), key, strict=True)), count


def _process(control: Control) -> Iterator[tuple[str, str, str, Iterable[Sample]]]:
    build = orjson.loads(document(control.served.kubernetes_version()))
    named = {
        "build_date": "buildDate",
        "compiler": "compiler",
        "git_commit": "gitCommit",
        "git_tree_state": "gitTreeState",
        "git_version": "gitVersion",
        "go_version": "goVersion",
        "major": "major",
        "minor": "minor",
        "platform": "platform",
    }
    labels = tuple((name, str(build.get(key, ""))) for name, key in named.items())
    yield "kubernetes_build_info", "gauge", "[ALPHA] What is served, always 1.", [("", labels, 1)]
    usage = limits.getrusage(limits.RUSAGE_SELF)
    values = {
        "process_cpu_seconds_total": ("counter", "CPU seconds.", usage.ru_utime + usage.ru_stime),
        "process_max_fds": ("gauge", "Descriptors.", limits.getrlimit(limits.RLIMIT_NOFILE)[0]),
        "process_resident_memory_bytes": ("gauge", "Most memory.", usage.ru_maxrss * 1024),
        "process_start_time_seconds": ("gauge", "Since the epoch.", _STARTED),
    }
    for name, (kind, text, value) in values.items():
        yield name, kind, text, [("", (), value)]


_STARTED: Final = wall_clock()


def _slis() -> Iterator[tuple[str, str, str, Iterable[Sample]]]:
    rows = [
        (("name", check), ("type", path.strip("/")))
        for path in health.PATHS
        for check in health.checks_of(path)
    ]
    rows.sort()
    yield (
        "kubernetes_healthcheck",
        "gauge",
        "[STABLE] Checks that pass.",
        (("", it, 1) for it in rows),
    )
    yield (
        "kubernetes_healthchecks_total",
        "counter",
        "[STABLE] Checks by their result.",
        (("", (it[0], ("status", "success"), it[1]), 1) for it in rows),
    )


def _family(name: str, kind: str, text: str, samples: Iterable[Sample]) -> str:
    rows = [f"{name}{suffix}{_shown(labels)} {value:.16g}\n" for suffix, labels, value in samples]
    if not rows:
        return ""
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n" + "".join(rows)


def _shown(labels: Labels) -> str:
    if not labels:
        return ""
    # values are names of kinds, verbs and versions: none has anything to escape
    inside = ",".join(f'{name}="{value}"' for name, value in labels)
    return f"{{{inside}}}"
