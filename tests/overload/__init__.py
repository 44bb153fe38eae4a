"""What a neighbour notices: `python -m tests.overload`. See `__main__`."""
