"""What a Kubernetes API refuses, and how it says so: `APIError` is a metav1.Status that can be raised.

The mapping to HTTP exists once, here: everything below the server raises these, and only the server
turns them into responses. Reasons and codes are those of k8s.io/apimachinery's `api/errors`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from capim.api.meta import JsonObject


class APIError(Exception):
    """A refusal with its reason, HTTP code, message for a person and details for a program."""

    def __init__(
        self,
        reason: str,
        code: int,
        message: str,
        *,
        details: JsonObject | None = None,
        retry_after_s: int | None = None,
        continue_token: str = "",
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.code = code
        self.message = message
        self.details = details
        self.retry_after_s = retry_after_s
        self.continue_token = continue_token  #: where a list may go on, though not as it began

    def status(self) -> JsonObject:
        """Return the metav1.Status a client reads."""
        status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {"continue": self.continue_token} if self.continue_token else {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "details": dict(self.details or {}),
            "code": self.code,
        }
        if self.retry_after_s is not None:
            status["details"]["retryAfterSeconds"] = self.retry_after_s
        if not status["details"] and self.details is None:
            del status["details"]
        if not self.reason:
            del status["reason"]
        return status

    @classmethod
    def from_status(cls, status: JsonObject, code: int) -> APIError:
        """Read back what a server answered; `code` stands in where the body names none."""
        details = status.get("details") or {}
        return cls(
            status.get("reason") or "Unknown",
            int(status.get("code") or code),
            status.get("message") or f"the server answered {code}",
            details=details or None,
            retry_after_s=details.get("retryAfterSeconds"),
        )


def qualified(resource: str, group: str) -> str:
    """Name a resource as messages do: `nodes`, `deployments.apps`."""
    return f"{resource}.{group}" if group else resource


def _details(resource: str, group: str, name: str) -> JsonObject:
    details = {"name": name, "group": group, "kind": resource}
    return {key: value for key, value in details.items() if value}


def not_found(resource: str, group: str, name: str) -> APIError:
    """404: the object is not there."""
    message = f'{qualified(resource, group)} "{name}" not found'
    return APIError("NotFound", 404, message, details=_details(resource, group, name))


def no_such_resource(why: str = "") -> APIError:
    """404: the path names no group, version or resource that is served; `why` is for a person."""
    message = "the server could not find the requested resource"
    return APIError("NotFound", 404, f"{message}: {why}" if why else message, details={})


def already_exists(resource: str, group: str, name: str) -> APIError:
    """409: a create of a name that is taken."""
    message = f'{qualified(resource, group)} "{name}" already exists'
    return APIError("AlreadyExists", 409, message, details=_details(resource, group, name))


def conflict(resource: str, group: str, name: str, why: str = "") -> APIError:
    """409: the write was based on an older version, or a precondition failed."""
    why = why or (
        "the object has been modified; please apply your changes to the latest version and try again"
    )
    message = f'Operation cannot be fulfilled on {qualified(resource, group)} "{name}": {why}'
    return APIError("Conflict", 409, message, details=_details(resource, group, name))


#: how the text of a cause begins -> its reason
_CAUSES: Final = {
    "Required value": "FieldValueRequired",
    "Forbidden": "FieldValueForbidden",
    "Duplicate value": "FieldValueDuplicate",
    "Unsupported value": "FieldValueNotSupported",
    "Not found": "FieldValueNotFound",
    "Too long": "FieldValueTooLong",
    "Too many": "FieldValueTooMany",
    "Internal error": "InternalError",
}


def _cause_reason(text: str) -> str:
    return _CAUSES.get(text.partition(":")[0], "FieldValueInvalid")


def invalid(kind: str, group: str, name: str, causes: list[tuple[str, str]]) -> APIError:
    """422: the object breaks its kind's rules. `causes` are (field path, message) pairs."""
    texts = [*dict.fromkeys(f"{field}: {text}" for field, text in causes)]  # said once, listed each
    listed = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    details = _details(kind, group, name)
    details["causes"] = [
        {"reason": _cause_reason(text), "message": text, "field": field} for field, text in causes
    ]
    message = f'{qualified(kind, group)} "{name}" is invalid: {listed}'
    return APIError("Invalid", 422, message, details=details)


def invalid_options(kind: str, causes: list[tuple[str, str]]) -> APIError:
    """422: options of a request that make no sense, alone or together."""
    return invalid(kind, "meta.k8s.io", "", causes)


def request_too_large(message: str) -> APIError:
    """413: more than the server takes."""
    return APIError("RequestEntityTooLarge", 413, f"Request entity too large: {message}")


def bad_request(message: str) -> APIError:
    """400: the request itself makes no sense."""
    return APIError("BadRequest", 400, message)


def unauthorized() -> APIError:
    """401: nobody we know."""
    return APIError("Unauthorized", 401, "Unauthorized")


def forbidden(resource: str, group: str, name: str, why: str) -> APIError:
    """403: known, but not allowed."""
    named = f'{qualified(resource, group)} "{name}"'
    return APIError(
        "Forbidden", 403, f"{named} is forbidden: {why}", details=_details(resource, group, name)
    )


def method_not_allowed() -> APIError:
    """405: the resource does not serve this verb."""
    message = "the server does not allow this method on the requested resource"
    return APIError("MethodNotAllowed", 405, message, details={})


def unsupported_media_type(accepted: str) -> APIError:
    """415: a body or patch in a format this resource does not take."""
    message = (
        "the body of the request was in an unknown format - "
        f"accepted media types include: {accepted}"
    )
    return APIError("UnsupportedMediaType", 415, message)


def expired(message: str = "The resourceVersion for the provided watch is too old.") -> APIError:
    """410: the history a watch or a continued list needs is gone; the client must list again."""
    return APIError("Expired", 410, message)


def too_many_requests(
    message: str, retry_after_s: int, causes: list[JsonObject] | None = None
) -> APIError:
    """429: later. Eviction uses it with a DisruptionBudget cause."""
    details: JsonObject | None = {"causes": causes} if causes else None
    return APIError("TooManyRequests", 429, message, details=details, retry_after_s=retry_after_s)
