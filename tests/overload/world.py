"""Two clusters of one worker process, one to be attacked and one whose client is measured.

`python -m tests.overload.world FOLDER` writes what clients need and serves until it is interrupted.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import uvloop

from capim.aio.clock import wall_clock
from capim.aio.descriptors import raise_limit
from capim.aio.tasks import TaskScope
from capim.certs.issue import client_certificate, new_key
from capim.certs.pem import dump_private_key
from capim.server.doors import Doors
from capim.server.listener import Listener
from capim.server.metrics import Metrics
from tests.support.served import make_served, resource

if TYPE_CHECKING:
    from capim.api.workload import KeyPair

NODES: Final = 4
#: in the namespace of that name; a LIST of them is a megabyte
CONFIG_MAPS: Final = 1000


@dataclass(frozen=True, slots=True)
class Site:
    """Where a cluster is, and who may come in."""

    port: int
    client: str  #: a PEM file with certificate and key of a client of the API server
    etcd_client: str  #: and of one of etcd


async def serve(folder: Path) -> None:
    """Serve both clusters."""
    stop = asyncio.Event()
    for ended_by in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(ended_by, stop.set)
    doors = Doors(raise_limit().connections)
    async with AsyncExitStack() as stack:
        scope = await stack.enter_async_context(TaskScope())
        sites = {}
        for name in ("attacked", "neighbour"):
            served = make_served()
            served.etcd.add("n1", 7)
            for number in range(NODES):
                served.group.create(resource("nodes"), "", {"metadata": {"name": f"n{number}"}})
            for number in range(CONFIG_MAPS):
                body = {"metadata": {"name": f"c{number}"}, "data": {"x": "y" * 800}}
                served.group.create(resource("configmaps"), "default", body)
            pod = {"metadata": {"name": "etcd-n1"}}
            served.group.create(resource("pods"), "kube-system", pod)
            listener = Listener(served, scope=scope, metrics=Metrics(), doors=doors)
            await listener.open()
            stack.push_async_callback(listener.close)
            assert served.authorities is not None
            sites[name] = Site(
                listener.port,
                _client(folder / f"{name}.pem", served.authorities.ca),
                _client(folder / f"{name}-etcd.pem", served.authorities.etcd_ca),
            )
        begun = folder / "begun"
        begun.write_text(json.dumps({name: asdict(site) for name, site in sites.items()}))
        begun.rename(folder / "sites.json")
        await stop.wait()


def _client(path: Path, authority: KeyPair) -> str:
    key = new_key()
    certificate = client_certificate(
        authority, key, common_name="client", organizations=("system:masters",), now=wall_clock()
    )
    path.write_bytes(certificate + dump_private_key(key))
    return str(path)


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1])))
