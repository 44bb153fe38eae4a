"""Label and field selectors: text in, a test on mappings out.

The grammar, the order of checks and the wording of refusals are those of k8s.io/apimachinery
(`pkg/labels/selector.go`, `pkg/fields/selector.go`, `pkg/api/validate/content`), because `kubectl`
shows these messages to people. Selectors are immutable and compare by value.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

FieldOperator: TypeAlias = Literal["=", "!="]

_BINARY: Final = {
    "in": "in",
    "notin": "notin",
    "=": "=",
    "==": "=",
    "!=": "!=",
    ">": "gt",
    "<": "lt",
}
_BINARY_NAMES: Final = "in, notin, =, ==, !=, gt, lt"
_TOKEN: Final = re.compile(r"[ \t\r\n]*(?:(\0|\Z)|(==|!=|[=!(),<>])\0?|([^=!(),<> \t\r\n\0]+)\0?)")

_NAME: Final = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_NAME_PATTERN: Final = re.compile(_NAME)
_NAME_RULE: Final = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', "
    f"regex used for validation is '{_NAME}')"
)
_VALUE_RULE: Final = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or "
    f"'12345', regex used for validation is '({_NAME})?')"
)
_DNS_LABEL: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DNS: Final = rf"{_DNS_LABEL}(\.{_DNS_LABEL})*"
_DNS_PATTERN: Final = re.compile(_DNS)
_DNS_RULE: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character (e.g. 'example.com', regex used for "
    f"validation is '{_DNS}')"
)
_NAME_MAX_BYTES: Final = 63
_DNS_MAX_BYTES: Final = 253
_INT64: Final = range(-(1 << 63), 1 << 63)
_INTEGER: Final = re.compile(r"[+-]?[0-9]+")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One term of a label selector."""

    key: str
    operator: str  #: in, notin, =, !=, gt, lt, exists or !
    values: tuple[str, ...] = ()  #: sorted, without repeats

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether these labels satisfy the term. An absent key satisfies notin, != and !."""
        return _TESTS[self.operator](labels.get(self.key), self.values)

    def __str__(self) -> str:
        match self.operator:
            case "exists":
                return self.key
            case "!":
                return f"!{self.key}"
            case "in" | "notin":
                return f"{self.key} {self.operator} ({','.join(self.values)})"
        return f"{self.key}{ {'gt': '>', 'lt': '<'}.get(self.operator, self.operator) }{self.values[0]}"


def _compares(value: str | None, values: tuple[str, ...], order: Literal[-1, 1]) -> bool:
    number = None if value is None else _parse_int64(value)
    limit = _parse_int64(values[0])
    return number is not None and limit is not None and (number - limit) * order > 0


_TESTS: Final[dict[str, Callable[[str | None, tuple[str, ...]], bool]]] = {
    "in": lambda value, values: value in values,
    "=": lambda value, values: value in values,
    "notin": lambda value, values: value not in values,
    "!=": lambda value, values: value not in values,
    "exists": lambda value, _: value is not None,
    "!": lambda value, _: value is None,
    "gt": lambda value, values: _compares(value, values, 1),
    "lt": lambda value, values: _compares(value, values, -1),
}


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """A conjunction of requirements on labels; empty, and then false, when it selects everything."""

    requirements: tuple[Requirement, ...] = ()  #: sorted by key

    @classmethod
    def parse(cls, text: str) -> LabelSelector:
        """Read `a=b,c!=d,e in (f,g),h,!i`. Raises ValueError with labels.Parse's message."""
        found = _LabelParser(text).requirements()
        return cls(tuple(sorted(found, key=lambda requirement: requirement.key)))

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether all requirements hold."""
        return all(requirement.matches(labels) for requirement in self.requirements)

    def __bool__(self) -> bool:
        return bool(self.requirements)

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements))


class _LabelParser:
    """Recursive descent over the tokens of one label selector; `end` closes the token list."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._position = 0

    def requirements(self) -> Iterator[Requirement]:
        kind, literal = self._tokens[0]
        if kind == "end":
            return
        if not self._starts_requirement():
            raise ValueError(f"found '{literal}', expected: !, identifier, or 'end of string'")
        while True:
            try:
                yield self._requirement()
            except ValueError as error:
                raise ValueError(f"unable to parse requirement: {error}") from None
            kind, literal = self._take()
            if kind == "end":
                return
            if kind != ",":
                raise ValueError(f"found '{literal}', expected: ',' or 'end of string'")
            if not self._starts_requirement():
                raise ValueError(f"found '{self._peek()[1]}', expected: identifier after ','")

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._position]

    def _take(self) -> tuple[str, str]:
        self._position += 1
        return self._tokens[self._position - 1]

    def _starts_requirement(self) -> bool:
        return self._peek()[0] in {"word", "!"}

    def _requirement(self) -> Requirement:
        kind, key = self._take()
        negated = kind == "!"
        if negated:
            kind, key = self._take()
        if kind != "word":
            raise ValueError(f"found '{key}', expected: identifier")
        if wrong := _key_faults(key):
            raise ValueError(_invalid("<nil>", key, wrong))
        if negated:
            return Requirement(key, "!")
        if self._peek()[0] in {"end", ","}:
            return Requirement(key, "exists")
        return self._binary(key)

    def _binary(self, key: str) -> Requirement:
        _, literal = self._take()
        operator = _BINARY.get(literal)
        if operator is None:
            raise ValueError(f"found '{literal}', expected: {_BINARY_NAMES}")
        values = self._set() if operator in {"in", "notin"} else {self._exact()}
        requirement = Requirement(key, operator, tuple(sorted(values)))
        if faults := list(_value_faults(requirement)):
            raise ValueError(faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]")
        return requirement

    def _exact(self) -> str:
        if self._peek()[0] in {"end", ","}:
            return ""
        kind, literal = self._take()
        if kind != "word":
            raise ValueError(f"found '{literal}', expected: identifier")
        return literal

    def _set(self) -> set[str]:
        kind, literal = self._take()
        if kind != "(":
            raise ValueError(f"found '{literal}' expected: '('")
        kind, literal = self._peek()
        if kind not in {"word", ",", ")"}:
            raise ValueError(f"found '{literal}', expected: ',', ')' or identifier")
        values, previous = set[str](), "("
        while (token := self._take())[0] != ")":
            values |= _set_element(previous, *token)
            previous = token[0]
        return values if previous == "word" else values | {""}


def _set_element(previous: str, kind: str, literal: str) -> set[str]:
    """Return what a token between parentheses adds: a word itself, a comma after nothing the empty value."""
    if kind == "word" and previous != "word":
        return {literal}
    if kind == ",":
        return set() if previous == "word" else {""}
    if previous == "word":
        raise ValueError(f"found '{literal}', expected: ',' or ')'")
    raise ValueError(f"found '{literal}', expected: ',', or identifier")


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """Yield (kind, literal): a symbol is its own kind, the rest are `word`, the last is `end`."""
    position = 0
    while token := _TOKEN.match(text, position):
        position = token.end()
        end, symbol, word = token.groups()
        if end is not None:
            break
        yield (symbol, symbol) if symbol else ("word", word)
    yield "end", ""


def _invalid(path: str, value: str, detail: str) -> str:
    return f"{path}: Invalid value: {json.dumps(value, ensure_ascii=False)}: {detail}"


def _key_faults(key: str) -> str:
    """Say what is wrong with a label key, or nothing."""
    prefix, slash, name = key.rpartition("/")
    if "/" in prefix:
        prefixed = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        return f"a valid label key {_NAME_RULE} {prefixed}"
    faults = [f"prefix part {fault}" for fault in _prefix_faults(prefix)] if slash else []
    if not name:
        faults.append("name part must be non-empty")
    elif len(name.encode()) > _NAME_MAX_BYTES:
        faults.append(f"name part must be no more than {_NAME_MAX_BYTES} bytes")
    if not _NAME_PATTERN.fullmatch(name):
        faults.append(f"name part {_NAME_RULE}")
    return "; ".join(faults)


def _prefix_faults(prefix: str) -> Iterator[str]:
    if not prefix:
        yield "must be non-empty"
        return
    if len(prefix.encode()) > _DNS_MAX_BYTES:
        yield f"must be no more than {_DNS_MAX_BYTES} bytes"
    if not _DNS_PATTERN.fullmatch(prefix):
        yield _DNS_RULE


def _value_faults(requirement: Requirement) -> Iterator[str]:
    """Say what is wrong with the values of a requirement: no integer, not a label value."""
    for index, value in enumerate(requirement.values):
        if requirement.operator in {"gt", "lt"} and _parse_int64(value) is None:
            detail = "for 'Gt', 'Lt' operators, the value must be an integer"
            yield _invalid(f"values[{index}]", value, detail)
    for index, value in enumerate(requirement.values):
        faults = []
        if len(value.encode()) > _NAME_MAX_BYTES:
            faults.append(f"must be no more than {_NAME_MAX_BYTES} bytes")
        if value and not _NAME_PATTERN.fullmatch(value):
            faults.append(_VALUE_RULE)
        if faults:
            yield _invalid(f"values[{index}][{requirement.key}]", value, "; ".join(faults))


def _parse_int64(text: str) -> int | None:
    if not _INTEGER.fullmatch(text):
        return None
    number = int(text)
    return number if number in _INT64 else None


_ESCAPE: Final = re.compile(r"\\(.?)|([,=])", re.DOTALL)
_TERM: Final = re.compile(r"(?:\\.|[^,\\])*(?:\\\Z)?", re.DOTALL)
_TERM_OPERATOR: Final = re.compile(r"!=|==|=")


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """A conjunction of `path=value` and `path!=value`; empty, and then false, when it selects everything."""

    requirements: tuple[tuple[str, FieldOperator, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> FieldSelector:
        r"""Read `metadata.name=a,status.phase!=Failed`; `\,` `\=` `\\` stand for themselves in values.

        Raises:
            ValueError: with fields.ParseSelector's message. Which paths a kind knows is not checked here.
        """
        return cls(tuple(_field_term(text, term) for term in sorted(_field_terms(text)) if term))

    def matches(self, fields: Mapping[str, str]) -> bool:
        """Tell whether all requirements hold. An absent field is the empty string."""
        return all(
            (fields.get(path, "") == value) is (operator == "=")
            for path, operator, value in self.requirements
        )

    def __bool__(self) -> bool:
        return bool(self.requirements)


def _field_terms(text: str) -> Iterator[str]:
    """Split at commas that no backslash escapes; the backslashes stay."""
    position = 0
    while position <= len(text):
        term = _TERM.match(text, position)
        assert term is not None  # the pattern matches the empty string  # noqa: S101
        yield term[0]
        position = term.end() + 1


def _field_term(text: str, term: str) -> tuple[str, FieldOperator, str]:
    operator = _TERM_OPERATOR.search(term)
    if operator is None:
        raise ValueError(f"invalid selector: '{text}'; can't understand '{term}'")
    value = _ESCAPE.sub(_unescape, term[operator.end() :])
    return term[: operator.start()], "!=" if operator[0] == "!=" else "=", value


def _unescape(found: re.Match[str]) -> str:
    escaped, bare = found.groups()
    if bare:
        raise ValueError(f"invalid field selector: unescaped character in value: {ord(bare)}")
    if escaped not in {"\\", ",", "="}:
        raise ValueError(f"invalid field selector: invalid escape sequence: {found[0]}")
    return str(escaped)
