r"""The JSONPath that printer columns are written in: fields, quoted keys, indices and filters.

`.metadata.labels['a\.b/c']`, `.spec.ports[0].port`, `.spec.items[*].name` and
`.status.conditions[?(@.type=="Ready")].status`, as k8s.io/client-go/util/jsonpath reads them, missing
fields finding nothing. Left out: ranges, unions, recursive descent and text around a path, which a
printer column cannot use or nobody writes.
"""

from __future__ import annotations

import operator
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

#: what one step of a path makes of a value: none, one or many values
Step: TypeAlias = "Callable[[Any], Iterable[Any]]"

_TOKEN: Final = re.compile(
    r"""(?P<every>\.\*|\[\s*\*\s*\])
      | \.(?P<field>(?:\\.|[^.\[\]\\{}])+)
      | \[\s*(?P<quote>['"])(?P<key>(?:\\.|(?!(?P=quote))[^\\])*)(?P=quote)\s*\]
      | \[\s*(?P<index>-?\d+)\s*\]
      | \[\?\(\s*@(?P<inner>(?:\.(?:\\.|[\w\-/])+|\[(?:'[^']*'|"[^"]*"|-?\d+)\])*)
          \s*(?:(?P<operator>==|!=|<=|>=|<|>)\s*(?P<operand>"[^"]*"|'[^']*'|[^\s()'"]+)\s*)?\)\]
    """,
    re.VERBOSE,
)
_OPERATORS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_WORDS: Final = {"true": True, "false": False}


class Path:
    """A compiled path."""

    def __init__(self, steps: Iterable[Step]) -> None:
        self._steps = tuple(steps)

    def find(self, value: Any) -> list[Any]:
        """Return everything the path leads to, in order; empty where a field is missing."""
        found = [value]
        for step in self._steps:
            found = [result for one in found for result in step(one)]
        return found


@lru_cache(maxsize=1024)
def parse(text: str) -> Path:
    """Compile a path; braces around it and the dot in front may be left out.

    Raises:
        ValueError: it is no path, or one of a form that is not supported; the message quotes it.
    """
    rest = text.strip()
    if rest.startswith("{") and rest.endswith("}"):
        rest = rest[1:-1].strip()
    rest = rest.removeprefix("$")
    if rest and rest[0] not in ".[":
        rest = f".{rest}"
    return Path(_steps(rest, text)) if rest != "." else Path(())


def _steps(path: str, text: str) -> Iterator[Step]:
    end = 0
    while end < len(path):
        token = _TOKEN.match(path, end)
        if token is None:
            raise ValueError(f"{text!r} is not a path this server reads: see {path[end:]!r}")
        yield _step(token)
        end = token.end()


def _step(token: re.Match[str]) -> Step:
    if token["every"]:
        return _members
    if (name := token["field"] or token["key"]) is not None:
        return _field(re.sub(r"\\(.)", r"\1", name))
    if token["index"] is not None:
        return _index(int(token["index"]))
    return _filter(token)


def _field(name: str) -> Step:
    def step(value: Any) -> Iterable[Any]:
        return (value[name],) if isinstance(value, dict) and name in value else ()

    return step


def _index(index: int) -> Step:
    def step(value: Any) -> Iterable[Any]:
        inside = isinstance(value, list) and -len(value) <= index < len(value)
        return (value[index],) if inside else ()

    return step


def _members(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _filter(token: re.Match[str]) -> Step:
    inner = Path(_steps(token["inner"], token[0]))
    compare = _OPERATORS[token["operator"]] if token["operator"] else None
    wanted = _literal(token["operand"]) if token["operand"] else None

    def passes(item: Any) -> bool:
        found = inner.find(item)
        if compare is None or not found:
            return bool(found)
        try:
            return compare(found[0], wanted)
        except TypeError:  # a number and a string have no order
            return False

    def step(value: Any) -> Iterable[Any]:
        return filter(passes, value) if isinstance(value, list) else ()

    return step


def _literal(text: str) -> Any:
    if text[0] in "'\"":
        return text[1:-1]
    if text in _WORDS:
        return _WORDS[text]
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        raise ValueError(f"{text} in a filter is no string, number or boolean") from None
