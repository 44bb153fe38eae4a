"""The operations that OpenAPI describes for the table of kinds, in the form of version 3.0. Pure.

Names of operations, parameters and media types are a kube-apiserver's, so that generators of clients
make the same code and kubectl finds what it looks for (`fieldValidation` of a PATCH above all). A piece
of text says what an operation does; parameters go without.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from capim.api.builtin_schemas import REFERENCE, definition_name, name_of
from capim.api.gvk import GVK
from capim.api.meta import JsonObject

if TYPE_CHECKING:
    from collections.abc import Iterable

    from capim.api.resources import Resource, Subresource

_META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1"
_PLAIN: Final = ("application/json", "application/vnd.kubernetes.protobuf", "application/yaml")
_CUSTOM: Final = ("application/json", "application/yaml")
_PATCHES: Final = (
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)
_WRITE: Final = ("dryRun", "fieldManager", "fieldValidation")
_DELETE: Final = (
    "dryRun",
    "gracePeriodSeconds",
    "ignoreStoreReadErrorWithClusterBreakingPotential",
    "orphanDependents",
    "propagationPolicy",
)
_LIST: Final = (
    "allowWatchBookmarks",
    "continue",
    "fieldSelector",
    "labelSelector",
    "limit",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "timeoutSeconds",
    "watch",
)
_COLLECTION: Final = tuple(
    sorted({*_DELETE, *_LIST} - {"allowWatchBookmarks", "watch"}),
)
#: of what runs in a container, or is passed on
_CONNECT: Final = {
    "attach": ("container", "stderr", "stdin", "stdout", "tty"),
    "exec": ("command", "container", "stderr", "stdin", "stdout", "tty"),
    "portforward": ("ports",),
    "proxy": ("path",),
}
_LOG: Final = (
    "container",
    "follow",
    "insecureSkipTLSVerifyBackend",
    "limitBytes",
    "previous",
    "sinceSeconds",
    "stream",
    "tailLines",
    "timestamps",
)
_TYPES: Final = {
    **dict.fromkeys(
        (
            "gracePeriodSeconds",
            "limit",
            "limitBytes",
            "ports",
            "sinceSeconds",
            "tailLines",
            "timeoutSeconds",
        ),
        "integer",
    ),
    **dict.fromkeys(
        (
            "allowWatchBookmarks",
            "follow",
            "force",
            "ignoreStoreReadErrorWithClusterBreakingPotential",
            "insecureSkipTLSVerifyBackend",
            "orphanDependents",
            "previous",
            "sendInitialEvents",
            "stderr",
            "stdin",
            "stdout",
            "timestamps",
            "tty",
            "watch",
        ),
        "boolean",
    ),
}
_METHODS: Final = {"get": "get", "update": "put", "patch": "patch", "create": "post"}
_NAMES: Final = {"get": "read", "update": "replace", "patch": "patch", "create": "create"}
_SAYS: Final = {
    "get": "read the specified {}",
    "update": "replace the specified {}",
    "patch": "partially update the specified {}",
    "create": "create {}",
}
_ANY_METHOD: Final = ("get", "put", "post", "delete", "options", "head", "patch")
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_]+")
_IN_PATH: Final = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class _Operation:
    """One method of a path, before parameters that all methods share are moved to the path."""

    method: str
    name: str
    action: str
    says: str
    kind: GVK
    responses: JsonObject
    parameters: tuple[str, ...] = ()
    body: JsonObject | None = None


def group_name(group: str) -> str:
    """Return a group as names of operations have it: `RbacAuthorization`, `Core`."""
    short = (group or "core").removesuffix(".k8s.io")
    return "".join(part[:1].upper() + part[1:] for part in _NOT_IN_NAMES.split(short))


def definition_of(gvk: GVK) -> str:
    """Return the definition of a kind: `io.k8s.api.apps.v1.Deployment`, `org.example.v1.Widget`."""
    name = name_of(gvk)
    if name is not None:
        return definition_name(name)
    return f"{'.'.join(reversed(gvk.group.split('.')))}.{gvk.version}.{gvk.kind}"


def paths_of(root: str, resources: list[Resource]) -> JsonObject:
    """Describe the operations of one group and version, `root` being `/api/v1` or `/apis/apps/v1`."""
    group, version = resources[0].group, resources[0].version
    paths: dict[str, list[_Operation]] = {}
    if not resources[0].custom:
        paths[f"{root}/"] = [_api_resources(group, version)]
    for resource in resources:
        _Paths(root, resource).add_to(paths)
    tag = _tag(group, version)
    return {path: _item(path, operations, tag) for path, operations in sorted(paths.items())}


def _tag(group: str, version: str) -> str:
    name = group_name(group)
    return f"{name[:1].lower()}{name[1:]}_{version}"


def _api_resources(group: str, version: str) -> _Operation:
    name = f"get{group_name(group)}{version.capitalize()}APIResources"
    answers = _answers((200,), f"{_META}.APIResourceList", _PLAIN)
    return _Operation("get", name, "", "get available resources", GVK("", "", ""), answers)


class _Paths:
    """The paths of one resource."""

    def __init__(self, root: str, resource: Resource) -> None:
        self._resource = resource
        self._root = root
        scope = "/namespaces/{namespace}" if resource.namespaced else ""
        self._collection = f"{root}{scope}/{resource.plural}"
        self._object = f"{self._collection}/{{name}}"
        self._prefix = group_name(resource.group) + resource.version.capitalize()
        self._namespaced = "Namespaced" if resource.namespaced else ""
        self._media = _CUSTOM if resource.custom else _PLAIN
        self._definition = definition_of(resource.gvk)

    def add_to(self, paths: dict[str, list[_Operation]]) -> None:
        """Add every path of the resource with its operations."""
        verbs = set(self._resource.verbs)
        found = {
            self._collection: [*self._of_collection(verbs)],
            self._object: [*self._of_object(verbs)],
        }
        if "list" in verbs and self._resource.namespaced:
            name = f"list{self._prefix}{self._resource.kind}ForAllNamespaces"
            found[f"{self._root}/{self._resource.plural}"] = [self._list(name)]
        for subresource in self._resource.subresources:
            path = f"{self._object}/{subresource.name}"
            found[path] = [*self._of_subresource(subresource)]
            if subresource.name == "proxy":
                found[f"{path}/{{path}}"] = [*self._connect(subresource, "WithPath")]
        if "watch" in verbs and not self._resource.custom:
            found |= self._watches()
        paths |= {path: operations for path, operations in found.items() if operations}

    def _operation(self, method: str, name: str, says: str, **rest: object) -> _Operation:
        kind = rest.pop("kind", self._resource.gvk)
        return _Operation(method, name, kind=kind, says=says, **rest)  # type: ignore[arg-type]

    def _named(self, verb: str, suffix: str = "") -> str:
        return f"{verb}{self._prefix}{self._namespaced}{self._resource.kind}{suffix}"

    def _of_collection(self, verbs: set[str]) -> Iterable[_Operation]:
        kind = self._resource.kind
        if "list" in verbs:
            yield self._list(self._named("list"))
        if "create" in verbs:
            yield self._write("create", self._definition, self._named("create"), _a(kind))
        if "deletecollection" in verbs:
            name = f"delete{self._prefix}Collection{self._namespaced}{kind}"
            yield self._operation(
                "delete",
                name,
                f"delete collection of {kind}",
                action="deletecollection",
                responses=_answers((200,), f"{_META}.Status", self._media),
                parameters=_LIST if self._resource.custom else _COLLECTION,
                body=None if self._resource.custom else self._delete_options(),
            )

    def _of_object(self, verbs: set[str]) -> Iterable[_Operation]:
        kind = self._resource.kind
        if "get" in verbs:
            yield self._read(self._definition, self._named("read"), kind)
        for verb in ("update", "patch"):
            if verb in verbs:
                yield self._write(verb, self._definition, self._named(_NAMES[verb]), kind)
        if "delete" in verbs:
            answer = self._definition if self._resource.returned_when_deleted else f"{_META}.Status"
            yield self._operation(
                "delete",
                self._named("delete"),
                f"delete {_a(kind)}",
                action="delete",
                responses=_answers((200, 202), answer, self._media),
                parameters=_DELETE,
                body=self._delete_options(),
            )

    def _of_subresource(self, subresource: Subresource) -> Iterable[_Operation]:
        if subresource.name in _CONNECT:
            yield from self._connect(subresource)
            return
        group = subresource.group or self._resource.group
        version = subresource.version or self._resource.version
        gvk = GVK(group, version, subresource.kind)
        definition, suffix = definition_of(gvk), subresource.name.capitalize()
        gvk = self._resource.gvk if self._resource.custom else gvk
        says = f"{subresource.name} of the specified {self._resource.kind}"
        for verb in subresource.verbs:
            name = self._named(_NAMES[verb], suffix)
            if subresource.name == "log":
                yield self._log(name, says)
            elif verb == "get":
                yield self._read(definition, name, says, gvk)
            else:
                target = f"{subresource.name} of {_a(self._resource.kind)}"
                says_so = target if verb == "create" else says
                yield self._write(verb, definition, name, says_so, gvk)

    def _connect(self, subresource: Subresource, suffix: str = "") -> Iterable[_Operation]:
        kind = GVK(self._resource.group, self._resource.version, subresource.kind)
        methods = _ANY_METHOD if subresource.name == "proxy" else ("get", "post")
        for method in methods:
            called = f"{method.capitalize()}{self._namespaced}{self._resource.kind}"
            name = f"connect{self._prefix}{called}{subresource.name.capitalize()}{suffix}"
            yield self._operation(
                method,
                name,
                f"connect {method.upper()} requests to {subresource.name} of {self._resource.kind}",
                action="connect",
                kind=kind,
                responses=_text_answers("*/*"),
                parameters=_CONNECT[subresource.name],
            )

    def _log(self, name: str, says: str) -> _Operation:
        answers = _text_answers("text/plain", *self._media)
        return self._operation(
            "get", name, f"read {says}", action="get", responses=answers, parameters=_LOG
        )

    def _read(self, definition: str, name: str, what: str, kind: GVK | None = None) -> _Operation:
        return self._operation(
            "get",
            name,
            _SAYS["get"].format(what) if kind is None else f"read {what}",
            action="get",
            kind=kind or self._resource.gvk,
            responses=_answers((200,), definition, self._media),
            parameters=("resourceVersion",) if self._resource.custom else (),
        )

    def _write(
        self, verb: str, definition: str, name: str, what: str, kind: GVK | None = None
    ) -> _Operation:
        codes: tuple[int, ...] = (200, 201, 202) if verb == "create" else (200, 201)
        body = {"*/*": _schema(definition)}
        if verb == "patch":
            patches = [it for it in _PATCHES if not (self._resource.custom and "strategic" in it)]
            body = {patch: _schema(f"{_META}.Patch") for patch in patches}
            codes = codes[:1] if self._resource.custom else codes
        elif self._resource.custom:
            body = {media: _schema(definition) for media in self._media}
        method = _METHODS[verb]
        return self._operation(
            method,
            name,
            _SAYS[verb].format(what),
            action=method,
            kind=kind or self._resource.gvk,
            responses=_answers(codes, definition, self._media),
            parameters=(*_WRITE, "force") if verb == "patch" else _WRITE,
            body={"content": body, "required": True},
        )

    def _delete_options(self) -> JsonObject:
        media = self._media if self._resource.custom else ("*/*",)
        return {"content": {it: _schema(f"{_META}.DeleteOptions") for it in media}}

    def _list(self, name: str) -> _Operation:
        media = [*self._media]
        if not self._resource.custom:
            media += [f"{it};stream=watch" for it in _PLAIN[:2]]
        gvk = self._resource.gvk._replace(kind=self._resource.list_kind)
        definition = definition_of(gvk)
        does = "list" if self._resource.custom else "list or watch"
        says = f"{does} objects of kind {self._resource.kind}"
        answers = _answers((200,), definition, sorted(media))
        return self._operation(
            "get", name, says, action="list", responses=answers, parameters=_LIST
        )

    def _watches(self) -> dict[str, list[_Operation]]:
        collection = self._watched("watchlist", self._named("watch", "List"))
        found = {
            self._watch_path(self._collection): [collection],
            self._watch_path(self._object): [self._watched("watch", self._named("watch"))],
        }
        if self._resource.namespaced:
            name = f"watch{self._prefix}{self._resource.kind}ListForAllNamespaces"
            everywhere = f"{self._root}/watch/{self._resource.plural}"
            found[everywhere] = [self._watched("watchlist", name)]
        return found

    def _watch_path(self, path: str) -> str:
        return f"{self._root}/watch{path.removeprefix(self._root)}"

    def _watched(self, action: str, name: str) -> _Operation:
        media = sorted([*_PLAIN, *(f"{it};stream=watch" for it in _PLAIN[:2])])
        says = (
            f"watch {self._resource.kind}. deprecated: use the 'watch' parameter of a list instead."
        )
        answers = _answers((200,), f"{_META}.WatchEvent", media)
        return self._operation(
            "get", name, says, action=action, responses=answers, parameters=_LIST
        )


def _a(kind: str) -> str:
    return f"{'an' if kind[:1] in 'AEIOU' else 'a'} {kind}"


def _schema(definition: str) -> JsonObject:
    return {"schema": {"$ref": REFERENCE + definition}}


_MEANINGS: Final = {200: "OK", 201: "Created", 202: "Accepted"}


def _answers(codes: tuple[int, ...], definition: str, media: Iterable[str]) -> JsonObject:
    content = {name: _schema(definition) for name in media}
    answers = {str(it): {"description": _MEANINGS[it], "content": content} for it in codes}
    return answers | {"401": {"description": "Unauthorized"}}


def _text_answers(*media: str) -> JsonObject:
    content = {name: {"schema": {"type": "string"}} for name in media}
    ok = {"description": "OK", "content": content}
    return {"200": ok, "401": {"description": "Unauthorized"}}


def _item(path: str, operations: list[_Operation], tag: str) -> JsonObject:
    """Describe a path; parameters that all its operations take stand with the path."""
    of_path = {*_IN_PATH.findall(path)}
    shared = set.intersection(*({*operation.parameters} for operation in operations))
    made: JsonObject = {}
    for operation in operations:
        own = sorted({*operation.parameters} - shared)
        made[operation.method] = _described(operation, tag, [_parameter(name) for name in own])
    if operations[0].action:
        pretty = {"pretty"} if operations[0].action != "connect" else set()
        parameters = [_parameter(name, in_path=True) for name in of_path]
        parameters += [_parameter(name) for name in shared | pretty]
        made["parameters"] = sorted(parameters, key=lambda it: (it["name"], it["in"]))
    return made


def _described(operation: _Operation, tag: str, parameters: list[JsonObject]) -> JsonObject:
    made: JsonObject = {
        "tags": [tag],
        "description": operation.says,
        "operationId": operation.name,
        "parameters": parameters,
        "requestBody": operation.body,
        "responses": operation.responses,
        "x-kubernetes-action": operation.action,
    }
    if operation.action:
        made["x-kubernetes-group-version-kind"] = operation.kind._asdict()
    return {key: value for key, value in made.items() if value}


def _parameter(name: str, *, in_path: bool = False) -> JsonObject:
    schema = {"type": _TYPES.get(name, "string"), "uniqueItems": True}
    if in_path:
        return {"name": name, "in": "path", "required": True, "schema": schema}
    return {"name": name, "in": "query", "schema": schema}
