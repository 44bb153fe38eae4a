"""Services get addresses and node ports, keep them, and give them back."""

from typing import Any

import pytest

from capim.api.errors import APIError
from capim.runtime.kinds.rules import BuiltinRules
from capim.runtime.objects import PatchType
from capim.runtime.resourcegroup import ResourceGroup
from tests.support.groups import SERVED, named, new_group

SERVICES = SERVED["services"]


def group(cidr: str = "10.0.0.0/24") -> ResourceGroup:
    return new_group(rules=BuiltinRules(service_cidr=cidr))


def make(cluster: ResourceGroup, name: str, **spec: Any) -> dict[str, Any]:
    spec = {"ports": [{"port": 80}]} | spec
    made: dict[str, Any] = cluster.create(SERVICES, "default", named(name, spec=spec)).json()[
        "spec"
    ]
    return made


def refusal(cluster: ResourceGroup, **spec: Any) -> str:
    with pytest.raises(APIError) as caught:
        make(cluster, "refused", **spec)
    assert caught.value.code == 422
    return caught.value.message.removeprefix('Service "refused" is invalid: ')


def test_addresses_leave_the_lower_part_to_those_who_name_one() -> None:
    cluster = group()
    assert make(cluster, "a")["clusterIP"] == "10.0.0.17"
    assert make(cluster, "b")["clusterIPs"] == ["10.0.0.18"]
    assert make(cluster, "c", clusterIP="10.0.0.5")["clusterIPs"] == ["10.0.0.5"]


def test_address_comes_back_with_its_service() -> None:
    cluster = group()
    address = make(cluster, "a")["clusterIP"]
    cluster.delete(SERVICES, "default", "a")
    assert make(cluster, "b")["clusterIP"] == address


def test_address_taken_or_foreign_is_refused() -> None:
    cluster = group()
    make(cluster, "a", clusterIP="10.0.0.5")
    failed = 'spec.clusterIPs: Invalid value: ["10.0.0.5"]: failed to allocate IP 10.0.0.5: '
    assert refusal(cluster, clusterIP="10.0.0.5") == f"{failed}provided IP is already allocated"
    assert "is not in the valid range" in refusal(cluster, clusterIP="1.2.3.4")


def test_second_family_on_demand() -> None:
    cluster = group("10.0.0.0/24,fd00::/112")
    spec = make(cluster, "a", ipFamilyPolicy="RequireDualStack")
    assert spec["ipFamilies"] == ["IPv4", "IPv6"]
    assert spec["clusterIPs"] == ["10.0.0.17", "fd00::101"]
    assert "not configured for dual-stack" in refusal(group(), ipFamilyPolicy="RequireDualStack")


def test_node_port_stays_with_its_port_and_is_unique() -> None:
    cluster = group()
    port = make(cluster, "a", type="NodePort")["ports"][0]["nodePort"]
    again = {"ports": [{"port": 81}], "type": "NodePort"}
    kept = cluster.update(SERVICES, "default", "a", named("a", spec=again)).json()["spec"]
    assert kept["ports"][0] == {"nodePort": port, "port": 81, "protocol": "TCP", "targetPort": 81}
    taken = [{"port": 80, "nodePort": port}]
    assert "already allocated" in refusal(cluster, type="NodePort", ports=taken)
    assert "valid range" in refusal(cluster, type="NodePort", ports=[{"port": 1, "nodePort": 80}])


def test_change_of_type_drops_what_no_longer_fits() -> None:
    cluster = group()
    make(cluster, "a", type="NodePort")

    def patched(**spec: Any) -> dict[str, Any]:
        stored = cluster.patch(SERVICES, "default", "a", {"spec": spec}, PatchType.MERGE)
        made: dict[str, Any] = stored.json()["spec"]
        return made

    inside = patched(type="ClusterIP")
    assert "nodePort" not in inside["ports"][0]
    assert "externalTrafficPolicy" not in inside
    outside = patched(type="ExternalName", externalName="a.b")
    assert not {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"} & set(outside)


def test_headless_service_has_no_address() -> None:
    spec = make(group(), "a", clusterIP="None", selector={"a": "b"})
    assert (spec["clusterIPs"], spec["ipFamilies"]) == (["None"], ["IPv4"])
