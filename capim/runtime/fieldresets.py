"""What the server resets in a write, which therefore nobody comes to own by it.

Source: GetResetFields of the kinds' strategies in k8s.io/kubernetes `pkg/registry`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.wire.fieldset import FieldSet, of_paths

if TYPE_CHECKING:
    from capim.api.resources import Resource

_NOTHING: Final[FieldSet] = {}
_SPEC: Final = of_paths(("f:spec",))
_STATUS: Final = of_paths(("f:status",))
_SPEC_AND_METADATA: Final = of_paths(("f:spec",), ("f:metadata",))
_REQUESTS: Final = ("certificates.k8s.io", "certificatesigningrequests")
#: (group, plural, subresource) -> what is reset, where that is not the rule
_EXCEPTIONS: Final[dict[tuple[str, str, str], FieldSet]] = {
    (*_REQUESTS, ""): of_paths(("f:spec",), ("f:status",)),
    (*_REQUESTS, "status"): of_paths(("f:spec",), ("f:status", "f:conditions")),
    (*_REQUESTS, "approval"): of_paths(("f:spec",), ("f:status", "f:certificate")),
    # the server gives a new namespace its finalizer
    ("", "namespaces", ""): of_paths(("f:status",), ("f:spec", "f:finalizers")),
    ("", "namespaces", "finalize"): _STATUS,
    ("", "pods", "status"): of_paths(
        ("f:spec",), ("f:metadata", "f:deletionTimestamp"), ("f:metadata", "f:ownerReferences")
    ),
    ("apps", "deployments", "status"): of_paths(("f:spec",), ("f:metadata", "f:labels")),
    **{
        (group, plural, "status"): _SPEC_AND_METADATA
        for group, plural in (
            ("admissionregistration.k8s.io", "validatingadmissionpolicies"),
            ("apiextensions.k8s.io", "customresourcedefinitions"),
            ("flowcontrol.apiserver.k8s.io", "flowschemas"),
            ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations"),
            ("resource.k8s.io", "resourceclaims"),
            ("storage.k8s.io", "volumeattachments"),
        )
    },
}


def ignored_fields(resource: Resource, subresource: str) -> FieldSet:
    """Return what a write of this kind, or of a subresource of it, cannot change."""
    found = _EXCEPTIONS.get((resource.group, resource.plural, subresource))
    if found is not None:
        return found
    if subresource:
        return _SPEC if subresource == "status" else _NOTHING
    return _STATUS if resource.subresource("status") else _NOTHING
