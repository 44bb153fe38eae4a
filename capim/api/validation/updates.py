"""What an update of a built-in kind may not change. Both objects are canonical and have their defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from capim.api.validation import common, field, pods

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from capim.api.meta import JsonObject
    from capim.api.validation.field import Cause

    Update = Callable[[JsonObject, JsonObject], Iterator[Cause]]

_STATEFUL_TEXT: Final = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
    "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
    "'minReadySeconds' are forbidden"
)
_STATEFUL_FREE: Final = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)
_CLAIM_TEXT: Final = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound "
    "claims"
)
_ONCE: Final = 'node updates may not change {} except from "" to valid'


def _at(obj: JsonObject, path: str) -> Any:
    value: Any = obj
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def fixed(*paths: str) -> Update:
    """Return a check that these paths do not change; `path:shown` tells another path."""

    def check(obj: JsonObject, old: JsonObject) -> Iterator[Cause]:
        for each in paths:
            path, _, shown = each.partition(":")
            new = _at(obj, path)
            if new != _at(old, path):
                yield field.immutable(shown or path, new)

    return check


def forbidden(*paths: str) -> Update:
    """Return a check that these paths do not change, told as forbidden."""

    def check(obj: JsonObject, old: JsonObject) -> Iterator[Cause]:
        for path in paths:
            if _at(obj, path) != _at(old, path):
                yield field.forbidden(path, f"updates to {path} are forbidden.")

    return check


def both(*checks: Update) -> Update:
    """Return a check that makes several, in their order."""

    def check(obj: JsonObject, old: JsonObject) -> Iterator[Cause]:
        for each in checks:
            yield from each(obj, old)

    return check


def _pod(obj: JsonObject, old: JsonObject) -> Iterator[Cause]:
    yield from pods.pod_update(obj.get("spec") or {}, old.get("spec") or {})


def _service(obj: JsonObject, old: JsonObject) -> Iterator[Cause]:
    new, was = obj.get("spec") or {}, old.get("spec") or {}
    if "ExternalName" in {new.get("type"), was.get("type")} or not was.get("clusterIP"):
        return
    if new.get("clusterIP") and new["clusterIP"] != was["clusterIP"]:
        yield field.invalid("spec.clusterIPs[0]", [new["clusterIP"]], "may not change once set")


def _claim(obj: JsonObject, old: JsonObject) -> Iterator[Cause]:
    new, was = dict(obj.get("spec") or {}), dict(old.get("spec") or {})
    bound = (old.get("status") or {}).get("phase") == "Bound"
    for spec in (new, was):
        if bound:
            spec.pop("volumeAttributesClassName", None)
            spec["resources"] = (spec.get("resources") or {}) | {"requests": None}
        if not was.get("volumeName"):
            spec.pop("volumeName", None)  # a controller binds it
    if new != was:
        yield field.forbidden("spec", _CLAIM_TEXT)


def _volume(obj: JsonObject, old: JsonObject) -> Iterator[Cause]:
    new, was = _source(obj), _source(old)
    if new != was:
        text = "spec.persistentvolumesource is immutable after creation"
        yield field.forbidden("spec.persistentvolumesource", text)
    mode = _at(obj, "spec.volumeMode")
    if mode != _at(old, "spec.volumeMode"):
        yield field.immutable("volumeMode", mode)


def _source(volume: JsonObject) -> JsonObject:
    from capim.api.validation.core import NO_SOURCE  # noqa: PLC0415 - core needs nothing of here

    spec: JsonObject = volume.get("spec") or {}
    return {key: value for key, value in spec.items() if key not in NO_SOURCE}


def _node(obj: JsonObject, old: JsonObject) -> Iterator[Cause]:
    new, was = obj.get("spec") or {}, old.get("spec") or {}
    if was.get("podCIDRs") and new.get("podCIDRs") != was["podCIDRs"]:
        yield field.forbidden("spec.podCIDRs", _ONCE.format("podCIDR"))
    if was.get("providerID") and new.get("providerID") != was["providerID"]:
        yield field.forbidden("spec.providerID", _ONCE.format("providerID"))


def _stateful_set(obj: JsonObject, old: JsonObject) -> Iterator[Cause]:
    new, was = ({k: v for k, v in o["spec"].items() if k not in _STATEFUL_FREE} for o in (obj, old))
    if new != was:
        yield field.forbidden("spec", _STATEFUL_TEXT)


def _binding(obj: JsonObject, old: JsonObject) -> Iterator[Cause]:
    reference = obj.get("roleRef") or {}
    if reference != old.get("roleRef"):
        shown = common.go_struct(reference, "apiGroup:APIGroup", "kind", "name")
        shown = {key: shown[key] for key in ("APIGroup", "Kind", "Name")}
        yield field.invalid("roleRef", shown, "cannot change roleRef")


def _priority_class(obj: JsonObject, old: JsonObject) -> Iterator[Cause]:
    if obj.get("value", 0) != old.get("value", 0):
        yield field.forbidden("value", "may not be changed in an update.")
    yield from fixed("preemptionPolicy")(obj, old)


def _job(obj: JsonObject, old: JsonObject) -> Iterator[Cause]:
    indexed = _at(obj, "spec.completionMode") == "Indexed"
    if not indexed:
        yield from fixed("spec.completions")(obj, old)
    yield from fixed("spec.selector")(obj, old)
    if not (_at(old, "spec.suspend") and _at(old, "status.startTime") is None):
        yield from fixed("spec.template")(obj, old)
    elif _at(obj, "spec.template.spec.containers") != _at(old, "spec.template.spec.containers"):
        yield from _suspended_template(obj, old)
    elif _at(obj, "spec.template.spec.restartPolicy") != _at(
        old, "spec.template.spec.restartPolicy"
    ):
        yield from fixed("spec.template")(obj, old)
    yield from fixed("spec.completionMode", "spec.podFailurePolicy", "spec.backoffLimitPerIndex")(
        obj, old
    )


def _suspended_template(obj: JsonObject, old: JsonObject) -> Iterator[Cause]:
    """A job that never ran may have its containers' resources changed."""
    new, was = (
        [c | {"resources": None} for c in _at(o, "spec.template.spec.containers") or ()]
        for o in (obj, old)
    )
    if new != was:
        yield from fixed("spec.template")(obj, old)


def _attachment(obj: JsonObject, old: JsonObject) -> Iterator[Cause]:
    if obj.get("spec") != old.get("spec"):
        spec: JsonObject = obj.get("spec") or {}
        shown = common.go_struct(spec, "attacher", "source", "nodeName")
        keys = ("persistentVolumeName", "inlineVolumeSpec")
        shown["Source"] = common.go_struct(spec.get("source") or {}, *keys)
        yield field.immutable("spec", shown)


def _slice_driver(obj: JsonObject, old: JsonObject) -> Iterator[Cause]:
    known = {driver.get("name"): driver for driver in _at(old, "spec.drivers") or ()}
    for driver in _at(obj, "spec.drivers") or ():
        if known.get(driver.get("name"), driver) != driver:
            keys = ("name", "nodeID:NodeID", "topologyKeys", "allocatable")
            yield field.immutable("spec.drivers", common.go_struct(driver, *keys))


def _cidrs(obj: JsonObject, old: JsonObject) -> Iterator[Cause]:
    was: list[str] = _at(old, "spec.cidrs") or []
    for index, cidr in enumerate(_at(obj, "spec.cidrs") or ()):
        if index < len(was) and was[index] != cidr:
            yield field.immutable(f"spec.cidrs[{index}]", cidr)


def _parent(obj: JsonObject, old: JsonObject) -> Iterator[Cause]:
    reference = _at(obj, "spec.parentRef") or {}
    if reference != _at(old, "spec.parentRef"):
        held = dict.fromkeys(("group", "resource", "namespace", "name"), "") | reference
        keys = ("group", "resource", "namespace", "name")
        yield field.immutable("spec.parentRef", common.go_struct(held, *keys))


_SELECTOR: Final = fixed("spec.selector")
UPDATES: Final[dict[tuple[str, str], Update]] = {
    ("", "nodes"): _node,
    ("", "persistentvolumeclaims"): _claim,
    ("", "persistentvolumes"): _volume,
    ("", "pods"): _pod,
    ("", "resourcequotas"): fixed("spec.scopes"),
    ("", "services"): _service,
    ("apps", "controllerrevisions"): fixed("data"),
    ("apps", "daemonsets"): _SELECTOR,
    ("apps", "deployments"): _SELECTOR,
    ("apps", "replicasets"): _SELECTOR,
    ("apps", "statefulsets"): _stateful_set,
    ("batch", "jobs"): _job,
    ("certificates.k8s.io", "certificatesigningrequests"): fixed("spec"),
    ("discovery.k8s.io", "endpointslices"): fixed("addressType"),
    ("networking.k8s.io", "ingressclasses"): fixed("spec.controller"),
    ("networking.k8s.io", "ipaddresses"): _parent,
    ("networking.k8s.io", "servicecidrs"): _cidrs,
    ("node.k8s.io", "runtimeclasses"): fixed("handler"),
    ("rbac.authorization.k8s.io", "clusterrolebindings"): _binding,
    ("rbac.authorization.k8s.io", "rolebindings"): _binding,
    ("resource.k8s.io", "resourceclaims"): fixed("spec"),
    ("resource.k8s.io", "resourceclaimtemplates"): fixed("spec"),
    ("scheduling.k8s.io", "priorityclasses"): _priority_class,
    ("storage.k8s.io", "csidrivers"): fixed(
        "spec.attachRequired:spec.attachedRequired", "spec.volumeLifecycleModes"
    ),
    ("storage.k8s.io", "csinodes"): _slice_driver,
    ("storage.k8s.io", "csistoragecapacities"): fixed("storageClassName"),
    ("storage.k8s.io", "storageclasses"): both(
        forbidden("provisioner", "parameters", "reclaimPolicy"), fixed("volumeBindingMode")
    ),
    ("storage.k8s.io", "volumeattachments"): _attachment,
    ("storage.k8s.io", "volumeattributesclasses"): forbidden("driverName", "parameters"),
}
