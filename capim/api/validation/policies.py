"""What is refused of the kinds that configure a cluster. Source: their `validation` in k8s.io/kubernetes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from capim.api.validation import common, field, names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from capim.api.meta import JsonObject
    from capim.api.validation.field import Cause

_RBAC: Final = "rbac.authorization.k8s.io"
_PATH_TYPES: Final = ("Exact", "ImplementationSpecific", "Prefix")
_HIGHEST_PRIORITY: Final = 1_000_000_000
_PREEMPTION: Final = ("PreemptLowerPriority", "Never")
_SYSTEM_CLASSES: Final = frozenset({"system-node-critical", "system-cluster-critical"})
_OPERATIONS: Final = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
_DOMAIN_PATH: Final = 'must be a domain-prefixed path (such as "acme.io/foo")'
_SIGNER: Final = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
_PEM: Final = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tL"  # the block's first line, encoded
_FAMILIES: Final = ("FQDN", "IPv4", "IPv6")


def _role(obj: JsonObject, *, namespaced: bool) -> Iterator[Cause]:
    for index, rule in enumerate(obj.get("rules") or ()):
        path, urls = f"rules[{index}]", rule.get("nonResourceURLs")
        if not rule.get("verbs"):
            yield field.required(f"{path}.verbs", "verbs must contain at least one value")
        if urls:
            if namespaced:
                text = "namespaced rules cannot apply to non-resource URLs"
                yield field.invalid(f"{path}.nonResourceURLs", urls, text)
            if rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames"):
                text = "rules cannot apply to both regular resources and non-resource URLs"
                yield field.invalid(f"{path}.nonResourceURLs", urls, text)
            continue
        if not rule.get("apiGroups"):
            text = "resource rules must supply at least one api group"
            yield field.required(f"{path}.apiGroups", text)
        if not rule.get("resources"):
            text = "resource rules must supply at least one resource"
            yield field.required(f"{path}.resources", text)


def _binding(obj: JsonObject, *, kinds: tuple[str, ...]) -> Iterator[Cause]:
    reference: JsonObject = obj.get("roleRef") or {}
    if reference.get("apiGroup") != _RBAC:
        yield field.unsupported("roleRef.apiGroup", reference.get("apiGroup") or "", (_RBAC,))
    yield from common.one_of("roleRef.kind", reference.get("kind"), kinds)
    yield from common.needed("roleRef", reference, "name")
    for index, subject in enumerate(obj.get("subjects") or ()):
        yield from _subject(f"subjects[{index}]", subject, namespaced=len(kinds) > 1)


def _subject(path: str, subject: JsonObject, *, namespaced: bool) -> Iterator[Cause]:
    yield from common.needed(path, subject, "name")
    kind, group = subject.get("kind", ""), subject.get("apiGroup", "")
    if kind == "ServiceAccount":
        if subject.get("name"):
            yield from names.dns_subdomain(f"{path}.name", subject["name"])
        if group:
            yield field.unsupported(f"{path}.apiGroup", group, ("",))
        if not namespaced and not subject.get("namespace"):
            yield field.required(f"{path}.namespace")
    elif kind in {"User", "Group"}:
        if group != _RBAC:
            yield field.unsupported(f"{path}.apiGroup", group, (_RBAC,))
    else:
        yield field.unsupported(f"{path}.kind", kind, ("ServiceAccount", "User", "Group"))


def _ingress(obj: JsonObject) -> Iterator[Cause]:
    spec: JsonObject = obj.get("spec") or {}
    rules: list[JsonObject] = spec.get("rules") or []
    if not rules and spec.get("defaultBackend") is None:
        text = "either `defaultBackend` or `rules` must be specified"
        yield field.invalid("spec", None, text)
    if spec.get("defaultBackend") is not None:
        yield from _backend("spec.defaultBackend", spec["defaultBackend"])
    for index, rule in enumerate(rules):
        yield from _ingress_rule(f"spec.rules[{index}]", rule)
    for index, tls in enumerate(spec.get("tls") or ()):
        for number, host in enumerate(tls.get("hosts") or ()):
            path = f"spec.tls[{index}].hosts[{number}]"
            yield from names.wildcard_or_subdomain(path, host)
    if spec.get("ingressClassName") is not None:
        yield from names.dns_subdomain("spec.ingressClassName", spec["ingressClassName"])


def _ingress_rule(path: str, rule: JsonObject) -> Iterator[Cause]:
    host = rule.get("host")
    if host:
        if names.is_address(host):
            text = "must be a DNS name, not an IP address"
            yield field.invalid(f"{path}.host", host, text)
        else:
            yield from names.wildcard_or_subdomain(f"{path}.host", host)
    if rule.get("http") is None:
        return
    paths: list[JsonObject] = rule["http"].get("paths") or []
    if not paths:
        yield field.required(f"{path}.http.paths")
    for index, each in enumerate(paths):
        yield from _ingress_path(f"{path}.http.paths[{index}]", each)


def _ingress_path(path: str, held: JsonObject) -> Iterator[Cause]:
    kind, text = held.get("pathType"), held.get("path", "")
    if kind is None:
        yield field.required(f"{path}.pathType", "pathType must be specified")
        return
    if kind not in _PATH_TYPES:
        yield field.unsupported(f"{path}.pathType", kind, _PATH_TYPES)
    elif (text or kind != "ImplementationSpecific") and not text.startswith("/"):
        yield field.invalid(f"{path}.path", text, "must be an absolute path")
    yield from _backend(f"{path}.backend", held.get("backend") or {})


def _backend(path: str, backend: JsonObject) -> Iterator[Cause]:
    service, resource = backend.get("service"), backend.get("resource")
    if resource is not None and service is not None:
        text = "cannot set both resource and service backends"
        yield field.invalid(path, "", text)
    elif resource is None and service is None:
        yield field.required(path, "resource or service backend is required")
    elif service is not None:
        name, port = service.get("name", ""), service.get("port") or {}
        if name:
            yield from names.dns_label_1035(f"{path}.service.name", name)
        else:
            yield field.required(f"{path}.service.name")
        if port.get("name") and port.get("number"):
            yield field.invalid(path, "", "cannot set both port name & port number")
        elif port.get("name"):
            yield from names.port_name(f"{path}.service.port.name", port["name"])
        elif port.get("number"):
            yield from names.port_number(f"{path}.service.port.number", port["number"])
        else:
            yield field.required(path, "port name or number is required")


def _ingress_class(obj: JsonObject) -> Iterator[Cause]:
    controller = (obj.get("spec") or {}).get("controller", "")
    if not controller:
        yield field.required("spec.controller")
    elif "/" not in controller.strip("/"):
        yield field.invalid("spec.controller", controller, _DOMAIN_PATH)


def _network_policy(obj: JsonObject) -> Iterator[Cause]:
    spec: JsonObject = obj["spec"]
    yield from common.label_selector("spec.podSelector", spec.get("podSelector") or {})
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(direction) or ()):
            yield from _policy_rule(f"spec.{direction}[{index}]", rule, peers)
    for index, kind in enumerate(spec.get("policyTypes") or ()):
        yield from common.one_of(f"spec.policyTypes[{index}]", kind, ("Ingress", "Egress"))


def _policy_rule(path: str, rule: JsonObject, peers: str) -> Iterator[Cause]:
    for index, port in enumerate(rule.get("ports") or ()):
        inner = f"{path}.ports[{index}]"
        yield from common.one_of(f"{inner}.protocol", port.get("protocol"), ("TCP", "UDP", "SCTP"))
        if port.get("port") is not None:
            yield from names.port(f"{inner}.port", port["port"])
    for index, peer in enumerate(rule.get(peers) or ()):
        inner, block = f"{path}.{peers}[{index}]", peer.get("ipBlock")
        for key in ("podSelector", "namespaceSelector"):
            if peer.get(key) is not None:
                yield from common.label_selector(f"{inner}.{key}", peer[key])
        if block is not None:
            yield from names.ip_range(f"{inner}.ipBlock.cidr", block.get("cidr", ""))
        if not peer:
            yield field.required(inner, "must specify a peer")
        elif block is not None and len(peer) > 1:
            yield field.forbidden(inner, "may not specify both ipBlock and another peer")


def _lease(obj: JsonObject) -> Iterator[Cause]:
    held: Any = obj.get("spec")
    spec: JsonObject = held if isinstance(held, dict) else {}
    duration = spec.get("leaseDurationSeconds")
    if isinstance(duration, int) and duration <= 0:
        yield field.invalid("spec.leaseDurationSeconds", duration, "must be greater than 0")
    if isinstance(spec.get("leaseTransitions"), int):
        yield from common.not_negative("spec", spec, "leaseTransitions")


def _endpoint_slice(obj: JsonObject) -> Iterator[Cause]:
    family = obj.get("addressType", "")
    if not family:
        yield field.required("addressType")
    elif family not in _FAMILIES:
        yield field.unsupported("addressType", family, _FAMILIES)
    seen: set[str] = set()
    for index, port in enumerate(obj.get("ports") or ()):
        name = port.get("name", "")
        if name:
            yield from names.dns_label(f"ports[{index}].name", name)
        protocol = f"ports[{index}].protocol"
        yield from common.one_of(protocol, port.get("protocol"), common.PROTOCOLS)
        if name in seen:
            yield field.duplicate(f"ports[{index}].name", name)
        seen.add(name)
    for index, endpoint in enumerate(obj.get("endpoints") or ()):
        path, addresses = f"endpoints[{index}].addresses", endpoint.get("addresses") or []
        if not addresses:
            yield field.required(path, "must contain at least 1 address")
        for number, address in enumerate(addresses if family in _FAMILIES else ()):
            check = names.dns_subdomain if family == "FQDN" else names.ip_address
            yield from check(f"{path}[{number}]", address)


def _priority_class(obj: JsonObject) -> Iterator[Cause]:
    name, value = obj["metadata"]["name"], obj.get("value", 0)
    if name.startswith("system-"):
        if name not in _SYSTEM_CLASSES:
            text = "priority class names with 'system-' prefix are reserved for system use only. "
            yield field.forbidden(
                "metadata.name", f"{text}error: {name} is not a known system priority class"
            )
    elif value > _HIGHEST_PRIORITY:
        text = f"maximum allowed value of a user defined priority is {_HIGHEST_PRIORITY}"
        yield field.forbidden("value", text)
    yield from common.one_of("preemptionPolicy", obj.get("preemptionPolicy"), _PREEMPTION)


def _runtime_class(obj: JsonObject) -> Iterator[Cause]:
    yield from names.dns_label("handler", obj.get("handler", ""))


def _storage_class(obj: JsonObject) -> Iterator[Cause]:
    provisioner = obj.get("provisioner", "")
    if provisioner:
        yield from names.qualified_name("provisioner", provisioner.lower(), provisioner)
    else:
        yield field.required("provisioner")
    yield from common.one_of("reclaimPolicy", obj.get("reclaimPolicy"), ("Delete", "Retain"))
    modes = ("Immediate", "WaitForFirstConsumer")
    yield from common.one_of("volumeBindingMode", obj.get("volumeBindingMode"), modes)


def _driver(obj: JsonObject) -> Iterator[Cause]:
    spec: JsonObject = obj["spec"]
    policies = ("File", "None", "ReadWriteOnceWithFSType")
    yield from common.maybe_one_of("spec", spec, "fsGroupPolicy", policies)
    for mode in spec.get("volumeLifecycleModes") or ():
        yield from common.one_of("spec.volumeLifecycleModes", mode, ("Persistent", "Ephemeral"))


def _node_drivers(obj: JsonObject) -> Iterator[Cause]:
    seen: set[str] = set()
    for index, driver in enumerate((obj.get("spec") or {}).get("drivers") or ()):
        path = f"spec.drivers[{index}]"
        yield from common.needed(path, driver, "name", "nodeID")
        name = driver.get("name", "")
        if name in seen:
            yield field.duplicate(f"{path}.name", name)
        seen.add(name)


def _attachment(obj: JsonObject) -> Iterator[Cause]:
    spec: JsonObject = obj.get("spec") or {}
    yield from common.needed("spec", spec, "attacher")
    source: JsonObject = spec.get("source") or {}
    if len(source) != 1:
        text = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
        yield field.required("spec.source", text)
    yield from names.dns_subdomain("spec.nodeName", spec.get("nodeName", ""))
    yield from common.needed("spec", spec, "attacher")  # a second rule says it again


def _capacity(obj: JsonObject) -> Iterator[Cause]:
    yield from names.dns_subdomain("storageClassName", obj.get("storageClassName", ""))


def _flow_schema(obj: JsonObject) -> Iterator[Cause]:
    spec: JsonObject = obj.get("spec") or {}
    if not (spec.get("priorityLevelConfiguration") or {}).get("name"):
        text = "must reference a priority level"
        yield field.required("spec.priorityLevelConfiguration.name", text)


def _priority_level(obj: JsonObject) -> Iterator[Cause]:
    spec: JsonObject = obj.get("spec") or {}
    kind = spec.get("type", "")
    if (obj["metadata"]["name"] == "exempt") != (kind == "Exempt"):
        text = "must be 'Exempt' if and only if `name` is 'exempt'"
        yield field.invalid("spec.type", kind, text)
    if kind == "Exempt" and spec.get("limited") is not None:
        yield field.forbidden("spec.limited", "must be nil if the type is not Limited")
    elif kind == "Limited":
        if spec.get("exempt") is not None:
            yield field.forbidden("spec.exempt", "must be nil if the type is Limited")
        if spec.get("limited") is None:
            yield field.required("spec.limited", "must not be empty when type is Limited")
    elif kind not in {"Exempt", "Limited"}:
        yield field.unsupported("spec.type", kind, ("Exempt", "Limited"))


def _webhooks(obj: JsonObject) -> Iterator[Cause]:
    for index, webhook in enumerate(obj.get("webhooks") or ()):
        yield from _webhook(f"webhooks[{index}]", webhook)


def _webhook(path: str, webhook: JsonObject) -> Iterator[Cause]:
    name = webhook.get("name", "")
    if not name:
        yield field.required(f"{path}.name")
    elif name.count(".") < 2:
        text = "should be a domain with at least three segments separated by dots"
        yield field.invalid(f"{path}.name", name, text)
    for index, rule in enumerate(webhook.get("rules") or ()):
        yield from _webhook_rule(f"{path}.rules[{index}]", rule)
    yield from common.maybe_one_of(path, webhook, "failurePolicy", ("Fail", "Ignore"))
    yield from common.maybe_one_of(path, webhook, "matchPolicy", ("Equivalent", "Exact"))
    effects = webhook.get("sideEffects")
    if effects is None:
        yield field.required(f"{path}.sideEffects", "must specify one of None, NoneOnDryRun")
    else:
        yield from common.one_of(f"{path}.sideEffects", effects, ("None", "NoneOnDryRun"))
    timeout = webhook.get("timeoutSeconds", 10)
    if not 1 <= timeout <= 30:
        text = "the timeout value must be between 1 and 30 seconds"
        yield field.invalid(f"{path}.timeoutSeconds", timeout, text)
    client: JsonObject = webhook.get("clientConfig") or {}
    if ("url" in client) == ("service" in client):
        yield field.required(f"{path}.clientConfig", "exactly one of url or service is required")
    versions: list[str] = webhook.get("admissionReviewVersions") or []
    if not versions:
        text = "must specify one of v1, v1beta1"
        yield field.required(f"{path}.admissionReviewVersions", text)
    elif not {"v1", "v1beta1"} & set(versions):
        text = "must include at least one of v1, v1beta1"
        yield field.invalid(f"{path}.admissionReviewVersions", versions, text)


def _webhook_rule(path: str, rule: JsonObject) -> Iterator[Cause]:
    for index, operation in enumerate(rule.get("operations") or ()):
        yield from common.one_of(f"{path}.operations[{index}]", operation, _OPERATIONS)
    if not rule.get("operations"):
        yield field.required(f"{path}.operations")
    yield from common.needed(path, rule, "apiGroups", "apiVersions", "resources")


def _claim(obj: JsonObject) -> Iterator[Cause]:
    requests = ((obj.get("spec") or {}).get("devices") or {}).get("requests") or ()
    for index, request in enumerate(requests):
        if (request.get("exactly") is None) is (not request.get("firstAvailable")):
            text = "exactly one of `exactly` or `firstAvailable` is required"
            yield field.required(f"spec.devices.requests[{index}]", text)


def _certificate_request(obj: JsonObject) -> Iterator[Cause]:
    spec: JsonObject = obj.get("spec") or {}
    request = spec.get("request")
    if not str(request or "").startswith(_PEM):
        yield field.invalid("spec.request", request, "PEM block type must be CERTIFICATE REQUEST")
    if not spec.get("usages"):
        yield field.required("spec.usages")
    signer = spec.get("signerName", "")
    if not signer:
        yield field.required("spec.signerName")
    elif not re.fullmatch(rf"{names.SUBDOMAIN}/.+", signer) or "." not in signer.split("/")[0]:
        yield field.invalid("spec.signerName", signer, _SIGNER)


ADMISSION: Final[dict[str, Callable[[JsonObject], Iterator[Cause]]]] = {
    "mutatingwebhookconfigurations": _webhooks,
    "validatingwebhookconfigurations": _webhooks,
}
CERTIFICATES: Final = {"certificatesigningrequests": _certificate_request}
COORDINATION: Final = {"leases": _lease}
DISCOVERY: Final = {"endpointslices": _endpoint_slice}
FLOWCONTROL: Final = {"flowschemas": _flow_schema, "prioritylevelconfigurations": _priority_level}
NETWORKING: Final = {
    "ingressclasses": _ingress_class,
    "ingresses": _ingress,
    "networkpolicies": _network_policy,
}
NODE: Final = {"runtimeclasses": _runtime_class}
RESOURCE: Final = {"resourceclaims": _claim}
RBAC: Final[dict[str, Callable[[JsonObject], Iterator[Cause]]]] = {
    "clusterrolebindings": lambda obj: _binding(obj, kinds=("ClusterRole",)),
    "clusterroles": lambda obj: _role(obj, namespaced=False),
    "rolebindings": lambda obj: _binding(obj, kinds=("Role", "ClusterRole")),
    "roles": lambda obj: _role(obj, namespaced=True),
}
SCHEDULING: Final = {"priorityclasses": _priority_class}
STORAGE: Final[dict[str, Callable[[JsonObject], Iterator[Cause]]]] = {
    "csidrivers": _driver,
    "csinodes": _node_drivers,
    "csistoragecapacities": _capacity,
    "storageclasses": _storage_class,
    "volumeattachments": _attachment,
}
