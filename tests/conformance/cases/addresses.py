"""IPAddresses and ServiceCIDRs: how they are named, what they hold, whose addresses they are."""

from __future__ import annotations

from typing import Any, Final

from tests.conformance.case import Case, Step, Until, delete, get, patch, post, put

_GROUP: Final = "/apis/networking.k8s.io/v1"
_ADDRESSES: Final = f"{_GROUP}/ipaddresses"
_CIDRS: Final = f"{_GROUP}/servicecidrs"
_PARENT: Final = {"group": "", "resource": "services", "namespace": "{ns}", "name": "none"}


def _address(address: str, **parent: Any) -> dict[str, Any]:
    return {"metadata": {"name": address}, "spec": {"parentRef": {**_PARENT, **parent}}}


def _made(what: str, body: Any) -> Case:
    return Case(f"addresses: {what}", [post(f"{_ADDRESSES}?dryRun=All", body)])


def _cidr(what: str, *cidrs: str) -> Case:
    body = {"metadata": {"name": "{name}"}, "spec": {"cidrs": list(cidrs)}}
    return Case(f"addresses: a range of {what}", [post(f"{_CIDRS}?dryRun=All", body)])


_SERVICES: Final = "/api/v1/namespaces/{ns}/services"
_PORTS: Final = {"ports": [{"port": 80}]}
_LET_GO: Final = {
    "type": "ExternalName",
    "externalName": "a.b",
    "clusterIP": None,
    "clusterIPs": None,
}


def _is(status: int) -> Until:
    return lambda answer: answer.status == status


def _of_service(what: str, change: Step) -> Case:
    """Make a case in which a Service has an address until it is changed."""
    one = f"{_ADDRESSES}/{{0.spec.clusterIP}}"
    steps = [
        post(_SERVICES, {"metadata": {"name": "a"}, "spec": _PORTS}),
        get(one, until=_is(200), mask=("metadata.name",)),
        change,
        get(one, until=_is(404), compare=False),
    ]
    return Case(f"addresses: of a service {what}", steps)


def _only(name: str, path: str) -> Step:
    return get(f"{path}?fieldSelector=metadata.name={name}")


CASES: Final = [
    *(
        _made(f"named {name}", _address(name))
        for name in (
            *("192.0.2.9", "2001:db8::9", "fe80::42:1dff:fe84:f9e2"),
            *("192.0.2.09", "2001:DB8::9", "2001:db8:0::9", "::ffff:192.0.2.9", "192.0.2"),
            *("a", "A", "192.0.2.9/32", "2001:db8::%1"),
        )
    ),
    _made("named nothing", {"spec": {"parentRef": _PARENT}}),
    _made("without a parent", {"metadata": {"name": "192.0.2.9"}, "spec": {}}),
    _made("without a spec", {"metadata": {"name": "192.0.2.9"}}),
    _made("with an empty parent", {"metadata": {"name": "192.0.2.9"}, "spec": {"parentRef": {}}}),
    _made("with a parent without a name", _address("192.0.2.9", name="")),
    _made("with a parent without a kind", _address("192.0.2.9", resource="")),
    _made(
        "with names that are none", _address("192.0.2.9", group="A", resource="/", namespace="%")
    ),
    Case(
        "addresses: the life of one",
        [
            post(_ADDRESSES, _address("2001:db8::77")),
            get(f"{_ADDRESSES}/2001:db8::77"),
            _only("2001:db8::77", _ADDRESSES),
            get(f"{_ADDRESSES}/2001%3Adb8%3A%3A77", compare=False),
            patch(f"{_ADDRESSES}/2001:db8::77", {"metadata": {"labels": {"a": "b"}}}),
            patch(f"{_ADDRESSES}/2001:db8::77", {"spec": {"parentRef": {"name": "b"}}}),
            put(f"{_ADDRESSES}/2001:db8::77", _address("2001:db8::78")),
            delete(f"{_ADDRESSES}/2001:db8::77"),
            get(f"{_ADDRESSES}/2001:db8::77"),
        ],
        (f"{_ADDRESSES}/2001:db8::77",),
    ),
    _of_service("that goes", delete(f"{_SERVICES}/a", compare=False)),
    _of_service("that needs none", patch(f"{_SERVICES}/a", {"spec": _LET_GO}, compare=False)),
    Case(
        "addresses: of a service without one",
        [
            post(_SERVICES, {"metadata": {"name": "a"}, "spec": {**_PORTS, "clusterIP": "None"}}),
            get(f"{_ADDRESSES}/None"),
        ],
    ),
    Case(
        "addresses: of the API server's service",
        [
            get(
                f"{_ADDRESSES}?labelSelector=ipaddress.kubernetes.io/managed-by=ipallocator.k8s.io&limit=1",
                compare=False,
            ),
            get(
                f"{_ADDRESSES}/{{0.items.0.metadata.name}}",
                mask=("metadata.name", "spec.parentRef.name", "spec.parentRef.namespace"),
            ),
        ],
    ),
    _cidr("one family", "192.0.2.0/24"),
    _cidr("two families", "192.0.2.0/24", "2001:db8::/64"),
    _cidr("one family twice", "192.0.2.0/24", "198.51.100.0/24"),
    _cidr("three", "192.0.2.0/24", "2001:db8::/64", "198.51.100.0/24"),
    _cidr("none"),
    _cidr("no range", "192.0.2.1"),
    _cidr("a range with more than its prefix", "192.0.2.1/24"),
    _cidr("a range in other words", "2001:DB8::/64"),
    _cidr("nonsense", "a"),
]
