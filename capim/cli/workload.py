"""What `capim kubeconfig` does: finds a workload cluster's way in, and makes one where there is none."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import os
import signal
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import typer
import yaml

from capim.api.errors import APIError
from capim.api.gvk import NamespacedName
from capim.cli import installation, kubeconfigfile, rows
from capim.cli.commandline import CommandError
from capim.cli.management import connected
from capim.dialer import Dialer, forwarded_port
from coordinator.controllers import gates
from coordinator.controllers.objects import INFRA_CLUSTERS, SECRETS
from coordinator.kube.config import default_path
from coordinator.placement import ENDPOINT_ANNOTATION

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from capim.api.meta import JsonObject
    from capim.cli.commandline import Where
    from capim.cli.management import Management

#: How long an endpoint has to take a connection, TLS and all, before it counts as out of reach.
_REACH_TIMEOUT_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for."""

    cluster: str  #: `namespace/name`, or a name in the context's namespace
    command: tuple[str, ...] = ()
    file: str = ""  #: empty: the default one; `-`: standard output
    switch: bool = True
    port_forward: bool | None = None  #: None: where it is needed


async def run(where: Where, wish: Wish) -> int:
    """Do it; return the exit code, of the command where one is to be run."""
    async with connected(where) as management:
        namespace, name = NamespacedName.parse(wish.cluster)
        key = NamespacedName(namespace or management.namespace, name)
        config = await _read(management, key)
        async with _way_in(management, where, key, config, wish) as (server, pod):
            single = kubeconfigfile.single(config, str(key), server)
            if wish.command:
                return await _run_command(wish.command, single)
            _hand_over(single, wish, where)
            if pod:
                typer.echo(f"Forwarding {server} to {pod}, until Ctrl-C.", err=True)
                await _interrupted()
    return 0


async def names(where: Where) -> list[str]:
    """Return the clusters there are, as `namespace/name`."""
    async with connected(where) as management:
        found = await management.client.list(INFRA_CLUSTERS)
    return sorted(str(gates.owner(item, "Cluster") or rows.name(item)) for item in found.items)


async def _read(management: Management, key: NamespacedName) -> JsonObject:
    """Return the kubeconfig that Cluster API keeps for a cluster.

    Raises:
        CommandError: there is none yet, or it cannot be read.
    """
    name = f"{key.name}-kubeconfig"
    try:
        secret = await management.client.get(SECRETS, key.namespace, name)
    except APIError as error:
        if error.code != 404:
            raise
        raise CommandError(
            f"no Secret {key.namespace}/{name}: the cluster is not there, or not so far yet:"
            f" `capim get clusters -n {key.namespace}` shows"
        ) from error
    try:
        config: Any = yaml.safe_load(base64.b64decode(secret["data"]["value"], validate=True))
    except (KeyError, TypeError, binascii.Error, yaml.YAMLError) as error:
        raise CommandError(f"Secret {key.namespace}/{name} holds no kubeconfig") from error
    return dict(config or {})


# --- the way in ---


@contextlib.asynccontextmanager
async def _way_in(
    management: Management, where: Where, key: NamespacedName, config: JsonObject, wish: Wish
) -> AsyncIterator[tuple[str, str]]:
    """Yield the server to name, empty for the endpoint itself, and the pod it is forwarded to."""
    if wish.port_forward is False or (not wish.port_forward and await _reachable(config)):
        yield "", ""
        return
    pod, port = await _listener(management, where, key)
    dialer = Dialer(management.api, where.installation_namespace, pod, port)
    await _check(dialer)
    async with contextlib.AsyncExitStack() as stack:
        try:
            # the same number as there, so that a kubeconfig is good again the next time
            local = await stack.enter_async_context(forwarded_port(dialer, port=port))
        except OSError:
            local = await stack.enter_async_context(forwarded_port(dialer))
        yield f"https://127.0.0.1:{local}", f"{where.installation_namespace}/{pod}:{port}"


async def _reachable(config: JsonObject) -> bool:
    """Say whether the endpoint takes connections from here, with the cluster's own certificate."""
    try:
        cluster = config["clusters"][0]["cluster"]
        address = urlsplit(cluster["server"])
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode("ascii")
        trust = ssl.create_default_context(cadata=authority)
        async with asyncio.timeout(_REACH_TIMEOUT_S):
            _, writer = await asyncio.open_connection(
                address.hostname, address.port or 443, ssl=trust
            )
    except (OSError, ValueError, LookupError, TypeError):  # a TimeoutError is an OSError
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


async def _listener(management: Management, where: Where, key: NamespacedName) -> tuple[str, int]:
    """Return the pod and the port behind which a cluster is.

    Raises:
        CommandError: it has no port yet, or nothing that runs in a pod serves it.
    """
    found = await management.client.list(INFRA_CLUSTERS, key.namespace)
    owned = [item for item in found.items if gates.owner(item, "Cluster") == key]
    told = next((gates.annotation(item, ENDPOINT_ANNOTATION) for item in owned), None)
    if not told:
        raise CommandError(
            f"cluster {key} has no port yet: `capim get clusters -n {key.namespace}` shows how far it is"
        )
    pod = (await installation.pods(management, where)).serving(rows.shard(owned[0]))
    if pod is None:
        raise CommandError(
            f"{told} cannot be reached from here, and no pod in namespace"
            f" {where.installation_namespace} serves it: name its --installation-namespace, or"
            " restart the manager with an --advertise-host that this machine reaches"
        )
    return pod["metadata"]["name"], int(told.rpartition(":")[2])


async def _check(dialer: Dialer) -> None:
    """Let nobody wait for a forward that the API server refuses.

    Raises:
        CommandError: it does; says why.
    """
    try:
        _, writer = await dialer.connect()
    except (APIError, OSError) as error:
        raise CommandError(
            f"the port cannot be forwarded: {error or 'timeout'}: you need the right to create"
            " pods/portforward there (`capim doctor` tells)"
        ) from error
    writer.close()


# --- what it is for ---


def _hand_over(config: JsonObject, wish: Wish, where: Where) -> None:
    """Print the kubeconfig, or merge it into the file."""
    if wish.file == "-":
        typer.echo(kubeconfigfile.dump(config), nl=False)
        return
    given = wish.file or where.kubeconfig or os.environ.get("KUBECONFIG", "")
    path = Path(given.split(os.pathsep)[0]) if given else default_path()
    name = config["current-context"]
    before = kubeconfigfile.merge_into(path, config, switch=wish.switch)
    typer.echo(f'Context "{name}" is in {path}.')
    if not wish.switch:
        typer.echo(f"To use it: kubectl --context {name} get nodes")
    elif before and before != name:
        typer.echo(f"It is the current one. Back: kubectl config use-context {before}")


async def _run_command(command: Sequence[str], config: JsonObject) -> int:
    """Run a command with this kubeconfig alone, and return its exit code."""
    loop = asyncio.get_running_loop()
    with tempfile.TemporaryDirectory(prefix="capim-") as folder:
        # nobody else may enter the folder
        path = Path(folder, "kubeconfig")
        kubeconfigfile.merge_into(path, config, switch=True)
        environment = {**os.environ, "KUBECONFIG": str(path)}
        try:
            process = await asyncio.create_subprocess_exec(*command, env=environment)
        except OSError as error:
            raise CommandError(f"{command[0]} cannot be run: {error.strerror}") from error
        # the terminal tells the command as well, and when that ends, so do we
        loop.add_signal_handler(signal.SIGINT, lambda: None)
        return await process.wait()


async def _interrupted() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
