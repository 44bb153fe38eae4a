"""Asks a workload cluster's etcd for its members, as an operator would: kubectl and a gRPC client."""

from __future__ import annotations

import base64
import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import yaml

from tests.e2e.authority import Authority
from tests.e2e.fleet import listening
from tests.e2e.kube import wait_until
from tests.e2e.ports import free_ports
from tests.e2e.processes import Process

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.fleet import Fleet

_MEMBER_LIST = "/etcdserverpb.Cluster/MemberList"
_TIMEOUT_S = 15


def member_names(fleet: Fleet, cluster: str, node: str) -> list[str]:
    """Return the names of etcd's members, sorted, as the member on `node` knows them."""
    pod = f"etcd-{node}"
    secret = fleet.kube.get("Secret", fleet.namespace, f"{cluster}-etcd")
    certificate, key = (base64.b64decode(secret["data"][name]) for name in ("tls.crt", "tls.key"))
    client_certificate, client_key = Authority.load(certificate, key).client("e2e", "e2e")
    credentials = grpc.ssl_channel_credentials(certificate, client_key, client_certificate)
    with _forwarded(fleet, cluster, pod) as port:
        # the name is both SNI and authority: one port serves every member of a cluster
        options = [("grpc.ssl_target_name_override", pod)]
        with grpc.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel:
            call = channel.unary_unary(_MEMBER_LIST)
            answer: bytes = call(b"", timeout=_TIMEOUT_S)
    members = [value for number, value in fields(answer) if number == 2]
    return sorted(_name(member) for member in members if isinstance(member, bytes))


@contextlib.contextmanager
def _forwarded(fleet: Fleet, cluster: str, pod: str) -> Iterator[int]:
    """Run `kubectl port-forward` to a pod's etcd and yield the local port."""
    [port] = free_ports(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "kubeconfig").write_text(yaml.safe_dump(fleet.kubeconfig(cluster)))
        command = [
            "kubectl",
            f"--kubeconfig={folder / 'kubeconfig'}",
            "--namespace=kube-system",
            "port-forward",
            f"pod/{pod}",
            f"{port}:2379",
        ]
        process = Process.start("port-forward", command, folder=folder)
        try:
            wait_until(lambda: _closed(process, port), _TIMEOUT_S, f"port-forward to {pod}")
            yield port
        finally:
            process.stop()


def _closed(process: Process, port: int) -> list[str]:
    process.check_alive()
    return [] if listening("127.0.0.1", port) else [f"port {port}: {process.tail()}"]


def _name(member: bytes) -> str:
    [name] = (value for number, value in fields(member) if number == 2)
    assert isinstance(name, bytes)
    return name.decode()


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield field number and value of a protobuf message that has only varints and byte strings.

    Three lines of protobuf keep this check apart from the code it checks.
    """
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        value, position = _varint(message, position)
        if tag & 7 == 2:
            yield tag >> 3, message[position : position + value]
            position += value
        else:
            yield tag >> 3, value


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position
