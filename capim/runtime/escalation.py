"""Nobody grants what he does not have: roles, bindings and certificates, where roles decide. Pure.

A role may be written by who holds all its rules, or the verb `escalate` on it; a binding by who holds
the rules of its role, or the verb `bind` on that. Members of system:masters are not asked, and writes
that change only what the garbage collector changes pass. What a signer says of a certificate request is
written by who has the verb `sign` for it.

Source: k8s.io/kubernetes pkg/registry/rbac, the storages called policybased; texts are theirs.
Departure: `escalate` on one role by its name does not let one create it by an apply.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

import orjson

from capim.api.errors import APIError, forbidden, not_found
from capim.api.identity import MASTERS
from capim.runtime.authorization import Attributes, may_use_signer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from capim.api.identity import User
    from capim.api.meta import JsonObject
    from capim.api.resources import Resource
    from capim.runtime.rbac import RoleBased

_GROUP: Final = "rbac.authorization.k8s.io"
_CERTIFICATES: Final = "certificates.k8s.io"
_ROLES: Final = {"Role": "roles", "ClusterRole": "clusterroles"}
_BINDINGS: Final = frozenset({"RoleBinding", "ClusterRoleBinding"})
_ALL: Final = "*"
_FULL: Final[list[JsonObject]] = [
    {"verbs": [_ALL], "apiGroups": [_ALL], "resources": [_ALL]},
    {"verbs": [_ALL], "nonResourceURLs": [_ALL]},
]
_FIELDS: Final = {
    "apiGroups": "APIGroups",
    "resources": "Resources",
    "nonResourceURLs": "NonResourceURLs",
    "resourceNames": "ResourceNames",
    "verbs": "Verbs",
}
_COLLECTED: Final = ("ownerReferences", "finalizers", "managedFields")


class Escalation:
    """Judges writes of roles and bindings of one cluster."""

    def __init__(self, roles: RoleBased) -> None:
        self._roles = roles

    def check(
        self,
        user: User,
        resource: Resource,
        body: JsonObject,
        old: JsonObject | None,
        view: str = "",
    ) -> None:
        """Let a write pass or not; `old` is what the object was, None when it is new.

        Raises:
            APIError: Forbidden for rights the user has not; NotFound for the role of a binding.
        """
        if (resource.group, view) == (_CERTIFICATES, "status") and old is not None:
            self._check_signer(user, resource, body, old)
        if resource.group != _GROUP or MASTERS in user.groups:
            return
        if old is not None and _without_collected(body) == _without_collected(old):
            return
        if resource.kind in _BINDINGS:
            self._check_binding(user, resource, body)
        else:
            self._check_role(user, resource, body, old)

    def _check_signer(
        self, user: User, resource: Resource, body: JsonObject, old: JsonObject
    ) -> None:
        if (body.get("status") or {}) == (old.get("status") or {}):
            return
        signer = old["spec"].get("signerName", "")
        if not may_use_signer(self._roles, user, "sign", signer):
            why = f'user not permitted to sign requests with signerName "{signer}"'
            raise forbidden(resource.plural, _CERTIFICATES, _place_of(body)[1], why)

    def _check_role(
        self, user: User, resource: Resource, body: JsonObject, old: JsonObject | None
    ) -> None:
        namespace, name = _place_of(body)
        asked_name = name if old is not None else ""  # the name is not in the path of a create
        if self._may(user, "escalate", namespace, resource.plural, asked_name):
            return
        self._confirm(user, resource, body, body.get("rules") or ())
        if not any(_gathers(it) for it in (body, old or {})):
            return
        if any(_missing(self._held(user, namespace), _FULL)):
            why = "must have cluster-admin privileges to use the aggregationRule"
            raise forbidden(resource.plural, _GROUP, name, why)

    def _check_binding(self, user: User, resource: Resource, body: JsonObject) -> None:
        namespace, _ = _place_of(body)
        reference: JsonObject = body.get("roleRef") or {}
        kind, name = reference.get("kind", ""), reference.get("name", "")
        if kind not in _ROLES:
            raise APIError("", 500, f'unsupported role reference kind: "{kind}"')
        if self._may(user, "bind", namespace, _ROLES[kind], name):
            return
        try:
            rules = self._roles.rules_of(reference, namespace)
        except APIError as error:  # named as if the binding were missing
            raise not_found(resource.plural, _GROUP, name) from error
        self._confirm(user, resource, body, rules)

    def _may(self, user: User, verb: str, namespace: str, plural: str, name: str) -> bool:
        asked = Attributes(user, verb, namespace, _GROUP, plural, name=name)
        return self._roles.authorize(asked).allowed

    def _held(self, user: User, namespace: str) -> list[JsonObject]:
        return self._roles.granted(user, namespace)[0]

    def _confirm(
        self, user: User, resource: Resource, body: JsonObject, rules: Sequence[JsonObject]
    ) -> None:
        namespace, name = _place_of(body)
        held, error = self._roles.granted(user, namespace)
        missing = list(_missing(held, rules))
        if not missing:
            return
        who = f"user {_quoted(user.name)} (groups=[{' '.join(map(_quoted, user.groups))}])"
        why = f"{who} is attempting to grant RBAC permissions not currently held:\n"
        why += "\n".join(sorted(_described(missing)))
        if error:
            why += f"; resolution errors: [{error}]"
        raise forbidden(resource.plural, _GROUP, name, why)


def _place_of(body: JsonObject) -> tuple[str, str]:
    metadata = body["metadata"]
    return metadata.get("namespace", ""), metadata.get("name", "")


def _gathers(role: JsonObject) -> bool:
    return bool((role.get("aggregationRule") or {}).get("clusterRoleSelectors"))


def _without_collected(body: JsonObject) -> JsonObject:
    kept = {key: it for key, it in body["metadata"].items() if key not in _COLLECTED}
    return body | {"metadata": kept}


# --- which rules cover which ---


def _missing(held: Sequence[JsonObject], wanted: Sequence[JsonObject]) -> Iterator[JsonObject]:
    """Yield what of the wanted rules no held rule covers, each as small as a rule can be."""
    for small in itertools.chain.from_iterable(map(_broken_down, wanted)):
        if not any(_covers(rule, small) for rule in held):
            yield small


def _broken_down(rule: JsonObject) -> Iterator[JsonObject]:
    """Yield rules of one verb, one resource and at most one name, or one verb and one path."""
    verbs = rule.get("verbs") or ()
    named = [{"resourceNames": [it]} for it in rule.get("resourceNames") or ()] or [{}]
    places = itertools.product(rule.get("apiGroups") or (), rule.get("resources") or ())
    for (group, resource), verb in itertools.product(places, verbs):
        for names in named:
            yield {"apiGroups": [group], "resources": [resource], **names, "verbs": [verb]}
    for path, verb in itertools.product(rule.get("nonResourceURLs") or (), verbs):
        yield {"nonResourceURLs": [path], "verbs": [verb]}


def _covers(rule: JsonObject, small: JsonObject) -> bool:
    """Tell whether a held rule allows all of a small one."""
    names = rule.get("resourceNames")
    return (
        _has(rule, "verbs", small)
        and _has(rule, "apiGroups", small)
        and all(_covers_resource(rule, it) for it in small.get("resources", ()))
        and all(_covers_path(rule, it) for it in small.get("nonResourceURLs", ()))
        and (not names or (bool(small.get("resourceNames")) and small["resourceNames"][0] in names))
    )


def _has(rule: JsonObject, field: str, small: JsonObject) -> bool:
    values = rule.get(field) or ()
    return _ALL in values or all(it in values for it in small.get(field, ()))


def _covers_resource(rule: JsonObject, resource: str) -> bool:
    values = rule.get("resources") or ()
    _, slash, subresource = resource.partition("/")
    return _ALL in values or resource in values or bool(slash and f"*/{subresource}" in values)


def _covers_path(rule: JsonObject, path: str) -> bool:
    values = rule.get("nonResourceURLs") or ()
    return path in values or any(
        it.endswith(_ALL) and path.startswith(it.rstrip(_ALL)) for it in values
    )


# --- how they are told ---


def _described(rules: Sequence[JsonObject]) -> Iterator[str]:
    """Yield each of some small rules as Go writes it, those that differ only by their verb as one."""
    verbs: dict[bytes, list[str]] = {}
    for rule in rules:
        if "nonResourceURLs" in rule:
            yield _shown(rule)
            continue
        place = orjson.dumps({key: it for key, it in rule.items() if key != "verbs"})
        verbs.setdefault(place, []).extend(rule["verbs"])
    for place, together in verbs.items():
        yield _shown(orjson.loads(place) | {"verbs": together})


def _shown(rule: JsonObject) -> str:
    parts = [
        f"{shown}:[{' '.join(map(_quoted, rule[field]))}]"
        for field, shown in _FIELDS.items()
        if rule.get(field)
    ]
    return f"{{{', '.join(parts)}}}"


def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()
