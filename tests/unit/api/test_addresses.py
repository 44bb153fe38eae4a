"""Addresses and ranges are taken in one form only."""

from __future__ import annotations

import pytest

from capim.api.validation.addresses import KINDS, address_faults, range_faults

ZEROS = "must not have leading 0s"
MAPPED = "must not be an IPv4-mapped IPv6 address"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("10.9.8.7", ""),
        ("fe80::42:1dff:fe84:f9e2", ""),
        ("10.9.8.07", ZEROS),
        ("::ffff:10.9.8.7", MAPPED),
        ("2001:DB8::1", 'must be in canonical form ("2001:db8::1")'),
        ("10.9.8", "must be a valid IP address"),
        ("10..8.7", "must be a valid IP address"),
        ("fe80::1%eth0", "must be a valid IP address"),
    ],
)
def test_addresses(text: str, told: str) -> None:
    assert [fault[: len(told)] for fault in address_faults(text)] == [told] * bool(told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("10.9.8.0/24", ""),
        ("2001:db8::/64", ""),
        ("10.9.8.7/24", "must not have bits set beyond the prefix length"),
        ("10.09.8.0/24", ZEROS),
        ("2001:DB8::/64", 'must be in canonical form ("2001:db8::/64")'),
        ("10.9.8.0/33", "must be a valid CIDR value"),
        ("10.9.8.0/255.0.0.0", "must be a valid CIDR value"),
        ("10.9.8.0", "must be a valid CIDR value"),
    ],
)
def test_ranges(text: str, told: str) -> None:
    assert [fault[: len(told)] for fault in range_faults(text)] == [told] * bool(told)


@pytest.mark.parametrize(
    ("kind", "spec", "paths"),
    [
        ("ipaddresses", {}, ["spec.parentRef"]),
        ("ipaddresses", {"parentRef": {"name": "a/b"}}, ["resource", "name"]),
        ("ipaddresses", {"parentRef": {"resource": "services", "name": "a"}}, []),
        ("servicecidrs", {}, ["spec.cidrs"]),
        ("servicecidrs", {"cidrs": ["10.0.0.0/8", "x"]}, ["spec.cidrs"]),
        ("servicecidrs", {"cidrs": ["10.0.0.0/8", "2001:db8::1/64"]}, ["spec.cidrs[1]"]),
    ],
)
def test_kinds(kind: str, spec: dict[str, object], paths: list[str]) -> None:
    found = [path for path, _ in KINDS[kind]({"spec": spec})]
    assert [path.endswith(end) for path, end in zip(found, paths, strict=True)] == [True] * len(
        paths
    )
