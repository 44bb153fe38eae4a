"""May this request pass: what it wants by method and path, and the 403 it gets otherwise. Pure.

Attributes are read from the path alone, as k8s.io/apiserver's RequestInfo does, so that what does not
exist is refused before it is missed. Only a server that authorizes pays for this.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from capim.api.errors import APIError, forbidden, qualified
from capim.api.kubernetes_versions import lookup
from capim.runtime.authorization import Attributes
from capim.server.routes import is_true, parse_query

if TYPE_CHECKING:
    from collections.abc import Callable

    from capim.api.identity import User
    from capim.runtime.authorization import Authorizer
    from capim.server.http import Exchange

_VERBS: Final = {
    "POST": "create",
    "GET": "get",
    "HEAD": "get",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
_NAMESPACE_SUBRESOURCES: Final = frozenset({"status", "finalize"})
_TUNNELS: Final = frozenset({"attach", "exec", "portforward"})
_TUNNEL_CREATES: Final = 35
_HTML: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def check_access(
    authorizer: Authorizer, user: User, exchange: Exchange, version: Callable[[], str]
) -> None:
    """Let a request pass or not; `version` is the cluster's Kubernetes version.

    Raises:
        APIError: Forbidden.
    """
    asked = attributes_of(user, exchange.method, exchange.target.decode("latin-1"))
    decision = authorizer.authorize(asked)
    if not decision.allowed:
        raise refusal(asked, decision.reason)
    if asked.subresource in _TUNNELS and asked.verb == "get" and asked.resource == "pods":
        _check_tunnel(authorizer, asked, version())


def _check_tunnel(authorizer: Authorizer, asked: Attributes, version: str) -> None:
    """A WebSocket comes by GET and does what a POST does: from 1.35 on it takes the right to create."""
    if lookup(version).line.minor < _TUNNEL_CREATES:
        return
    decision = authorizer.authorize(replace(asked, verb="create"))
    if not decision.allowed:
        raise forbidden("pods", "", asked.name, decision.reason)


def attributes_of(user: User, method: str, target: str) -> Attributes:
    """Tell what a request wants to do."""
    path, _, query_text = target.partition("?")
    path = unquote(path)
    parts = path.strip("/").split("/")
    prefix = {"api": 1, "apis": 2}.get(parts[0], 0)
    if not prefix or len(parts) < prefix + 2:
        return Attributes(user, method.lower(), path=path)
    group = parts[1] if prefix == 2 else ""
    parts = parts[prefix + 1 :]
    verb = _VERBS.get(method, "")
    if parts[0] in {"watch", "proxy"} and len(parts) > 1:
        verb, parts = parts[0], parts[1:]
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 1:
        namespace = parts[1]
        if len(parts) > 2 and parts[2] not in _NAMESPACE_SUBRESOURCES:
            parts = parts[2:]
    resource, name, subresource = [*parts, "", ""][:3]
    verb, name = _of_collection(verb, name, query_text) if not name else (verb, name)
    return Attributes(user, verb, namespace, group, resource, subresource, name)


def _of_collection(verb: str, name: str, query_text: str) -> tuple[str, str]:
    """Return verb and name of a request for a collection; a list of one name is a request for it."""
    if verb == "delete":
        return "deletecollection", name
    if verb != "get":
        return verb, name
    query = parse_query(query_text)
    for term in query.get("fieldSelector", "").split(","):
        field, _, value = term.partition("=")
        if field == "metadata.name" and value.lstrip("="):
            name = value.lstrip("=")
    return "watch" if is_true(query.get("watch")) else "list", name


def refusal(asked: Attributes, reason: str) -> APIError:
    """Make the 403 of a request."""
    message = _message(asked).translate(_HTML)
    if reason:
        message = f"{message}: {reason}"
    if asked.path:
        return APIError("Forbidden", 403, f"forbidden: {message}", details={})
    named = qualified(asked.resource, asked.group)
    if asked.name:
        named = f'{named} "{asked.name}"'
    details = {"name": asked.name, "group": asked.group, "kind": asked.resource}
    present = {key: value for key, value in details.items() if value}
    return APIError("Forbidden", 403, f"{named} is forbidden: {message}", details=present)


def _message(asked: Attributes) -> str:
    if asked.path:
        return f'User "{asked.user.name}" cannot {asked.verb} path "{asked.path}"'
    resource = asked.resource
    if asked.subresource:
        resource = f"{resource}/{asked.subresource}"
    where = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
    what = f'resource "{resource}" in API group "{asked.group}"'
    return f'User "{asked.user.name}" cannot {asked.verb} {what} {where}'
