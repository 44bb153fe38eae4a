"""Settings of all unit tests."""

from __future__ import annotations

from hypothesis import settings

# How long an example takes says how busy the machine is: speed is for benchmarks to judge.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
