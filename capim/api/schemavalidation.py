"""Checks an object against a structural schema, with the texts and causes of a real API server.

An update is ratcheted: what is as wrong as it was in the old object is let through, wherever the two can
be correlated (fields by name, items of a list of type `map` by their keys). Source: k8s.io/kube-openapi,
`pkg/validation/validate`, and k8s.io/apiextensions-apiserver, `apiserver/validation`. Departures: causes
come in the schema's order, a real server's maps have none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from capim.api.fielderrors import (
    FieldError,
    go_float,
    invalid,
    not_supported,
    required,
    shown,
    too_long,
    too_many,
    type_invalid,
)
from capim.api.formats import CHECKS, matches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from capim.api.meta import JsonObject

#: in place of an old value: there is none that could be correlated
NOTHING: Final = object()
_LARGEST: Final = 1 << 63


class _Verdict(NamedTuple):
    """What is wrong, and how many checks were made: the closest branch of an anyOf explains itself."""

    faults: list[FieldError]
    checks: int


class _Place(NamedTuple):
    """Where a value stands: its path in texts, and the field that a part of the object hangs at."""

    path: str
    base: str

    def child(self, name: str) -> _Place:
        return _Place(f"{self.path}.{name}" if self.path else name, self.base)

    def item(self, index: int) -> _Place:
        return _Place(f"{self.path}[{index}]", self.base)

    @property
    def field(self) -> str:
        if not self.base or not self.path:
            return self.base or self.path
        return f"{self.base}.{self.path}"


def validate(
    schema: JsonObject, value: Any, old: Any = NOTHING, *, at: str = ""
) -> list[FieldError]:
    """Return every way in which a value breaks its schema, each once.

    Args:
        schema: the structural schema.
        value: anything that JSON can say.
        old: what it was, for an update: what is unchanged may stay wrong.
        at: the field that the value is, where it is not a whole object; texts leave it out.
    """
    return list(dict.fromkeys(_check(schema, value, old, _Place("", at)).faults))


def _check(schema: JsonObject, value: Any, old: Any, place: _Place) -> _Verdict:
    faults, checks = _raw_check(schema, value, old, place)
    if faults and old is not NOTHING and same(value, old):
        return _Verdict([], checks)
    return _Verdict(faults, checks)


def _raw_check(schema: JsonObject, value: Any, old: Any, place: _Place) -> _Verdict:
    faults = _type_faults(schema, value, place)
    typed = "type" in schema or "x-kubernetes-int-or-string" in schema
    checks = typed * (1 + (not faults))
    if value is None:
        return _Verdict(faults + _enum_faults(schema, value, place), checks)
    branches = _branches(schema, value, old, place)
    faults += branches.faults
    checks += branches.checks + 2
    if isinstance(value, str):
        faults += _string_faults(schema, value, place)
        checks += 1
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        faults += _number_faults(schema, value, place)
        checks += 2
    elif isinstance(value, list):
        inside = _items(schema, value, old, place)
        faults += inside.faults
        checks += inside.checks + 2
    faults += _enum_faults(schema, value, place)
    if isinstance(value, dict):
        inside = _fields(schema, value, old, place)
        faults += inside.faults
        checks += inside.checks + 1
    return _Verdict(faults, checks + 1)


# --- types ------------------------------------------------------------------------------------------


def type_of(value: Any) -> str:
    """Name a value's type as schemas do; whole numbers beyond 64 bits are not integers."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer" if -_LARGEST <= value < _LARGEST else "number"
    return _TYPES[type(value)]


_TYPES: Final[dict[type, str]] = {dict: "object", list: "array", str: "string", float: "number"}
#: what a Go program calls a number
_GO_FORMATS: Final = {"integer": "int64", "number": "double"}


def _type_faults(schema: JsonObject, value: Any, place: _Place) -> list[FieldError]:
    wanted: tuple[str, ...] = (schema["type"],) if schema.get("type") else ()
    if schema.get("x-kubernetes-int-or-string"):
        wanted = ("integer", "string")
    form = schema.get("format", "")
    if form.replace("-", "") not in CHECKS:
        form = ""
    if not wanted or (value is None and schema.get("nullable")):
        return []
    is_type = type_of(value)
    if value is None:
        return [_wrong_type(place, ",".join(wanted), "null")]
    if is_type in wanted or _close_enough(value, is_type, wanted):
        return []
    if form and is_type not in {"string", "array"}:
        return [_wrong_type(place, form, _GO_FORMATS.get(is_type, ""))]
    if form and not {"integer", "number"} & set(wanted):
        return []
    return [_wrong_type(place, ",".join(wanted), is_type)]


def _close_enough(value: Any, is_type: str, wanted: tuple[str, ...]) -> bool:
    if is_type == "number" and "integer" in wanted:
        return isinstance(value, float) and value.is_integer() and abs(value) < _LARGEST
    return is_type == "integer" and "number" in wanted


def _wrong_type(place: _Place, wanted: str, got: str) -> FieldError:
    detail = f"{place.path} in body must be of type {wanted}: {shown(got)}"
    return type_invalid(place.field, got, detail)


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are the same JSON: `true` is not 1."""
    if one is other:
        return True
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def _enum_faults(schema: JsonObject, value: Any, place: _Place) -> list[FieldError]:
    choices = schema.get("enum")
    if not choices or any(same(choice, value) for choice in choices):
        return []
    texts = [choice if isinstance(choice, str) else shown(choice) for choice in choices]
    return [not_supported(place.field, value, texts)]


# --- scalars ----------------------------------------------------------------------------------------


def _string_faults(schema: JsonObject, value: str, place: _Place) -> list[FieldError]:
    """Return the first thing wrong with a string's shape, and what is wrong with its format."""
    faults = []
    least, most, pattern = schema.get("minLength"), schema.get("maxLength"), schema.get("pattern")
    if most is not None and len(value) > most:
        faults.append(too_long(place.field, most))
    elif least is not None and len(value) < least:
        faults.append(_bad(place, value, f"should be at least {least} chars long"))
    elif pattern and not matches(pattern, value):
        faults.append(_bad(place, value, f"should match '{pattern}'"))
    check = CHECKS.get(schema["format"].replace("-", "")) if "format" in schema else None
    if check is not None and not check(value):
        detail = f"{place.path} in body must be of type {schema['format']}: {shown(value)}"
        faults.append(type_invalid(place.field, value, detail))
    return faults


def _number_faults(schema: JsonObject, value: float, place: _Place) -> list[FieldError]:
    faults = []
    number = int if isinstance(value, int) else float  # bounds are read in the type of the value
    factor, low, high = schema.get("multipleOf"), schema.get("minimum"), schema.get("maximum")
    if factor is not None and number(factor) <= 0:
        detail = f"factor MultipleOf declared for {place.path} must be positive: {number(factor)}"
        faults.append(invalid(place.field, number(factor), detail))
    elif factor is not None and not float(value / number(factor)).is_integer():
        faults.append(_bad(place, value, f"should be a multiple of {_bound(number(factor))}"))
    if low is not None:
        edge, bound = schema.get("exclusiveMinimum"), number(low)
        if value < bound or (edge and value == bound):
            what = "greater than" if edge else "greater than or equal to"
            faults.append(_bad(place, value, f"should be {what} {_bound(bound)}"))
    if high is not None:
        edge, bound = schema.get("exclusiveMaximum"), number(high)
        if value > bound or (edge and value == bound):
            what = "less than" if edge else "less than or equal to"
            faults.append(_bad(place, value, f"should be {what} {_bound(bound)}"))
    return faults


def _bound(number: float) -> str:
    return go_float(number) if isinstance(number, float) else str(number)


def _bad(place: _Place, value: Any, rule: str) -> FieldError:
    return invalid(place.field, value, f"{place.path} in body {rule}")


# --- lists and objects ------------------------------------------------------------------------------


def _items(schema: JsonObject, value: list[Any], old: Any, place: _Place) -> _Verdict:
    faults: list[FieldError] = []
    checks, node = 0, schema.get("items")
    if node is not None:
        correlated = correlate(schema, old)
        for index, item in enumerate(value):
            inside = _check(node, item, correlated(item), place.item(index))
            faults += inside.faults
            checks += inside.checks
    least, most = schema.get("minItems"), schema.get("maxItems")
    if least is not None and len(value) < least:
        faults.append(_bad(place, len(value), f"should have at least {least} items"))
    if most is not None and len(value) > most:
        faults.append(too_many(place.field, len(value), most))
    return _Verdict(faults, checks)


def correlate(schema: JsonObject, old: Any) -> Callable[[Any], Any]:
    """Return what finds a new item's old self: by keys in a list of type `map`, else not at all."""
    keys = schema.get("x-kubernetes-list-map-keys")
    if not keys or not isinstance(old, list) or schema.get("x-kubernetes-list-type") != "map":
        return lambda _item: NOTHING
    by_key = {key_of(item, keys): item for item in reversed(old) if isinstance(item, dict)}
    return lambda item: by_key.get(key_of(item, keys), NOTHING)


def key_of(item: Any, keys: Iterable[str]) -> str:
    """Return what tells one item of a list of type `map` from another."""
    return shown([item.get(key) for key in keys]) if isinstance(item, dict) else ""


def _fields(schema: JsonObject, value: JsonObject, old: Any, place: _Place) -> _Verdict:
    faults: list[FieldError] = []
    checks = 0
    least, most = schema.get("minProperties"), schema.get("maxProperties")
    if least is not None and len(value) < least:
        faults.append(_bad(place, len(value), f"should have at least {least} properties"))
    if most is not None and len(value) > most:
        faults.append(too_many(place.field, len(value), most))
    known, others = schema.get("properties") or {}, schema.get("additionalProperties")
    granular = isinstance(old, dict) and schema.get("x-kubernetes-map-type") != "atomic"
    for name, member in value.items():
        node = known.get(name, others)
        if isinstance(node, dict):
            was = old.get(name, NOTHING) if granular else NOTHING
            inside = _check(node, member, was, place.child(name))
            faults += inside.faults
            checks += inside.checks
        elif node is False:
            detail = f"{place.path}.{name} in body is a forbidden property"
            faults.append(invalid(place.field, name, detail))
    for name in schema.get("required") or ():
        if name not in value:
            faults.append(required(place.child(name).field))
    return _Verdict(faults, checks)


# --- branches ---------------------------------------------------------------------------------------


def _branches(schema: JsonObject, value: Any, old: Any, place: _Place) -> _Verdict:
    faults: list[FieldError] = []
    checks = 0
    for keyword, judge in _JUDGES.items():
        if branches := schema.get(keyword):
            verdicts = [_check(branch, value, old, place) for branch in branches]
            verdict = judge(verdicts, place)
            faults += verdict.faults
            checks += verdict.checks
    forbidden = schema.get("not")
    if forbidden is not None and not _check(forbidden, value, old, place).faults:
        faults.append(_junction(place, "must not validate the schema (not)"))
    return _Verdict(faults, checks)


def _any_of(verdicts: list[_Verdict], place: _Place) -> _Verdict:
    first = next((verdict for verdict in verdicts if not verdict.faults), None)
    if first is not None:
        return first
    fault = _junction(place, "must validate at least one schema (anyOf)")
    return _explained(fault, verdicts)


def _one_of(verdicts: list[_Verdict], place: _Place) -> _Verdict:
    valid = [verdict for verdict in verdicts if not verdict.faults]
    if len(valid) == 1:
        return valid[0]
    found = f"Found {len(valid)} valid alternatives" if valid else "Found none valid"
    fault = _junction(place, f"must validate one and only one schema (oneOf). {found}")
    return _explained(fault, [] if valid else verdicts)


def _all_of(verdicts: list[_Verdict], place: _Place) -> _Verdict:
    faults = [fault for verdict in verdicts for fault in verdict.faults]
    failed = sum(1 for verdict in verdicts if verdict.faults)
    if failed:
        none = ". None validated" if failed == len(verdicts) else ""
        faults.append(_junction(place, f"must validate all the schemas (allOf){none}"))
    return _Verdict(faults, sum(verdict.checks for verdict in verdicts))


_JUDGES: Final[dict[str, Callable[[list[_Verdict], _Place], _Verdict]]] = {
    "anyOf": _any_of,
    "oneOf": _one_of,
    "allOf": _all_of,
}


def _explained(fault: FieldError, verdicts: list[_Verdict]) -> _Verdict:
    """Add what is wrong with the branch that came closest, the first of several."""
    best = max(verdicts, key=lambda verdict: verdict.checks, default=_Verdict([], 0))
    return _Verdict([fault, *best.faults], best.checks)


def _junction(place: _Place, rule: str) -> FieldError:
    return invalid(place.base or "<nil>", "", f"{shown(place.path)} {rule}")
