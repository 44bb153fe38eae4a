"""Runs first in CAPIM's processes, where chaos asks for it: their clock is set, their messages go astray.

How much, `tests.chaos.trouble` writes into a file that is mapped here.
"""

import os
import time

_FILE = os.environ.get("CAPIM_CHAOS_TROUBLE", "")

if _FILE:
    from tests.chaos.trouble import Trouble, disturb_sockets

    _trouble = Trouble(_FILE)
    _time = time.time  # noqa: TID251 - it is this clock that is set
    time.time = lambda: _time() + _trouble.clock_s  # noqa: TID251
    disturb_sockets(_trouble)
