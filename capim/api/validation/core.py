"""What is refused of the core group's kinds. Source: `pkg/apis/core/validation` in k8s.io/kubernetes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from capim.api.quantities import parse_quantity
from capim.api.validation import common, events, field, names, pods

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from capim.api.meta import JsonObject
    from capim.api.validation.field import Cause

_SERVICE_TYPES: Final = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_AFFINITIES: Final = ("ClientIP", "None")
_MODES: Final = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
_VOLUME_MODES: Final = ("Block", "Filesystem")
_RECLAIM: Final = ("Delete", "Recycle", "Retain")
#: fields of a volume's spec that are not its source
NO_SOURCE: Final = frozenset(
    {
        "accessModes",
        "capacity",
        "claimRef",
        "mountOptions",
        "nodeAffinity",
        "persistentVolumeReclaimPolicy",
        "storageClassName",
        "volumeAttributesClassName",
        "volumeMode",
    }
)
#: type -> keys that its data must have
_SECRET_KEYS: Final = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}
_ACCOUNT: Final = "kubernetes.io/service-account.name"
_COUNTED: Final = frozenset({"cpu", "memory", "storage", "ephemeral-storage"})
_QUOTA_NAMES: Final = frozenset(
    {
        *_COUNTED,
        *(f"requests.{name}" for name in _COUNTED),
        *(f"limits.{name}" for name in _COUNTED),
        "configmaps",
        "persistentvolumeclaims",
        "pods",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
        "services",
        "services.loadbalancers",
        "services.nodeports",
    }
)
#: bytes of all values of a ConfigMap or a Secret
_MOST_DATA: Final = 1024 * 1024
_SCOPES: Final = frozenset(
    {
        "BestEffort",
        "CrossNamespacePodAffinity",
        "NotBestEffort",
        "NotTerminating",
        "PriorityClass",
        "Terminating",
        "VolumeAttributesClass",
    }
)
_LIMIT_TYPES: Final = frozenset({"Pod", "Container", "PersistentVolumeClaim"})
_EFFECTS: Final = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def _pod(pod: JsonObject) -> Iterator[Cause]:
    yield from pods.pod_spec("spec", pod.get("spec") or {})


def _service(service: JsonObject) -> Iterator[Cause]:
    spec: JsonObject = service.get("spec") or {}
    kind, headless = spec.get("type"), spec.get("clusterIP") == "None"
    ports: list[JsonObject] = spec.get("ports") or []
    if kind == "ExternalName":
        yield from _external_name(spec.get("externalName", ""))
    elif not ports and not headless:
        yield field.required("spec.ports")
    yield from _service_ports(ports, kind)
    yield from names.labels("spec.selector", spec.get("selector"))
    yield from common.one_of("spec.sessionAffinity", spec.get("sessionAffinity"), _AFFINITIES)
    yield from common.one_of("spec.type", kind, _SERVICE_TYPES)
    yield from _cluster_addresses(spec)
    for index, address in enumerate(spec.get("externalIPs") or ()):
        yield from names.ip_address(f"spec.externalIPs[{index}]", address)
    for index, each in enumerate(spec.get("loadBalancerSourceRanges") or ()):
        yield from names.ip_range(f"spec.LoadBalancerSourceRanges[{index}]", each)
    yield from _repeated_ports(ports)


def _external_name(name: str) -> Iterator[Cause]:
    if name:
        yield from names.dns_subdomain("spec.externalName", name.removesuffix("."))
    else:
        yield field.required("spec.externalName")


def _cluster_addresses(spec: JsonObject) -> Iterator[Cause]:
    addresses = spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else [])
    if spec.get("type") == "ExternalName":
        if addresses:
            text = "may not be set when `type` is 'ExternalName'"
            yield field.forbidden("spec.clusterIPs", text)
        return
    for index, address in enumerate(addresses):
        if address != "None" or index:
            yield from names.ip_address(f"spec.clusterIPs[{index}]", address)


def _service_ports(ports: list[JsonObject], kind: str | None) -> Iterator[Cause]:
    seen: set[str] = set()
    for index, port in enumerate(ports):
        path, name = f"spec.ports[{index}]", port.get("name", "")
        if not name and len(ports) > 1:
            yield field.required(f"{path}.name")
        elif name:
            yield from names.dns_label(f"{path}.name", name)
            if name in seen:
                yield field.duplicate(f"{path}.name", name)
            seen.add(name)
        yield from names.port_number(f"{path}.port", port.get("port"))
        yield from common.one_of(f"{path}.protocol", port.get("protocol"), common.PROTOCOLS)
        yield from names.port(f"{path}.targetPort", port.get("targetPort"))
        if port.get("nodePort") and kind in {"ClusterIP", "ExternalName"}:
            text = f"may not be used when `type` is '{kind}'"
            yield field.forbidden(f"{path}.nodePort", text)


def _repeated_ports(ports: list[JsonObject]) -> Iterator[Cause]:
    seen = set()
    for index, port in enumerate(ports):
        key = (port.get("protocol"), port.get("port"))
        if key in seen:
            shown = {"Name": "", "Protocol": key[0], "AppProtocol": None, "Port": key[1]}
            yield field.duplicate(f"spec.ports[{index}]", shown | {"TargetPort": 0, "NodePort": 0})
        seen.add(key)


def _config_map(config_map: JsonObject) -> Iterator[Cause]:
    data, binary = _map(config_map, "data"), _map(config_map, "binaryData")
    for key in data:
        yield from names.config_key(f"data[{key}]", key)
        if key in binary:
            yield field.invalid(f"data[{key}]", key, "duplicate of key present in binaryData")
    for key in binary:
        yield from names.config_key(f"binaryData[{key}]", key)
    if sum(map(_size, data.values())) + sum(map(_decoded_size, binary.values())) > _MOST_DATA:
        yield field.too_long("[]", _MOST_DATA)


def _secret(secret: JsonObject) -> Iterator[Cause]:
    data, kind = _map(secret, "data"), secret.get("type")
    for key in data:
        yield from names.config_key(f"data[{key}]", key)
    if sum(map(_decoded_size, data.values())) > _MOST_DATA:
        yield field.too_long("data", _MOST_DATA)
    if kind == "kubernetes.io/service-account-token":
        if not (secret["metadata"].get("annotations") or {}).get(_ACCOUNT):
            yield field.required(f"metadata.annotations[{_ACCOUNT}]")
    elif kind == "kubernetes.io/basic-auth" and not {"username", "password"} & set(data):
        yield field.required("data[username]")
        yield field.required("data[password]")
    for key in _SECRET_KEYS.get(str(kind), ()):
        if key not in data:
            yield field.required(f"data[{key}]")


def _size(text: str) -> int:
    """Return a text's size in bytes."""
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))


def _decoded_size(text: str) -> int:
    """Return how many bytes are written as this in base64."""
    return len(text) // 4 * 3 - text.count("=", -2)


def _map(obj: JsonObject, key: str) -> JsonObject:
    held: Any = obj.get(key)
    return held if isinstance(held, dict) else {}


def claim_spec(path: str, spec: JsonObject) -> Iterator[Cause]:
    """Check a volume claim's spec at this path."""
    modes: list[str] = spec.get("accessModes") or []
    if not modes:
        yield field.required(f"{path}.accessModes", "at least 1 access mode is required")
    if spec.get("selector") is not None:
        yield from common.label_selector(f"{path}.selector", spec["selector"])
    for mode in modes:
        yield from common.one_of(f"{path}.accessModes", mode, _MODES)
    size = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if size is None:
        yield field.required(f"{path}.resources[storage]")
    elif parse_quantity(size).nanos <= 0:
        yield field.invalid(f"{path}.resources[storage]", size, "must be greater than zero")
    if spec.get("storageClassName"):
        yield from names.dns_subdomain(f"{path}.storageClassName", spec["storageClassName"])
    yield from common.maybe_one_of(path, spec, "volumeMode", _VOLUME_MODES)


def _volume(volume: JsonObject) -> Iterator[Cause]:
    spec: JsonObject = volume.get("spec") or {}
    if not spec.get("accessModes"):
        yield field.required("spec.accessModes")
    for mode in spec.get("accessModes") or ():
        yield from common.one_of("spec.accessModes", mode, _MODES)
    capacity = spec.get("capacity")
    if not capacity:
        yield field.required("spec.capacity")
    if set(capacity or ()) != {"storage"}:
        yield field.unsupported("spec.capacity", capacity, ("storage",))
    for name, text in (capacity or {}).items():
        if parse_quantity(text).nanos < 0:
            yield field.invalid(f"spec.capacity[{name}]", text, common.AT_LEAST_ZERO)
    yield from common.maybe_one_of("spec", spec, "persistentVolumeReclaimPolicy", _RECLAIM)
    yield from _volume_source(spec)
    if spec.get("storageClassName"):
        yield from names.dns_subdomain("spec.storageClassName", spec["storageClassName"])
    yield from common.maybe_one_of("spec", spec, "volumeMode", _VOLUME_MODES)


def _volume_source(spec: JsonObject) -> Iterator[Cause]:
    sources = [key for key in spec if key not in NO_SOURCE]
    if not sources:
        yield field.required("spec", "must specify a volume type")
    for extra in sources[1:]:
        yield field.forbidden(f"spec.{extra}", "may not specify more than 1 volume type")
    if "hostPath" in spec:
        yield from common.needed("spec.hostPath", spec["hostPath"], "path")
    if "local" in spec and spec.get("nodeAffinity") is None:
        yield field.required("spec.nodeAffinity", "Local volume requires node affinity")
    if "csi" in spec:
        yield from common.needed("spec.csi", spec["csi"], "driver", "volumeHandle")


def _quota(quota: JsonObject) -> Iterator[Cause]:
    spec: JsonObject = quota.get("spec") or {}
    for name, text in (spec.get("hard") or {}).items():
        path = f"spec.hard[{name}]"
        yield from names.qualified_name(path, name)
        if "/" not in name and name not in _QUOTA_NAMES and not name.startswith("requests."):
            kind = "must be a standard resource type or fully qualified"
            yield field.invalid(path, name, kind)
            yield field.invalid(path, name, "must be a standard resource for quota")
        if parse_quantity(text).nanos < 0:
            yield field.invalid(path, text, common.AT_LEAST_ZERO)
    scopes = spec.get("scopes") or []
    if not _SCOPES.issuperset(scopes):
        yield field.invalid("spec.scopes", scopes, "unsupported scope")


def _limit_range(limits: JsonObject) -> Iterator[Cause]:
    seen: set[str] = set()
    for index, item in enumerate((limits.get("spec") or {}).get("limits") or ()):
        path, kind = f"spec.limits[{index}]", item.get("type", "")
        if kind not in _LIMIT_TYPES and "/" not in kind:
            text = "must be a standard limit type or fully qualified"
            yield field.invalid(f"{path}.type", kind, text)
        if kind in seen:
            yield field.duplicate(f"{path}.type", kind)
        seen.add(kind)
        yield from _limits(path, item)


#: what must not be the wrong way round: the lower, the higher, their names, the field that is blamed, the
#: one that is shown (as a real server has them, whose choices differ from row to row)
_ORDER: Final = (
    ("min", "max", "min", "max", "min", "min"),
    ("min", "defaultRequest", "min", "default request", "defaultRequest", "defaultRequest"),
    ("defaultRequest", "max", "default request", "max", "defaultRequest", "defaultRequest"),
    (
        "defaultRequest",
        "default",
        "default request",
        "default limit",
        "defaultRequest",
        "defaultRequest",
    ),
    ("min", "default", "min", "default", "default", "min"),
    ("default", "max", "default", "max", "default", "max"),
)


def _limits(path: str, item: JsonObject) -> Iterator[Cause]:
    held = {key: item.get(key) or {} for key in ("min", "max", "default", "defaultRequest")}
    for name in sorted(set().union(*held.values())):
        for lower, higher, lower_name, higher_name, blamed, shown in _ORDER:
            low, high = held[lower].get(name), held[higher].get(name)
            if low and high and parse_quantity(low).nanos > parse_quantity(high).nanos:
                text = f"{lower_name} value {low} is greater than {higher_name} value {high}"
                yield field.invalid(f"{path}.{blamed}[{name}]", held[shown][name], text)


def _endpoints(endpoints: JsonObject) -> Iterator[Cause]:
    for index, subset in enumerate(endpoints.get("subsets") or ()):
        path = f"subsets[{index}]"
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            text = "must specify `addresses` or `notReadyAddresses`"
            yield field.required(path, text)
        for key in ("addresses", "notReadyAddresses"):
            for number, address in enumerate(subset.get(key) or ()):
                where, text = f"{path}.{key}[{number}].ip", address.get("ip", "")
                yield from names.ip_address(where, text)
                if not names.is_address(text):  # two rules say so
                    yield field.invalid(where, text, "must be a valid IP address")
        ports = subset.get("ports") or []
        for number, port in enumerate(ports):
            inner = f"{path}.ports[{number}]"
            if len(ports) > 1 and not port.get("name"):
                yield field.required(f"{inner}.name")
            yield from names.port_number(f"{inner}.port", port.get("port"))
            yield from common.one_of(f"{inner}.protocol", port.get("protocol"), common.PROTOCOLS)


def _controller(controller: JsonObject) -> Iterator[Cause]:
    spec: JsonObject = controller.get("spec") or {}
    yield from common.not_negative("spec", spec, "minReadySeconds")
    if not spec.get("selector"):
        yield field.required("spec.selector")
    yield from common.not_negative("spec", spec, "replicas")
    held = spec.get("template")
    if held is None:
        yield field.required("spec.template")
        return
    selector = {"matchLabels": spec.get("selector")} if spec.get("selector") else None
    yield from pods.template("spec.template", held, selector, "ReplicationController")


def _pod_template(obj: JsonObject) -> Iterator[Cause]:
    held: JsonObject = obj.get("template") or {}
    yield from names.labels("template.metadata.labels", (held.get("metadata") or {}).get("labels"))
    yield from pods.pod_spec("template.spec", held.get("spec") or {})


def _node(node: JsonObject) -> Iterator[Cause]:
    spec = _map(node, "spec")
    for index, taint in enumerate(spec.get("taints") or ()):
        path = f"metadata.taints[{index}]"
        yield from names.qualified_name(f"{path}.key", taint.get("key", ""))
        yield from names.label_value(f"{path}.value", taint.get("value", ""))
        if taint.get("effect"):
            yield from common.one_of(f"{path}.effect", taint["effect"], _EFFECTS)
        else:
            yield field.required(f"{path}.effect")
    ranges = spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else [])
    for index, text in enumerate(ranges):
        yield from names.ip_range(f"spec.podCIDRs[{index}]", text)


KINDS: Final[dict[str, Callable[[JsonObject], Iterator[Cause]]]] = {
    "configmaps": _config_map,
    "endpoints": _endpoints,
    "events": events.event,
    "limitranges": _limit_range,
    "nodes": _node,
    "persistentvolumeclaims": lambda claim: claim_spec("spec", claim.get("spec") or {}),
    "persistentvolumes": _volume,
    "pods": _pod,
    "podtemplates": _pod_template,
    "replicationcontrollers": _controller,
    "resourcequotas": _quota,
    "secrets": _secret,
    "services": _service,
}
