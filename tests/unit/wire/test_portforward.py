from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capim.wire.portforward import (
    PAIR_TIMEOUT_S,
    Pair,
    Pairing,
    Rejected,
    failure_text,
    pair_headers,
    parse_port,
    refused_reason,
)

NOW = 1_000.0


def headers(kind: str, request_id: str | None = "7", port: str = "2379") -> dict[str, str]:
    found = {"streamtype": kind, "port": port}
    return found if request_id is None else {**found, "requestid": request_id}


@pytest.mark.parametrize(
    "order", [("error", "data"), ("data", "error")], ids=["error-first", "data-first"]
)
def test_two_streams_of_one_request_are_a_pair(order: tuple[str, str]) -> None:
    pairing = Pairing()
    assert pairing.opened(1, headers(order[0]), NOW) is None
    pair = pairing.opened(3, headers(order[1]), NOW)
    ids = dict(zip(order, (1, 3), strict=True))
    assert pair == Pair("7", 2379, data=ids["data"], error=ids["error"])
    assert pairing.next_deadline() is None


def test_port_is_the_data_streams() -> None:
    pairing = Pairing()
    pairing.opened(1, headers("data", port="1"), NOW)
    assert pairing.opened(3, headers("error", port="2"), NOW) == Pair("7", 1, data=1, error=3)


@given(st.permutations([(kind, str(n)) for n in range(6) for kind in ("error", "data")]))
def test_requests_that_mix_are_told_apart(order: list[tuple[str, str]]) -> None:
    pairing = Pairing()
    ids = {row: 2 * index + 1 for index, row in enumerate(order)}
    outcomes = [pairing.opened(ids[row], headers(*row), NOW) for row in order]
    pairs = {outcome.request_id: outcome for outcome in outcomes if isinstance(outcome, Pair)}
    assert pairs == {
        str(n): Pair(str(n), 2379, data=ids["data", str(n)], error=ids["error", str(n)])
        for n in range(6)
    }


def test_client_without_request_ids_pairs_by_neighbouring_streams() -> None:
    pairing = Pairing()
    assert pairing.opened(5, headers("error", None), NOW) is None
    assert pairing.opened(7, headers("data", None), NOW) == Pair("5", 2379, data=7, error=5)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        pytest.param({}, 'invalid stream type ""', id="no-type"),
        pytest.param(headers("stdin"), 'invalid stream type "stdin"', id="other-type"),
        pytest.param({"streamtype": "data"}, '"" is not a port', id="no-port"),
        pytest.param(headers("data", port="0"), '"0" is not a port', id="port-0"),
        pytest.param(headers("data", port="65536"), '"65536" is not a port', id="port-too-high"),
        pytest.param(headers("data", port="etcd"), '"etcd" is not a port', id="port-name"),
    ],
)
def test_stream_with_bad_headers_is_rejected(bad: dict[str, str], reason: str) -> None:
    outcome = Pairing().opened(9, bad, NOW)
    assert isinstance(outcome, Rejected)
    assert outcome.streams == (9,)
    assert outcome.text.startswith(reason)


def test_second_stream_of_a_kind_is_rejected_and_the_first_keeps_waiting() -> None:
    pairing = Pairing()
    pairing.opened(1, headers("error"), NOW)
    text = "error processing stream for request 7: error stream already assigned"
    assert pairing.opened(3, headers("error"), NOW) == Rejected((3,), text)
    assert pairing.opened(5, headers("data"), NOW) == Pair("7", 2379, data=5, error=1)


@pytest.mark.parametrize(
    ("kind", "rejected"),
    [
        pytest.param(
            "error", Rejected((), "request 7: timed out waiting for streams", 1), id="error"
        ),
        pytest.param("data", Rejected((1,), "request 7: timed out waiting for streams"), id="data"),
    ],
)
def test_lone_stream_times_out(kind: str, rejected: Rejected) -> None:
    pairing = Pairing()
    pairing.opened(1, headers(kind), NOW)
    assert pairing.next_deadline() == NOW + PAIR_TIMEOUT_S
    assert pairing.expire(NOW + PAIR_TIMEOUT_S - 0.1) == []
    assert pairing.expire(NOW + PAIR_TIMEOUT_S) == [rejected]
    assert pairing.next_deadline() is None
    assert pairing.expire(NOW + 2 * PAIR_TIMEOUT_S) == []


def test_stream_that_is_reset_while_it_waits_is_forgotten() -> None:
    pairing = Pairing()
    pairing.opened(1, headers("error"), NOW)
    pairing.reset(99)
    assert pairing.next_deadline() is not None
    pairing.reset(1)
    assert pairing.next_deadline() is None
    assert pairing.opened(3, headers("data"), NOW) is None


def test_headers_a_client_sends_are_those_a_server_takes() -> None:
    pairing = Pairing()
    error, data = (
        {name.lower(): value for name, value in sent.items()} for sent in pair_headers(2379, "0")
    )
    assert pairing.opened(1, error, NOW) is None
    assert pairing.opened(3, data, NOW) == Pair("0", 2379, data=3, error=1)


@given(st.text(max_size=8))
def test_port_is_a_number_in_range_or_nothing(text: str) -> None:
    port = parse_port(text)
    assert port is None or (1 <= port <= 65535 and int(text) == port)


def test_error_text_is_what_a_kubelet_says() -> None:
    assert failure_text(81, "default/web", refused_reason(81)) == (
        "error forwarding port 81 to pod default/web: "
        "dial tcp4 127.0.0.1:81: connect: connection refused"
    )
