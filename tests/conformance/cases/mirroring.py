"""EndpointSlices that mirror Endpoints written by clients."""

from __future__ import annotations

from typing import Any, Final

from tests.conformance.case import Answer, Case, Step, get, patch, post

_CORE: Final = "/api/v1/namespaces/{ns}"
_SLICES: Final = (
    "/apis/discovery.k8s.io/v1/namespaces/{ns}/endpointslices?labelSelector="
    "endpointslice.kubernetes.io/managed-by=endpointslicemirroring-controller.k8s.io"
)
_PORT: Final = {"name": "http", "port": 80, "protocol": "TCP"}
_SERVICE: Final[dict[str, Any]] = {"metadata": {"name": "a"}, "spec": {"ports": [_PORT]}}
_READY: Final = {"ports": [_PORT], "addresses": [{"ip": "10.1.2.3", "hostname": "h"}]}
_WAITING: Final = {"ports": [_PORT], "notReadyAddresses": [{"ip": "10.1.2.5"}]}


def _slices(count: int, addresses: int = 0, mask: tuple[str, ...] = ("**.generation",)) -> Step:
    def there(answer: Answer) -> bool:
        items = answer.at("items") or []
        return len(items) == count and (
            not addresses or len(items[0].get("endpoints") or ()) == addresses
        )

    return get(_SLICES, until=there, mask=mask)


def _begun(*subsets: dict[str, Any]) -> list[Step]:
    metadata = {"name": "a", "labels": {"x": "z"}, "annotations": {"note": "hello"}}
    return [
        post(f"{_CORE}/services", _SERVICE, compare=False),
        post(f"{_CORE}/endpoints", {"metadata": metadata, "subsets": list(subsets)}),
    ]


#: a real controller puts the addresses of a slice in an order by chance
_ORDER: Final = ("**.generation", "items.*.endpoints")
_OTHER: Final = {"subsets": [{"ports": [_PORT], "addresses": [{"ip": "10.1.2.9"}]}]}
_SKIPPED: Final = {"labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}}

CASES: Final = [
    Case("mirroring: endpoints that are ready", [*_begun(_READY), _slices(1, 1)]),
    Case("mirroring: endpoints that are not ready", [*_begun(_WAITING), _slices(1, 1)]),
    Case("mirroring: subsets of one port", [*_begun(_READY, _WAITING), _slices(1, 2, _ORDER)]),
    Case(
        "mirroring: changed endpoints",
        [*_begun(_READY), _slices(1, 1), patch(f"{_CORE}/endpoints/a", _OTHER), _slices(1, 1)],
    ),
    Case(
        "mirroring: endpoints that are to be skipped",
        [
            *_begun(_READY),
            _slices(1, 1),
            patch(f"{_CORE}/endpoints/a", {"metadata": _SKIPPED}),
            _slices(0),
        ],
    ),
    Case(
        "mirroring: a service that gets a selector",
        [
            *_begun(_READY),
            _slices(1, 1),
            patch(f"{_CORE}/services/a", {"spec": {"selector": {"q": "q"}}}, compare=False),
            _slices(0),
        ],
    ),
]
