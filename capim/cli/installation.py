"""CAPIM as it runs in, or beside, a management cluster: its pods, and what its debug endpoint says."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from capim.api.errors import APIError
from capim.api.gvk import GVR
from capim.api.meta import JsonObject
from capim.cli.commandline import CommandError
from capim.dialer import Dialer, forwarded_port
from coordinator.kube.leader import LEASES
from coordinator.options import OptionError, Options, parse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from capim.cli.commandline import Where
    from capim.cli.management import Management

PODS: Final = GVR("", "v1", "pods")
_PROVIDER: Final = "cluster.x-k8s.io/provider=infrastructure-in-memory"
_ROLE_LABEL: Final = "control-plane"
_MANAGER_ROLE: Final = "controller-manager"
_TIMEOUT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Pods:
    """The pods of an installation that run, by name."""

    managers: tuple[JsonObject, ...] = ()
    workers: tuple[JsonObject, ...] = ()

    def all(self) -> tuple[JsonObject, ...]:
        """Return the managers, then the workers."""
        return (*self.managers, *self.workers)

    def serving(self, worker: str) -> JsonObject | None:
        """Return the pod in which a worker runs: its own, or the manager's."""
        own = (pod for pod in self.workers if pod["metadata"]["name"] == worker)
        return next(own, self.managers[0] if self.managers else None)


async def pods(management: Management, where: Where) -> Pods:
    """Find the pods; a server that has no pods, or shows us none, has none."""
    try:
        found = await management.client.list(PODS, where.installation_namespace, labels=_PROVIDER)
    except APIError as error:
        if error.code not in {403, 404}:
            raise
        return Pods()
    running = [pod for pod in found.items if (pod.get("status") or {}).get("phase") == "Running"]
    running.sort(key=lambda pod: str(pod["metadata"]["name"]))
    managers = [pod for pod in running if _role(pod) == _MANAGER_ROLE]
    return Pods(tuple(managers), tuple(pod for pod in running if pod not in managers))


def _role(pod: JsonObject) -> str:
    return str((pod["metadata"].get("labels") or {}).get(_ROLE_LABEL, ""))


async def ask(management: Management, where: Where, path: str) -> Any:
    """Return the JSON that the manager's debug endpoint has at a path.

    Raises:
        CommandError: it cannot be reached; says what was tried.
    """
    async with _debug_address(management, where) as address:
        return await _get(f"http://{address}{path}")


async def _get(url: str) -> Any:
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as response:
            response.raise_for_status()
            return await response.json()
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise CommandError(
            f"no manager answers at {url}: {error or 'timeout'}: name its --debug-address, or the"
            " --installation-namespace of its pod"
        ) from error


@contextlib.asynccontextmanager
async def _debug_address(management: Management, where: Where) -> AsyncIterator[str]:
    """Find the manager: as we are told, as the kubeconfig says, in its pod, or on this machine."""
    told = where.debug_address or management.local.get("debugAddress")
    managers = () if told else (await pods(management, where)).managers
    if told:
        yield str(told)
    elif managers:
        name, address = managers[0]["metadata"]["name"], debug_address_of(managers[0])
        port = int(address.rpartition(":")[2])
        dialer = Dialer(management.api, where.installation_namespace, name, port)
        async with forwarded_port(dialer) as local:
            yield f"127.0.0.1:{local}"
    else:
        address = Options().debug_address
        await _check_ours(management, where, address)
        yield address


def debug_address_of(pod: JsonObject) -> str:
    """Return the debug address that a manager's pod was told, or its default."""
    (container, *_) = pod["spec"]["containers"]
    words = [word for word in container.get("args") or () if word.startswith("--debug-address")]
    try:
        return parse([*words, "--advertise-host=any"], {}).debug_address
    except OptionError:
        return Options().debug_address


async def _check_ours(management: Management, where: Where, address: str) -> None:
    """Let no other management cluster's manager on this machine answer for this one's."""
    answer = await _get(f"http://{address}/shards")
    namespaces = {"default", where.installation_namespace}
    lists = await asyncio.gather(*(management.client.list(LEASES, it) for it in namespaces))
    ours = {lease["metadata"]["uid"] for leases in lists for lease in leases.items}
    if answer["manager"]["installation"] not in ours:
        raise CommandError(
            f"the manager at {address} is of another management cluster: name ours by --debug-address"
        )
