"""``google.rpc.Status`` answers, as OTLP wants them in every error body."""

from __future__ import annotations

from google.protobuf.any_pb2 import Any as ProtoAny
from google.protobuf.json_format import MessageToJson
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from strayline_collector.errors import (
    BadInput,
    Overloaded,
    StraylineError,
    TooLarge,
    Unauthorised,
)

RETRY_AFTER_S = 2


def rpc_status(error: Exception) -> Status:
    """Code and message for an error; overload says when to come back. What we did not foresee
    is INTERNAL without a word of its insides."""
    status = Status(
        code=_code(error),
        message=str(error) if isinstance(error, StraylineError) else "internal error",
    )
    if isinstance(error, Overloaded):
        retry = RetryInfo()
        retry.retry_delay.seconds = RETRY_AFTER_S
        detail = ProtoAny()
        detail.Pack(retry)
        status.details.append(detail)
    return status


def http_status(error: Exception) -> int:
    """400 malformed, 401 no token, 413 too large, 503 come back, 500 our fault."""
    if isinstance(error, BadInput):
        return 400
    if isinstance(error, Unauthorised):
        return 401
    if isinstance(error, TooLarge):
        return 413
    return 503 if isinstance(error, Overloaded) else 500


def as_json(status: Status) -> bytes:
    return MessageToJson(status, indent=None).encode()


def _code(error: Exception) -> int:
    if isinstance(error, BadInput):
        return Code.INVALID_ARGUMENT
    if isinstance(error, Unauthorised):
        return Code.UNAUTHENTICATED
    if isinstance(error, TooLarge):
        return Code.RESOURCE_EXHAUSTED
    return Code.UNAVAILABLE if isinstance(error, Overloaded) else Code.INTERNAL
