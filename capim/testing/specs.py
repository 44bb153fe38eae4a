"""What a worker must be told of a test's cluster: keys, ports and machines, all made here."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, NamedTuple

from capim.aio.clock import wall_clock
from capim.api.gvk import NamespacedName
from capim.api.infrastructure import provider_id
from capim.api.workload import ClusterSpec, KeyPair, MachineSpec, Phase, Startup
from capim.certs.issue import client_certificate, new_key, self_signed_ca
from capim.certs.pem import dump_private_key
from capim.embedded.standin.authorities import kubeconfig as kubeconfig_text
from capim.embedded.standin.authorities import service_account_pair

if TYPE_CHECKING:
    from collections.abc import Mapping


class Authorities(NamedTuple):
    """The keys of a cluster."""

    ca: KeyPair
    etcd_ca: KeyPair
    service_account: KeyPair


def free_port() -> int:
    """Return a port of loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cluster_spec(name: str, uid: str, port: int) -> tuple[ClusterSpec, Authorities]:
    """Describe a cluster with new keys."""
    now = wall_clock()
    keys = Authorities(
        self_signed_ca("kubernetes", now), self_signed_ca("etcd", now), service_account_pair()
    )
    spec = ClusterSpec(
        NamespacedName("default", name),
        uid,
        "127.0.0.1",
        port,
        f"127.0.0.1:{port}",
        ca=keys.ca,
        etcd_ca=keys.etcd_ca,
        service_account=keys.service_account,
    )
    return spec, keys


def machine_spec(
    cluster: NamespacedName,
    name: str,
    uid: str,
    *,
    control_plane: bool,
    version: str,
    failure_domain: str,
    startup_s: Mapping[str, float],
) -> MachineSpec:
    """Describe a machine; `startup_s`: seconds by the name of the phase. Raises ValueError."""
    return MachineSpec(
        cluster,
        name,
        uid,
        control_plane,
        version,
        provider_id(name),
        failure_domain,
        {Phase(phase): Startup(seconds) for phase, seconds in startup_s.items()},
    )


def kubeconfig(spec: ClusterSpec, authorities: Authorities) -> tuple[KeyPair, bytes]:
    """Make an administrator: his certificate, and a kubeconfig that has it."""
    key = new_key()
    certificate = client_certificate(
        authorities.ca,
        key,
        common_name="kubernetes-admin",
        organizations=["system:masters"],
        now=wall_clock(),
    )
    client = KeyPair(certificate, dump_private_key(key))
    server = f"https://{spec.endpoint}"
    return client, kubeconfig_text(spec.key.name, server, authorities.ca.certificate, client)
