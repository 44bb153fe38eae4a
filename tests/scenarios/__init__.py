"""Real Cluster API controllers while clusters suffer: what they are expected to do, and whether they do it.

Run by hand: `python -m tests.scenarios --line 1.14 -k etcd`. All scenarios of a line run at once, each on a
cluster of its own, on one testbed of the end-to-end tests.
"""
