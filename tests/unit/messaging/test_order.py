"""In scope: what is told of messages that are lost, late or doubled. Out: what is done about it."""

from __future__ import annotations

import random

import pytest

from capim.messaging import envelope as m
from capim.messaging.order import Incoming, Outgoing, Place, Verdict

Said = tuple[m.Command | m.Report, Place]


def say(outgoing: Outgoing, *messages: m.Command | m.Report) -> list[Said]:
    """Return messages with the places they are sent with."""
    said = []
    for message in messages:
        place = outgoing.place(message)
        outgoing.sent(place)
        said.append((message, place))
    return said


def heard(incoming: Incoming, said: list[Said]) -> list[Verdict]:
    return [incoming.take(message, place) for message, place in said]


def session(life: str = "life") -> tuple[Outgoing, list[Said]]:
    outgoing = Outgoing()
    return outgoing, say(outgoing, m.Register("w", life, 1), *[m.Pong("w", life)] * 3)


def test_what_comes_as_it_was_said_is_next_in_every_session() -> None:
    outgoing, said = session()
    said += say(outgoing, m.Register("w", "life", 1), m.Pong("w", "life"))
    said += session("next life")[1]
    assert heard(Incoming(), said) == [Verdict.NEXT] * len(said)


def test_what_was_refused_has_no_place() -> None:
    outgoing, said = session()
    assert outgoing.place(m.Pong("w", "life")) == outgoing.place(m.Pong("w", "life"))
    assert heard(Incoming(), [*said, *say(outgoing, m.Pong("w", "life"))])[-1] is Verdict.NEXT


def test_a_lost_message_is_told_once() -> None:
    _, said = session()
    del said[1]
    assert heard(Incoming(), said) == [Verdict.NEXT, Verdict.GAP, Verdict.NEXT]


@pytest.mark.parametrize("again", range(4))
def test_what_comes_twice_is_late(again: int) -> None:
    _, said = session()
    verdicts = heard(Incoming(), [*said, said[again]])
    assert verdicts == [Verdict.NEXT] * 4 + [Verdict.LATE]


def test_what_is_overtaken_is_a_gap_and_then_late() -> None:
    _, (opening, first, second, third) = session()
    verdicts = heard(Incoming(), [opening, second, first, third])
    assert verdicts == [Verdict.NEXT, Verdict.GAP, Verdict.LATE, Verdict.NEXT]


def test_an_earlier_session_and_an_earlier_life_are_late() -> None:
    outgoing, old = session()
    renewed = say(outgoing, m.Register("w", "life", 1))
    assert heard(Incoming(), [*renewed, *old]) == [Verdict.NEXT] + [Verdict.LATE] * 4
    assert heard(Incoming(), [*session("young")[1], old[1]])[-1] is Verdict.LATE


def test_another_epoch_is_heard_from_its_welcome_on() -> None:
    first, second, incoming = Outgoing(), Outgoing(), Incoming()
    heard(incoming, say(first, m.Welcome(1, "i", 60.0), m.Ping(1), m.Ping(1)))
    unopened = say(second, m.Ping(2))
    assert heard(incoming, unopened) == [Verdict.LATE]
    assert heard(incoming, say(second, m.Welcome(2, "i", 60.0), m.Ping(2))) == [Verdict.NEXT] * 2


def test_a_receiver_that_starts_in_the_middle_knows_that_it_missed_something() -> None:
    _, said = session()
    assert heard(Incoming(), said[2:]) == [Verdict.GAP, Verdict.NEXT]


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_delivered_is_in_order_and_every_loss_before_it_is_told(seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311 - a test must be repeatable
    outgoing, incoming = Outgoing(), Incoming()
    said = say(outgoing, m.Register("w", "l", 1), *[m.Pong("w", "l")] * 50)
    disturbed = [one for one in said[1:] if rng.random() > 0.2]
    disturbed += rng.sample(disturbed, 10)
    disturbed.sort(key=lambda one: one[1].number + rng.randrange(4))
    taken: list[int] = [0]
    told: set[int] = set()
    assert incoming.take(*said[0]) is Verdict.NEXT
    for message, place in disturbed:
        verdict = incoming.take(message, place)
        if verdict is Verdict.GAP:
            told.update(range(taken[-1] + 1, place.number))
        if verdict is not Verdict.LATE:
            taken.append(place.number)
    assert taken == sorted(set(taken))
    assert told == set(range(taken[-1])) - set(taken)
