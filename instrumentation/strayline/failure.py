"""What went wrong inside a span, written down once for every kind of span."""

from __future__ import annotations

from opentelemetry.trace import Span, StatusCode

from strayline import redact
from strayline.conventions import ERROR_TYPE


def failed(span: Span, error: BaseException) -> None:
    """Error type, exception and status, without secrets. Cancellation and exits are no exceptions
    of the program."""
    span.set_attribute(ERROR_TYPE, type(error).__qualname__)
    if isinstance(error, Exception):
        span.record_exception(error, attributes=redact.exception(error))
    span.set_status(StatusCode.ERROR, redact.prose(str(error)))
