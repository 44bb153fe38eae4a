"""Tests of `capim.embedded`."""
