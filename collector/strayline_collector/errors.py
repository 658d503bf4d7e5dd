"""Every error that the collector raises on purpose. The docstring is the kind, the text the message."""

from __future__ import annotations


class StraylineError(Exception):
    """Something the user can act on; its text is one clear line that names the input and the remedy."""


class UsageError(StraylineError):
    """An option, a file or an address that cannot be used. Exit code 2."""


class BadInput(StraylineError):
    """Telemetry or a document that cannot be understood. HTTP 400, gRPC INVALID_ARGUMENT."""


class NotUnderstood(BadInput):
    """A query line that cannot be read: what, at which character (from 1), what was expected."""

    def __init__(self, said: str, position: int, expected: str) -> None:
        super().__init__(f"q: position {position}: {said}: expected {expected}")
        self.position = position
        self.expected = expected


class TooLarge(StraylineError):
    """A request over the limit. HTTP 413, gRPC RESOURCE_EXHAUSTED."""


class Overloaded(StraylineError):
    """No room right now; the client should come back. HTTP 503, gRPC UNAVAILABLE."""


class Unauthorised(StraylineError):
    """No token, or a wrong one. HTTP 401, gRPC UNAUTHENTICATED."""


class Stopped(StraylineError):
    """A query that needed more time or memory than one may have. HTTP 422."""


class NotFound(StraylineError):
    """An id that nothing stored answers to. HTTP 404."""


class StoreError(StraylineError):
    """The store refused: a foreign, newer or locked file, or a failed statement."""


class GivenUp(StoreError):
    """The database was given up under a transaction, and is opened anew for the next: ask again."""
