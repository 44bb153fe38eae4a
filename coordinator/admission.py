"""Admission reviews of our kinds, as pure functions: a path and a review in, the answered review out.

The paths are the original's, so its webhook configurations work unchanged. `AdmissionReview` v1 and
v1beta1 have the same fields here; the answer speaks the version of the question. What the rules are
stands in `capim.api.infrastructure`; this module only carries questions and answers.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from capim.api import infrastructure
from capim.api.errors import invalid
from capim.api.infrastructure import GROUP, KINDS, TOPOLOGY_DRY_RUN_ANNOTATION, VERSION, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.api.meta import JsonObject

_REVIEW_VERSIONS: Final = frozenset({"admission.k8s.io/v1", "admission.k8s.io/v1beta1"})


class MalformedReview(ValueError):
    """The request is no admission review that this path could answer; the message says why."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """One path: what it does for which kind."""

    kind: Kind
    mutates: bool


def _path(verb: str, kind: Kind) -> str:
    return f"/{verb}-{GROUP.replace('.', '-')}-{VERSION}-{kind.singular}"


#: Path -> webhook, two for each kind.
WEBHOOKS: Final[dict[str, Webhook]] = {
    **{_path("mutate", kind): Webhook(kind, mutates=True) for kind in KINDS.values()},
    **{_path("validate", kind): Webhook(kind, mutates=False) for kind in KINDS.values()},
}


def answer(webhook: Webhook, review: object) -> JsonObject:
    """Return the review with its response.

    Raises:
        MalformedReview: not a review, or not one of this webhook's kind.
    """
    api_version, request = _request(review)
    response: JsonObject = {"uid": request["uid"], "allowed": True}
    operation = request.get("operation")
    if operation in {"CREATE", "UPDATE"}:
        obj = _object(request, "object", webhook.kind)
        if webhook.mutates:
            response |= _mutated(obj)
        else:
            old = _object(request, "oldObject", webhook.kind) if operation == "UPDATE" else None
            response |= _validated(webhook.kind, obj, old, dry_run=request.get("dryRun") is True)
    return {"apiVersion": api_version, "kind": "AdmissionReview", "response": response}


def _request(review: object) -> tuple[str, JsonObject]:
    """Return the review's version and its request."""
    if not isinstance(review, dict) or review.get("kind") != "AdmissionReview":
        raise MalformedReview("the body is not an AdmissionReview")
    if review.get("apiVersion") not in _REVIEW_VERSIONS:
        versions = " or ".join(sorted(_REVIEW_VERSIONS))
        raise MalformedReview(f"apiVersion must be {versions}, is {review.get('apiVersion')!r}")
    request = review.get("request")
    if not isinstance(request, dict) or not isinstance(request.get("uid"), str):
        raise MalformedReview("the AdmissionReview has no request with a uid")
    return review["apiVersion"], request


def _object(request: JsonObject, field: str, kind: Kind) -> JsonObject:
    obj = request.get(field)
    if not isinstance(obj, dict):
        raise MalformedReview(f"request.{field} is not an object")
    if obj.get("kind") != kind.name:
        raise MalformedReview(f"request.{field} is of kind {obj.get('kind')!r}, not {kind.name}")
    return obj


def _mutated(obj: JsonObject) -> JsonObject:
    patch = list(json_patch_between(obj, infrastructure.default(obj)))
    if not patch:
        return {}
    return {"patchType": "JSONPatch", "patch": base64.b64encode(orjson.dumps(patch)).decode()}


def _validated(kind: Kind, obj: JsonObject, old: JsonObject | None, *, dry_run: bool) -> JsonObject:
    metadata = _part(obj, "metadata")
    if old is None:
        causes = infrastructure.validate_create(obj)
    else:
        # only the topology controller's own dry runs: `kubectl --dry-run` shall see what apply would
        by_topology = TOPOLOGY_DRY_RUN_ANNOTATION in _part(metadata, "annotations")
        causes = infrastructure.validate_update(old, obj, dry_run and by_topology)
    if not causes:
        return {}
    name = metadata.get("name") or metadata.get("generateName") or ""
    return {"allowed": False, "status": invalid(kind.name, GROUP, name, causes).status()}


def _part(obj: JsonObject, name: str) -> JsonObject:
    """Return an object's part, empty when it has another shape."""
    part = obj.get(name)
    return part if isinstance(part, dict) else {}


def json_patch_between(before: Any, after: Any, path: str = "") -> Iterator[JsonObject]:
    """Yield the RFC 6902 operations that turn one JSON value into the other; lists change as a whole."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted(before.keys() | after.keys()):
            inner = f"{path}/{name.replace('~', '~0').replace('/', '~1')}"
            if name not in after:
                yield {"op": "remove", "path": inner}
            elif name not in before:
                yield {"op": "add", "path": inner, "value": after[name]}
            else:
                yield from json_patch_between(before[name], after[name], inner)
    elif before != after:
        yield {"op": "replace", "path": path, "value": after}
