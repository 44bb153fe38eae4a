"""No key and no token gets into a log line, and no line that cannot be written stops who logs."""

from __future__ import annotations

import base64
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from capim.aio import logs
from capim.certs.issue import new_key
from capim.certs.pem import dump_private_key
from capim.certs.tokens import TokenSigner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import FileIO

PEM = dump_private_key(new_key())
TOKEN = TokenSigner(new_key()).sign({"sub": "system:serviceaccount:default:robot"})


@pytest.fixture(params=["text", "json"])
def configure(request: pytest.FixtureRequest) -> Iterator[Callable[[], Any]]:
    """Give what makes a log that writes to where standard error is then."""

    def configured() -> Any:
        logs.configure(verbosity=9, logging_format=request.param)
        return structlog.get_logger("test")

    yield configured
    structlog.reset_defaults()


@pytest.mark.parametrize(
    ("value", "secret"),
    [
        pytest.param(PEM.decode(), PEM.decode().splitlines()[1], id="pem"),
        pytest.param(PEM, PEM.decode().splitlines()[1], id="bytes"),
        pytest.param(
            {"data": {"tls.key": base64.b64encode(PEM).decode()}},
            base64.b64encode(PEM).decode()[60:120],
            id="secret",
        ),
        pytest.param(f"Authorization: Bearer {TOKEN}", TOKEN.split(".")[2], id="header"),
        pytest.param([TOKEN], TOKEN.split(".")[1], id="token"),
        pytest.param("bearer opaque-secret", "opaque-secret", id="opaque"),
        pytest.param("token abcdef.0123456789abcdef", "0123456789abcdef", id="bootstrap"),
        pytest.param(PEM.decode()[:120], PEM.decode()[60:110], id="cut-off"),
    ],
)
def test_secrets_are_left_out(
    configure: Callable[[], Any], value: Any, secret: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure().info("told", cluster="default/c1", what=value)
    line = capsys.readouterr().err
    assert "[secret]" in line
    assert "default/c1" in line
    assert secret not in line


def test_secrets_in_a_traceback_are_left_out(
    configure: Callable[[], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        raise ValueError(f"cannot use {PEM.decode()}")
    except ValueError:
        configure().exception("failed")
    shown = capsys.readouterr().err
    assert "cannot use [secret]" in shown


def test_what_is_no_secret_stays(
    configure: Callable[[], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    configure().info(
        "listener opened", cluster="default/c1", port=20000, version="v1.35.0", uid="a.b"
    )
    line = capsys.readouterr().err
    assert "secret" not in line
    assert "20000" in line


def test_a_log_that_nobody_reads_any_more_stops_nobody(
    configure: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb", buffering=0) as raw:
        monkeypatch.setattr(sys, "stderr", _Unbuffered(raw))
        log = configure()
        log.warning("somebody reads")
        os.close(reader)
        log.warning("nobody reads")
        log.warning("nobody reads still")


class _Unbuffered:
    """Standard error as Python makes it: every line goes out at once."""

    def __init__(self, raw: FileIO) -> None:
        self._raw = raw

    def write(self, text: str) -> None:
        self._raw.write(text.encode())

    def flush(self) -> None:
        self._raw.flush()

    def isatty(self) -> bool:
        return False
