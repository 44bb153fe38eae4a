"""What all patches share: the error they raise, and JSON values copied and compared."""

from __future__ import annotations

from typing import Any, Final

BAD_REQUEST: Final = 400
UNPROCESSABLE: Final = 422


class PatchError(ValueError):
    """A patch that is malformed (code 400) or does not fit the object (code 422)."""

    def __init__(self, message: str, *, code: int = UNPROCESSABLE) -> None:
        super().__init__(message)
        self.code = code  #: the HTTP code a Kubernetes API server answers with


def copied(value: Any) -> Any:
    """Return a deep copy of a JSON value."""
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [copied(item) for item in value]
    return value


def same(left: Any, right: Any) -> bool:
    """Compare JSON values: unlike Python, true is not 1; like RFC 6902, 1 is 1.0."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return isinstance(left, bool) is isinstance(right, bool) and bool(left == right)
