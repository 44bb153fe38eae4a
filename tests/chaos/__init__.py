"""Seeded schedules of failures against CAPIM's real processes, and what must hold after each.

An embedded management API and the stand-in play Cluster API in the runner's process; coordinator and
workers are processes that are killed, stopped and cut off while clusters are made, scaled and deleted.
The same seed draws the same schedule; `python -m tests.chaos.run --help`.
"""
