"""May somebody do something: the question, the answer, and the authorizer that always says yes. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from capim.api.identity import User

if TYPE_CHECKING:
    from capim.api.meta import JsonObject


@dataclass(frozen=True, slots=True)
class Attributes:
    """What somebody wants to do: to a resource, or where `path` is set to something that is none."""

    user: User
    verb: str
    namespace: str = ""
    group: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    path: str = ""


class Decision(NamedTuple):
    """The answer; the reason is empty where there is nothing to say."""

    allowed: bool
    reason: str = ""


class Rules(NamedTuple):
    """What somebody may do in a namespace, as a SelfSubjectRulesReview lists it."""

    resource: list[JsonObject]
    non_resource: list[JsonObject]
    evaluation_error: str = ""


class Authorizer(Protocol):
    """Decides, and lists what it would allow."""

    def authorize(self, asked: Attributes) -> Decision:
        """Decide one request."""

    def rules(self, user: User, namespace: str) -> Rules:
        """List what a user may do in a namespace."""


def may_use_signer(authorizer: Authorizer, user: User, verb: str, signer: str) -> bool:
    """Say whether somebody may `approve` or `sign` for a signer, by its name or by its domain's."""
    domain = signer.partition("/")[0]
    return any(
        authorizer.authorize(
            Attributes(user, verb, group="certificates.k8s.io", resource="signers", name=name)
        ).allowed
        for name in (signer, f"{domain}/*")
    )


class AlwaysAllow:
    """Everybody may do everything."""

    def authorize(self, asked: Attributes) -> Decision:
        """Allow it."""
        del asked
        return Decision(allowed=True)

    def rules(self, user: User, namespace: str) -> Rules:
        """List everything."""
        del user, namespace
        everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
        return Rules([everything], [{"verbs": ["*"], "nonResourceURLs": ["*"]}])
