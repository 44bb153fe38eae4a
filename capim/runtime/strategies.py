"""What a kind does to its objects when they are written: defaults, folding, immutable fields.

Bodies given here are shallow copies: top level and metadata may be changed, anything deeper is copied
before it is.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Final

from capim.api import errors
from capim.runtime.customresources import DEFINITIONS
from capim.runtime.definitions import prepare as prepare_definition
from capim.runtime.validation import invalid

if TYPE_CHECKING:
    from collections.abc import Callable

    from capim.api.meta import JsonObject
    from capim.api.resources import Resource

SECRETS: Final = ("", "secrets")
NAMESPACES: Final = ("", "namespaces")
PODS: Final = ("", "pods")
BUDGETS: Final = ("policy", "poddisruptionbudgets")
CLAIMS: Final = ("", "persistentvolumeclaims")
VOLUMES: Final = ("", "persistentvolumes")
NODES: Final = ("", "nodes")
NAMESPACE_FINALIZER: Final = "kubernetes"
#: kinds whose status a client may set when it creates them
_STATUS_ON_CREATE: Final = frozenset({NODES})


def prepare_create(resource: Resource, body: JsonObject, *, keep_status: bool) -> None:
    """Default a new object as its kind does. Status goes, where it is a subresource."""
    kind = resource.group_resource
    if resource.subresource("status") and not keep_status and kind not in _STATUS_ON_CREATE:
        body.pop("status", None)
    if prepare := _ON_CREATE.get(kind):
        prepare(body)


def prepare_update(resource: Resource, body: JsonObject, old: JsonObject) -> None:
    """Adjust an update of the main resource as its kind does, and refuse what its kind refuses.

    Raises:
        APIError: Invalid, for a change of what cannot change.
    """
    kind = resource.group_resource
    if kind == SECRETS:
        fold_string_data(body)
        body.setdefault("type", old.get("type", "Opaque"))
        _check_base64(body)
        _check_secret(resource, body, old)
    elif kind == NAMESPACES:
        body["spec"] = old.get("spec", {})  # finalizers change through the finalize subresource
        labels = dict(body["metadata"].get("labels") or {})
        labels["kubernetes.io/metadata.name"] = body["metadata"]["name"]
        body["metadata"]["labels"] = labels
    elif kind == DEFINITIONS:
        prepare_definition(body, old)
    if old.get("immutable") is True:
        _check_immutable(resource, body, old)


def namespace_terminating(resource: Resource, namespace: str, name: str) -> errors.APIError:
    """403: nothing new comes into a namespace that is being deleted."""
    why = f"unable to create new content in namespace {namespace} because it is being terminated"
    error = errors.forbidden(resource.plural, resource.group, name, why)
    message = f"namespace {namespace} is being terminated"
    cause = {"reason": "NamespaceTerminating", "message": message, "field": "metadata.namespace"}
    error.details = (error.details or {}) | {"causes": [cause]}
    return error


def fold_string_data(body: JsonObject) -> None:
    """Move `stringData` into `data`, encoded; it wins over what is there."""
    strings = body.pop("stringData", None)
    if strings:
        data = dict(body.get("data") or {})
        for key, text in strings.items():
            data[key] = base64.b64encode(str(text).encode()).decode()
        body["data"] = data


def _new_secret(body: JsonObject) -> None:
    fold_string_data(body)
    body["type"] = body.get("type") or "Opaque"
    _check_base64(body)


def _check_base64(body: JsonObject) -> None:
    for key, value in (body.get("data") or {}).items():
        try:
            base64.b64decode(value or "", validate=True)
        except (binascii.Error, ValueError, TypeError):
            raise errors.bad_request(
                f'Secret in version "v1" cannot be handled as a Secret: data.{key}: illegal base64 data'
            ) from None


def _new_namespace(body: JsonObject) -> None:
    metadata = body["metadata"]
    labels = dict(metadata.get("labels") or {})
    labels["kubernetes.io/metadata.name"] = metadata["name"]
    metadata["labels"] = labels
    spec = dict(body.get("spec") or {})
    finalizers = [*(spec.get("finalizers") or ())]
    if NAMESPACE_FINALIZER not in finalizers:
        finalizers.append(NAMESPACE_FINALIZER)
    body["spec"] = spec | {"finalizers": finalizers}
    body["status"] = {"phase": "Active"}


def _new_pod(body: JsonObject) -> None:
    body["status"] = {"phase": "Pending"} | (body.get("status") or {})


def _new_budget(body: JsonObject) -> None:
    counts = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
    body["status"] = dict.fromkeys(counts, 0) | (body.get("status") or {})


def _new_volume(body: JsonObject) -> None:
    body["status"] = {"phase": "Pending"} | (body.get("status") or {})


def _new_api_service(body: JsonObject) -> None:
    spec = body.get("spec") or {}
    if service := spec.get("service"):
        body["spec"] = spec | {"service": service | {"port": service.get("port") or 443}}


_ON_CREATE: Final[dict[tuple[str, str], Callable[[JsonObject], None]]] = {
    ("apiregistration.k8s.io", "apiservices"): _new_api_service,
    SECRETS: _new_secret,
    NAMESPACES: _new_namespace,
    PODS: _new_pod,
    BUDGETS: _new_budget,
    CLAIMS: _new_volume,
    VOLUMES: _new_volume,
    DEFINITIONS: prepare_definition,
}


def _check_secret(resource: Resource, body: JsonObject, old: JsonObject) -> None:
    if body["type"] != old.get("type"):
        cause = ("type", f'Invalid value: "{body["type"]}": field is immutable')
        raise invalid(resource, body["metadata"]["name"], [cause])


def _check_immutable(resource: Resource, body: JsonObject, old: JsonObject) -> None:
    text = "Forbidden: field is immutable when `immutable` is set"
    causes = [
        (field, text)
        for field in ("immutable", "data", "binaryData")
        if body.get(field) != old.get(field)
    ]
    if causes:
        raise invalid(resource, body["metadata"]["name"], causes)
