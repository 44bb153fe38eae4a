"""Fakes and builders that tests of several folders share."""
