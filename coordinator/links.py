"""The sockets to all workers: a Unix socket for those of this host, TCP with CURVE keys for the others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from capim.messaging.keys import COORDINATOR, load_pair, load_public
from capim.messaging.sockets import CoordinatorSocket

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from capim.messaging.codec import Message


class LinkOptions(Protocol):
    """What of the manager's options concerns workers on other hosts."""

    @property
    def remote_workers(self) -> Sequence[tuple[str, str]]:
        """Name and advertised host of each."""

    @property
    def worker_listen(self) -> str:
        """The address they connect to, `tcp://HOST:PORT`."""

    @property
    def worker_keys(self) -> str:
        """The folder of the keys."""


class Links:
    """Sends to any worker and hears them all. One loop, no lock."""

    def __init__(
        self,
        options: LinkOptions,
        address: str,
        on_message: Callable[[str, Message], None],
        on_gap: Callable[[str], None],
    ) -> None:
        """Bind; `address` is the Unix socket's. `on_gap`: something that a worker said was lost.

        Raises:
            ValueError: an address cannot be bound or a key cannot be read; the message has the fix.
        """
        self._remote_names = frozenset(name for name, _ in options.remote_workers)
        self._on_message = on_message
        self._on_gap = on_gap
        self._local = CoordinatorSocket(address, self._from_local, on_gap=self._gap_of_local)
        try:
            self._remote = self._open_remote(options) if self._remote_names else None
        except ValueError:
            self._local.close()
            raise

    def _open_remote(self, options: LinkOptions) -> CoordinatorSocket:
        folder = Path(options.worker_keys)
        return CoordinatorSocket(
            options.worker_listen,
            self._on_message,
            on_gap=self._on_gap,
            keys=load_pair(folder, COORDINATOR),
            admitted={name: load_public(folder, name) for name in sorted(self._remote_names)},
        )

    def _from_local(self, worker: str, message: Message) -> None:
        if worker not in self._remote_names:
            self._on_message(worker, message)

    def _gap_of_local(self, worker: str) -> None:
        if worker not in self._remote_names:
            self._on_gap(worker)

    def send(self, worker: str, message: Message) -> None:
        """Send to one worker.

        Raises:
            PeerGoneError: no worker of this name is connected.
            PeerBusyError: its queue is full.
        """
        remote = self._remote if worker in self._remote_names else None
        (remote or self._local).send(worker, message)

    def close(self) -> None:
        """Close the sockets; messages on their way have half a second to leave."""
        self._local.close()
        if self._remote is not None:
            self._remote.close()
