"""What names, keys and label values may look like, and what is said of those that may not.

Source: k8s.io/apimachinery `pkg/util/validation`.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Any, Final

from capim.api.validation.field import Cause, invalid

if TYPE_CHECKING:
    from collections.abc import Iterator

LABEL: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN: Final = rf"{LABEL}(\.{LABEL})*"
LABEL_1035: Final = "[a-z]([-a-z0-9]*[a-z0-9])?"
QUALIFIED: Final = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_CONFIG_KEY: Final = "[-._a-zA-Z0-9]+"

SUBDOMAIN_TEXT: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character (e.g. 'example.com', regex used for "
    f"validation is '{SUBDOMAIN}')"
)
LABEL_TEXT: Final = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must "
    "start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for "
    f"validation is '{LABEL}')"
)
LABEL_1035_TEXT: Final = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
    "alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', "
    f"regex used for validation is '{LABEL_1035}')"
)
VALUE_TEXT: Final = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and "
    "must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', "
    f"regex used for validation is '({QUALIFIED})?')"
)
KEY_TEXT: Final = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    f"'{QUALIFIED}')"
)
_WILDCARD_TEXT: Final = (
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must "
    "consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character "
    rf"(e.g. '*.example.com', regex used for validation is '\*\.{SUBDOMAIN}')"
)
_CONFIG_KEY_TEXT: Final = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or "
    f"'KEY_NAME',  or 'key-name', regex used for validation is '{_CONFIG_KEY}')"
)
ADDRESS_TEXT: Final = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
RANGE_TEXT: Final = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
_LABEL: Final = re.compile(LABEL)
_LABEL_1035: Final = re.compile(LABEL_1035)
_SUBDOMAIN: Final = re.compile(SUBDOMAIN)
_KEY: Final = re.compile(f"({SUBDOMAIN}/)?{QUALIFIED}")
_VALUE: Final = re.compile(f"({QUALIFIED})?")
_CONFIG_KEYS: Final = re.compile(_CONFIG_KEY)
_PORT_NAME: Final = re.compile("[-a-z0-9]+")
_LONGEST_PORT_NAME: Final = 15


def dns_label(path: str, name: str) -> Iterator[Cause]:
    """Check a DNS-1123 label."""
    if len(name) > 63:
        yield invalid(path, name, "must be no more than 63 bytes")
    if not _LABEL.fullmatch(name):
        yield invalid(path, name, LABEL_TEXT)


def dns_label_1035(path: str, name: str) -> Iterator[Cause]:
    """Check a DNS-1035 label."""
    if len(name) > 63:
        yield invalid(path, name, "must be no more than 63 bytes")
    if not _LABEL_1035.fullmatch(name):
        yield invalid(path, name, LABEL_1035_TEXT)


def dns_subdomain(path: str, name: str) -> Iterator[Cause]:
    """Check a DNS-1123 subdomain."""
    if len(name) > 253:
        yield invalid(path, name, "must be no more than 253 bytes")
    if not _SUBDOMAIN.fullmatch(name):
        yield invalid(path, name, SUBDOMAIN_TEXT)


def wildcard_or_subdomain(path: str, name: str) -> Iterator[Cause]:
    """Check a host name whose first label may be an asterisk."""
    if "*" not in name:
        yield from dns_subdomain(path, name)
    elif not (name.startswith("*.") and _SUBDOMAIN.fullmatch(name[2:])):
        yield invalid(path, name, _WILDCARD_TEXT)


def qualified_name(path: str, name: str, shown: Any = None) -> Iterator[Cause]:
    """Check a name with an optional prefix: a label's key, a finalizer, a resource."""
    shown = name if shown is None else shown
    prefix, slash, local = name.rpartition("/")
    if slash and not _SUBDOMAIN.fullmatch(prefix):
        why = "prefix part must be non-empty" if not prefix else f"prefix part {SUBDOMAIN_TEXT}"
        yield invalid(path, shown, why)
    if not local:
        yield invalid(path, shown, "name part must be non-empty")
    if len(local) > 63:
        yield invalid(path, shown, "name part must be no more than 63 bytes")
    if not _KEY.fullmatch(local):
        yield invalid(path, shown, KEY_TEXT)


def label_value(path: str, value: str) -> Iterator[Cause]:
    """Check a label's value."""
    if len(value) > 63:
        yield invalid(path, value, "must be no more than 63 bytes")
    if not _VALUE.fullmatch(value):
        yield invalid(path, value, VALUE_TEXT)


def labels(path: str, held: dict[str, str] | None) -> Iterator[Cause]:
    """Check a map of labels."""
    for key, value in (held or {}).items():
        yield from qualified_name(path, key)
        yield from label_value(path, value)


def config_key(path: str, key: str) -> Iterator[Cause]:
    """Check a key of a ConfigMap's or Secret's data."""
    if len(key) > 253:
        yield invalid(path, key, "must be no more than 253 bytes")
    if not _CONFIG_KEYS.fullmatch(key):
        yield invalid(path, key, _CONFIG_KEY_TEXT)
    elif key == "." or key == "..":  # noqa: PLR1714 - two texts
        yield invalid(path, key, f"must not be '{key}'")
    elif key.startswith(".."):
        yield invalid(path, key, "must not start with '..'")


def port_number(path: str, port: int | None) -> Iterator[Cause]:
    """Check the number of a port."""
    if not 1 <= (port or 0) <= 65_535:
        yield invalid(path, port or 0, "must be between 1 and 65535, inclusive")


def port_name(path: str, name: str) -> Iterator[Cause]:
    """Check the name of a container's port."""
    if len(name) > _LONGEST_PORT_NAME:
        yield invalid(path, name, f"must be no more than {_LONGEST_PORT_NAME} characters")
    if not _PORT_NAME.fullmatch(name):
        text = "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"
        yield invalid(path, name, text)
    if not re.search("[a-z]", name):
        yield invalid(path, name, "must contain at least one letter (a-z)")
    if "--" in name:
        yield invalid(path, name, "must not contain consecutive hyphens")
    if name.startswith("-") or name.endswith("-"):
        yield invalid(path, name, "must not begin or end with a hyphen")


def port(path: str, value: int | str | None) -> Iterator[Cause]:
    """Check a port's number or name."""
    if isinstance(value, str):
        yield from port_name(path, value)
    else:
        yield from port_number(path, value)


def is_address(text: str) -> bool:
    """Tell whether a text is an IP address, without a zone."""
    if "%" in text:
        return False
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def ip_address(path: str, text: str) -> Iterator[Cause]:
    """Check an IP address."""
    if not is_address(text):
        yield invalid(path, text, ADDRESS_TEXT)


def is_range(text: str) -> bool:
    """Tell whether a text is an IP range in CIDR notation."""
    address, slash, length = text.partition("/")
    if not (slash and length.isdigit() and is_address(address)):
        return False
    return int(length) <= ipaddress.ip_address(address).max_prefixlen


def ip_range(path: str, text: str) -> Iterator[Cause]:
    """Check an IP range in CIDR notation."""
    if not is_range(text):
        yield invalid(path, text, RANGE_TEXT)


def path_segment(path: str, text: str) -> Iterator[Cause]:
    """Check what is to stand between two slashes of a path."""
    if text in {".", ".."}:
        yield invalid(path, text, f"may not be '{text}'")
    for illegal in "/%":
        if illegal in text:
            yield invalid(path, text, f"may not contain '{illegal}'")
