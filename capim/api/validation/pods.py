"""What is refused of a pod's spec, as an object of its own or in a template.

Source: k8s.io/kubernetes `pkg/apis/core/validation/validation.go`; the most frequent mistakes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from capim.api.quantities import parse_quantity
from capim.api.validation import common, field, names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from capim.api.meta import JsonObject
    from capim.api.validation.field import Cause

_PULL: Final = ("Always", "IfNotPresent", "Never")
_EFFECTS: Final = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_DNS: Final = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_RESTART: Final = ("Always", "OnFailure", "Never")
_HANDLERS: Final = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_SOURCES: Final = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")
_SOURCE_TEXT: Final = (
    "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or "
    "`fileKeyRef`"
)
_RESOURCES: Final = frozenset({"cpu", "memory", "ephemeral-storage"})
_ENV: Final = re.compile(r"[\x20-\x3c\x3e-\x7e]+")
_ENV_TEXT: Final = (
    "a valid environment variable name must consist only of printable ASCII characters other "
    "than '='"
)
_ANY_KEY: Final = (
    'operator must be Exists when `key` is empty, which means "match all values and all keys"'
)


def pod_spec(path: str, spec: JsonObject) -> Iterator[Cause]:
    """Check a pod's spec at this path."""
    volumes: list[JsonObject] = spec.get("volumes") or []
    yield from _volumes(f"{path}.volumes", volumes)
    known = {volume.get("name", "") for volume in volumes}
    yield from _containers(path, spec, known)
    yield from common.one_of(f"{path}.restartPolicy", spec.get("restartPolicy"), _RESTART)
    yield from common.one_of(f"{path}.dnsPolicy", spec.get("dnsPolicy"), _DNS)
    yield from names.labels(f"{path}.nodeSelector", spec.get("nodeSelector"))
    if account := spec.get("serviceAccountName"):
        yield from names.dns_subdomain(f"{path}.serviceAccountName", account)
    if node := spec.get("nodeName"):
        yield from names.dns_subdomain(f"{path}.nodeName", node)
    yield from _deadline(f"{path}.activeDeadlineSeconds", spec.get("activeDeadlineSeconds"))
    for key in ("hostname", "subdomain"):
        if spec.get(key):
            yield from names.dns_label(f"{path}.{key}", spec[key])
    for index, toleration in enumerate(spec.get("tolerations") or ()):
        yield from _toleration(f"{path}.tolerations[{index}]", toleration)
    if name := spec.get("priorityClassName"):
        yield from names.dns_subdomain(f"{path}.priorityClassName", name)
    if name := spec.get("runtimeClassName"):
        yield from names.dns_subdomain(f"{path}.runtimeClassName", name)


def _deadline(path: str, value: int | None) -> Iterator[Cause]:
    if value is not None and not 1 <= value <= (1 << 31) - 1:
        yield field.invalid(path, value, "must be between 1 and 2147483647, inclusive")


def _containers(path: str, spec: JsonObject, volumes: Iterable[str]) -> Iterator[Cause]:
    containers: list[JsonObject] = spec.get("containers") or []
    if not containers:
        yield field.required(f"{path}.containers")
    seen: set[str] = set()
    for key in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(key) or ()):
            inner = f"{path}.{key}[{index}]"
            name = container.get("name", "")
            yield from container_name(f"{inner}.name", name)
            if name and name in seen:
                yield field.duplicate(f"{inner}.name", name)
            seen.add(name)
            yield from container_fields(inner, container, volumes)
            if key == "initContainers":
                yield from _init_probes(inner, container)


def _init_probes(path: str, container: JsonObject) -> Iterator[Cause]:
    if container.get("restartPolicy") == "Always":
        return
    for key in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(key) is not None:
            text = "may not be set for init containers without restartPolicy=Always"
            yield field.forbidden(f"{path}.{key}", text)


def container_name(path: str, name: str) -> Iterator[Cause]:
    """Check the name of a container or a volume."""
    if name:
        yield from names.dns_label(path, name)
    else:
        yield field.required(path)


def container_fields(path: str, held: JsonObject, volumes: Iterable[str]) -> Iterator[Cause]:
    """Check what every container has but its name; `volumes` are the names of the pod's."""
    image = held.get("image", "")
    if not image:
        yield field.required(f"{path}.image")
    elif image != image.strip():
        text = "must not have leading or trailing whitespace"
        yield field.invalid(f"{path}.image", image, text)
    for index, port in enumerate(held.get("ports") or ()):
        yield from _port(f"{path}.ports[{index}]", port)
    for index, variable in enumerate(held.get("env") or ()):
        yield from _variable(f"{path}.env[{index}]", variable)
    for index, mount in enumerate(held.get("volumeMounts") or ()):
        yield from _mount(f"{path}.volumeMounts[{index}]", mount, volumes)
    for key in ("livenessProbe", "readinessProbe", "startupProbe"):
        if held.get(key) is not None:
            yield from _probe(f"{path}.{key}", held[key])
    yield from common.one_of(f"{path}.imagePullPolicy", held.get("imagePullPolicy"), _PULL)
    yield from resources(f"{path}.resources", held.get("resources") or {})


def _port(path: str, port: JsonObject) -> Iterator[Cause]:
    if port.get("name"):
        yield from names.port_name(f"{path}.name", port["name"])
    if not port.get("containerPort"):
        yield field.required(f"{path}.containerPort")
    else:
        yield from names.port_number(f"{path}.containerPort", port["containerPort"])
    if port.get("hostPort"):
        yield from names.port_number(f"{path}.hostPort", port["hostPort"])
    yield from common.one_of(f"{path}.protocol", port.get("protocol"), common.PROTOCOLS)


def _variable(path: str, variable: JsonObject) -> Iterator[Cause]:
    name = variable.get("name", "")
    if not name:
        yield field.required(f"{path}.name")
    elif not _ENV.fullmatch(name):
        yield field.invalid(f"{path}.name", name, _ENV_TEXT)
    source = variable.get("valueFrom")
    if source is None:
        return
    given = [key for key in _SOURCES if source.get(key) is not None]
    if not given:
        yield field.invalid(f"{path}.valueFrom", "", _SOURCE_TEXT)
    elif variable.get("value"):
        text = "may not be specified when `value` is not empty"
        yield field.invalid(f"{path}.valueFrom", "", text)
    for key in ("configMapKeyRef", "secretKeyRef"):
        if source.get(key) is not None and not source[key].get("key"):
            yield field.required(f"{path}.valueFrom.{key}.key")


def _mount(path: str, mount: JsonObject, volumes: Iterable[str]) -> Iterator[Cause]:
    name = mount.get("name", "")
    if not name:
        yield field.required(f"{path}.name")
    elif name not in volumes:
        yield field.not_found(f"{path}.name", name)
    if not mount.get("mountPath"):
        yield field.required(f"{path}.mountPath")


def _probe(path: str, probe: JsonObject) -> Iterator[Cause]:
    handlers = [key for key in _HANDLERS if probe.get(key) is not None]
    if not handlers:
        yield field.required(path, "must specify a handler type")
    for extra in handlers[1:]:
        text = "may not specify more than 1 handler type"
        yield field.forbidden(f"{path}.{extra}", text)
    for key in ("httpGet", "tcpSocket", "grpc"):
        if probe.get(key) is not None:
            yield from names.port(f"{path}.{key}.port", probe[key].get("port"))
    yield from common.not_negative(
        path,
        probe,
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    )


def resources(path: str, held: JsonObject) -> Iterator[Cause]:
    """Check what a container requests and is limited to."""
    limits, requests = held.get("limits") or {}, held.get("requests") or {}
    for kind, amounts in (("limits", limits), ("requests", requests)):
        for name, text in amounts.items():
            over = kind == "requests" and name in limits
            if over and parse_quantity(text).nanos > parse_quantity(limits[name]).nanos:
                why = f"must be less than or equal to {name} limit of {limits[name]}"
                yield field.invalid(f"{path}.requests", text, why)
            yield from _resource_name(f"{path}.{kind}[{name}]", name)
            if parse_quantity(text).nanos < 0:
                yield field.invalid(f"{path}.{kind}[{name}]", text, common.AT_LEAST_ZERO)


def _resource_name(path: str, name: str) -> Iterator[Cause]:
    yield from names.qualified_name(path, name)
    if "/" not in name and name not in _RESOURCES and not name.startswith("hugepages-"):
        text = "must be a standard resource type or fully qualified"
        yield field.invalid(path, name, text)
        yield field.invalid(path, name, "must be a standard resource for containers")


def _toleration(path: str, toleration: JsonObject) -> Iterator[Cause]:
    key, operator = toleration.get("key"), toleration.get("operator", "")
    effect = toleration.get("effect", "")
    if key:
        yield from names.qualified_name(f"{path}.key", key)
    elif operator != "Exists":
        yield field.invalid(f"{path}.operator", operator, _ANY_KEY)
    if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
        text = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        yield field.invalid(f"{path}.effect", effect, text)
    if operator in {"", "Equal"}:
        yield from names.label_value(f"{path}.operator", toleration.get("value", ""))
    elif operator == "Exists":
        if toleration.get("value"):
            text = "value must be empty when `operator` is 'Exists'"
            yield field.invalid(f"{path}.operator", toleration["value"], text)
    else:
        yield field.unsupported(f"{path}.operator", operator, ("Equal", "Exists"))
    if effect:
        yield from common.one_of(f"{path}.effect", effect, _EFFECTS)


def _volumes(path: str, volumes: list[JsonObject]) -> Iterator[Cause]:
    seen: set[str] = set()
    for index, volume in enumerate(volumes):
        inner, name = f"{path}[{index}]", volume.get("name", "")
        sources = [key for key in volume if key != "name"]
        causes = [*_volume_source(inner, volume, sources)]
        yield from causes
        yield from container_name(f"{inner}.name", name)
        if name and name in seen:
            yield field.duplicate(f"{inner}.name", name)
        if not causes:
            seen.add(name)


def _volume_source(path: str, volume: JsonObject, sources: list[str]) -> Iterator[Cause]:
    if sources and (check := _VOLUMES.get(sources[0])):
        yield from check(f"{path}.{sources[0]}", volume[sources[0]])
    for extra in sources[1:]:
        yield field.forbidden(f"{path}.{extra}", "may not specify more than 1 volume type")


_VOLUMES: Final[dict[str, Callable[[str, JsonObject], Iterator[Cause]]]] = {
    "secret": lambda path, held: common.needed(path, held, "secretName"),
    "configMap": lambda path, held: common.needed(path, held, "name"),
    "persistentVolumeClaim": lambda path, held: common.needed(path, held, "claimName"),
    "hostPath": lambda path, held: common.needed(path, held, "path"),
    "nfs": lambda path, held: common.needed(path, held, "server", "path"),
    "csi": lambda path, held: common.needed(path, held, "driver"),
}

#: what a pod's spec may change, container by container and as a whole
_MAY_CHANGE: Final = ("activeDeadlineSeconds", "tolerations", "schedulingGates")
_MAY_NOT_TEXT: Final = (
    "pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to "
    "existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was "
    "previously negative)"
)


def pod_update(spec: JsonObject, old: JsonObject) -> Iterator[Cause]:
    """Check a changed pod spec; both specs are canonical."""
    for key in ("containers", "initContainers"):
        if len(spec.get(key) or ()) != len(old.get(key) or ()):
            yield field.forbidden(f"spec.{key}", "pod updates may not add or remove containers")
            return
    yield from _deadline_update(spec.get("activeDeadlineSeconds"), old.get("activeDeadlineSeconds"))
    kept = list(old.get("tolerations") or ())
    given = spec.get("tolerations") or []
    if any(_without_time(t) not in map(_without_time, given) for t in kept):
        text = "existing toleration can not be modified except its tolerationSeconds"
        yield field.forbidden("spec.tolerations", text)
    if _fixed_part(spec) != _fixed_part(old):
        yield field.forbidden("spec", _MAY_NOT_TEXT)


def _deadline_update(new: int | None, old: int | None) -> Iterator[Cause]:
    path = "spec.activeDeadlineSeconds"
    if new is None:
        if old is not None:
            text = "must not update from a positive integer to nil value"
            yield field.invalid(path, None, text)
    elif old is not None and new > old:
        yield field.invalid(path, new, "must be less than or equal to previous value")


def _without_time(toleration: JsonObject) -> JsonObject:
    return {key: value for key, value in toleration.items() if key != "tolerationSeconds"}


def _fixed_part(spec: JsonObject) -> JsonObject:
    fixed = {key: value for key, value in spec.items() if key not in _MAY_CHANGE}
    for key in ("containers", "initContainers"):
        fixed[key] = [c | {"image": ""} for c in spec.get(key) or ()]
    if (spec.get("terminationGracePeriodSeconds") or 0) < 0:
        fixed["terminationGracePeriodSeconds"] = 1
    fixed.pop("ephemeralContainers", None)
    return fixed


def template(
    path: str, held: JsonObject, selector: JsonObject | None, owner: str
) -> Iterator[Cause]:
    """Check a template whose pods are kept running: its labels are selected, it restarts always."""
    labels = (held.get("metadata") or {}).get("labels")
    causes = tuple(names.labels(f"{path}.metadata.labels", labels))
    if selector is not None and not common.selects(selector, labels or {}):
        yield field.invalid(f"{path}.metadata.labels", common.ordered(labels), common.MISMATCH)
    yield from causes
    spec: JsonObject = held.get("spec") or {}
    yield from pod_spec(f"{path}.spec", spec)
    restart = spec.get("restartPolicy")
    if restart in _RESTART and restart != "Always":
        yield field.unsupported(f"{path}.spec.restartPolicy", restart, ("Always",))
    if spec.get("activeDeadlineSeconds") is not None:
        text = f"activeDeadlineSeconds in {owner} is not Supported"
        yield field.forbidden(f"{path}.spec.activeDeadlineSeconds", text)
