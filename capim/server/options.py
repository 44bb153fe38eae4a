"""Options of writes, from their query: what they may be, and how a real server refuses the rest. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from capim.api.errors import invalid_options
from capim.server.routes import values_of

if TYPE_CHECKING:
    from capim.server.routes import Query

Cause = tuple[str, str]

_MANAGER_LIMIT_BYTES: Final = 128
_ESCAPES: Final = dict(zip(range(7, 14), "abtnvfr", strict=True))
_VALIDATIONS: Final = frozenset({"", "Ignore", "Strict", "Warn"})


def check_write(kind: str, query: Query, *, apply: bool = False) -> bool:
    """Check the options of a create, update or patch; return whether the write is only tried.

    Args:
        kind: CreateOptions, UpdateOptions or PatchOptions.
        query: where they are.
        apply: they are of a server-side apply.

    Raises:
        APIError: 422, with every option that cannot be.
    """
    if not query and not apply:
        return False
    causes = _patch_causes(query, apply=apply) if kind == "PatchOptions" else []
    causes += _manager_causes(query.get("fieldManager", ""))
    tried = values_of(query, "dryRun")
    causes += dry_run_causes(tried)
    validation = query.get("fieldValidation", "")
    if validation not in _VALIDATIONS:
        listed = ", ".join(f'"{it}"' for it in sorted(_VALIDATIONS))
        why = f'Unsupported value: "{validation}": supported values: {listed}'
        causes.append(("fieldValidation", why))
    if causes:
        raise invalid_options(kind, causes)
    return bool(tried)


def dry_run_causes(values: list[Any]) -> list[Cause]:
    """Return what is wrong with a list of dry runs."""
    if all(value == "All" for value in values):
        return []
    shown = orjson.dumps(values).decode()
    return [("dryRun", f'Unsupported value: {shown}: supported values: "All"')]


def _patch_causes(query: Query, *, apply: bool) -> list[Cause]:
    if apply and not query.get("fieldManager"):
        return [("fieldManager", "Required value: is required for apply patch")]
    if apply or "force" not in query:
        return []
    return [("force", "Forbidden: may not be specified for non-apply patch")]


def _manager_causes(manager: str) -> list[Cause]:
    causes = []
    if len(manager.encode()) > _MANAGER_LIMIT_BYTES:
        why = f"Too long: may not be more than {_MANAGER_LIMIT_BYTES} bytes"
        causes.append(("fieldManager", why))
    odd = next((at for at, char in enumerate(manager) if not char.isprintable()), None)
    if odd is not None:
        char = ord(manager[odd])
        quoted = "".join(c if c.isprintable() else _escaped(c) for c in manager)
        why = f'Invalid value: "{quoted}": invalid character U+{char:04X} (at position {odd})'
        causes.append(("fieldManager", why))
    return causes


def _escaped(char: str) -> str:
    code = ord(char)
    if code in _ESCAPES:
        return f"\\{_ESCAPES[code]}"
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}"
