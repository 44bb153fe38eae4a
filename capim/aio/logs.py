"""Structured logs, set up once a process: JSON for collectors, text for people."""

from __future__ import annotations

import logging
import sys
from typing import Final

import structlog

#: `--v` as Cluster API's managers mean it: 0 errors and warnings, 2 what happens, 4 and up each step.
_LEVELS: Final = {0: logging.WARNING, 1: logging.INFO, 2: logging.INFO, 3: logging.INFO}


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
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    structlog.contextvars.bind_contextvars(**fields)
