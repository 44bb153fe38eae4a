"""Structured logs, set up once a process: JSON for collectors, text for people."""

from __future__ import annotations

import contextlib
import logging
import re
import sys
from typing import TYPE_CHECKING, Final, TextIO, cast

import structlog

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

#: `--v` as Cluster API's managers mean it: 0 errors and warnings, 2 what happens, 4 and up each step.
_LEVELS: Final = {0: logging.WARNING, 1: logging.INFO, 2: logging.INFO, 3: logging.INFO}


#: What must never be read in a log, whoever put it there: private keys as PEM or in a Secret's base64,
#: signed tokens, bootstrap tokens, and whatever follows `Bearer`.
_SECRETS: Final = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|LS0tLS1CRUdJTi[A-Za-z0-9+/=]*"
    r"|\beyJ[\w-]{8,}\.[\w-]+\.[\w-]+"
    r"|\b[a-z0-9]{6}\.[a-z0-9]{16}\b"
    r"|(?<=[Bb]earer )[^\s\"']+",
    re.DOTALL,
)


def without_secrets(render: Processor) -> Processor:
    """Return a renderer whose lines have no key and no token in them."""

    def rendered(logger: WrappedLogger, name: str, event: EventDict) -> str:
        return _SECRETS.sub("[secret]", str(render(logger, name, event)))

    return rendered


class Lasting:
    """A stream whose reader may go: what nobody reads is dropped, and whoever logs goes on.

    Workers share the coordinator's standard error and outlive it; without this, the first line after the
    end of whoever collected the log would end a task in the middle.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Write what can be written."""
        with contextlib.suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        """Pass on what was written, if anybody is there."""
        with contextlib.suppress(OSError):
            self._stream.flush()


def configure(*, verbosity: int = 2, logging_format: str = "text", **fields: object) -> None:
    """Send logs to standard error; `fields` go into every line of this process.

    Args:
        verbosity: the value of `--v`.
        logging_format: `text` or `json`.
        fields: for example `worker="worker-0"`.
    """
    level = _LEVELS.get(verbosity, logging.DEBUG)
    render = (
        structlog.processors.JSONRenderer()
        if logging_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
            structlog.processors.format_exc_info,
            without_secrets(render),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", Lasting(sys.stderr))),
    )
    structlog.contextvars.bind_contextvars(**fields)
