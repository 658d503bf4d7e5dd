"""Spring's own observations (Micrometer) of messages: they name no messaging system.

Spring AMQP 3 tells template and listener by attributes of its own, the rest by the conventions'.
"""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa
import pyarrow.compute

from strayline_collector.decode.promote import CONSUMER, PRODUCER

compute: Final[Any] = pyarrow.compute  # makes its functions at run time, unknown to types

_MARK: Final = '"spring.rabbit.'


def with_system(spans: pa.Table) -> pa.Table:
    """Spans as decoded; those of Spring's templates and listeners with system and operation."""
    kinds = pa.array([PRODUCER, CONSUMER], spans["kind"].type)
    nameless = compute.and_(
        compute.is_null(spans["messaging_system"]), compute.is_in(spans["kind"], value_set=kinds)
    )
    if not compute.any(nameless).as_py():
        return spans
    marked = compute.and_(
        nameless, compute.fill_null(compute.match_substring(spans["attributes"], _MARK), False)
    )
    if not compute.any(marked).as_py():
        return spans
    sent = compute.equal(spans["kind"], pa.scalar(PRODUCER, spans["kind"].type))
    told = {
        "messaging_system": "rabbitmq",
        "messaging_operation": compute.if_else(sent, "publish", "process"),
    }
    for name, value in told.items():
        place = spans.schema.get_field_index(name)
        column = compute.if_else(marked, value, spans[name])
        spans = spans.set_column(place, spans.schema.field(place), column)
    return spans
