"""Port leases: one holder a port, rest after use, avoidance after a failed bind, an end with a reason."""

import pytest

from capim.api.gvk import NamespacedName
from coordinator.ports import AVOID_S, REST_S, PortLeases, PortRange, PortsExhaustedError


def cluster(number: int) -> NamespacedName:
    return NamespacedName("default", f"c{number}")


def leases(first: int = 20000, last: int = 20002) -> PortLeases:
    return PortLeases(PortRange(first, last))


def test_a_cluster_keeps_its_port() -> None:
    ports = leases()
    assert ports.lease("host", cluster(1), 0.0) == 20000
    assert ports.lease("host", cluster(1), 1.0) == 20000
    assert ports.port(cluster(1)) == 20000


def test_no_port_is_leased_twice_on_an_address_but_addresses_are_apart() -> None:
    ports = leases()
    given = [ports.lease("host", cluster(number), 0.0) for number in range(3)]
    assert sorted(given) == [20000, 20001, 20002]
    assert ports.lease("other", cluster(9), 0.0) == 20000


def test_exhaustion_names_range_address_and_flag_and_heals() -> None:
    ports = leases(20000, 20000)
    ports.lease("host", cluster(1), 0.0)
    with pytest.raises(PortsExhaustedError, match=r"20000-20000 of host.*--port-range"):
        ports.lease("host", cluster(2), 0.0)
    assert ports.release(cluster(1), 1.0)
    assert ports.lease("host", cluster(2), 1.0) == 20000


@pytest.mark.parametrize(
    ("later_s", "expected"),
    [pytest.param(REST_S - 1, 20002, id="rests"), pytest.param(REST_S, 20000, id="rested")],
)
def test_a_freed_port_rests_while_others_are_left(later_s: float, expected: int) -> None:
    ports = leases()
    for number in range(3):
        ports.lease("host", cluster(number), 0.0)
    ports.release(cluster(2), -REST_S)  # long ago: usable
    ports.release(cluster(0), 0.0)
    assert ports.lease("host", cluster(3), later_s) == expected


def test_of_ports_that_all_rest_the_first_freed_is_given_at_once() -> None:
    ports = leases()
    for number in range(3):
        ports.lease("host", cluster(number), 0.0)
    for number, when in ((1, 1.0), (0, 2.0), (2, 3.0)):
        ports.release(cluster(number), when)
    assert ports.lease("host", cluster(4), 4.0) == 20001


def test_a_former_port_is_had_again_even_while_it_rests() -> None:
    ports = leases()
    ports.lease("host", cluster(1), 0.0)
    ports.release(cluster(1), 0.0)
    assert ports.lease("host", cluster(1), 1.0, preferred=20000) == 20000


@pytest.mark.parametrize("preferred", [19999, 30000, 20001])
def test_a_preferred_port_outside_the_range_or_taken_is_not_given(preferred: int) -> None:
    ports = leases()
    ports.lease("host", cluster(1), 0.0, preferred=20001)
    assert ports.lease("host", cluster(2), 0.0, preferred=preferred) == 20000


def test_a_port_that_could_not_be_bound_is_avoided_for_a_while() -> None:
    ports = leases(20000, 20001)
    ports.lease("host", cluster(1), 0.0)
    ports.failed(cluster(1), 20000, 0.0)
    assert ports.port(cluster(1)) is None
    assert ports.lease("host", cluster(1), 0.0, preferred=20000) == 20001
    with pytest.raises(PortsExhaustedError):
        ports.lease("host", cluster(2), AVOID_S - 1)
    assert ports.lease("host", cluster(2), AVOID_S) == 20000


def test_word_of_an_earlier_port_changes_nothing() -> None:
    ports = leases()
    ports.lease("host", cluster(1), 0.0)
    ports.failed(cluster(1), 20002, 0.0)
    assert ports.port(cluster(1)) == 20000


def test_a_cluster_that_moves_to_another_address_gives_its_port_back() -> None:
    ports = leases(20000, 20000)
    ports.lease("one", cluster(1), 0.0)
    ports.lease("two", cluster(1), 0.0)
    assert ports.lease("one", cluster(2), 0.0) == 20000


def test_releasing_what_was_never_leased_says_so() -> None:
    assert not leases().release(cluster(1), 0.0)


def test_an_address_may_have_a_range_of_its_own() -> None:
    ports = PortLeases(PortRange(20000, 20000), {"far": PortRange(20000, 20001)})
    given = [ports.lease("far", cluster(number), 0.0) for number in range(2)]
    assert given == [20000, 20001]
    with pytest.raises(PortsExhaustedError, match=r"20000-20001 of far.*--worker-ports"):
        ports.lease("far", cluster(2), 0.0)
    assert ports.lease("near", cluster(3), 0.0, preferred=20001) == 20000
