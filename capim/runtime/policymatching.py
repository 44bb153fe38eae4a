"""Which requests a policy, or a binding of one, is about. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from capim.api.identity import User
from capim.api.meta import JsonObject
from capim.api.resources import Resource
from capim.runtime.subresources import selector_text
from capim.wire.selectors import LabelSelector


@dataclass(frozen=True, slots=True)
class Request:
    """A request as a policy sees it."""

    resource: Resource
    subresource: str
    operation: str  #: CREATE, UPDATE or DELETE
    namespace: str
    name: str
    body: JsonObject | None  #: None: it is deleted
    old: JsonObject | None
    user: User

    @classmethod
    def of(
        cls,
        resource: Resource,
        body: JsonObject | None,
        old: JsonObject | None,
        subresource: str,
        user: User,
    ) -> Request:
        """Describe a write, or without a body a deletion."""
        operation = "DELETE" if body is None else "CREATE" if old is None else "UPDATE"
        metadata = (body or old or {})["metadata"]
        namespace, name = metadata.get("namespace", ""), metadata["name"]
        return cls(resource, subresource, operation, namespace, name, body, old, user)

    def data(self, *, dry_run: bool = False) -> dict[str, Any]:
        """Return what expressions know of the request."""
        group, version, kind = self.resource.gvk
        resource = {"group": group, "version": version, "resource": self.resource.plural}
        of_kind = {"group": group, "version": version, "kind": kind}
        request = {
            "kind": of_kind,
            "resource": resource,
            "subResource": self.subresource,
            "requestKind": of_kind,
            "requestResource": resource,
            "requestSubResource": self.subresource,
            "name": self.name,
            "namespace": self.namespace,
            "operation": self.operation,
            "userInfo": self.user.info(),
            "dryRun": dry_run,
        }
        return {"object": self.body, "oldObject": self.old, "request": request}


def takes(match: JsonObject, request: Request, namespace: JsonObject | None) -> bool:
    """Tell whether MatchResources take a request in a namespace."""
    if not _in_namespaces(match.get("namespaceSelector"), request, namespace):
        return False
    selector = match.get("objectSelector")
    if selector and not any(_selects(selector, it) for it in (request.body, request.old) if it):
        return False
    if any(_rules(rule, request) for rule in match.get("excludeResourceRules") or ()):
        return False
    rules = match.get("resourceRules") or ()
    return not rules or any(_rules(rule, request) for rule in rules)


def _in_namespaces(selector: Any, request: Request, namespace: JsonObject | None) -> bool:
    """What is in no namespace is selected; a namespace is by its own labels."""
    if not selector:
        return True
    if request.resource.group_resource == ("", "namespaces"):
        return _selects(selector, request.body or request.old or {})
    return namespace is None or _selects(selector, namespace)


def _selects(selector: JsonObject, obj: JsonObject) -> bool:
    text = selector_text(selector) if selector else ""
    return LabelSelector.parse(text).matches(obj["metadata"].get("labels") or {})


def _rules(rule: JsonObject, request: Request) -> bool:
    """Match a rule; one of another version takes the request, too, as if it were converted."""
    resource = request.resource
    names = rule.get("resourceNames")
    scope = "Namespaced" if resource.namespaced else "Cluster"
    return (
        _holds(rule.get("operations"), request.operation)
        and _holds(rule.get("apiGroups"), resource.group)
        and rule.get("scope", "*") in {"*", scope}
        and any(_names(it, request) for it in rule.get("resources") or ())
        and (not names or request.name in names)
    )


def _holds(choices: Any, value: str) -> bool:
    return "*" in (choices or ()) or value in (choices or ())


def _names(pattern: str, request: Request) -> bool:
    """Match `pods`, `pods/status`, `pods/*`, `*/scale`, `*` (no subresource) and `*/*`."""
    wanted, _, part = pattern.partition("/")
    of_resource = wanted in {"*", request.resource.plural}
    return of_resource and (part in {"*", request.subresource} if part else not request.subresource)
