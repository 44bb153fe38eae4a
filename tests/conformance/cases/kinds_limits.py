"""What a namespace's LimitRange gives to pods, and what it refuses."""

from __future__ import annotations

from typing import Any, Final

from tests.conformance.case import Case, post
from tests.conformance.smallest import KINDS

_ITEM: Final = {"max": {"cpu": "2"}, "min": {"cpu": "100m"}, "default": {"cpu": "300m"}}
_LIMITS: Final = [{"type": "Container", **_ITEM}, {"type": "Pod", "max": {"cpu": "3"}}]
_MADE: Final = post(
    KINDS["LimitRange"].path, KINDS["LimitRange"].body(spec={"limits": _LIMITS}), compare=False
)
_MASK: Final = ("spec.volumes.*.name", "spec.containers.*.volumeMounts.*.name")
_ANNOTATION: Final = "kubernetes.io/limit-ranger"


def _pod(**resources: Any) -> Any:
    container = {"name": "a", "image": "nginx", "resources": resources}
    body = KINDS["Pod"].body(spec={"containers": [container]})

    def settled(answer: Any) -> bool:
        """The account is there, and the server's cache of limits has seen this one."""
        if answer.status == 403:
            return "serviceaccount" not in answer.body["message"]
        return _ANNOTATION in (answer.body["metadata"].get("annotations") or {})

    return post(f"{KINDS['Pod'].path}?dryRun=All", body, mask=_MASK, until=settled)


CASES: Final[list[Case]] = [
    Case("kinds: limits are given to a pod", [_MADE, _pod()]),
    Case(
        "kinds: a pod beyond the limits",
        [_MADE, _pod(), _pod(requests={"cpu": "50m"}, limits={"cpu": "4"})],
    ),
]
