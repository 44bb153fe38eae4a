"""Mutated bytes for everything that reads a client's bytes; see `run`."""
