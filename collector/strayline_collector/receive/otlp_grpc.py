"""OTLP over gRPC: the three export services, bodies untouched until the intake checks them."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

import grpc
import grpc.aio
from google.rpc.code_pb2 import Code
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from strayline_collector.access import OPEN, Access
from strayline_collector.errors import BadInput, StraylineError, Unauthorised, UsageError
from strayline_collector.memory import Budget
from strayline_collector.receive.intake import Intake
from strayline_collector.receive.otlp_http import NOT_KEPT
from strayline_collector.receive.status import rpc_status
from strayline_collector.receive.turns import Turns

log = logging.getLogger(__name__)

_COPIES: Final = 3
"""Of a message while it is read: gRPC's slices, each as bytes, and all of them joined."""

_CODES = {code.value[0]: code for code in grpc.StatusCode}


def build_server(
    intake: Intake, max_bytes: int, budget: Budget, access: Access = OPEN
) -> grpc.aio.Server:
    """A server with no port yet. Two processes never share one in silence (``so_reuseport`` 0)."""
    server = grpc.aio.server(
        interceptors=(_TokenCheck(access),) if access.tokens else (),
        options=(
            ("grpc.so_reuseport", 0),
            # bounds what a gzip bomb may unfold to as well
            ("grpc.max_receive_message_length", max_bytes),
            # what waits unread stays small: no windows that grow with the line's speed
            ("grpc.http2.bdp_probe", 0),
            ("grpc.http2.lookahead_bytes", 64 * 1024),
            ("grpc.server_handshake_timeout_ms", 10_000),
            ("grpc.http2.max_ping_strikes", 0),  # some exporters ping more often than gRPC likes
        ),
    )
    door = _Door(intake, budget, Turns(max(1, budget.capacity // (_COPIES * max_bytes)), budget))
    server.add_generic_rpc_handlers(
        (
            _service("trace.v1.TraceService", door.traces),
            _service("metrics.v1.MetricsService", door.metrics),
            _service("logs.v1.LogsService", door.logs),
        )
    )
    return server


def bind(
    server: grpc.aio.Server,
    host: str,
    port: int,
    credentials: grpc.ServerCredentials | None = None,
) -> int:
    """Binds, over TLS with ``credentials``, and returns the port. Raises ``UsageError`` naming the address when it is taken."""
    name = f"[{host}]" if ":" in host else host
    try:
        bound = (
            server.add_insecure_port(f"{name}:{port}")
            if credentials is None
            else server.add_secure_port(f"{name}:{port}", credentials)
        )
    except RuntimeError:
        bound = 0
    if bound == 0:
        raise UsageError(
            f"--otlp-grpc {name}:{port}: the address is in use or not ours; choose another port"
        )
    return bound


def _service(name: str, handler: Any) -> grpc.GenericRpcHandler:
    return grpc.method_handlers_generic_handler(
        f"opentelemetry.proto.collector.{name}",
        {
            # one message, read when there is room for it: only a stream's handler may choose
            "Export": grpc.stream_unary_rpc_method_handler(
                handler, request_deserializer=None, response_serializer=None
            )
        },
    )


class _TokenCheck(grpc.aio.ServerInterceptor):
    """Turns calls without a token away before their handler is known."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        told = dict(handler_call_details.invocation_metadata or ()).get("authorization")
        try:
            self._access.demand(told)
        except Unauthorised as error:
            return grpc.stream_unary_rpc_method_handler(_refuse(error))
        return await continuation(handler_call_details)


def _refuse(error: Unauthorised) -> Any:
    async def refuse(requests: object, context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, str(error))
        raise AssertionError("abort raises")

    return refuse


Context = grpc.aio.ServicerContext[Any, Any]


class _Door:
    def __init__(self, intake: Intake, budget: Budget, turns: Turns) -> None:
        self._intake = intake
        self._budget = budget
        self._turns = turns

    async def traces(self, requests: object, context: Context) -> bytes:
        held = 0
        try:
            body = await self._message(context)
            self._budget.reserve(len(body))
            held = len(body)
            result = await self._intake.traces(body, "grpc")
        except (asyncio.CancelledError, grpc.RpcError):
            raise  # gRPC has answered, or the client has gone
        except Exception as error:  # noqa: BLE001  # every call is answered
            self._intake.refused("grpc", error)
            await _abort(context, error)
            raise AssertionError("abort raises") from None
        finally:
            self._budget.release(held)
        if not result.rejected:
            return b""  # a response message that says nothing is empty
        answer = ExportTraceServiceResponse()
        answer.partial_success.rejected_spans = result.rejected
        answer.partial_success.error_message = result.message
        return answer.SerializeToString()

    async def metrics(self, requests: object, context: Context) -> bytes:
        await self._counted(context)
        self._intake.counters.metrics_requests += 1
        answer = ExportMetricsServiceResponse()
        answer.partial_success.error_message = NOT_KEPT
        return answer.SerializeToString()

    async def logs(self, requests: object, context: Context) -> bytes:
        await self._counted(context)
        self._intake.counters.logs_requests += 1
        answer = ExportLogsServiceResponse()
        answer.partial_success.error_message = NOT_KEPT
        return answer.SerializeToString()

    async def _message(self, context: Context) -> bytes:
        body = await self._turns.read(context.read)
        if not isinstance(body, bytes):
            raise BadInput("a call without a message")
        return body

    async def _counted(self, context: Context) -> None:
        try:
            await self._message(context)
        except StraylineError as error:
            await _abort(context, error)


async def _abort(context: Context, error: Exception) -> None:
    status = rpc_status(error)
    if status.code == Code.INTERNAL:
        log.error("an export failed", exc_info=error)
    await context.abort(
        _CODES[status.code],
        status.message,
        (("grpc-status-details-bin", status.SerializeToString()),),
    )
