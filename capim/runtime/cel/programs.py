"""Expressions, compiled and run: with the library's errors in the words of Kubernetes' own."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cel_expr_python import cel

from capim.runtime.cel.library import extensions
from capim.runtime.cel.types import Declarations

if TYPE_CHECKING:
    from collections.abc import Mapping

    from capim.api.meta import JsonObject

_LITERAL: Final = re.compile(r"""r?("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')""")
_TYPES: Final = {"bool": cel.Type.BOOL, "string": cel.Type.STRING}
_CODE: Final = re.compile(r"^[A-Z_]+: ")
_TRAILER: Final = re.compile(r" \[[A-Z_]+\]$")
_STRUCT: Final = re.compile(r" not found in struct '[^']*'")
_KEY: Final = re.compile(r'Key not found in map : "(.*)"', re.DOTALL)
_APPLIED: Final = re.compile(r"'(\w+)' applied to '\(([^,()]+(?:\([^()]*\))?)(?:, (.*))?\)'")
_INDEX: Final = re.compile(r"Index error: index=(-?\d+) size=\d+")
#: one error of a compilation, and the line it is in
_FAULT: Final = re.compile(
    r"ERROR: <input>:(?P<line>\d+):(?P<column>\d+): (?P<text>[^\n]*)\n \| (?P<source>[^\n]*)\n \| [.]*\^"
)
_NOT_SELECTED: Final = re.compile(
    r"expression of type '(.*)' cannot be the operand of a select operation"
)
_UNDECLARED: Final = re.compile(r"(?<=undeclared reference to )'(?P<root>\w+)\.[\w.]+' ")
#: gives a rule an old self that may not be there, on the line before it
_OLD: Final = "cel.bind(oldSelf, olds.size() > 0 ? optional.of(olds[0]) : optional.none(),\n{}\n)"
_SECOND_LINE: Final = "<input>:2:"


_OF_RULES: Final = ("self", "oldSelf", "olds")
_OF_POLICIES: Final = ("object", "oldObject", "request", "params", "namespaceObject", "variables")


class Outcome(NamedTuple):
    """What an expression came to: a value, or what went wrong."""

    value: Any
    error: str = ""


def names_in(text: str) -> set[str]:
    """Return the identifiers of an expression."""
    return {*re.findall(r"(?<![.\w])[A-Za-z_]\w*", _LITERAL.sub("''", text))}


def run(text: str, data: Mapping[str, Any], *, optional_old: bool = False) -> Outcome:
    """Evaluate an expression. Costs some 10 us beyond the first time."""
    try:
        found = _program(text, optional_old=optional_old).eval(data=data)
    except RuntimeError as error:
        return Outcome(None, said(str(error)))
    if found.type() == cel.Type.ERROR:
        return Outcome(None, said(str(found.value())))
    return Outcome(found.value())


@functools.lru_cache(maxsize=2048)
def _program(text: str, *, optional_old: bool) -> Any:
    return _environment().compile(_OLD.format(text) if optional_old else text)


@functools.cache
def _environment() -> Any:
    """Return what expressions run in: types are found out as they come."""
    variables = dict.fromkeys((*_OF_RULES, *_OF_POLICIES), cel.Type.DYN)
    return cel.NewEnv(variables=variables, extensions=extensions())


def said(text: str) -> str:
    """Return an error in the words of cel-go."""
    text = _TRAILER.sub("", _CODE.sub("", text))
    if found := _KEY.fullmatch(text):
        return f"no such key: {found[1]}"
    if found := _INDEX.fullmatch(text):
        return f"index out of bounds: {found[1]}"
    if text.startswith(("No matching overloads found", "Applying SELECT to non-message type")):
        return "no such overload"
    return {"divide by zero": "division by zero"}.get(text, _STRUCT.sub("", text))


def refused(error: RuntimeError, text: str) -> str:
    """Return why an expression does not compile, in the words and at the places of cel-go."""
    told = [_fault(found) for found in _FAULT.finditer(str(error))]
    faults = "\n".join(filter(None, told)) or said(str(error))
    return f"compilation failed: {_as_member(faults, text)}"


def _fault(found: re.Match[str]) -> str:
    """Write one error; nothing of one that only follows from another."""
    line, column, text, source = found["line"], int(found["column"]), found["text"], found["source"]
    if "'*error*'" in text:
        return ""
    text = _STRUCT.sub("", _NOT_SELECTED.sub(r"type '\1' does not support field selection", text))
    if path := _UNDECLARED.search(text):  # cel-go has looked for the first name alone
        text = text.replace(path[0], f"'{path['root']}' ")
        column = source.rfind(path["root"], 0, column) + 1
    return f"ERROR: <input>:{line}:{column}: {text}\n | {source}\n | {'.' * (column - 1)}^"


def _as_member(error: str, text: str) -> str:
    """Write what a member function was given as cel-go does: `string.(int)`."""

    def member(found: re.Match[str]) -> str:
        name, target, rest = found.groups()
        called = re.search(rf"\.\s*{re.escape(name)}\s*\(", text)
        return f"'{name}' applied to '{target}.({rest or ''})'" if called else found[0]

    return _APPLIED.sub(member, error)


class Checker:
    """Checks expressions about values of one schema."""

    def __init__(self, schema: JsonObject, *, is_object: bool) -> None:
        declared = Declarations()
        self._type = declared.type_of(schema, is_object=is_object)
        self._pool = declared.pool()

    def check(self, text: str, wanted: str, *, optional_old: bool = False) -> str:
        """Tell what is wrong with an expression that should come to a `bool` or a `string`."""
        variables = {"self": self._type, "oldSelf": self._type, "olds": cel.Type.List(self._type)}
        env = cel.NewEnv(descriptor_pool=self._pool, variables=variables, extensions=extensions())
        try:
            returned = env.compile(_OLD.format(text) if optional_old else text).return_type()
        except RuntimeError as error:
            told = refused(error, text)
            return told.replace(_SECOND_LINE, "<input>:1:") if optional_old else told
        return "" if returned == _TYPES[wanted] else f"must evaluate to a {wanted}"
