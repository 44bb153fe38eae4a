"""Role-based access control over a cluster's own roles and bindings. Pure.

Rules only add: a request is allowed by the first rule that covers it, looked for in the bindings of the
cluster and then in those of the namespace, each in the order of their names. Members of system:masters
are not asked. Bindings and roles are decoded when they are first met and kept until they change.

Source: k8s.io/kubernetes pkg/registry/rbac/validation and plugin/pkg/auth/authorizer/rbac; reasons are
theirs. Departure: the Node authorizer is not here, as no kubelet asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from capim.api.errors import APIError, not_found
from capim.api.gvk import GVR
from capim.api.identity import MASTERS, User, account_user
from capim.runtime.authorization import Attributes, Decision, Rules

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from capim.api.meta import JsonObject
    from capim.runtime.objects import Stored
    from capim.runtime.resourcegroup import ResourceGroup

_GROUP: Final = "rbac.authorization.k8s.io"
_ALL: Final = "*"
#: more than a cluster has; those that are deleted must not stay for ever
_DECODED_LIMIT: Final = 2048
_PLURALS: Final = {"Role": "roles", "ClusterRole": "clusterroles"}


class _Grant(NamedTuple):
    """A rule that applies to somebody and where it comes from; or why a role could not be read."""

    rule: JsonObject | None
    source: str
    error: str = ""


class RoleBased:
    """The authorizer of one cluster."""

    def __init__(self, group: ResourceGroup) -> None:
        self._group = group
        self._decoded: dict[str, tuple[int, JsonObject]] = {}

    def authorize(self, asked: Attributes) -> Decision:
        """Decide one request; the reason of a refusal names roles that are not there."""
        if MASTERS in asked.user.groups:
            return Decision(allowed=True)
        errors = []
        for grant in self._grants(asked.user, asked.namespace):
            if grant.rule is None:
                errors.append(grant.error)
            elif rule_allows(grant.rule, asked):
                return Decision(True, f"RBAC: allowed by {grant.source}")
        return Decision(False, f"RBAC: {_aggregate(errors)}" if errors else "")

    def rules(self, user: User, namespace: str) -> Rules:
        """List what the bindings give a user in a namespace."""
        resource: list[JsonObject] = []
        other: list[JsonObject] = []
        errors: list[str] = []
        for grant in self._grants(user, namespace):
            if grant.rule is None:
                errors.append(grant.error)
                continue
            if grant.rule.get("resources"):
                resource.append(_only(grant.rule, _RESOURCE_FIELDS))
            if grant.rule.get("nonResourceURLs"):
                other.append(_only(grant.rule, _URL_FIELDS))
        return Rules(resource, other, _aggregate(errors))

    def rules_of(self, reference: JsonObject, namespace: str) -> list[JsonObject]:
        """Return the rules of the role that a binding refers to.

        Raises:
            APIError: NotFound, or BadRequest for a kind that is no role.
        """
        kind = str(reference.get("kind", ""))
        if kind not in _PLURALS:
            raise APIError("BadRequest", 400, f'unsupported role reference kind: "{kind}"')
        where = namespace if kind == "Role" else ""
        name = str(reference.get("name", ""))
        try:
            stored = self._group.get(self._resource(_PLURALS[kind]), where, name)
        except APIError as error:
            raise not_found(kind.lower(), _GROUP, name) from error  # as a lister names a kind
        return self._json(stored).get("rules") or []

    def _grants(self, user: User, namespace: str) -> Iterator[_Grant]:
        yield from self._bound(user, "clusterrolebindings", "ClusterRoleBinding", "")
        if namespace:
            yield from self._bound(user, "rolebindings", "RoleBinding", namespace)

    def _bound(self, user: User, plural: str, kind: str, namespace: str) -> Iterator[_Grant]:
        """Yield what the bindings of one kind grant."""
        page = self._group.list(self._resource(plural), namespace or None)
        for stored in page.items:
            body = self._json(stored)
            subject = _subject_of(user, body.get("subjects") or [], namespace)
            if subject is None:
                continue
            reference = body.get("roleRef") or {}
            try:
                rules = self.rules_of(reference, namespace)
            except APIError as error:
                yield _Grant(None, "", error.message)
                continue
            name = f"{stored.name}/{namespace}" if namespace else stored.name
            role = f'{reference["kind"]} "{reference["name"]}"'
            source = f'{kind} "{name}" of {role} to {_described(subject, namespace)}'
            for rule in rules:
                yield _Grant(rule, source)

    def _resource(self, plural: str) -> Any:
        return self._group.resources.by_gvr(GVR(_GROUP, "v1", plural))

    def _json(self, stored: Stored) -> JsonObject:
        known = self._decoded.get(stored.uid)
        if known is None or known[0] != stored.resource_version:
            if len(self._decoded) >= _DECODED_LIMIT:
                self._decoded.clear()
            known = self._decoded[stored.uid] = (stored.resource_version, stored.json())
        return known[1]


_RESOURCE_FIELDS: Final = ("verbs", "apiGroups", "resources", "resourceNames")
_URL_FIELDS: Final = ("verbs", "nonResourceURLs")


def rule_allows(rule: JsonObject, asked: Attributes) -> bool:
    """Tell whether a PolicyRule covers a request."""
    if not _has(rule.get("verbs"), asked.verb):
        return False
    if asked.path:
        return any(_covers_path(url, asked.path) for url in rule.get("nonResourceURLs") or ())
    names = rule.get("resourceNames")
    return (
        _has(rule.get("apiGroups"), asked.group)
        and _covers_resource(rule.get("resources") or (), asked)
        and (not names or asked.name in names)
    )


def _has(values: Sequence[str] | None, wanted: str) -> bool:
    return values is not None and (_ALL in values or wanted in values)


def _covers_resource(resources: Sequence[str], asked: Attributes) -> bool:
    sub = asked.subresource
    whole = f"{asked.resource}/{sub}" if sub else asked.resource
    return _ALL in resources or whole in resources or (bool(sub) and f"*/{sub}" in resources)


def _covers_path(url: str, path: str) -> bool:
    return url in {_ALL, path} or (url.endswith(_ALL) and path.startswith(url.rstrip(_ALL)))


def _subject_of(user: User, subjects: Sequence[JsonObject], namespace: str) -> JsonObject | None:
    """Return the first subject that is this user."""
    return next((it for it in subjects if _is_subject(user, it, namespace)), None)


def _is_subject(user: User, subject: JsonObject, namespace: str) -> bool:
    name = subject.get("name", "")
    match subject.get("kind"):
        case "User":
            return bool(user.name == name)
        case "Group":
            return name in user.groups
        case "ServiceAccount":
            where = subject.get("namespace") or namespace
            return bool(where) and user.name == account_user(where, name)
    return False


def _described(subject: JsonObject, namespace: str) -> str:
    name = subject.get("name", "")
    if subject.get("kind") == "ServiceAccount":
        name = f"{name}/{subject.get('namespace') or namespace}"
    return f'{subject.get("kind")} "{name}"'


def _only(rule: JsonObject, fields: Sequence[str]) -> JsonObject:
    return {key: rule[key] for key in fields if rule.get(key)}


def _aggregate(errors: Sequence[str]) -> str:
    """Say several errors as Go's aggregates do, each once."""
    distinct = list(dict.fromkeys(errors))
    return distinct[0] if len(distinct) == 1 else f"[{', '.join(distinct)}]" if distinct else ""
