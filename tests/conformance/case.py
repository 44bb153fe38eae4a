"""The form of a case: requests in their order, sent alike to the fake and to a real API server.

`{ns}` in paths, headers and bodies is the case's own namespace, made before and deleted after; `{name}`
is a name no other case has, for objects of the cluster's scope (begin their names with it); and
`{2.metadata.uid}` is a value of step 2's answer, steps counted from 0 (a watch's answer is the list of its
events: `{2.0.object.metadata.name}`). A string of a body that is one reference alone takes the value's
type.

A step's status code, content type and body must be equal on both sides once everything that is a
cluster's own (uids, versions, times, generated names and addresses; see `masking`) is masked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

JSON: Final = "application/json"
MERGE: Final = "application/merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"
STRATEGIC: Final = "application/strategic-merge-patch+json"
APPLY: Final = "application/apply-patch+yaml"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered; `body` is decoded where it is JSON, YAML or protobuf, else text."""

    status: int
    content_type: str
    body: Any
    warnings: tuple[str, ...] = ()  #: its Warning headers

    def at(self, path: str) -> Any:
        """Return the value at a dotted path of the body, None where there is none.

        A dot that belongs to a key is written with a backslash before it.
        """
        value = self.body
        for key in split_path(path):
            if isinstance(value, dict):
                value = value.get(key)
            elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
                value = value[int(key)]
            else:
                return None
        return value


Until: TypeAlias = Callable[[Answer], Any]


@dataclass(frozen=True, slots=True)
class Step:
    """One request."""

    method: str
    path: str  #: with its query; characters that a URL cannot have are quoted for you
    body: object = None  #: dict or list: sent as JSON; str and bytes: as they are
    content_type: str = JSON  #: sent only with a body
    accept: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    until: Until | None = None  #: sent again until it is true of the answer
    #: dotted paths of the body left out; `*` is any key or index; of `**.key` it may even be
    #: that only one side has it
    mask: tuple[str, ...] = ()
    compare: bool = True
    credentials: bool = True  #: False: without the administrator's client certificate
    events: int = 0  #: a watch: how many events are read
    timeout_s: float = 15  #: of `until`, or of a watch's events
    during: tuple[Step, ...] = ()  #: sent when the watch is open; not numbered, not compared


def get(path: str, **options: Any) -> Step:
    """Make a GET."""
    return Step("GET", path, **options)


def post(path: str, body: object, **options: Any) -> Step:
    """Make a POST."""
    return Step("POST", path, body, **options)


def put(path: str, body: object, **options: Any) -> Step:
    """Make a PUT."""
    return Step("PUT", path, body, **options)


def patch(path: str, body: object, content_type: str = MERGE, **options: Any) -> Step:
    """Make a PATCH."""
    return Step("PATCH", path, body, content_type, **options)


def delete(path: str, body: object = None, **options: Any) -> Step:
    """Make a DELETE."""
    return Step("DELETE", path, body, **options)


def watch(path: str, events: int, **options: Any) -> Step:
    """Make a watch that reads the first `events` events; fewer when the stream ends before."""
    if "watch=" not in path:
        path += ("&" if "?" in path else "?") + "watch=true"
    return Step("GET", path, events=events, **options)


@dataclass(frozen=True, slots=True)
class Case:
    """Steps that show one behaviour."""

    name: str  #: unique; "area: what is shown"
    steps: list[Step]
    cleanup: tuple[str, ...] = ()  #: paths deleted at the end
    managed_fields: bool = False  #: compare metadata.managedFields as well (times are masked)


def split_path(path: str) -> list[str]:
    """Split a dotted path into its keys."""
    return [key.replace("\0", ".") for key in path.replace("\\.", "\0").split(".")]
