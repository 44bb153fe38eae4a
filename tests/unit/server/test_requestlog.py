"""The line each request leaves for whoever studies a client, and that it is off by default."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import structlog.testing

from capim.server.requestlog import request_log
from tests.support.served import ask, connected, running

_HEADERS = {
    "Accept": "application/json",
    "Content-Type": "application/json",
    "User-Agent": "manager/v1.14.2 cluster-api-controller-manager",
}


def _lines(verbosity: int) -> list[dict[str, Any]]:
    """Send one request to a server whose worker runs with `--v` and return what it logs."""

    async def run() -> None:
        async with running(request_log=request_log(verbosity)) as served:
            context = served.client_context(groups=("system:masters",))

            def send() -> None:
                with connected(served.listener.port, context) as connection:
                    path = "/api/v1/namespaces/default/configmaps?dryRun=All"
                    body = {"metadata": {"name": "a"}, "data": {"password": "of somebody"}}
                    assert ask(connection, "POST", path, body, **_HEADERS).status == 201

            await asyncio.to_thread(send)

    with structlog.testing.capture_logs() as lines:
        asyncio.run(run())
    return [dict(line) for line in lines if line["event"] == "request"]


def test_a_request_leaves_a_line_without_its_body() -> None:
    assert _lines(6) == [
        {
            "event": "request",
            "log_level": "debug",
            "cluster": "default/demo",
            "method": "POST",
            "path": "/api/v1/namespaces/default/configmaps",
            "query": "dryRun=All",
            "code": 201,
            "content_type": _HEADERS["Content-Type"],
            "accept": _HEADERS["Accept"],
            "agent": _HEADERS["User-Agent"],
        }
    ]


@pytest.mark.parametrize("verbosity", [2, 5])
def test_requests_leave_nothing_below_six(verbosity: int) -> None:
    assert _lines(verbosity) == []


def test_a_call_of_etcd_leaves_its_method() -> None:
    log = request_log(6)
    assert log is not None
    with structlog.testing.capture_logs() as lines:
        log.etcd_called("default/demo", "MemberList")
    assert lines == [
        {"event": "request", "log_level": "debug", "cluster": "default/demo", "etcd": "MemberList"}
    ]
