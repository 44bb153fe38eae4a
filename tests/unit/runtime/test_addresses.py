"""Addresses and pod ranges of Nodes: stable, unique, used again."""

from __future__ import annotations

import ipaddress

import pytest

from capim.runtime.addresses import NodeAddresses, PodRanges
from capim.runtime.manifests.defaults import service_ip


def test_address_follows_from_the_uid() -> None:
    assert NodeAddresses("192.168.0.0/16").take("uid") == NodeAddresses("10.0.0.0/8").take("uid")


def test_two_that_want_the_same_address_get_neighbours() -> None:
    addresses = NodeAddresses("192.168.0.0/16")
    first, second = addresses.take("uid"), addresses.take("uid")
    assert int(ipaddress.ip_address(second)) - int(ipaddress.ip_address(first)) == 1
    addresses.give_back(first)
    assert addresses.take("uid") == first


def test_family_is_that_of_the_pods() -> None:
    assert ipaddress.ip_address(NodeAddresses("fd00:1::/48,10.0.0.0/8").take("uid")).version == 6


@pytest.mark.parametrize(
    ("pod_cidr", "ranges"),
    [
        pytest.param("10.0.0.0/23", ["10.0.0.0/24", "10.0.1.0/24", ""], id="ipv4"),
        pytest.param("10.0.0.0/24", ["10.0.0.0/24", "", ""], id="just-one"),
        pytest.param("10.0.0.0/28", ["", "", ""], id="too-small"),
        pytest.param("fd00::/63", ["fd00::/64", "fd00:0:0:1::/64", ""], id="ipv6"),
        pytest.param("nonsense", ["", "", ""], id="no-range"),
    ],
)
def test_ranges_are_cut_in_order(pod_cidr: str, ranges: list[str]) -> None:
    pods = PodRanges(pod_cidr)
    assert [pods.take() for _ in range(3)] == ranges


def test_lowest_free_range_is_used_first() -> None:
    pods = PodRanges("10.0.0.0/16")
    taken = [pods.take() for _ in range(3)]
    for each in reversed(taken[:2]):
        pods.give_back(each)
    pods.give_back("")
    assert [pods.take() for _ in range(3)] == ["10.0.0.0/24", "10.0.1.0/24", "10.0.3.0/24"]


@pytest.mark.parametrize(
    ("service_cidr", "address"),
    [("10.96.0.0/12", "10.96.0.10"), ("fd00::/108, 10.0.0.0/8", "fd00::a"), ("?", "10.128.0.10")],
)
def test_dns_service_has_the_tenth_address(service_cidr: str, address: str) -> None:
    assert service_ip(service_cidr, 10) == address
