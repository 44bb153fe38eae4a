"""Checks the expressions of a ValidatingAdmissionPolicy: of what type each is, and whether that fits.

Objects and parameters are of any type; requests, namespaces and a policy's variables have types, and a
variable knows those that stand before it. Costs 0.5 ms for each of its variables and as much again.
Source: k8s.io/apiserver, `pkg/admission/plugin/cel`. Not here: `authorizer`; lists in a map are of any type.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from cel_expr_python import cel

from capim.runtime.cel.library import extensions
from capim.runtime.cel.programs import refused
from capim.runtime.cel.types import Declarations

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from capim.api.meta import JsonObject

_TEXT: Final[JsonObject] = {"type": "string"}
_NUMBER: Final[JsonObject] = {"type": "integer"}
_TIME: Final[JsonObject] = {"type": "string", "format": "date-time"}
_ANYTHING: Final[JsonObject] = {"x-kubernetes-int-or-string": True}


def _list(items: JsonObject) -> JsonObject:
    return {"type": "array", "items": items}


def _map(values: JsonObject) -> JsonObject:
    return {"type": "object", "additionalProperties": values}


def _object(**fields: JsonObject) -> JsonObject:
    return {"type": "object", "properties": fields}


_GVK: Final = _object(group=_TEXT, version=_TEXT, kind=_TEXT)
_GVR: Final = _object(group=_TEXT, version=_TEXT, resource=_TEXT)
_REQUEST: Final = _object(
    kind=_GVK,
    resource=_GVR,
    subResource=_TEXT,
    requestKind=_GVK,
    requestResource=_GVR,
    requestSubResource=_TEXT,
    name=_TEXT,
    namespace=_TEXT,
    operation=_TEXT,
    userInfo=_object(username=_TEXT, uid=_TEXT, groups=_list(_TEXT), extra=_map(_list(_TEXT))),
    dryRun={"type": "boolean"},
    options=_ANYTHING,
)
_CONDITION: Final = _object(
    status=_TEXT, type=_TEXT, lastTransitionTime=_TIME, message=_TEXT, reason=_TEXT
)
_NAMESPACE: Final = _object(
    metadata=_object(
        name=_TEXT,
        generateName=_TEXT,
        namespace=_TEXT,
        labels=_map(_TEXT),
        annotations=_map(_TEXT),
        UID=_TEXT,
        creationTimestamp=_TIME,
        deletionGracePeriodSeconds=_NUMBER,
        deletionTimestamp=_TIME,
        generation=_NUMBER,
        resourceVersion=_TEXT,
        finalizers=_list(_TEXT),
    ),
    spec=_object(finalizers=_list(_TEXT)),
    status=_object(conditions=_list(_CONDITION), phase=_TEXT),
)
#: the library's names of types -> schemas that have them
_SCHEMAS: Final[dict[str, JsonObject]] = {
    "BOOL": {"type": "boolean"},
    "INT": _NUMBER,
    "DOUBLE": {"type": "number"},
    "STRING": _TEXT,
    "BYTES": {"type": "string", "format": "byte"},
    "DURATION": {"type": "string", "format": "duration"},
    "TIMESTAMP": _TIME,
}
_INSIDE: Final = re.compile(r"(LIST|MAP<STRING)[<,] ?(.*)>")
_WANTED: Final = {"bool": cel.Type.BOOL, "string": cel.Type.STRING}


class PolicyChecker:
    """Checks one policy's expressions, its variables first."""

    def __init__(self, *, has_params: bool) -> None:
        self._has_params = has_params
        self._variables: dict[str, JsonObject] = {}
        self._environment = self._declared(with_variables=False)

    def declare(self, variables: Iterable[JsonObject]) -> Iterator[tuple[int, str]]:
        """Take the policy's variables in their order; yields which are wrong, and why."""
        for index, variable in enumerate(variables):
            self._environment = self._declared(with_variables=True)
            found, why = self._type_of(variable["expression"])
            if why:
                yield index, why
            self._variables[variable["name"]] = _ANYTHING if found is None else _schema_of(found)
        if self._variables:
            self._environment = self._declared(with_variables=True)

    def check(self, text: str, wanted: str) -> str:
        """Tell what is wrong with an expression that should come to a `bool` or a `string`."""
        found, why = self._type_of(text)
        if found is None or found == _WANTED[wanted]:
            return why
        return f"must evaluate to {wanted} but got {_said_of(found)}"

    def _type_of(self, text: str) -> tuple[cel.Type | None, str]:
        try:
            return self._environment.compile(text).return_type(), ""
        except RuntimeError as error:
            return None, refused(error, text)

    def _declared(self, *, with_variables: bool) -> Any:
        declared = Declarations(str)
        names = dict.fromkeys(("object", "oldObject"), cel.Type.DYN)
        if self._has_params:
            names["params"] = cel.Type.DYN
        names["request"] = declared.type_of(_REQUEST, is_object=False)
        names["namespaceObject"] = declared.type_of(_NAMESPACE, is_object=False)
        if with_variables:
            schema = {"type": "object", "properties": self._variables}
            names["variables"] = declared.type_of(schema, is_object=False)
        return cel.NewEnv(descriptor_pool=declared.pool(), variables=names, extensions=extensions())


def _schema_of(found: cel.Type) -> JsonObject:
    return _schema_named(found.name())


def _schema_named(name: str) -> JsonObject:
    if name in _SCHEMAS:
        return _SCHEMAS[name]
    if inside := _INSIDE.fullmatch(name):
        kept = _schema_named(inside[2])
        return _list(kept) if inside[1] == "LIST" else _map(kept)
    return _ANYTHING


def _said_of(found: cel.Type) -> str:
    """Return a type's name as cel-go writes it."""
    return str(found.name()).lower().replace("<", "(").replace(">", ")")
