"""Version and health documents, and what is answered where nothing is."""

from __future__ import annotations

import orjson
import pytest

from capim.server import health, version


@pytest.mark.parametrize(
    ("git_version", "major", "minor"),
    [("v1.29.0", "1", "29"), ("v1.33.0-beta.0", "1", "33")],
)
def test_version(git_version: str, major: str, minor: str) -> None:
    body = orjson.loads(version.document(git_version))
    assert (body["gitVersion"], body["major"], body["minor"]) == (git_version, major, minor)
    assert ("emulationMinor" in body) is (minor == "33")


def test_health_is_short_unless_asked() -> None:
    assert health.document("/livez", "") == b"ok"
    assert health.document("/readyz/etcd", "verbose") == b"ok"


def test_verbose_health_names_the_excluded_and_the_unknown() -> None:
    text = health.document("/readyz", "verbose=0&exclude=etcd&exclude=b&exclude=a").decode()
    lines = text.splitlines()
    assert lines[0] == "[+]ping ok"
    assert "[+]etcd excluded: ok" in lines
    assert lines[-2].endswith('no matches for "a","b"')
    assert lines[-1] == "readyz check passed"


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("/readyz/shutdown", True),
        ("/livez/shutdown", False),
        ("/healthz/", False),
        ("/healthzz", False),
        ("/healthz/poststarthook/rbac/bootstrap-roles", True),
    ],
)
def test_checks_have_paths(path: str, known: bool) -> None:
    assert health.is_health(path) is known
