"""Tests of CAPIM."""
