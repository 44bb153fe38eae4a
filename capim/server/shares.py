"""One cluster's share of the loop, so that a busy one does not keep the others waiting.

All clusters of a worker have one loop. What a connection brings is done at once, until its cluster has
used up what it may use; the rest then stands in a line of the cluster, of which a little is done in
each turn of the loop, between looks at everybody's sockets. The others wait for a fraction of a
millisecond. Where no other cluster has had work of late, a busy one goes on without a line: that costs
a sixth of a GET.

What would make one step long is cut: input into slices, pipelined requests into one at a time, large
answers into pieces. What cannot be cut, such as checking an object of fifty thousand labels, is bounded
over time: a client whose long steps come to more than `BURST_S` is told to come later, and may have a
hundredth of the time from then on. One loop, no lock.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

#: what a cluster may use before it lets the others in: some ten GETs
BUDGET_S: Final = 0.0003
#: connections of one client that may stand in line; --max-requests-inflight of a kube-apiserver
IN_FLIGHT_LIMIT: Final = 400
#: a step that others notice, and how much of such steps a client may have at once: it is enough for the
#: CustomResourceDefinitions of a whole platform
LONG_S: Final = 0.004
BURST_S: Final = 5.0
#: and how much of the time from then on: less than what a p99 notices
_LONG_SHARE: Final = 0.01
#: how often at most the thread's time is looked at, which is a system call
_LOOK_S: Final = 0.001
#: how long a cluster minds another that had work
_SHARED_S: Final = 1.0
_DEBTORS: Final = 100
#: input that waits before no more is read from a client
LATE_BYTES: Final = 16 << 10


class Turns:
    """Which clusters of a process have had work of late, and what CPU time all of it took."""

    def __init__(self, shared_until: float = 0.0) -> None:
        """Begin with one cluster; `shared_until`: infinity where there are always others."""
        self.last: Share | None = None  #: who used the loop last
        self._shared_until = shared_until
        self._cpu_s = 0.0  #: what the thread had used when it was last looked at
        self._looked_at = 0.0

    def note(self, share: Share) -> None:
        """Note that the loop went from one cluster to another."""
        if self.last is not None:
            self._shared_until = max(self._shared_until, time.perf_counter() + _SHARED_S)
        self.last = share

    def is_alone(self) -> bool:
        """Tell whether one cluster alone has had work of late."""
        return time.perf_counter() > self._shared_until

    def look(self) -> None:
        """Note what CPU time the thread has used, not more often than that is worth."""
        if (now := time.perf_counter()) > self._looked_at + _LOOK_S:
            self._looked_at, self._cpu_s = now, time.thread_time()

    def used_since(self) -> float:
        """Return the CPU time since the last look, which is now, in seconds."""
        before, self._cpu_s = self._cpu_s, time.thread_time()
        return self._cpu_s - before


class Share:
    """What one cluster has used of the loop, and who waits for more.

    `turns`: of the process; None: there are always others.
    """

    __slots__ = (
        "_line",
        "_spent_s",
        "_turning",
        "_turns",
        "debts",
        "in_line",
        "resting",
    )

    def __init__(self, turns: Turns | None = None) -> None:
        self._turns = turns or Turns(math.inf)
        self._turning = False  #: what stands in line is being done
        self.resting = False  #: nothing more of this cluster is done in this turn
        self.in_line: dict[str, int] = {}  #: connections that wait, by client
        self.debts: dict[
            str, tuple[float, float]
        ] = {}  #: long steps in seconds, and when, by client
        self._spent_s = 0.0
        self._line: deque[Callable[[], None]] = deque()

    def charge(self, seconds: float, client: str) -> None:
        """Note what was used; above the budget the cluster rests until the loop has gone round."""
        turns = self._turns
        if turns.last is not self:
            turns.note(self)
        self._spent_s += seconds
        if self._spent_s <= BUDGET_S:
            return
        alone = turns.is_alone()
        if seconds > LONG_S and not alone:
            self._owe(client, seconds)
        if self._turning or not alone:
            self._rest()
        else:
            self._begin_turn()

    def soon(self, step: Callable[[], None]) -> None:
        """Do this in one of the next turns; it charges what it uses."""
        self._line.append(step)
        self._rest()

    def refuses(self, client: str) -> bool:
        """Tell whether this client has to come later."""
        if self.in_line.get(client, 0) >= IN_FLIGHT_LIMIT:
            return True
        return client in self.debts and self._owed(client, time.perf_counter()) > BURST_S

    def _owed(self, client: str, now: float) -> float:
        seconds, at = self.debts.get(client, (0.0, now))
        return max(seconds - (now - at) * _LONG_SHARE, 0.0)

    def _owe(self, client: str, seconds: float) -> None:
        # on a busy machine a step may take long because others had the core: that is nobody's fault
        used_s = min(seconds, self._turns.used_since())
        if used_s <= LONG_S:
            return
        now = time.perf_counter()
        if len(self.debts) >= _DEBTORS:
            self.debts = {it: self.debts[it] for it in self.debts if self._owed(it, now) > 0}
        self.debts[client] = (self._owed(client, now) + used_s, now)

    def _rest(self) -> None:
        if self.resting:
            return
        self.resting = True
        asyncio.get_running_loop().call_soon(self._turn)

    def _begin_turn(self) -> None:
        self._spent_s = 0.0
        self._turns.look()

    def _turn(self) -> None:
        self.resting = False
        self._begin_turn()
        line, self._turning = self._line, True
        while line and not self.resting:
            line.popleft()()
        self._turning = False


class Pace:
    """One connection's place in its cluster's share.

    `client` is who stands in line: a user, or an address. `step` does a little of what is to be done
    and tells whether more of it can be done now.
    """

    __slots__ = ("_at", "_in_line", "_late", "_step", "client", "share")

    def __init__(self, share: Share, client: str, step: Callable[[], bool]) -> None:
        self.share = share
        self.client = client
        self._step = step
        self._late = b""
        self._at = 0  #: what of `_late` was taken
        self._in_line = False

    @property
    def late(self) -> int:
        """How many bytes of input wait."""
        return len(self._late) - self._at

    @property
    def in_line(self) -> bool:
        """Whether this connection's turn is to come."""
        return self._in_line

    @property
    def refused(self) -> bool:
        """Whether this client has to come later."""
        share = self.share
        return bool(share.in_line or share.debts) and share.refuses(self.client)

    def charge(self, seconds: float) -> None:
        """Note what this connection has used."""
        self.share.charge(seconds, self.client)

    def keep(self, data: bytes) -> None:
        """Keep input until it is this connection's turn."""
        self._late = self._late[self._at :] + data
        self._at = 0
        self.line_up()

    def cut(self, size: int) -> bytes:
        """Take the next of what was kept."""
        piece = self._late[self._at : self._at + size]
        self._at += len(piece)
        return piece

    def drop(self) -> None:
        """Forget what was kept: the connection is gone."""
        self._late, self._at = b"", 0

    def line_up(self) -> None:
        """Go on when the cluster's turn comes."""
        if not self._in_line:
            self._in_line = True
            self.share.in_line[self.client] = self.share.in_line.get(self.client, 0) + 1
            self.share.soon(self._go_on)

    def _go_on(self) -> None:
        started = time.perf_counter()
        more = self._step()
        self._in_line = False
        left = self.share.in_line[self.client] - 1
        if left:
            self.share.in_line[self.client] = left
        else:
            del self.share.in_line[self.client]
        self.charge(time.perf_counter() - started)
        if more:
            self.line_up()
