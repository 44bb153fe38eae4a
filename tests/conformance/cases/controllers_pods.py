"""How pods end, and what goes with what: grace periods, finalizers, owners."""

from __future__ import annotations

from typing import Any, Final

from tests.conformance.case import Case, delete, get, patch, post, watch
from tests.conformance.cases.controllers_workloads import CORE, counts, listed, template

_PODS: Final = f"{CORE}/pods"
_P: Final = f"{_PODS}/p"
_NODE: Final = "/api/v1/nodes/{name}-0"
_MAKE_NODE: Final = post("/api/v1/nodes", {"metadata": {"name": "{name}-0"}}, compare=False)
_SOON: Final = {"gracePeriodSeconds": 5}
_LATE: Final = {"gracePeriodSeconds": 60}
_NOW: Final = {"gracePeriodSeconds": 0}


def _pod(name: str, *steps: Any, bound: bool = True, metadata: Any = None, **spec: Any) -> Case:
    """A case about a pod bound to a node without a kubelet, or to none."""
    where = {"nodeName": "{name}-0"} if bound else {"schedulerName": "none"}
    body = {
        "metadata": {"name": "p"} | (metadata or {}),
        "spec": template()["spec"] | {"automountServiceAccountToken": False} | where | spec,
    }
    made = post(_PODS, body, compare=False, until=lambda a: a.status != 403)
    return Case(f"controllers: a pod {name}", [_MAKE_NODE, made, *steps], cleanup=(_NODE,))


_HELD: Final = {"finalizers": ["example.com/held"]}
_FREE: Final = patch(_P, {"metadata": {"finalizers": None}})
_GRACEFUL: Final = [
    _pod("is given its time", delete(_P), get(_P)),
    _pod("is given the time it asks for", delete(_P), get(_P), terminationGracePeriodSeconds=7),
    _pod("is given the time a client says", delete(_P, _SOON), get(_P)),
    _pod("is given the time a query says", delete(f"{_P}?gracePeriodSeconds=5"), get(_P)),
    _pod("is given no less than a second", delete(_P, {"gracePeriodSeconds": -1}), get(_P)),
    _pod("that asks for no time goes", delete(_P), get(_P), terminationGracePeriodSeconds=0),
    _pod("is deleted again", delete(_P, _SOON, compare=False), delete(_P), get(_P)),
    _pod("is given less time", delete(_P, _LATE, compare=False), delete(_P, _SOON), get(_P)),
    _pod("is not given more time", delete(_P, _SOON, compare=False), delete(_P, _LATE), get(_P)),
    _pod("goes when told", delete(_P, compare=False), delete(_P, _NOW), get(_P)),
    _pod("goes at once when told", delete(_P, _NOW), get(_P)),
    _pod("on no node goes at once", delete(_P), get(_P), bound=False),
    _pod("on no node goes at once whatever is said", delete(_P, _LATE), get(_P), bound=False),
    _pod(
        "that has ended goes at once",
        patch(f"{_P}/status", {"status": {"phase": "Failed"}}, compare=False),
        delete(_P),
        get(_P),
    ),
    _pod("is held by a finalizer", delete(_P), get(_P), _FREE, get(_P), metadata=_HELD),
    _pod(
        "has had its time and is held",
        delete(_P, _NOW),
        get(_P),
        _FREE,
        get(_P),
        metadata=_HELD,
    ),
    _pod(
        "on no node is held by a finalizer", delete(_P), _FREE, get(_P), bound=False, metadata=_HELD
    ),
    _pod("is tried to be deleted", delete(f"{_P}?dryRun=All"), get(_P)),
    _pod("is tried to be deleted at once", delete(f"{_P}?dryRun=All", _NOW), get(_P)),
    _pod("on no node is tried to be deleted", delete(f"{_P}?dryRun=All"), get(_P), bound=False),
    _pod("of another uid stays", delete(_P, {"preconditions": {"uid": "other"}}), get(_P)),
    _pod("among all that are deleted", delete(_PODS), listed(_PODS)),
    _pod("among all that are deleted at once", delete(_PODS, _NOW), listed(_PODS)),
    _pod(
        "is evicted",
        post(f"{_P}/eviction", {"metadata": {"name": "p"}}),
        get(_P),
    ),
    _pod(
        "is evicted in a time",
        post(f"{_P}/eviction", {"metadata": {"name": "p"}, "deleteOptions": _SOON}),
        get(_P),
    ),
    _pod(
        "is bound by hand and then given time",
        post(
            f"{_P}/binding",
            {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "{name}-0"}},
        ),
        delete(_P),
        bound=False,
    ),
    _pod("goes with its node", delete(_NODE, compare=False), delete(_P, _NOW), get(_P)),
    _pod(
        "on no node is seen to go",
        watch(f"{_PODS}?fieldSelector=metadata.name=p", 3, during=(delete(_P),)),
        bound=False,
    ),
    _pod(
        "is seen to be given time",
        watch(
            f"{_PODS}?fieldSelector=metadata.name=p",
            4,
            during=(delete(_P, _SOON), delete(_P, _NOW)),
        ),
    ),
]

_MAPS: Final = f"{CORE}/configmaps"
_OWNER: Final = post(_MAPS, {"metadata": {"name": "owner"}}, compare=False)


def _owned(name: str, *, block: bool | None = None, more: Any = ()) -> Any:
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": "{0.metadata.uid}"}
    if block is not None:
        owner["blockOwnerDeletion"] = block  # type: ignore[assignment]
    body = {"metadata": {"name": name, "ownerReferences": [owner, *more]}}
    return post(_MAPS, body, compare=False)


def _gc(name: str, *steps: Any) -> Case:
    return Case(f"controllers: garbage {name}", [_OWNER, *steps])


_MINE: Final = "?fieldSelector=metadata.name!=kube-root-ca.crt"
_FINALIZED: Final = {"metadata": {"finalizers": ["example.com/held"]}}
_GARBAGE: Final = [
    _gc(
        "goes after its owner",
        _owned("d"),
        delete(f"{_MAPS}/owner"),
        listed(f"{_MAPS}{_MINE}", until=counts(0)),
    ),
    _gc(
        "goes before its owner",
        _owned("d", block=True),
        patch(f"{_MAPS}/d", _FINALIZED, compare=False),
        delete(f"{_MAPS}/owner?propagationPolicy=Foreground"),
        get(f"{_MAPS}/d", until=lambda a: a.at("metadata.deletionTimestamp")),
        get(f"{_MAPS}/owner"),
        patch(f"{_MAPS}/d", {"metadata": {"finalizers": None}}, compare=False),
        listed(f"{_MAPS}{_MINE}", until=counts(0)),
    ),
    _gc(
        "does not hold its owner unless it blocks it",
        _owned("d", block=False),
        patch(f"{_MAPS}/d", _FINALIZED, compare=False),
        delete(f"{_MAPS}/owner?propagationPolicy=Foreground", compare=False),
        get(f"{_MAPS}/owner", until=lambda a: a.status == 404),
        get(f"{_MAPS}/d", until=lambda a: a.at("metadata.deletionTimestamp")),
    ),
    _gc(
        "is left alone",
        _owned("d", block=True),
        delete(f"{_MAPS}/owner?propagationPolicy=Orphan", compare=False),
        get(f"{_MAPS}/owner", until=lambda a: a.status == 404),
        get(f"{_MAPS}/d", until=lambda a: not a.at("metadata.ownerReferences")),
    ),
    _gc(
        "of an owner that never was goes",
        post(
            _MAPS,
            {
                "metadata": {
                    "name": "d",
                    "ownerReferences": [
                        {"apiVersion": "v1", "kind": "ConfigMap", "name": "no", "uid": "no"}
                    ],
                }
            },
            compare=False,
        ),
        listed(f"{_MAPS}{_MINE}", until=counts(1)),
    ),
    _gc(
        "of two owners stays for the other",
        post(_MAPS, {"metadata": {"name": "other"}}, compare=False),
        _owned(
            "d",
            more=[
                {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "name": "other",
                    "uid": "{1.metadata.uid}",
                }
            ],
        ),
        delete(f"{_MAPS}/owner?propagationPolicy=Foreground", compare=False),
        get(f"{_MAPS}/owner", until=lambda a: a.status == 404),
        get(f"{_MAPS}/d", until=lambda a: len(a.at("metadata.ownerReferences") or ()) == 1),
    ),
]
CASES: Final = [*_GRACEFUL, *_GARBAGE]
