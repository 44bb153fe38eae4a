"""Admission of the embedded management API: our kinds' schemas and webhooks' rules, without a webhook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from capim.api import infrastructure as infra
from capim.api.errors import invalid
from capim.api.infrastructure.kinds import KINDS
from capim.api.infrastructure.names import GROUP
from capim.api.structural import prune

if TYPE_CHECKING:
    from capim.api.meta import JsonObject
    from capim.api.resources import Resource


class InfrastructureAdmission:
    """Prunes, defaults and validates objects of our own group; other kinds pass as they are."""

    def admit(self, resource: Resource, body: JsonObject, old: JsonObject | None) -> JsonObject:
        """Return the object to store.

        Raises:
            APIError: Invalid, with a cause for each field that breaks the kind's rules.
        """
        kind = KINDS.get(resource.kind) if resource.group == GROUP else None
        if kind is None:
            return body
        admitted = infra.default(prune(kind.schema(), body))
        if old is None:
            causes = infra.validate_create(admitted)
        else:
            causes = infra.validate_update(old, admitted, dry_run_topology=False)
        if causes:
            name = admitted["metadata"].get("name", "")
            raise invalid(resource.kind, resource.group, name, causes)
        return admitted
