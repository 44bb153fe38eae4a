"""Addresses and ranges in their one proper form, and the kinds that are made of them.

Rules and wording are those of k8s.io/apimachinery's `pkg/util/validation/ip.go` and of the kinds' own checks.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

from capim.api.validation import common, field, names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from capim.api.meta import JsonObject
    from capim.api.validation.field import Cause

_MOST_RANGES: Final = 2


def address_faults(text: str) -> Iterator[str]:
    """Tell what is wrong with an address that must be written in its one proper form."""
    plain = _without_leading_zeros(text)
    if not names.is_address(plain):
        yield names.ADDRESS_TEXT
    else:
        yield from _form_faults(text, plain, str(ipaddress.ip_address(plain)))


def range_faults(text: str) -> Iterator[str]:
    """Tell what is wrong with a range that must be written in its one proper form."""
    address, _, length = text.partition("/")
    plain = f"{_without_leading_zeros(address)}/{length}"
    if not names.is_range(plain):
        yield names.RANGE_TEXT
        return
    interface = ipaddress.ip_interface(plain)
    if interface.network.network_address != interface.ip:
        yield "must not have bits set beyond the prefix length"
    else:
        yield from _form_faults(text, plain, str(interface))


def _without_leading_zeros(text: str) -> str:
    if ":" in text:
        return text
    return ".".join(part.lstrip("0") or part[:1] for part in text.split("."))


def _form_faults(text: str, plain: str, proper: str) -> Iterator[str]:
    if text != plain:
        yield "must not have leading 0s"
        return
    address = ipaddress.ip_interface(plain).ip
    if address.version == 6 and address.ipv4_mapped is not None:
        yield "must not be an IPv4-mapped IPv6 address"
    elif text != proper:
        yield f'must be in canonical form ("{proper}")'


def _ip_address(obj: JsonObject) -> Iterator[Cause]:
    parent = (obj.get("spec") or {}).get("parentRef")
    path = "spec.parentRef"
    if parent is None:
        yield field.required(path)
        return
    if parent.get("group"):
        yield from names.dns_subdomain(f"{path}.group", parent["group"])
    yield from common.needed(path, parent, "resource")
    yield from names.path_segment(f"{path}.resource", parent.get("resource") or "")
    yield from common.needed(path, parent, "name")
    for key in ("name", "namespace"):
        yield from names.path_segment(f"{path}.{key}", parent.get(key) or "")


def _service_cidr(obj: JsonObject) -> Iterator[Cause]:
    path = "spec.cidrs"
    cidrs: list[str] = (obj.get("spec") or {}).get("cidrs") or []
    if not cidrs:
        yield field.required(path, "at least one CIDR required")
    elif len(cidrs) > _MOST_RANGES:
        yield field.invalid(path, {"CIDRs": cidrs}, "may only hold up to 2 values")
    elif len(cidrs) == _MOST_RANGES and len({":" in cidr for cidr in cidrs}) == 1:
        text = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
        yield field.invalid(path, cidrs, text)
    else:
        for index, cidr in enumerate(cidrs):
            for text in range_faults(cidr):
                yield field.invalid(f"{path}[{index}]", cidr, text)


KINDS: Final = {"ipaddresses": _ip_address, "servicecidrs": _service_cidr}
