"""A fake workload cluster alone in a process: `python -m tests.conformance.fake FOLDER`.

One control plane machine and one worker, whole from the start, behind a free port of loopback; roles say
who may do what. Writes `FOLDER/kubeconfig` for an administrator once clients are let in, beside it what
a client of etcd needs (`ca.crt`, `client.crt`, `client.key` in `FOLDER/etcd`), and serves until it is
interrupted; then `FOLDER/metrics` says what was asked of it.
"""

from __future__ import annotations

import asyncio
import base64
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from prometheus_client import generate_latest

from capim.aio.clock import wall_clock
from capim.api.workload import Authorization, Simulation
from capim.certs.issue import client_certificate, new_key
from capim.certs.pem import dump_private_key
from tests.support.driving import driven
from tests.support.served import running
from tests.unit.catalogue.site import CONTROL_PLANE, make_cluster

if TYPE_CHECKING:
    from capim.api.workload import KeyPair
    from tests.support.served import Running


def kubeconfig(cluster: Running) -> str:
    """Return a kubeconfig for a member of system:masters."""
    authority, key = cluster.authorities.ca, new_key()
    certificate = client_certificate(
        authority,
        key,
        common_name="kubernetes-admin",
        organizations=("system:masters",),
        now=wall_clock(),
    )
    user = {
        "client-certificate-data": base64.b64encode(certificate).decode(),
        "client-key-data": base64.b64encode(dump_private_key(key)).decode(),
    }
    server = {
        "server": cluster.url,
        "certificate-authority-data": base64.b64encode(authority.certificate).decode(),
    }
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "fake", "cluster": server}],
        "users": [{"name": "admin", "user": user}],
        "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "admin"}}],
        "current-context": "fake",
    }
    return yaml.safe_dump(config)


async def serve(folder: Path) -> None:
    """Serve a cluster until the process is asked to end."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    workload, served = make_cluster(CONTROL_PLANE, simulation=Simulation.PODS)
    served = replace(served, authorization=Authorization.RBAC)
    async with running(served) as cluster, driven(workload):
        _write_etcd_client(folder / "etcd", cluster.authorities.etcd_ca)
        _write(folder, kubeconfig(cluster))
        await stop.wait()
        folder.joinpath("metrics").write_bytes(generate_latest(cluster.metrics.registry))


def _write_etcd_client(folder: Path, authority: KeyPair) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    key = new_key()
    certificate = client_certificate(
        authority, key, common_name="etcd-client", organizations=(), now=wall_clock()
    )
    folder.joinpath("ca.crt").write_bytes(authority.certificate)
    folder.joinpath("client.crt").write_bytes(certificate)
    folder.joinpath("client.key").write_bytes(dump_private_key(key))


def _write(folder: Path, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    begun = folder / "kubeconfig.begun"
    begun.write_text(text)
    begun.rename(folder / "kubeconfig")  # whoever waits for it never reads half of it


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
