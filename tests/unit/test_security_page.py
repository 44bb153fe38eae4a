"""The page on security: what it points at exists."""

from __future__ import annotations

import re
from pathlib import Path

from coordinator.options import FLAGS

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")


def test_what_the_page_points_at_exists() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", PAGE):
        assert (ROOT / target).exists(), target


def test_the_flags_it_names_are_the_managers() -> None:
    named = set(re.findall(r"`--([a-z-]+)", PAGE))
    assert named <= {flag.flag for flag in FLAGS}
