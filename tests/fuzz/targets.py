"""What is fuzzed: each target takes bytes of a client and says in a few words what came of them.

A target raises only where something is wrong: an error that is not documented, an answer that is the
server's own fault. The outcome's words tell inputs apart that reach different ends.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import orjson

from capim.api.gvk import GVK
from capim.runtime.etcdmembers import EtcdCluster
from capim.runtime.etcdservice import METHODS, EtcdService
from capim.wire.grpcserver import GrpcConnection
from capim.wire.kubeproto import KubeProtoError, decode
from capim.wire.patch import PatchError, json_patch, merge_patch, strategic_merge_patch
from capim.wire.portforward import Pairing
from capim.wire.selectors import FieldSelector, LabelSelector
from capim.wire.spdy import Connection, RemoteProtocolError, StreamOpened
from capim.wire.websocket import Tunnel
from tests.support.memory import MemoryClient, encode_request, make_api
from tests.support.served import make_served

if TYPE_CHECKING:
    from capim.server.apiserver import ApiServer

Feed: TypeAlias = Callable[[bytes], str]

_JSON: Final = "application/json"
_NAMESPACE: Final = "/api/v1/namespaces/default"
_NUMBERS: Final = re.compile(rb"[0-9]+")
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.1 (\d+)")
#: what the server says where it did not expect what happened
_OWN_FAULT: Final = b"see the worker's log"
_DEFINITION: Final[dict[str, Any]] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "things.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {
            "plural": "things",
            "singular": "thing",
            "kind": "Thing",
            "listKind": "ThingList",
        },
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": True,
                    }
                },
                "subresources": {"status": {}},
            }
        ],
    },
}


@dataclass(frozen=True, slots=True)
class Target:
    """Something that reads bytes."""

    name: str  #: and its corpus
    begin: Callable[[], Feed]  #: with the state that a few hundred inputs share
    words: tuple[bytes, ...] = ()  #: of its format


class WrongError(AssertionError):
    """The server blamed itself."""


def _api() -> ApiServer:
    return make_api(make_served())


def _outcome(written: bytes) -> str:
    """Return status codes and what was said. Raises WrongError for a fault of the server's."""
    if _OWN_FAULT in written:
        raise WrongError(written[-400:].decode(errors="replace"))
    codes = b" ".join(_STATUS_LINE.findall(written))
    _, _, message = written.rpartition(b'"message":"')
    said = _NUMBERS.sub(b"#", message[:24]) if message is not written else b""
    return f"{codes.decode()} {said.decode('latin-1')}"


def _requests() -> Feed:
    api = _api()

    def feed(data: bytes) -> str:
        client = MemoryClient(api)
        middle = len(data) // 3
        client.connection.data_received(data[:middle])
        client.connection.data_received(data[middle:])
        written = client.transport.take()
        client.connection.close()
        client.connection.connection_lost(None)
        return _outcome(written)

    return feed


def _bodies(method: str, paths: tuple[str, ...], content_types: tuple[str, ...]) -> Feed:
    """Send the bytes as a body; their length chooses where to and as what."""
    api = _api()
    setup = MemoryClient(api)
    setup.ask("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", _DEFINITION)
    thing = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "a"}}
    setup.ask("POST", "/apis/example.com/v1/namespaces/default/things", thing)
    made: dict[str, Any] = {"metadata": {"name": "a", "labels": {"x": "1"}}, "data": {"k": "v"}}
    setup.ask("POST", f"{_NAMESPACE}/configmaps", made)

    def feed(data: bytes) -> str:
        path = paths[len(data) % len(paths)]
        content_type = content_types[len(data) // len(paths) % len(content_types)]
        client = MemoryClient(api)
        request = encode_request(method, path, data, Content_Type=content_type)
        client.connection.data_received(request)
        written = client.transport.take()
        if not written:
            raise WrongError("there was no answer")
        return f"{path} {content_type} {_outcome(written)}"

    return feed


_COLLECTIONS: Final = (
    f"{_NAMESPACE}/configmaps",
    f"{_NAMESPACE}/pods",
    f"{_NAMESPACE}/secrets",
    f"{_NAMESPACE}/services",
    "/api/v1/nodes",
    "/api/v1/namespaces",
    "/apis/apps/v1/namespaces/default/deployments",
    "/apis/batch/v1/namespaces/default/cronjobs",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "/apis/example.com/v1/namespaces/default/things",
    "/apis/policy/v1/namespaces/default/poddisruptionbudgets",
)
_OBJECTS: Final = (
    f"{_NAMESPACE}/configmaps/a",
    "/apis/example.com/v1/namespaces/default/things/a",
    "/apis/example.com/v1/namespaces/default/things/a/status",
    "/api/v1/namespaces/default",
)
_APPLIED: Final = tuple(f"{path}?fieldManager=f&force=1" for path in _OBJECTS)
_APPLY: Final = ("application/apply-patch+yaml",)
_PATCHES: Final = (
    "application/merge-patch+json",
    "application/json-patch+json",
    "application/strategic-merge-patch+json",
)


def _patches() -> Feed:
    obj: Any = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a", "labels": {"x": "1"}, "finalizers": ["a/b", "c/d"]},
        "spec": {"containers": [{"name": "c", "ports": [{"containerPort": 1, "protocol": "TCP"}]}]},
    }
    before = orjson.dumps(obj)

    def feed(data: bytes) -> str:
        try:
            patch = orjson.loads(data)
        except orjson.JSONDecodeError:
            return "no JSON"
        ends = []
        apply: tuple[Callable[[], Any], ...] = (
            lambda: json_patch(obj, patch) if isinstance(patch, list) else obj,
            lambda: merge_patch(obj, patch) if isinstance(patch, dict) else obj,
            lambda: (
                strategic_merge_patch(obj, patch, GVK("", "v1", "Pod"))
                if isinstance(patch, dict)
                else obj
            ),
        )
        for one in apply:
            try:
                one()
                ends.append("ok")
            except PatchError as error:
                ends.append(str(error)[:16])
        if orjson.dumps(obj) != before:
            raise WrongError("the patch changed what it was given")
        return " ".join(ends)

    return feed


def _protobuf() -> Feed:
    def feed(data: bytes) -> str:
        try:
            return f"ok {decode(data)['kind']}"
        except KubeProtoError as error:
            return str(error)[:32]

    return feed


def _selectors() -> Feed:
    labels = {"a": "b", "x": "1", "tier": "control-plane"}

    def feed(data: bytes) -> str:
        text, ends = data.decode("latin-1"), []
        for parse in (LabelSelector.parse, FieldSelector.parse):
            try:
                ends.append(str(parse(text).matches(labels)))
            except ValueError as error:
                ends.append(str(error)[:16])
        return " ".join(ends)

    return feed


def _spdy() -> Feed:
    def feed(data: bytes) -> str:
        connection, pairing = Connection(client=False), Pairing()
        ends = []
        try:
            for start in range(0, len(data), 37):
                for event in connection.receive_data(data[start : start + 37]):
                    ends.append(type(event).__name__)
                    if isinstance(event, StreamOpened):
                        connection.reply(event.stream_id)
                        pairing.opened(event.stream_id, event.headers, 0.0)
        except RemoteProtocolError as error:
            ends.append(str(error)[:12])
        connection.data_to_send()
        return " ".join(ends[-3:])

    return feed


def _websocket() -> Feed:
    def feed(data: bytes) -> str:
        tunnel = Tunnel(client=False)
        middle = len(data) // 2
        got = len(tunnel.receive_data(data[:middle]) + tunnel.receive_data(data[middle:]))
        return f"{got.bit_length()} {tunnel.closed} {len(tunnel.data_to_send()).bit_length()}"

    return feed


def _etcd() -> Feed:
    """Feed frames of HTTP/2 to an etcd, behind a client's first ones."""
    etcd = EtcdCluster(7)
    etcd.add("a", 1)

    def feed(data: bytes) -> str:
        connection = GrpcConnection(EtcdService(etcd, member="a").handle, methods=METHODS)
        for start in range(0, len(data), 53):
            connection.receive_data(data[start : start + 53])
        return f"{connection.closed} {len(connection.data_to_send()).bit_length()}"

    return feed


_OBJECT_WORDS: Final = (
    b'"metadata":',
    b'"name":',
    b'"labels":{"a":1}',
    b'"finalizers":["a"]',
    b'"ownerReferences":[{}]',
    b'"managedFields":[{}]',
    b'"generateName":"a-"',
    b'"resourceVersion":"1"',
    b'"spec":',
    b'"status":',
    b'"kind":"Pod"',
    b'"apiVersion":"v1"',
    b"null",
    b"true",
    b"[]",
    b"{}",
    b'"\\ud800"',
    b'"\\u0000"',
)
_PATCH_WORDS: Final = (
    *_OBJECT_WORDS,
    b'"$patch":"replace"',
    b'"$patch":"delete"',
    b'"$retainKeys":["name"]',
    b'"$setElementOrder/containers":[{"name":"c"}]',
    b'"$deleteFromPrimitiveList/finalizers":["a/b"]',
    b'{"op":"add","path":"/a","value":1}',
    b'{"op":"copy","from":"","path":"/a"}',
    b'{"op":"move","from":"/a","path":"/a/b"}',
    b'"/-"',
    b"~0~1",
)
_REQUEST_WORDS: Final = (
    b"\r\n",
    b"\r\n\r\n",
    b"GET /api/v1/nodes HTTP/1.1\r\nHost: x\r\n\r\n",
    b"?watch=1&timeoutSeconds=1",
    b"limit=1&continue=",
    b"resourceVersion=",
    b"resourceVersionMatch=Exact",
    b"sendInitialEvents=true",
    b"fieldSelector=metadata.name%3D",
    b"labelSelector=a+in+(b)",
    b"Content-Length: ",
    b"Transfer-Encoding: chunked\r\n",
    b"Accept: application/yaml",
    b"Accept: application/vnd.kubernetes.protobuf\r\n",
    b";as=Table;g=meta.k8s.io;v=v1",
    b"Expect: 100-continue\r\n",
    b"Upgrade: websocket\r\nConnection: Upgrade\r\n",
    b"Upgrade: SPDY/3.1\r\n",
    b"%2e%2e/",
    b"%00",
    b"%",
    b"DELETE ",
    b"PATCH ",
)

TARGETS: Final = (
    Target("requests", _requests, _REQUEST_WORDS),
    Target("json", lambda: _bodies("POST", _COLLECTIONS, (_JSON,)), _OBJECT_WORDS),
    Target(
        "yaml",
        lambda: _bodies("POST", _COLLECTIONS, ("application/yaml",)),
        (*_OBJECT_WORDS, b"&a ", b"*a", b"<<: *a", b"!!binary ", b"---\n", b"? ", b"|\n", b"- "),
    ),
    Target(
        "protobuf_bodies",
        lambda: _bodies("POST", _COLLECTIONS, ("application/vnd.kubernetes.protobuf",)),
    ),
    Target("patch_bodies", lambda: _bodies("PATCH", _OBJECTS, _PATCHES), _PATCH_WORDS),
    Target("applies", lambda: _bodies("PATCH", _APPLIED, _APPLY), _OBJECT_WORDS),
    Target("updates", lambda: _bodies("PUT", _OBJECTS, (_JSON, "application/yaml")), _OBJECT_WORDS),
    Target(
        "deletes",
        lambda: _bodies("DELETE", _OBJECTS[:3], (_JSON, "application/vnd.kubernetes.protobuf")),
        (b'"propagationPolicy":', b'"preconditions":{"uid":"a"}', b'"dryRun":["All"]', b"null"),
    ),
    Target("patches", _patches, _PATCH_WORDS),
    Target("protobuf", _protobuf),
    Target(
        "selectors", _selectors, (b" in ", b" notin ", b"(", b")", b"!=", b"==", b",", b"!", b"\\,")
    ),
    Target("etcd", _etcd),
    Target("spdy", _spdy),
    Target("websocket", _websocket),
)
