"""Patterns in RE2's syntax and the string formats that schemas of custom resources are checked for.

Source: k8s.io/kube-openapi, `pkg/validation/strfmt`, in the set that an API server of 1.35 checks; any
other format accepts everything. A pattern that Python's `re` cannot read accepts everything.
"""

from __future__ import annotations

import base64
import binascii
import functools
import ipaddress
import re
from datetime import date
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

_HEX: Final = "[0-9a-f]"
_LABEL: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_PROPERTY_CLASSES: Final = {"L": r"^\W\d_", "N": r"\d", "Nd": r"\d"}
_GO_DURATION: Final = re.compile(r"[-+]?(0|(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h))+")
_WORDY_DURATION: Final = re.compile(
    r"(\d+)\s*(nano|ns|micro|us|µs|milli|ms|sec|s|min|m|hr|hour|h|day|d|week|wk|w)", re.IGNORECASE
)
_TIME: Final = re.compile(r"(\d{2}):(\d{2}):(\d{2})(\.\d+)?(z|[+-]\d{2}:\d{2})")
_HOST: Final = re.compile(
    r"[^\W_](-?[^\W_]{0,62})?|([^\W_]([^\W_]|-){0,61}[^\W_]?\.)+[^\W\d_]{2,63}"
)
_MAC: Final = re.compile(
    rf"({_HEX}{{2}}([:-])({_HEX}{{2}}\2){{4}}{_HEX}{{2}}|({_HEX}{{2}}([:-])({_HEX}{{2}}\5){{6}}{_HEX}{{2}})"
    rf"|{_HEX}{{4}}\.{_HEX}{{4}}\.{_HEX}{{4}}(\.{_HEX}{{4}})?)",
    re.IGNORECASE,
)


def matches(pattern: str, value: str) -> bool:
    """Tell whether RE2's unanchored search finds the pattern in the value."""
    try:
        return compiled(pattern).search(value) is not None
    except re.error:
        return True


@functools.lru_cache(maxsize=1024)
def compiled(pattern: str) -> re.Pattern[str]:
    r"""Compile RE2's syntax. RE2's `$` never stops before a newline and its `\d` is ASCII.

    Raises:
        re.error: Python cannot read it.
    """
    tokens = re.sub(
        r"\\p\{(\^?)(\w+)\}|\\.|\[(?:\\.|\[:\w+:\]|[^\]\\])+\]|\$",
        _python_token,
        pattern,
        flags=re.DOTALL,
    )
    unicode_classes = r"\p{" in pattern
    return re.compile(tokens, 0 if unicode_classes else re.ASCII)


def _python_token(token: re.Match[str]) -> str:
    if token[2]:
        inside = _PROPERTY_CLASSES.get(token[2])
        if inside is None:
            raise re.error(f"no character class {token[2]} here")
        return f"[{inside}]"
    return r"\Z" if token[0] in {"$", r"\z"} else token[0]


def has_format(name: str, value: str) -> bool:
    """Tell whether a string is of a format; of one that is not checked every string is."""
    check = CHECKS.get(name.replace("-", ""))
    return check is None or check(value)


def _full(pattern: str, *, ignore_case: bool = True) -> Callable[[str], bool]:
    rule = re.compile(pattern, re.IGNORECASE if ignore_case else 0)
    return lambda value: rule.fullmatch(value) is not None


def _raises_nothing(read: Callable[[str], object]) -> Callable[[str], bool]:
    def check(value: str) -> bool:
        try:
            read(value)
        except (ValueError, binascii.Error):
            return False
        return True

    return check


def _is_date(value: str) -> bool:
    return len(value) == 10 and _raises_nothing(date.fromisoformat)(value)


def _is_date_time(value: str) -> bool:
    day, separator, clock = value.lower().partition("t")
    found = _TIME.fullmatch(clock)
    if not separator or not _is_date(day) or found is None:
        return False
    return found[1] <= "23" and found[2] <= "59" and found[3] <= "59"


def _is_duration(value: str) -> bool:
    return bool(_GO_DURATION.fullmatch(value) or _WORDY_DURATION.search(value))


def _is_uri(value: str) -> bool:
    """A request URI: an absolute path or a URL with a scheme."""
    if value.startswith("/"):
        return True
    return _raises_nothing(urlsplit)(value) and bool(re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", value))


def _is_hostname(value: str) -> bool:
    short = len(value) <= 255 and all(len(part) <= 63 for part in value.split("."))
    return short and _HOST.fullmatch(value) is not None


def _is_email(value: str) -> bool:
    address = re.fullmatch(r"(?:.*<)?([^<>\s@]+@[^<>\s@]+)>?", value.strip())
    return address is not None


def _uuid(version: str) -> Callable[[str], bool]:
    third = f"{version}{_HEX}{{3}}" if version else f"{_HEX}{{4}}"
    fourth = f"[89ab]{_HEX}{{3}}" if version in {"4", "5"} else f"{_HEX}{{4}}"
    return _full(f"{_HEX}{{8}}-?{_HEX}{{4}}-?{third}-?{fourth}-?{_HEX}{{12}}")


#: by name without hyphens
CHECKS: Final[dict[str, Callable[[str], bool]]] = {
    "byte": _raises_nothing(lambda value: base64.b64decode(value, validate=True)),
    "cidr": _raises_nothing(
        lambda value: ipaddress.ip_network(value if "/" in value else "", strict=False)
    ),
    "date": _is_date,
    "datetime": _is_date_time,
    "duration": _is_duration,
    "email": _is_email,
    "hexcolor": _full("#?([0-9a-f]{3}|[0-9a-f]{6})"),
    "hostname": _is_hostname,
    "ipv4": _raises_nothing(ipaddress.IPv4Address),
    "ipv6": _raises_nothing(ipaddress.IPv6Address),
    "k8slongname": lambda value: (
        len(value) <= 253 and bool(re.fullmatch(rf"{_LABEL}(\.{_LABEL})*", value))
    ),
    "k8sshortname": lambda value: len(value) <= 63 and bool(re.fullmatch(_LABEL, value)),
    "mac": lambda value: _MAC.fullmatch(value) is not None,
    "uri": _is_uri,
    "uuid": _uuid(""),
    "uuid3": _uuid("3"),
    "uuid4": _uuid("4"),
    "uuid5": _uuid("5"),
}
#: what a definition may name without a warning
KNOWN: Final = frozenset(CHECKS) | {
    "bsonobjectid",
    "creditcard",
    "isbn",
    "isbn10",
    "isbn13",
    "password",
    "rgbcolor",
    "ssn",
    "int32",
    "int64",
    "float",
    "double",
}
