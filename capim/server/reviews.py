"""Reviews: questions that are created, answered and never stored. No I/O.

Access and rules are answered by the cluster's active authorizer, tokens by its authenticator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from capim.api.errors import APIError, bad_request, invalid
from capim.api.identity import User
from capim.api.meta import format_time
from capim.runtime.authorization import Attributes
from capim.server.fieldvalidation import request_object
from capim.server.http import Response

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.server.endpoints import Asked

_LOCAL: Final = "LocalSubjectAccessReview"
_SELF: Final = "SelfSubjectAccessReview"
_OPERATORS: Final = ("In", "NotIn", "Exists", "DoesNotExist")
_RESOURCE: Final = "resourceAttributes"
_OTHER: Final = "nonResourceAttributes"


def review_self(asked: Asked) -> Response:
    """Answer who asks."""
    body = _body(asked)
    metadata = {**body["metadata"], "creationTimestamp": format_time(asked.control.clock())}
    return _created({**body, "metadata": metadata, "status": {"userInfo": asked.user.info()}})


def review_token(asked: Asked) -> Response:
    """Answer who a token belongs to.

    Raises:
        APIError: BadRequest, there is no token.
    """
    body = _body(asked)
    spec: JsonObject = body.get("spec") or {}
    token = spec.get("token") or ""
    if not token:
        raise bad_request("token is required for TokenReview in authentication")
    wanted = tuple(spec.get("audiences") or ())
    found = asked.control.authenticator.of_token(token, wanted)
    if isinstance(found, str):
        return _created({**body, "status": {"user": {}, "error": found}})
    user, audiences = found
    status: JsonObject = {"authenticated": True, "user": user.info()}
    if audiences:
        status["audiences"] = list(audiences)
    return _created({**body, "status": status})


def review_rules(asked: Asked) -> Response:
    """List what who asks may do in a namespace.

    Raises:
        APIError: BadRequest, no namespace is named.
    """
    body = _body(asked)
    namespace = (body.get("spec") or {}).get("namespace") or ""
    if not namespace:
        raise bad_request("no namespace on request")
    rules = asked.control.authorizer.rules(asked.user, namespace)
    status: JsonObject = {
        "resourceRules": rules.resource,
        "nonResourceRules": rules.non_resource,
        "incomplete": bool(rules.evaluation_error),
    }
    if rules.evaluation_error:
        status["evaluationError"] = rules.evaluation_error
    return _created({**body, "spec": {}, "status": status})


def review_access(asked: Asked) -> Response:
    """Answer whether somebody may do something.

    Raises:
        APIError: Invalid, the question makes no sense.
    """
    body = _body(asked)
    kind, spec = asked.info.resource.kind, body.get("spec") or {}
    _check(kind, spec, body["metadata"], asked.info.namespace or "")
    decision = asked.control.authorizer.authorize(_attributes(asked.user, kind, spec))
    status: JsonObject = {"allowed": decision.allowed}
    if decision.reason:
        status["reason"] = decision.reason
    if errors := _selector_errors(spec.get(_RESOURCE) or {}):
        status["evaluationError"] = errors
    return _created({**body, "spec": spec, "status": status})


def _body(asked: Asked) -> JsonObject:
    """Decode the review; its metadata is the caller's to change."""
    body = request_object(asked.exchange, asked.info.resource)
    metadata = dict(body.get("metadata") or {})
    if asked.info.namespace:
        metadata["namespace"] = asked.info.namespace
    else:
        metadata.pop("namespace", None)
    head = {"kind": body["kind"], "apiVersion": body["apiVersion"], "metadata": metadata}
    return head | {key: value for key, value in body.items() if key not in head}


def _created(body: JsonObject) -> Response:
    return Response(201, orjson.dumps(body))


def _attributes(user: User, kind: str, spec: JsonObject) -> Attributes:
    """Read who is meant and what is to be done."""
    if kind != _SELF:
        extra = {key: tuple(values) for key, values in (spec.get("extra") or {}).items()}
        groups = tuple(spec.get("groups") or ())
        user = User(spec.get("user") or "", groups, spec.get("uid") or "", extra)
    wanted: JsonObject = spec.get(_RESOURCE) or {}
    if not wanted and (other := spec.get(_OTHER)):
        return Attributes(user, other.get("verb") or "", path=other.get("path") or "/")
    return Attributes(
        user,
        wanted.get("verb") or "",
        wanted.get("namespace") or "",
        wanted.get("group") or "",
        wanted.get("resource") or "",
        wanted.get("subresource") or "",
        wanted.get("name") or "",
    )


def _check(kind: str, spec: JsonObject, metadata: JsonObject, namespace: str) -> None:
    causes = _spec_causes(kind, spec)
    resource = spec.get(_RESOURCE)
    if kind == _LOCAL:
        other = spec.get(_OTHER)
        if not causes and other is not None:
            why = f"Invalid value: {_go(other)}: disallowed on this kind of request"
            causes = [(f"spec.{_OTHER}", why)]
        elif resource is not None and (got := resource.get("namespace") or "") != namespace:
            field = f"spec.{_RESOURCE}.namespace"
            causes.append((field, f'Invalid value: "{got}": must match metadata.namespace'))
    kept = {key: value for key, value in metadata.items() if key not in _IGNORED}
    if kept:
        shown = orjson.dumps(kept).decode()
        causes.append(("metadata", f"Invalid value: {shown}: must be empty"))
    if causes:
        raise _refusal(causes)


_IGNORED: Final = frozenset({"managedFields", "namespace", "creationTimestamp"})


def _spec_causes(kind: str, spec: JsonObject) -> list[tuple[str, str]]:
    """Return what is wrong with a spec, as (field, message)."""
    resource, other = spec.get(_RESOURCE), spec.get(_OTHER)
    causes = []
    if resource is not None and other is not None:
        why = f"Invalid value: {_go(other)}: cannot be specified in combination with {_RESOURCE}"
        causes.append((f"spec.{_OTHER}", why))
    if resource is None and other is None:
        why = f"Invalid value: null: exactly one of {_OTHER} or {_RESOURCE} must be specified"
        causes.append((f"spec.{_RESOURCE}", why))
    if kind != _SELF and not spec.get("user") and not spec.get("groups"):
        why = 'Invalid value: "": at least one of user or group must be specified'
        causes.append(("spec.user", why))
    for name in ("fieldSelector", "labelSelector"):
        causes += _selector_causes(f"spec.{_RESOURCE}.{name}", (resource or {}).get(name))
    return causes


def _selector_causes(field: str, selector: Any) -> list[tuple[str, str]]:
    if selector is None:
        return []
    raw, requirements = selector.get("rawSelector"), selector.get("requirements")
    if raw and requirements:
        why = f'Invalid value: "{raw}": may not specified at the same time as requirements'
        return [(f"{field}.rawSelector", why)]
    if not raw and not requirements:
        why = f"when {field} is specified, requirements or rawSelector is required"
        return [(f"{field}.requirements", f"Required value: {why}")]
    return []


def _selector_errors(resource: JsonObject) -> str:
    """Say which selectors are not understood; they are ignored."""
    for name in ("fieldSelector", "labelSelector"):
        rows = (resource.get(name) or {}).get("requirements") or ()
        if any(row.get("operator") not in _OPERATORS for row in rows):
            return f"spec.{_RESOURCE}.{name} ignored due to parse error"
    return ""


def _go(other: JsonObject) -> str:
    """Write NonResourceAttributes as messages show them."""
    shown = {"Path": other.get("path", ""), "Verb": other.get("verb", "")}
    return orjson.dumps(shown).decode()


def _refusal(causes: list[tuple[str, str]]) -> APIError:
    """422: the messages of reviews name no kind, as the real ones do not."""
    error = invalid("", "authorization.k8s.io", "", causes)
    for cause in (error.details or {})["causes"]:
        if cause["message"].startswith("Required"):
            cause["reason"] = "FieldValueRequired"
    return error
