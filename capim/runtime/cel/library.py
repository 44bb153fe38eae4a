"""The functions that Kubernetes adds to CEL: lists, sets, patterns, URLs, quantities, addresses, formats.

What CEL cannot hold (a quantity, an address, a URL) is a map with its text, as the library takes plain
values alone. Not here: authorizer, semver, comprehensions of two variables. Source: k8s.io/apiserver,
`pkg/cel/library`.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import parse_qs, urlsplit

from cel_expr_python import cel
from cel_expr_python.ext import ext_bindings, ext_optional, ext_strings

from capim.api.formats import compiled, has_format
from capim.api.quantities import parse_quantity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_T: Final = cel.Type
_ANY: Final = _T.DYN
_TEXT: Final = _T.STRING
_LIST: Final = _T.List(_T.DYN)
_OPAQUE: Final = _T.Map(_T.STRING, _T.DYN)
Opaque: TypeAlias = dict[str, Any]


def extensions() -> list[Any]:
    """Return the extensions that a real server has; what adds to the others' functions comes last."""
    own = cel.CelExtension("kubernetes", _functions())
    return [ext_strings.ExtStrings(), ext_optional.ExtOptional(), ext_bindings.ExtBindings(), own]


def _functions() -> list[Any]:
    declared: dict[str, list[Any]] = {}
    for row in (*_LISTS, *_PATTERNS, *_URLS, *_QUANTITIES, *_ADDRESSES, *_FORMATS):
        name, returns, parameters, does = row
        member, name = name.startswith("."), name.removeprefix(".")
        overloads = declared.setdefault(name, [])
        overloads.append(
            cel.Overload(
                f"{name}_{len(overloads)}",
                return_type=returns,
                parameters=list(parameters),
                is_member=member,
                impl=does,
            )
        )
    return [cel.FunctionDecl(name, overloads) for name, overloads in declared.items()]


_Row: TypeAlias = "tuple[str, Any, tuple[Any, ...], Callable[..., Any]]"


def _holds(read: Callable[[str], Any]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            read(text)
        except ValueError:
            return False
        return True

    return check


# --- lists and sets ---------------------------------------------------------------------------------


def _index(items: list[Any], wanted: Any) -> int:
    return items.index(wanted) if wanted in items else -1


def _last_index(items: list[Any], wanted: Any) -> int:
    return len(items) - 1 - items[::-1].index(wanted) if wanted in items else -1


def _distinct(items: list[Any]) -> list[Any]:
    made: list[Any] = []
    for item in items:
        if item not in made:
            made.append(item)
    return made


def _flat(items: list[Any], depth: int = 1) -> list[Any]:
    if depth < 1:
        return items
    return [
        inner
        for item in items
        for inner in (_flat(item, depth - 1) if isinstance(item, list) else [item])
    ]


def _slice(items: list[Any], start: int, end: int) -> list[Any]:
    if not 0 <= start <= end <= len(items):
        raise ValueError(f"cannot slice({start}, {end}), list is length {len(items)}")
    return items[start:end]


def _extreme(pick: Callable[[list[Any]], Any], name: str) -> Callable[[list[Any]], Any]:
    def of(items: list[Any]) -> Any:
        if not items:
            raise ValueError(f"{name} called on empty list")
        return pick(items)

    return of


_LISTS: Final[tuple[_Row, ...]] = (
    (".isSorted", _T.BOOL, (_LIST,), lambda items: items == sorted(items)),
    (".sum", _ANY, (_LIST,), sum),
    (".min", _ANY, (_LIST,), _extreme(min, "min")),
    (".max", _ANY, (_LIST,), _extreme(max, "max")),
    (".indexOf", _T.INT, (_LIST, _ANY), _index),
    (".lastIndexOf", _T.INT, (_LIST, _ANY), _last_index),
    (".distinct", _LIST, (_LIST,), _distinct),
    (".flatten", _LIST, (_LIST,), _flat),
    (".flatten", _LIST, (_LIST, _T.INT), _flat),
    (".slice", _LIST, (_LIST, _T.INT, _T.INT), _slice),
    (".sort", _LIST, (_LIST,), sorted),
    ("lists.range", _T.List(_T.INT), (_T.INT,), lambda end: list(range(end))),
    ("sets.contains", _T.BOOL, (_LIST, _LIST), lambda one, two: all(it in one for it in two)),
    ("sets.intersects", _T.BOOL, (_LIST, _LIST), lambda one, two: any(it in one for it in two)),
    (
        "sets.equivalent",
        _T.BOOL,
        (_LIST, _LIST),
        lambda one, two: all(it in one for it in two) and all(it in two for it in one),
    ),
)

# --- patterns and URLs ------------------------------------------------------------------------------


def _find(text: str, pattern: str) -> str:
    found = compiled(pattern).search(text)
    return found[0] if found else ""


def _find_all(text: str, pattern: str, most: int = -1) -> list[str]:
    found = [match[0] for match in compiled(pattern).finditer(text)]
    return found if most < 0 else found[:most]


def _url(text: str) -> Opaque:
    parts = urlsplit(text)
    if not parts.scheme and not text.startswith("/"):
        raise ValueError(f"URL parse error during conversion from string: {text}")
    return {"url": text}


def _part(read: Callable[[Any], Any]) -> Callable[[Opaque], Any]:
    return lambda url: read(urlsplit(url["url"]))


def _port(parts: Any) -> str:
    return str(parts.port) if parts.port else ""


_PATTERNS: Final[tuple[_Row, ...]] = (
    (".find", _TEXT, (_TEXT, _TEXT), _find),
    (".findAll", _T.List(_TEXT), (_TEXT, _TEXT), _find_all),
    (".findAll", _T.List(_TEXT), (_TEXT, _TEXT, _T.INT), _find_all),
)
_URLS: Final[tuple[_Row, ...]] = (
    ("url", _OPAQUE, (_TEXT,), _url),
    ("isURL", _T.BOOL, (_TEXT,), _holds(_url)),
    (".getScheme", _TEXT, (_OPAQUE,), _part(lambda parts: parts.scheme)),
    (".getHost", _TEXT, (_OPAQUE,), _part(lambda parts: parts.netloc.rpartition("@")[2])),
    (".getHostname", _TEXT, (_OPAQUE,), _part(lambda parts: parts.hostname or "")),
    (".getPort", _TEXT, (_OPAQUE,), _part(_port)),
    (".getEscapedPath", _TEXT, (_OPAQUE,), _part(lambda parts: parts.path)),
    (
        ".getQuery",
        _T.Map(_TEXT, _T.List(_TEXT)),
        (_OPAQUE,),
        _part(lambda parts: parse_qs(parts.query, keep_blank_values=True)),
    ),
)

# --- quantities -------------------------------------------------------------------------------------

_NANOS: Final = 10**9


def _quantity(text: str) -> Opaque:
    return {"quantity": str(parse_quantity(text)), "nanos": str(parse_quantity(text).nanos)}


def _nanos(quantity: Opaque) -> int:
    return int(quantity["nanos"])


def _operand(value: Any) -> int:
    return value * _NANOS if isinstance(value, int) else _nanos(value)


def _made(nanos: int) -> Opaque:
    return {"quantity": "", "nanos": str(nanos)}


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)


def _as_integer(quantity: Opaque) -> int:
    whole, rest = divmod(_nanos(quantity), _NANOS)
    if rest:
        raise ValueError("cannot convert value to integer")
    return whole


_QUANTITIES: Final[tuple[_Row, ...]] = (
    ("quantity", _OPAQUE, (_TEXT,), _quantity),
    ("isQuantity", _T.BOOL, (_TEXT,), _holds(_quantity)),
    (".isInteger", _T.BOOL, (_OPAQUE,), lambda one: _nanos(one) % _NANOS == 0),
    (".asInteger", _T.INT, (_OPAQUE,), _as_integer),
    (".asApproximateFloat", _T.DOUBLE, (_OPAQUE,), lambda one: _nanos(one) / _NANOS),
    (".sign", _T.INT, (_OPAQUE,), lambda one: _sign(_nanos(one))),
    (".add", _OPAQUE, (_OPAQUE, _ANY), lambda one, two: _made(_nanos(one) + _operand(two))),
    (".sub", _OPAQUE, (_OPAQUE, _ANY), lambda one, two: _made(_nanos(one) - _operand(two))),
    (".isGreaterThan", _T.BOOL, (_OPAQUE, _OPAQUE), lambda one, two: _nanos(one) > _nanos(two)),
    (".isLessThan", _T.BOOL, (_OPAQUE, _OPAQUE), lambda one, two: _nanos(one) < _nanos(two)),
    (
        ".compareTo",
        _T.INT,
        (_OPAQUE, _OPAQUE),
        lambda one, two: _sign(_nanos(one) - _nanos(two)),
    ),
)

# --- addresses --------------------------------------------------------------------------------------

_Address: TypeAlias = "ipaddress.IPv4Address | ipaddress.IPv6Address"
_Network: TypeAlias = "ipaddress.IPv4Interface | ipaddress.IPv6Interface"


def _address(text: str) -> _Address:
    found = ipaddress.ip_address(text)
    if "%" in text or (found.version == 6 and found.ipv4_mapped):
        raise ValueError(f"IP Address '{text}' has a zone or is IPv4-mapped")
    return found


def _network(text: str) -> _Network:
    if "/" not in text:
        raise ValueError(f"network address parse error during conversion from string: {text}")
    return ipaddress.ip_interface(text)


def _ip(text: str) -> Opaque:
    return {"ip": str(_address(text))}


def _of_ip(read: Callable[[Any], Any]) -> Callable[[Opaque], Any]:
    return lambda ip: read(_address(ip["ip"]))


def _cidr(text: str) -> Opaque:
    return {"cidr": str(_network(text))}


def _contains_ip(cidr: Opaque, ip: Any) -> bool:
    return _address(ip if isinstance(ip, str) else ip["ip"]) in _network(cidr["cidr"]).network


def _contains_cidr(cidr: Opaque, other: Any) -> bool:
    outer = _network(cidr["cidr"]).network
    inner = _network(other if isinstance(other, str) else other["cidr"]).network
    return (
        outer.version == inner.version
        and outer.prefixlen <= inner.prefixlen
        and inner.network_address in outer
    )


def _either(one: Opaque, read: Callable[[Any], Any]) -> Any:
    return read(_address(one["ip"])) if "ip" in one else read(_network(one["cidr"]))


_ADDRESSES: Final[tuple[_Row, ...]] = (
    ("ip", _OPAQUE, (_TEXT,), _ip),
    ("isIP", _T.BOOL, (_TEXT,), _holds(_address)),
    ("ip.isCanonical", _T.BOOL, (_TEXT,), lambda text: str(_address(text)) == text),
    (".family", _T.INT, (_OPAQUE,), lambda one: _either(one, lambda it: it.version)),
    (".isUnspecified", _T.BOOL, (_OPAQUE,), _of_ip(lambda ip: ip.is_unspecified)),
    (".isLoopback", _T.BOOL, (_OPAQUE,), _of_ip(lambda ip: ip.is_loopback)),
    (
        ".isLinkLocalUnicast",
        _T.BOOL,
        (_OPAQUE,),
        _of_ip(lambda ip: ip.is_link_local and not ip.is_multicast),
    ),
    (
        ".isGlobalUnicast",
        _T.BOOL,
        (_OPAQUE,),
        _of_ip(
            lambda ip: (
                not (ip.is_unspecified or ip.is_loopback or ip.is_multicast or ip.is_link_local)
            )
        ),
    ),
    ("cidr", _OPAQUE, (_TEXT,), _cidr),
    ("isCIDR", _T.BOOL, (_TEXT,), _holds(_network)),
    (".containsIP", _T.BOOL, (_OPAQUE, _ANY), _contains_ip),
    (".containsCIDR", _T.BOOL, (_OPAQUE, _ANY), _contains_cidr),
    (".prefixLength", _T.INT, (_OPAQUE,), lambda one: _network(one["cidr"]).network.prefixlen),
    (".masked", _OPAQUE, (_OPAQUE,), lambda one: _cidr(str(_network(one["cidr"]).network))),
    (".ip", _OPAQUE, (_OPAQUE,), lambda one: _ip(str(_network(one["cidr"]).ip))),
    ("string", _TEXT, (_OPAQUE,), lambda one: next(iter(one.values()))),
)

# --- formats ----------------------------------------------------------------------------------------

_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LABEL_1035: Final = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_NAME: Final = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")


def _is_subdomain(text: str) -> bool:
    return len(text) <= 253 and all(_LABEL.fullmatch(part) for part in text.split("."))


def _is_label(text: str) -> bool:
    return len(text) <= 63 and bool(_LABEL.fullmatch(text))


def _is_label_1035(text: str) -> bool:
    return len(text) <= 63 and bool(_LABEL_1035.fullmatch(text))


def _is_label_value(text: str) -> bool:
    return not text or (len(text) <= 63 and bool(_NAME.fullmatch(text)))


def _is_qualified(text: str) -> bool:
    prefix, slash, name = text.rpartition("/")
    return bool(name) and _is_label_value(name) and (not slash or _is_subdomain(prefix))


def _prefix(check: Callable[[str], bool]) -> Callable[[str], bool]:
    return lambda text: check(f"{text[:-1]}a" if text.endswith("-") else text)


_CHECKS: Final[dict[str, Callable[[str], bool]]] = {
    "dns1123Label": _is_label,
    "dns1123Subdomain": _is_subdomain,
    "dns1035Label": _is_label_1035,
    "qualifiedName": _is_qualified,
    "dns1123LabelPrefix": _prefix(_is_label),
    "dns1123SubdomainPrefix": _prefix(_is_subdomain),
    "dns1035LabelPrefix": _prefix(_is_label_1035),
    "labelValue": _is_label_value,
    "uri": lambda text: has_format("uri", text),
    "uuid": lambda text: has_format("uuid", text),
    "byte": lambda text: has_format("byte", text),
    "date": lambda text: has_format("date", text),
    "datetime": lambda text: has_format("date-time", text),
}


def _faults(format_: Opaque, text: str) -> Opaque:
    name = format_["format"]
    return {"faults": [] if _CHECKS[name](text) else [f"is not of format {name}"]}


def _format_rows() -> Iterator[_Row]:
    for name in _CHECKS:
        yield (f"format.{name}", _OPAQUE, (), lambda name=name: {"format": name})
    yield ("format.named", _OPAQUE, (_TEXT,), lambda name: {"format": name})
    yield (".validate", _OPAQUE, (_OPAQUE, _TEXT), _faults)
    # real servers have an optional list here, which cannot be made outside of the library
    yield (".hasValue", _T.BOOL, (_OPAQUE,), lambda found: bool(found["faults"]))
    yield (".value", _LIST, (_OPAQUE,), lambda found: found["faults"])
    yield (".orValue", _LIST, (_OPAQUE, _LIST), lambda found, other: found["faults"] or other)


_FORMATS: Final[tuple[_Row, ...]] = tuple(_format_rows())
