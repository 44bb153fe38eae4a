"""Puts a case's names and the values of earlier answers into its requests."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from tests.conformance.case import Answer

_REFERENCE: Final = re.compile(r"\{(ns|name|\d+\.[^{}]+)\}")


class MissingValueError(LookupError):
    """An earlier answer does not have the value that a step refers to."""


@dataclass(slots=True)
class Values:
    """What the references of a case stand for."""

    namespace: str
    name: str
    answers: list[Answer] = field(default_factory=list)

    def text(self, text: str) -> str:
        """Return `text` with its references replaced.

        Raises:
            MissingValueError: an earlier answer has no such value.
        """
        return _REFERENCE.sub(lambda found: str(self._look_up(found[1])), text)

    def tree(self, value: Any) -> Any:
        """Return a copy of JSON with references replaced in keys and values."""
        if isinstance(value, dict):
            return {self.text(key): self.tree(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.tree(inner) for inner in value]
        if not isinstance(value, str):
            return value
        alone = _REFERENCE.fullmatch(value)
        return self._look_up(alone[1]) if alone else self.text(value)

    def _look_up(self, reference: str) -> Any:
        if reference == "ns":
            return self.namespace
        if reference == "name":
            return self.name
        number, path = reference.split(".", 1)
        value = self.answers[int(number)].at(path) if int(number) < len(self.answers) else None
        if value is None:
            raise MissingValueError(f"no {path} in the answer of step {number}")
        return value
