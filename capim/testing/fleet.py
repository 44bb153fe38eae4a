"""A worker in a thread, and the clusters it holds, as a test sees them.

The thread has the event loop; the test's thread sends commands as a coordinator would and reads what was
reported under one lock. Nothing here waits without a limit.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import ssl
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlsplit

import orjson
import uvloop

from capim.aio.clock import wall_clock
from capim.aio.tasks import TaskScope
from capim.api import infrastructure as infra
from capim.api.gvk import NamespacedName
from capim.api.meta import format_time
from capim.api.workload import Authorization, ListenerState, Phase, Simulation
from capim.messaging import envelope as m
from capim.testing.specs import Authorities, cluster_spec, free_port, kubeconfig, machine_spec
from coordinator.controllers.faultplan import aimed, declared
from workers.app import Worker, WorkerOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from capim.api.meta import JsonObject
    from capim.api.workload import ClusterSpec, MachineSpec
    from capim.messaging.codec import Message

_EPOCH: Final = 1
_NAMESPACE: Final = "default"
#: as a coordinator's, so that hits are told as often
_HEARTBEAT_S: Final = 0.2
_FOR_EVER_S: Final = 1e9
_PATIENCE_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a cluster's API answered."""

    status: int
    body: bytes

    def json(self) -> JsonObject:
        """Decode the body."""
        decoded: JsonObject = orjson.loads(self.body)
        return decoded


class _Link:
    """The worker's side of a connection that is none."""

    def __init__(self, on_report: Callable[[Message], None]) -> None:
        self._on_report = on_report

    def send(self, message: Message) -> None:
        """Hand a report over."""
        self._on_report(message)

    def close(self) -> None:
        """Say nothing any more."""
        self._on_report = lambda report: None


@dataclass(slots=True)
class _Seen:
    """What the worker has reported. Guarded by the fleet's condition."""

    open: set[NamespacedName] = field(default_factory=set)
    done: dict[tuple[NamespacedName, str], Mapping[Phase, float]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)  #: uids of clusters
    hits: dict[str, int] = field(default_factory=dict)  #: by uid of the fault


class Fleet:
    """Clusters on a worker of this process. Made by `fleet()`."""

    def __init__(self, folder: Path, simulation: Simulation) -> None:
        self.folder = folder  #: of kubeconfigs
        self._simulation = simulation
        self._seen = _Seen()
        self._changed = threading.Condition()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._deliver: Callable[[Message], None] = lambda message: None
        self._stop = asyncio.Event()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="capim fleet", daemon=True)
        self._uids = 0

    # --- for tests ---

    def cluster(
        self,
        name: str,
        *,
        control_planes: int = 1,
        workers: int = 1,
        version: str = "v1.35.0",
        startup_s: Mapping[str, float] | None = None,
    ) -> Cluster:
        """Make a cluster and wait until all its machines run.

        Args:
            name: of the cluster, in the namespace `default`.
            control_planes: how many machines `<name>-cp-0` and on.
            workers: how many machines `<name>-md-0` and on.
            version: of Kubernetes.
            startup_s: how long machines take for their phases, in seconds: `vm`, `node`, `etcd`,
                `apiServer`; left out, no time.
        """
        cluster = Cluster(self, cluster_spec(name, self.uid(), free_port()))
        self.tell(m.EnsureCluster(_EPOCH, cluster.spec))
        names = [f"{name}-cp-{number}" for number in range(control_planes)]
        for one in [*names, *(f"{name}-md-{number}" for number in range(workers))]:
            cluster.add_machine(
                one, control_plane=one in names, version=version, startup_s=startup_s
            )
        cluster.wait_until_ready()
        return cluster

    # --- for clusters ---

    def uid(self) -> str:
        """Return a uid that no other object of this fleet has."""
        self._uids += 1
        return f"{self._uids:08x}-0000-4000-8000-000000000000"

    def tell(self, command: m.Command) -> None:
        """Give the worker a command."""
        if self._loop is None:
            raise RuntimeError("the fleet does not run")
        self._loop.call_soon_threadsafe(self._deliver, command)

    def wait(self, condition: Callable[[_Seen], bool], what: str, timeout_s: float) -> None:
        """Wait until the worker has reported something. Raises TimeoutError, naming `what`."""
        with self._changed:
            if not self._changed.wait_for(lambda: condition(self._seen), timeout_s):
                raise TimeoutError(f"{what}: not within {timeout_s:g} s")

    def look(self, view: Callable[[_Seen], Any]) -> Any:
        """Return something of what the worker has reported."""
        with self._changed:
            return view(self._seen)

    # --- the thread ---

    def start(self) -> None:
        """Start the worker."""
        self._thread.start()
        if not self._started.wait(_PATIENCE_S):
            raise TimeoutError("the worker did not start")

    def stop(self) -> None:
        """Close every cluster and end the worker."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(_PATIENCE_S)

    def _run(self) -> None:
        uvloop.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        async with TaskScope() as scope:
            worker = Worker(_options(self._simulation, self.folder), scope, connect=self._connect)
            worker.start()
            self._deliver(m.Welcome(_EPOCH, "testing", _FOR_EVER_S))
            self._deliver(m.Sync(_EPOCH, (), ()))
            scope.spawn(self._beat(), name="heartbeat")
            self._started.set()
            await self._stop.wait()
            await worker.stop()

    def _connect(self, on_message: Callable[[Message], None], _: Callable[[], None]) -> _Link:
        self._deliver = on_message
        return _Link(self._reported)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(_HEARTBEAT_S)
            self._deliver(m.Ping(_EPOCH))

    def _reported(self, report: Message) -> None:
        with self._changed:
            seen = self._seen
            match report:
                case m.ListenerChanged(status=status):
                    if status.state is ListenerState.OPEN:
                        seen.open.add(status.cluster)
                    else:
                        seen.open.discard(status.cluster)
                case m.MachineProgressed(progress=progress):
                    seen.done[progress.cluster, progress.name] = progress.done
                case m.ClusterGone():
                    seen.gone.add(report.uid)
                case m.FaultsActed():
                    for uid, count in report.hits:
                        seen.hits[uid] = seen.hits.get(uid, 0) + count
                case _:
                    return  # nobody waits for it
            self._changed.notify_all()


@contextlib.contextmanager
def fleet(simulation: Simulation | str = Simulation.PODS) -> Iterator[Fleet]:
    """Run a worker in a thread for the time of a `with` block.

    Args:
        simulation: what runs behind workloads: `off`, `status` or `pods`.
    """
    with tempfile.TemporaryDirectory(prefix="capim-testing-") as folder:
        made = Fleet(Path(folder), Simulation(simulation))
        made.start()
        try:
            yield made
        finally:
            made.stop()


def _options(simulation: Simulation, folder: Path) -> WorkerOptions:
    return WorkerOptions(
        name="testing",
        connect="",
        runtime_dir=folder,
        bind_host="127.0.0.1",
        verbosity=0,
        logging_format="text",
        workload_simulation=simulation,
        workload_authorization=Authorization.ALWAYS_ALLOW,
    )


class Cluster:
    """One fake cluster."""

    def __init__(self, fleet: Fleet, made: tuple[ClusterSpec, Authorities]) -> None:
        self.spec, authorities = made
        self.name = self.spec.key.name
        self.server = f"https://{self.spec.endpoint}"
        self._fleet = fleet
        self._machines: dict[str, MachineSpec] = {}
        self._faults: dict[str, JsonObject] = {}
        self._client, text = kubeconfig(self.spec, authorities)
        self.kubeconfig = fleet.folder / f"{self.name}.kubeconfig"  #: of an administrator
        self.kubeconfig.touch(mode=0o600)
        self.kubeconfig.write_bytes(text)

    @property
    def machines(self) -> list[str]:
        """Names of the machines, which their Nodes have too."""
        return list(self._machines)

    def add_machine(
        self,
        name: str,
        *,
        control_plane: bool = False,
        version: str = "v1.35.0",
        failure_domain: str = "",
        startup_s: Mapping[str, float] | None = None,
    ) -> None:
        """Let a machine come up."""
        spec = machine_spec(
            self.spec.key,
            name,
            self._fleet.uid(),
            control_plane=control_plane,
            version=version,
            failure_domain=failure_domain,
            startup_s=startup_s or {},
        )
        self._machines[name] = spec
        self._fleet.tell(m.EnsureMachine(_EPOCH, spec))
        if self._faults:
            self._tell_faults()

    def remove_machine(self, name: str) -> None:
        """Let a machine go, with its Node and all that ran on it."""
        spec = self._machines.pop(name)
        self._fleet.tell(m.RemoveMachine(_EPOCH, self.spec.key, name, spec.uid))

    def wait_until_ready(self, timeout_s: float = _PATIENCE_S) -> None:
        """Wait until every machine runs and the port is open. Raises TimeoutError."""
        key = self.spec.key
        wanted = {
            name: set(Phase) if spec.control_plane else {Phase.VM, Phase.NODE}
            for name, spec in self._machines.items()
        }

        def ready(seen: _Seen) -> bool:
            return key in seen.open and all(
                phases <= seen.done.get((key, name), {}).keys() for name, phases in wanted.items()
            )

        self._fleet.wait(ready, f"cluster {self.name} ready", timeout_s)

    def request(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """Ask the cluster's API as its administrator; a patch is a merge patch. Raises OSError."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            kind = "merge-patch+json" if method == "PATCH" else "json"
            named.setdefault("Content-Type", f"application/{kind}")
        address = urlsplit(self.server)
        connection = http.client.HTTPSConnection(
            address.hostname or "", address.port, context=self._context(), timeout=_PATIENCE_S
        )
        with contextlib.closing(connection):
            data = None if body is None else orjson.dumps(body)
            connection.request(method, path, data, {"Accept": "application/json", **named})
            response = connection.getresponse()
            return Answer(response.status, response.read())

    def fault(self, **spec: Any) -> DeclaredFault:
        """Let the cluster suffer what an InMemoryFault's spec says, until `heal`, or with `with`.

        Raises:
            ValueError: the spec is not one; the message names the field.
        """
        uid = self._fleet.uid()
        obj = {
            "apiVersion": infra.API_VERSION,
            "kind": infra.FAULT_KIND,
            "metadata": {
                "name": f"fault-{uid[:8]}",
                "namespace": _NAMESPACE,
                "uid": uid,
                "creationTimestamp": format_time(wall_clock()),
            },
            "spec": spec,
        }
        obj = infra.default(obj)
        if causes := infra.validate_create(obj):
            raise ValueError("; ".join(f"{path}: {message}" for path, message in causes))
        self._faults[uid] = obj
        self._tell_faults()
        return DeclaredFault(self, uid)

    def heal(self, uid: str) -> None:
        """End a fault."""
        if self._faults.pop(uid, None) is not None:
            self._tell_faults()

    def hits(self, uid: str) -> int:
        """Return how often a fault has acted, as far as it was told: twice a second or more."""
        return int(self._fleet.look(lambda seen: seen.hits.get(uid, 0)))

    def wait_for_hits(self, uid: str, count: int, timeout_s: float) -> None:
        """Wait until a fault has acted so often. Raises TimeoutError."""
        what = f"{count} hits of a fault of {self.name}"
        self._fleet.wait(lambda seen: seen.hits.get(uid, 0) >= count, what, timeout_s)

    def delete(self) -> None:
        """Close the cluster and forget all that was in it."""
        self._fleet.tell(m.RemoveCluster(_EPOCH, self.spec.key, self.spec.uid))
        gone = self.spec.uid
        self._fleet.wait(lambda seen: gone in seen.gone, f"cluster {self.name} gone", _PATIENCE_S)

    def _tell_faults(self) -> None:
        machines = [
            {"metadata": {"name": name}, "spec": {"failureDomain": spec.failure_domain}}
            for name, spec in self._machines.items()
        ]
        named = {obj["metadata"]["name"]: declared(obj) for obj in self._faults.values()}
        cluster: JsonObject = {"metadata": {"name": self.name, "namespace": _NAMESPACE}}
        faults = aimed(named, cluster, machines, wall_clock())
        self._fleet.tell(m.SetFaults(_EPOCH, self.spec.key, faults))

    def _context(self) -> ssl.SSLContext:
        ca = self.spec.ca
        context = ssl.create_default_context(cadata=ca.certificate.decode() if ca else None)
        path = self.kubeconfig.with_suffix(".pem")
        path.touch(mode=0o600)
        path.write_bytes(self._client.certificate + self._client.key)
        context.load_cert_chain(path)
        return context


class DeclaredFault:
    """A fault that a cluster suffers."""

    def __init__(self, cluster: Cluster, uid: str) -> None:
        self._cluster = cluster
        self.uid = uid

    @property
    def hits(self) -> int:
        """How often it has acted, as far as is known yet."""
        return self._cluster.hits(self.uid)

    def wait_for_hits(self, count: int = 1, timeout_s: float = 10.0) -> None:
        """Wait until it has acted so often. Raises TimeoutError."""
        self._cluster.wait_for_hits(self.uid, count, timeout_s)

    def heal(self) -> None:
        """End it; again is allowed."""
        self._cluster.heal(self.uid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.heal()
