from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import gc
from capim.aio.process import settle

early = [[]]
settle()
late = [[]]
known = {id(it) for it in gc.get_objects()}
print(id(early) in known, id(late) in known)
"""


def test_what_is_there_at_the_start_is_looked_at_no_more() -> None:
    told = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    assert told.stdout == "False True\n"
