"""Role-based access control over a cluster's own roles and bindings. Pure.

Rules only add: a request is allowed by the first rule that covers it, looked for in the bindings of the
cluster and then in those of the namespace, each in the order of their names. Members of system:masters
are not asked. Bindings and roles are decoded when they are first met, until one of their kind changes.

Source: k8s.io/kubernetes pkg/registry/rbac/validation and plugin/pkg/auth/authorizer/rbac; reasons are
theirs. Departure: the Node authorizer is not here, as no kubelet asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from capim.api.errors import APIError, not_found
from capim.api.gvk import GVR
from capim.api.identity import MASTERS, User, account_user
from capim.runtime.authorization import Attributes, Decision, Rules

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from capim.api.meta import JsonObject
    from capim.api.resources import Resource
    from capim.runtime.resourcegroup import ResourceGroup

_GROUP: Final = "rbac.authorization.k8s.io"
_ALL: Final = "*"
#: more roles, and namespaces, than are asked for; those that are deleted must not stay for ever
_KEPT_LIMIT: Final = 512
_PLURALS: Final = {"Role": "roles", "ClusterRole": "clusterroles"}


_Binding: TypeAlias = tuple[str, "JsonObject"]  #: name and body


class _Grant(NamedTuple):
    """A rule that applies to somebody and where it comes from; or why a role could not be read."""

    rule: JsonObject | None
    source: str
    error: str = ""


class _Index:
    """The bindings of one kind in one place, found by those they name."""

    def __init__(self, edition: int, bindings: list[_Binding], namespace: str) -> None:
        self.edition = edition  #: of the table it was made of
        self._bindings = bindings
        self._places: dict[str, list[int]] = {}  #: who is named -> places of bindings
        for place, (_, body) in enumerate(bindings):
            for subject in body.get("subjects") or ():
                self._places.setdefault(_key_of(subject, namespace), []).append(place)

    def of(self, user: User) -> list[_Binding]:
        """Return the bindings that name a user or a group of his."""
        keys = (f"User {user.name}", *(f"Group {group}" for group in user.groups))
        places = {place for key in keys for place in self._places.get(key, ())}
        return [self._bindings[place] for place in sorted(places)]


def _key_of(subject: JsonObject, namespace: str) -> str:
    name = subject.get("name", "")
    if subject.get("kind") == "ServiceAccount":
        return f"User {account_user(subject.get('namespace') or namespace, name)}"
    return f"{subject.get('kind')} {name}"


class RoleBased:
    """The authorizer of one cluster."""

    def __init__(self, group: ResourceGroup) -> None:
        self._group = group
        self._rules: dict[tuple[str, str, str], tuple[int, list[JsonObject]]] = {}
        self._indexes: dict[tuple[str, str], _Index] = {}

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

    def granted(self, user: User, namespace: str) -> tuple[list[JsonObject], str]:
        """Return every rule the bindings give a user in a namespace, and what could not be read."""
        grants = list(self._grants(user, namespace))
        rules = [grant.rule for grant in grants if grant.rule is not None]
        return rules, _aggregate([grant.error for grant in grants if grant.rule is None])

    def rules_of(self, reference: JsonObject, namespace: str) -> list[JsonObject]:
        """Return the rules of the role that a binding refers to.

        Raises:
            APIError: NotFound, or BadRequest for a kind that is no role.
        """
        kind, name = str(reference.get("kind", "")), str(reference.get("name", ""))
        if kind not in _PLURALS:
            raise APIError("BadRequest", 400, f'unsupported role reference kind: "{kind}"')
        where = namespace if kind == "Role" else ""
        resource = self._resource(_PLURALS[kind])
        edition = self._group.store.table(resource.group_resource).edition
        known = self._rules.get((kind, where, name))
        if known is None or known[0] != edition:
            known = (edition, self._read_rules(resource, where, name))
            if len(self._rules) >= _KEPT_LIMIT:
                self._rules.clear()
            self._rules[kind, where, name] = known
        return known[1]

    def _read_rules(self, resource: Resource, namespace: str, name: str) -> list[JsonObject]:
        try:
            stored = self._group.get(resource, namespace, name)
        except APIError as error:  # named as a lister names a kind
            raise not_found(resource.singular, _GROUP, name) from error
        return stored.json().get("rules") or []

    def _grants(self, user: User, namespace: str) -> Iterator[_Grant]:
        yield from self._bound(user, "clusterrolebindings", "ClusterRoleBinding", "")
        if namespace:
            yield from self._bound(user, "rolebindings", "RoleBinding", namespace)

    def _bound(self, user: User, plural: str, kind: str, namespace: str) -> Iterator[_Grant]:
        """Yield what the bindings of one kind grant."""
        for name, body in self._bindings(user, plural, namespace):
            subject = _subject_of(user, body.get("subjects") or [], namespace)
            if subject is None:
                continue
            reference = body.get("roleRef") or {}
            try:
                rules = self.rules_of(reference, namespace)
            except APIError as error:
                yield _Grant(None, "", error.message)
                continue
            shown = f"{name}/{namespace}" if namespace else name
            role = f'{reference["kind"]} "{reference["name"]}"'
            source = f'{kind} "{shown}" of {role} to {_described(subject, namespace)}'
            for rule in rules:
                yield _Grant(rule, source)

    def _bindings(self, user: User, plural: str, namespace: str) -> list[_Binding]:
        """Return the bindings that may name a user, in the order of their names."""
        resource = self._resource(plural)
        edition = self._group.store.table(resource.group_resource).edition
        index = self._indexes.get((plural, namespace))
        if index is None or index.edition != edition:
            page = self._group.list(resource, namespace or None)
            index = _Index(edition, [(it.name, it.json()) for it in page.items], namespace)
            if len(self._indexes) >= _KEPT_LIMIT:
                self._indexes.clear()
            self._indexes[plural, namespace] = index
        return index.of(user)

    def _resource(self, plural: str) -> Any:
        return self._group.resources.by_gvr(GVR(_GROUP, "v1", plural))


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
