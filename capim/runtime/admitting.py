"""What a client's object goes through before it is stored: completed, admitted, checked, allocated.

Between the first and the second of these, who manages which fields is settled: what a client wants and
its defaults are the client's, what the server adds after that is nobody's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from capim.api.validation import view_causes
from capim.runtime import (
    customobjects,
    customwarnings,
    definitions,
    strategies,
    subresources,
    writes,
)
from capim.runtime.customresources import DEFINITIONS
from capim.runtime.definitionrules import check_definition
from capim.runtime.policies import POLICIES, Policies
from capim.runtime.validation import check_new_metadata, invalid, metadata_causes

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.api.resources import Resource
    from capim.runtime.escalation import Escalation
    from capim.runtime.kinds.rules import BuiltinRules
    from capim.runtime.lifecycle import Lifecycle
    from capim.runtime.objects import Admission, Change, Stored
    from capim.runtime.store import Store

#: in place of a subresource: the simulator writes main resource and status at once
WHOLE: Final = "*"


class Admitting:
    """The checks of one group: an installation's own, and the rules of built-in kinds."""

    def __init__(
        self, store: Store, admission: Admission | None, rules: BuiltinRules | None
    ) -> None:
        self._admission = admission
        self._rules = rules
        self._warnings: list[str] = []
        #: knows whose request is being answered
        self.policies = Policies(store)
        #: keeps users from granting what they have not; None: nobody's rights are looked at
        self.escalation: Escalation | None = None
        if rules is not None:
            rules.bind(store)

    def wanted(
        self,
        resource: Resource,
        namespace: str,
        old: JsonObject,
        body: JsonObject,
        subresource: str,
    ) -> JsonObject:
        """Return the object that a body makes of an old one, before the server adds anything.

        Raises:
            APIError: it is meant for another object or version, or changes what cannot change.
        """
        view = "" if subresource == WHOLE else subresource
        made = writes.own_copy(subresources.view_resource(resource, view), body)
        writes.own_namespace(resource, namespace, made["metadata"])
        writes.check_same_object(resource, old["metadata"]["name"], made, old)
        check_new_metadata(resource, made, old)
        if view:
            made = subresources.merge_view(resource, made, old, view)
        writes.carry_over(made, old)
        if not subresource:
            if resource.subresource("status"):
                writes.keep_field(made, old, "status")
            strategies.prepare_update(resource, made, old)
        if subresource != WHOLE:
            made = self.complete(resource, made, old)
        return made

    def complete(self, resource: Resource, body: JsonObject, old: JsonObject | None) -> JsonObject:
        """Return an object as a typed server reads it, with its kind's defaults. Raises APIError."""
        if resource.custom:
            return customobjects.complete(resource, body)
        return body if self._rules is None else self._rules.complete(resource, body, old)

    def prepare(self, resource: Resource, body: JsonObject, old: JsonObject | None) -> None:
        """Let the kind's admission change a completed object, in place. Raises APIError."""
        if self._rules is not None:
            self._rules.admit(resource, body, old)

    def check(
        self,
        resource: Resource,
        body: JsonObject,
        old: JsonObject | None,
        view: str = "",
        *,
        own: bool,
    ) -> JsonObject:
        """Return what is to be stored, checked; `own`: its kind's rules are none of this write's.

        `view` is the subresource that is written.

        Raises:
            APIError: the object is refused.
        """
        if self._admission is not None:
            body = self._admission.admit(resource, body, old)
        self._check_granted(resource, body, old, view, own=own)
        rules = None if own else self._rules
        causes = metadata_causes(resource, body, old)
        if rules is not None:
            causes += rules.causes(resource, body, old)
        elif view and old is not None and not resource.custom:
            causes += view_causes(view, body, old)
        if causes:
            raise invalid(resource, body["metadata"]["name"], causes)
        if rules is not None:
            rules.allocate(resource, body, old)
        if resource.custom:
            self._warnings += customobjects.check(resource, body, old, view)
            self._warnings += customwarnings.of_object(body, old)
        elif resource.group_resource == DEFINITIONS:
            self._check_definition(resource, body, old, view)
        elif resource.group_resource == POLICIES:
            self.policies.check_policy(resource, body)
        if self.policies.asked:
            self._warnings += self.policies.judge(resource, body, old, view)
        return body

    def _check_granted(
        self,
        resource: Resource,
        body: JsonObject,
        old: JsonObject | None,
        view: str,
        *,
        own: bool,
    ) -> None:
        user = self.policies.user
        if self.escalation is not None and user is not None and (view or not own):
            self.escalation.check(user, resource, body, old, view)

    def check_deletion(self, stored: Stored) -> None:
        """Ask who has a say in the deletion of an object. Raises APIError."""
        if self.policies.asked:
            self._warnings += self.policies.judge(stored.resource, None, stored.json())

    def _check_definition(
        self, resource: Resource, body: JsonObject, old: JsonObject | None, view: str
    ) -> None:
        if view:
            definitions.complete_status(body)
            return
        check_definition(resource, body, old)
        self._warnings += customwarnings.of_definition(body, old)

    def take_warnings(self) -> list[str]:
        """Return what the writer of the last object should know, once."""
        taken = self._warnings
        if taken:
            self._warnings = []
        return taken

    def observe(self, change: Change) -> None:
        """Note what a change takes or frees."""
        if self._rules is not None:
            self._rules.observe(change)
        self.policies.observe(change)

    def settle(self, lifecycle: Lifecycle) -> None:
        """Do what follows from changes."""
        if self._rules is not None:
            self._rules.settle(lifecycle)
        self.policies.settle()
