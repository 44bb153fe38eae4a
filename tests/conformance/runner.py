"""Runs cases on a fake and on a real API server and compares what each answered."""

from __future__ import annotations

import contextlib
import difflib
import http.client
import itertools
import json
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import orjson

from tests.conformance.case import Answer, Case, Step, delete, get, post
from tests.conformance.client import Request, Server
from tests.conformance.masking import Masking
from tests.conformance.substitution import MissingValueError, Values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

#: every namespace gets these from controllers; a case begins when they are there
_FURNITURE: Final = ("serviceaccounts/default", "configmaps/kube-root-ca.crt")
_FURNITURE_TIMEOUT_S: Final = 5
_CONTEXT_LINES: Final = 3
#: of a case that differed beside the others
_MORE_TRIES: Final = 2


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two servers, and what its namespaces are furnished with."""

    server: Server
    furniture: tuple[str, ...]

    @classmethod
    def of(cls, server: Server) -> Side:
        """Find out what a new namespace gets there."""
        values = Values(f"cf-{secrets.token_hex(3)}-probe", "")
        with _namespace(server, values, ()):
            return cls(server, tuple(one for one in _FURNITURE if _appears(server, values, one)))


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a case went: one diff for every step that differs."""

    case: Case
    differences: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether both sides answered alike."""
        return not self.differences


class Runner:
    """Both sides, and the names of this run."""

    def __init__(self, fake: Server, real: Server) -> None:
        with ThreadPoolExecutor(2) as pool:
            self._fake, self._real = pool.map(Side.of, (fake, real))
        self._run = secrets.token_hex(3)
        self._numbers = itertools.count()

    def run_all(
        self, cases: Iterable[Case], *, threads: int, done: Callable[[Outcome], None] | None = None
    ) -> list[Outcome]:
        """Run cases side by side; `done` hears of each as it ends. The result is in the cases' order.

        A case that differs is run again in the calm after the others: a real server's controllers
        write when they get to it, and what they had no time for is no difference.
        """

        def one(case: Case) -> Outcome:
            outcome = self.run(case)
            if done is not None:
                done(outcome)
            return outcome

        with ThreadPoolExecutor(threads) as pool:
            outcomes = list(pool.map(one, cases))
        return [outcome if outcome.equal else self._again(outcome) for outcome in outcomes]

    def _again(self, outcome: Outcome) -> Outcome:
        for _ in range(_MORE_TRIES):
            if outcome.equal:
                break
            outcome = self.run(outcome.case)
        return outcome

    def run(self, case: Case) -> Outcome:
        """Run a case on both sides; the same names are used on both."""
        name = f"cf-{self._run}-{next(self._numbers)}"
        answered = [_transcript(side, case, name) for side in (self._real, self._fake)]
        found = []
        for index, (real, fake) in enumerate(itertools.zip_longest(*answered, fillvalue="")):
            if real != fake:
                found.append(_diff(f"step {index}", real, fake))
        return Outcome(case, tuple(found))


def _diff(title: str, real: str, fake: str) -> str:
    lines = difflib.unified_diff(
        real.splitlines(), fake.splitlines(), "real", "fake", n=_CONTEXT_LINES, lineterm=""
    )
    return "\n".join([f"--- {title}", *itertools.islice(lines, 2, None)])


def _transcript(side: Side, case: Case, name: str) -> list[str]:
    """Run a case on one side; returns a text a compared step."""
    values = Values(f"{name}-ns", name)
    named = "{ns}" in repr(case)
    furnished = _namespace(side.server, values, side.furniture) if named else _nothing()
    with furnished:
        try:
            return _Replay(side.server, case, values).run()
        finally:
            for path in case.cleanup:
                _try(side.server, _request(values, delete(path)))


class _Replay:
    """One run of a case on one side."""

    def __init__(self, server: Server, case: Case, values: Values) -> None:
        self._server = server
        self._case = case
        self._values = values
        names = {
            values.namespace: "<ns>",
            values.name: "<name>",
            server.address: "<server>",
        }
        self._masking = Masking(names, managed_fields=case.managed_fields)

    def run(self) -> list[str]:
        texts: list[str] = []
        for step in self._case.steps:
            label = f"{step.method} {step.path}"
            try:
                request = _request(self._values, step)
                answer, remark = self._answer(request, step)
            except (OSError, http.client.HTTPException, MissingValueError) as error:
                return [*texts, f"{label}\n{type(error).__name__}: {error}"]
            self._values.answers.append(answer)
            self._masking.learn(answer.body)
            texts.append(self._text(label + remark, answer, step) if step.compare else remark)
        return texts

    def _answer(self, request: Request, step: Step) -> tuple[Answer, str]:
        if step.events:
            return self._server.watch(
                request, step.events, step.timeout_s, lambda: self._meanwhile(step)
            ), ""
        if step.until is None:
            return self._server.send(request), ""
        answer, became = self._server.send_until(request, step.until, step.timeout_s)
        return answer, "" if became else "\nnever became as awaited; the last answer:"

    def _meanwhile(self, step: Step) -> None:
        for inner in step.during:
            self._server.send(_request(self._values, inner))

    def _text(self, label: str, answer: Answer, step: Step) -> str:
        body = self._masking.mask(answer.body, step.mask)
        shown = body if isinstance(body, str) else json.dumps(body, indent=1, sort_keys=True)
        head = f"{answer.status} {answer.content_type}"
        warnings = [self._masking.mask(f"Warning: {text}") for text in answer.warnings]
        return "\n".join([label, head, *warnings, shown])


def _request(values: Values, step: Step) -> Request:
    headers = {name: values.text(value) for name, value in step.headers.items()}
    headers["Accept"] = step.accept
    if step.body is not None:
        headers["Content-Type"] = step.content_type
    path = values.text(step.path)
    return Request(step.method, path, headers, _data(values, step.body), step.credentials)


def _data(values: Values, body: object) -> bytes | None:
    if body is None or isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return values.text(body).encode()
    return orjson.dumps(values.tree(body))


@contextlib.contextmanager
def _namespace(server: Server, values: Values, furniture: Iterable[str]) -> Iterator[None]:
    body = {"metadata": {"name": "{ns}"}}
    made = server.send(_request(values, post("/api/v1/namespaces", body)))
    if made.status != 201:
        raise ConnectionError(f"{server.address} makes no namespace: {made.body}")
    try:
        for one in furniture:
            _appears(server, values, one)
        yield
    finally:
        _try(server, _request(values, delete("/api/v1/namespaces/{ns}")))


def _appears(server: Server, values: Values, what: str) -> bool:
    request = _request(values, get("/api/v1/namespaces/{ns}/" + what))
    return server.send_until(request, lambda a: a.status == 200, _FURNITURE_TIMEOUT_S)[1]


@contextlib.contextmanager
def _nothing() -> Iterator[None]:
    yield


def _try(server: Server, request: Request) -> None:
    """Tidy up; what is gone already, with its server or without, is as good."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        server.send(request)
