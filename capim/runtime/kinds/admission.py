"""What a real API server's default admission and strategies write into new objects.

ServiceAccount, LimitRanger, Priority, RuntimeClass, DefaultTolerationSeconds, DefaultStorageClass,
StorageObjectInUseProtection, TaintNodesByCondition, and the strategies of jobs, daemon sets and pods.
Each looks only at objects of its own kind, so a kind without an entry pays for one look-up.

Departure: a pod of a namespace that has no `default` account (nobody made it) is let in; a real server
refuses it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from capim.api import errors
from capim.api.podqos import qos_class
from capim.runtime import writes
from capim.runtime.kinds.limits import apply_limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from capim.api.meta import JsonObject
    from capim.runtime.objects import Stored
    from capim.runtime.store import Store

_TOKEN_PATH: Final = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - where tokens lie
_MIRROR: Final = "kubernetes.io/config.mirror"
_UNSCHEDULABLE_TIMES: Final = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_TOLERATED_S: Final = 300
_DEFAULT_CLASS: Final = "storageclass.kubernetes.io/is-default-class"
SYSTEM_PRIORITIES: Final = {
    "system-cluster-critical": 2_000_000_000,
    "system-node-critical": 2_000_001_000,
}
_JOB: Final = "batch.kubernetes.io/"
_TEMPLATE_GENERATION: Final = "deprecated.daemonset.template.generation"


def admit(store: Store, kind: tuple[str, str], body: JsonObject, old: JsonObject | None) -> None:
    """Complete a canonical object in place. Raises APIError: Forbidden, what an admission refuses."""
    step = (_NEW if old is None else _CHANGED).get(kind)
    if step is not None:
        step(store, body, old or {})


# --- pods ------------------------------------------------------------------------------------------


def _new_pod(store: Store, pod: JsonObject, old: JsonObject) -> None:
    del old
    _resolve_priority(store, pod)
    runtime = pod["spec"].get("runtimeClassName")
    if runtime and store.table(("node.k8s.io", "runtimeclasses")).get(runtime) is None:
        raise _refuse(pod, f'pod rejected: RuntimeClass "{runtime}" not found')
    _tolerate(pod["spec"])
    if _MIRROR not in (pod["metadata"].get("annotations") or {}):
        _give_account(store, pod)
        apply_limits(store, pod)
    pod["status"] = {"phase": "Pending", "qosClass": qos_class(pod["spec"])}


def _changed_pod(store: Store, pod: JsonObject, old: JsonObject) -> None:
    del store
    was: JsonObject = old.get("spec") or {}
    for key in ("priority", "preemptionPolicy"):
        if key in was:
            pod["spec"].setdefault(key, was[key])
    _tolerate(pod["spec"])


def _refuse(pod: JsonObject, why: str) -> errors.APIError:
    return errors.forbidden("pods", "", pod["metadata"]["name"], why)


def _resolve_priority(store: Store, pod: JsonObject) -> None:
    spec: JsonObject = pod["spec"]
    name = spec.get("priorityClassName", "")
    value, policy = SYSTEM_PRIORITIES.get(name, 0), "PreemptLowerPriority"
    found = _priority_class(store, name)
    if found is not None:
        spec["priorityClassName"] = found["metadata"]["name"]
        value, policy = found.get("value", 0), found.get("preemptionPolicy", policy)
    elif name and name not in SYSTEM_PRIORITIES:
        raise _refuse(pod, f"no PriorityClass with name {name} was found")
    given = spec.get("priority")
    if given is not None and given != value:
        why = f"the integer value of priority ({given}) must not be provided in pod spec; "
        why += f"priority admission controller computed {value} from the given PriorityClass name"
        raise _refuse(pod, why)
    spec["priority"] = value
    spec.setdefault("preemptionPolicy", policy)


def _priority_class(store: Store, name: str) -> JsonObject | None:
    classes = store.table(("scheduling.k8s.io", "priorityclasses"))
    if name:
        stored = classes.get(name)
        return stored.json() if stored else None
    every = (stored.json() for stored in classes.slice(0, len(classes)))
    chosen = [each for each in every if each.get("globalDefault")]
    return min(chosen, key=lambda each: int(each.get("value", 0)), default=None)


def _tolerate(spec: JsonObject) -> None:
    """Let a pod stay for five minutes on a node that is not ready, unless it says otherwise."""
    held: list[JsonObject] = spec.get("tolerations") or []
    for key in _UNSCHEDULABLE_TIMES:
        if not any(
            t.get("key", key) == key and t.get("effect", "NoExecute") == "NoExecute" for t in held
        ):
            toleration = {"key": key, "operator": "Exists", "effect": "NoExecute"}
            held = [*held, toleration | {"tolerationSeconds": _TOLERATED_S}]
    spec["tolerations"] = held


def _give_account(store: Store, pod: JsonObject) -> None:
    spec, namespace = pod["spec"], pod["metadata"]["namespace"]
    name = spec.get("serviceAccountName") or "default"
    stored: Stored | None = store.table(("", "serviceaccounts")).get(f"{namespace}/{name}")
    if stored is None and name != "default":
        why = f"error looking up service account {namespace}/{name}: "
        raise _refuse(pod, f'{why}serviceaccount "{name}" not found')
    spec["serviceAccountName"] = spec["serviceAccount"] = name
    account: JsonObject = stored.json() if stored else {}
    wanted = spec.get("automountServiceAccountToken", account.get("automountServiceAccountToken"))
    if wanted is not False:
        _mount_token(spec, writes.generated_name("kube-api-access-", pod["metadata"]["uid"]))
    if account.get("imagePullSecrets") and not spec.get("imagePullSecrets"):
        spec["imagePullSecrets"] = account["imagePullSecrets"]


def _mount_token(spec: JsonObject, name: str) -> None:
    mount = {"name": name, "readOnly": True, "mountPath": _TOKEN_PATH}
    needed = False
    for key in ("containers", "initContainers"):
        for container in spec.get(key) or ():
            mounts = container.get("volumeMounts") or []
            if not any(each.get("mountPath") == _TOKEN_PATH for each in mounts):
                container["volumeMounts"] = [*mounts, dict(mount)]
                needed = True
    if needed:
        spec["volumes"] = [*(spec.get("volumes") or ()), _token_volume(name)]


def _token_volume(name: str) -> JsonObject:
    own_namespace = {"apiVersion": "v1", "fieldPath": "metadata.namespace"}
    sources: list[dict[str, Any]] = [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {
            "configMap": {
                "name": "kube-root-ca.crt",
                "items": [{"key": "ca.crt", "path": "ca.crt"}],
            }
        },
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": own_namespace}]}},
    ]
    return {"name": name, "projected": {"sources": sources, "defaultMode": 420}}


# --- workloads -------------------------------------------------------------------------------------


def _new_job(store: Store, job: JsonObject, old: JsonObject) -> None:
    """Let a job select its pods by its own uid, unless it says how."""
    del store, old
    spec, metadata = job["spec"], job["metadata"]
    if spec.get("manualSelector"):
        return
    uid, name = metadata["uid"], metadata["name"]
    template = spec["template"].setdefault("metadata", {})
    before = template.get("labels") or {}
    own = {"controller-uid": uid, f"{_JOB}controller-uid": uid}
    template["labels"] = own | {"job-name": name, f"{_JOB}job-name": name} | before
    if metadata.get("labels", before) == before:
        metadata["labels"] = dict(template["labels"])
    selector = spec.setdefault("selector", {})
    selector["matchLabels"] = (selector.get("matchLabels") or {}) | {f"{_JOB}controller-uid": uid}


def _new_daemon_set(store: Store, daemons: JsonObject, old: JsonObject) -> None:
    del store, old
    metadata = daemons["metadata"]
    metadata["annotations"] = (metadata.get("annotations") or {}) | {_TEMPLATE_GENERATION: "1"}


def _changed_daemon_set(store: Store, daemons: JsonObject, old: JsonObject) -> None:
    del store
    metadata = daemons["metadata"]
    before = (old["metadata"].get("annotations") or {}).get(_TEMPLATE_GENERATION)
    if before is None:
        return
    moved = daemons["spec"].get("template") != old["spec"].get("template")
    now = str(int(before) + moved)
    metadata["annotations"] = (metadata.get("annotations") or {}) | {_TEMPLATE_GENERATION: now}


# --- storage and nodes -----------------------------------------------------------------------------


def _protect(finalizer: str) -> Callable[[Store, JsonObject, JsonObject], None]:
    def step(store: Store, body: JsonObject, old: JsonObject) -> None:
        del store, old
        held = body["metadata"].get("finalizers") or []
        if finalizer not in held:
            body["metadata"]["finalizers"] = [*held, finalizer]

    return step


_protect_claim: Final = _protect("kubernetes.io/pvc-protection")
_protect_volume: Final = _protect("kubernetes.io/pv-protection")


def _new_claim(store: Store, claim: JsonObject, old: JsonObject) -> None:
    _protect_claim(store, claim, old)
    claim["status"] = {"phase": "Pending"}
    if claim["spec"].get("storageClassName") is not None:
        return
    classes = store.table(("storage.k8s.io", "storageclasses"))
    every = [stored.json() for stored in classes.slice(0, len(classes))]
    chosen = [
        each
        for each in every
        if (each["metadata"].get("annotations") or {}).get(_DEFAULT_CLASS) == "true"
    ]
    if chosen:
        newest = max(chosen, key=lambda each: str(each["metadata"]["creationTimestamp"]))
        claim["spec"]["storageClassName"] = newest["metadata"]["name"]


def _new_volume(store: Store, volume: JsonObject, old: JsonObject) -> None:
    _protect_volume(store, volume, old)
    since = volume["metadata"]["creationTimestamp"]
    volume["status"] = {"phase": "Pending", "lastPhaseTransitionTime": since}


def _new_node(store: Store, node: JsonObject, old: JsonObject) -> None:
    """Keep pods from a node until a controller has seen it ready."""
    del store, old
    spec = node.setdefault("spec", {})
    if spec.get("podCIDR"):
        spec.setdefault("podCIDRs", [spec["podCIDR"]])
    taint = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
    if taint not in (spec.get("taints") or ()):
        spec["taints"] = [*(spec.get("taints") or ()), taint]


_NEW: Final = {
    ("", "nodes"): _new_node,
    ("", "persistentvolumeclaims"): _new_claim,
    ("", "persistentvolumes"): _new_volume,
    ("", "pods"): _new_pod,
    ("apps", "daemonsets"): _new_daemon_set,
    ("batch", "jobs"): _new_job,
    ("storage.k8s.io", "volumeattributesclasses"): _protect("kubernetes.io/vac-protection"),
}
_CHANGED: Final = {
    ("", "pods"): _changed_pod,
    ("apps", "daemonsets"): _changed_daemon_set,
}
