"""Views of an object that are read and written below its path: status, scale, finalize and others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from capim.api import errors
from capim.api.resources import Resource
from capim.runtime import customscale

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from capim.api.meta import JsonObject

_SCALE: Final = Resource("autoscaling", "v1", "scales", "Scale", True, "scale")
_EVICTION: Final = Resource("policy", "v1", "evictions", "Eviction", True, "eviction")
#: subresources that show and take another kind than the object's
_VIEWS: Final = {"scale": _SCALE, "eviction": _EVICTION}
_LABELS: Final = ("labels", "annotations")
_DEPLOYMENTS: Final = ("apps", "deployments")
#: kinds whose status is written without their metadata
_STATUS_ALONE: Final = frozenset(
    {
        ("admissionregistration.k8s.io", "validatingadmissionpolicies"),
        ("flowcontrol.apiserver.k8s.io", "flowschemas"),
        ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations"),
        ("networking.k8s.io", "servicecidrs"),
        ("resource.k8s.io", "resourceclaims"),
        ("storage.k8s.io", "volumeattachments"),
    }
)
#: what a resize writes of a container
_RESIZED: Final = ("resources", "resizePolicy")
_OPERATORS: Final = {"In": "in", "NotIn": "notin"}


def view_resource(resource: Resource, subresource: str) -> Resource:
    """Return what a client sends and reads there: mostly the kind itself."""
    return _VIEWS.get(subresource, resource)


def view(resource: Resource, obj: JsonObject, subresource: str) -> JsonObject:
    """Return an object as its subresource shows it.

    Raises:
        APIError: NotFound, where the kind has no such subresource.
    """
    if subresource and resource.subresource(subresource) is None:
        raise _absent(resource, obj["metadata"]["name"])
    return scale_of(obj, customscale.paths_of(resource)) if subresource == "scale" else obj


def _absent(resource: Resource, name: str) -> errors.APIError:
    if resource.custom:
        return errors.not_found(resource.plural, resource.group, name)
    return errors.no_such_resource()


def merge_view(
    resource: Resource, body: JsonObject, old: JsonObject, subresource: str
) -> JsonObject:
    """Return the object with the subresource's part of it replaced.

    Raises:
        APIError: NotFound where the kind has no such subresource, MethodNotAllowed where it is not one
            to be written.
    """
    if resource.subresource(subresource) is None:
        raise _absent(resource, old["metadata"]["name"])
    merge = _MERGES.get(subresource)
    if merge is None:
        raise errors.method_not_allowed()
    made = old | {"metadata": dict(old["metadata"])}
    if resource.custom and subresource == "scale":
        replicas = (body.get("spec") or {}).get("replicas", 0)
        customscale.set_replicas(made, customscale.paths_of(resource) or {}, replicas)
        return made
    _merge_labels(made["metadata"], body["metadata"], _labels_taken(resource, subresource))
    merge(made, body)
    if resource.custom and body.get("status") == {}:
        made["status"] = {}  # what is empty is there all the same
    return made


def scale_of(obj: JsonObject, paths: Mapping[str, str] | None = None) -> JsonObject:
    """Return the autoscaling/v1 Scale of a workload; `paths` tell where its numbers are."""
    wanted, there, selector = _numbers(obj) if paths is None else customscale.numbers(obj, paths)
    shown = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    made: JsonObject = {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: obj["metadata"][key] for key in shown if key in obj["metadata"]},
        "spec": {"replicas": wanted} if wanted else {},  # as Go writes a zero
        "status": {"replicas": there},
    }
    if selector:
        made["status"]["selector"] = selector
    return made


def _numbers(obj: JsonObject) -> tuple[int, int, str]:
    spec: JsonObject = obj.get("spec") or {}
    status: JsonObject = obj.get("status") or {}
    selector = status.get("selector") or selector_text(spec.get("selector"))
    return spec.get("replicas", 1), status.get("replicas", 0), selector


def selector_text(selector: Any) -> str:
    """Write a selector object (or a map of labels) as a label selector's text; empty for neither."""
    if not isinstance(selector, dict):
        return ""
    if "matchLabels" not in selector and "matchExpressions" not in selector:
        return ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
    terms = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for term in selector.get("matchExpressions") or ():
        key, operator = term["key"], term["operator"]
        if operator in _OPERATORS:
            terms.append(f"{key} {_OPERATORS[operator]} ({','.join(sorted(term['values']))})")
        else:
            terms.append(key if operator == "Exists" else f"!{key}")
    return ",".join(terms)


def _labels_taken(resource: Resource, subresource: str) -> Iterable[str]:
    """Return what of the metadata a write of status or approval takes along: of most kinds all of it."""
    if subresource not in {"status", "approval"} or resource.custom:
        return ()
    if resource.group_resource in _STATUS_ALONE:
        return ()
    return ("annotations",) if resource.group_resource == _DEPLOYMENTS else _LABELS


def _merge_labels(metadata: JsonObject, sent: JsonObject, taken: Iterable[str]) -> None:
    for key in taken:
        metadata.pop(key, None)
        if key in sent:
            metadata[key] = sent[key]


def _merge_status(made: JsonObject, body: JsonObject) -> None:
    if body.get("status"):
        made["status"] = body["status"]
    else:
        made.pop("status", None)


def _merge_scale(made: JsonObject, body: JsonObject) -> None:
    replicas = (body.get("spec") or {}).get("replicas", 0)
    made["spec"] = (made.get("spec") or {}) | {"replicas": replicas}


def _merge_finalizers(made: JsonObject, body: JsonObject) -> None:
    finalizers = (body.get("spec") or {}).get("finalizers") or []
    made["spec"] = (made.get("spec") or {}) | {"finalizers": finalizers}


def _merge_approval(made: JsonObject, body: JsonObject) -> None:
    conditions = (body.get("status") or {}).get("conditions") or []
    made["status"] = (made.get("status") or {}) | {"conditions": conditions}


def _merge_ephemeral(made: JsonObject, body: JsonObject) -> None:
    spec = dict(made.get("spec") or {})
    spec.pop("ephemeralContainers", None)
    if given := (body.get("spec") or {}).get("ephemeralContainers"):
        spec["ephemeralContainers"] = given
    made["spec"] = spec


def _merge_resources(made: JsonObject, body: JsonObject) -> None:
    """Take the resources of containers; other containers than there are stay, to be refused."""
    spec: JsonObject = body.get("spec") or {}
    made["spec"] = dict(made.get("spec") or {})
    for key in ("containers", "initContainers"):
        given, old = spec.get(key) or [], made["spec"].get(key) or []
        if [it.get("name") for it in given] == [it["name"] for it in old]:
            given = [_resized(*both) for both in zip(old, given, strict=True)]
        if given:
            made["spec"][key] = given
        else:
            made["spec"].pop(key, None)


def _resized(container: JsonObject, given: JsonObject) -> JsonObject:
    rest = {key: value for key, value in container.items() if key not in _RESIZED}
    return rest | {key: given[key] for key in _RESIZED if key in given}


_MERGES: Final[dict[str, Callable[[JsonObject, JsonObject], None]]] = {
    "approval": _merge_approval,
    "ephemeralcontainers": _merge_ephemeral,
    "finalize": _merge_finalizers,
    "resize": _merge_resources,
    "scale": _merge_scale,
    "status": _merge_status,
}
