"""Files of traces, whoever wrote them, as OTLP requests: OTLP JSON, JSON lines and protobuf, Jaeger's
UI JSON, Zipkin's v2 JSON, each also in gzip; ``-`` is standard input.

A file's content tells what it is, never its name. It is read in pieces, whatever its size: lines,
protobuf messages (one request, or many with their lengths before them, as ``writeDelimitedTo`` and
the OpenTelemetry Collector's file exporter write them), elements of a JSON list.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans

from strayline_collector.errors import BadInput
from strayline_collector.formats.jaeger import is_jaeger, jaeger_to_otlp
from strayline_collector.formats.json_parts import MAX_PART_BYTES, BrokenJson, Part, parts
from strayline_collector.formats.otlp_json import document_to_request
from strayline_collector.formats.zipkin import is_zipkin, zipkin_to_otlp

MAX_MESSAGE_BYTES: Final = 1 << 30
"""Protobuf's own limit is 2 GiB a message; one resource's spans are far below."""
REQUEST_SPANS: Final = 2_000
REQUEST_BYTES: Final = 8 * 1024 * 1024
_CHUNK: Final = 1 << 20
_ZIPKIN_AT_ONCE: Final = 1_000

_JSON: Final = re.compile(rb'(?:\xef\xbb\xbf)?\s*(?:\{\s*(?:"[\x20-\x7e]{2}|\})|\[\s*[\[{\]])')
"""A protobuf request may begin with what looks like a line end and a brace, but then goes on with
control characters."""


STDIN: Final = Path("-")


class Piece(NamedTuple):
    """Some of a file's spans; ``line`` where they begin, None in protobuf."""

    line: int | None
    request: ExportTraceServiceRequest


def files_of(paths: Iterable[Path]) -> list[Path]:
    """Each directory replaced by the files in it, by name, hidden ones and directories left out.
    Raises ``BadInput`` for a directory without files."""
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(p for p in path.iterdir() if p.is_file() and p.name[0] != ".")
        if not inside:
            raise BadInput(f"{path}: a directory without files")
        found += inside
    return found


def read(path: Path) -> Iterator[ExportTraceServiceRequest]:
    """The file's spans, in order, in requests that any OTLP receiver takes. Raises ``BadInput``
    naming file and, in text, line."""
    with _opened(path) as stream:
        try:
            for piece in _pieces(stream):
                yield from split(piece.request)
        except BrokenJson as error:
            raise BadInput(f"{path}:{error.line}: {error}") from None
        except BadInput as error:
            raise BadInput(f"{path}: {error}") from None
        except (OSError, EOFError, zlib.error) as error:
            raise BadInput(f"{path}: cannot be read: {error}") from None


def split(request: ExportTraceServiceRequest) -> Iterator[ExportTraceServiceRequest]:
    """The same spans in requests of at most ``REQUEST_SPANS``, about ``REQUEST_BYTES`` each; one
    larger span goes alone."""
    spans = sum(len(ss.spans) for rs in request.resource_spans for ss in rs.scope_spans)
    if spans <= REQUEST_SPANS and request.ByteSize() <= REQUEST_BYTES:
        if spans:
            yield request
        return
    out, count, size = ExportTraceServiceRequest(), 0, 0
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            target: ScopeSpans | None = None
            for span in scope_spans.spans:
                length = span.ByteSize()
                if count and (count >= REQUEST_SPANS or size + length > REQUEST_BYTES):
                    yield out
                    out, count, size, target = ExportTraceServiceRequest(), 0, 0, None
                if target is None:
                    target = _like(out, resource_spans, scope_spans)
                target.spans.append(span)
                count += 1
                size += length
    if count:
        yield out


def _like(
    out: ExportTraceServiceRequest, resource_spans: ResourceSpans, scope_spans: ScopeSpans
) -> ScopeSpans:
    owner = out.resource_spans.add(schema_url=resource_spans.schema_url)
    if resource_spans.HasField("resource"):
        owner.resource.CopyFrom(resource_spans.resource)
    target = owner.scope_spans.add(schema_url=scope_spans.schema_url)
    if scope_spans.HasField("scope"):
        target.scope.CopyFrom(scope_spans.scope)
    return target


@contextmanager
def _opened(path: Path) -> Generator[io.BufferedReader]:
    try:
        raw = open(0, "rb", closefd=False) if path == STDIN else path.open("rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror or error}") from None
    with raw:
        if raw.peek(2)[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=raw) as packed:
                yield io.BufferedReader(cast(io.RawIOBase, packed), _CHUNK)
        else:
            yield raw


def _pieces(stream: io.BufferedReader) -> Iterator[Piece]:
    head = stream.peek(1)
    if _JSON.match(head[:4096]):
        return _json(stream)
    if not head.strip():
        return iter(())
    if head[:1] == b"\n":
        return _fields(stream)
    if head[0] < 0x0A:  # no protobuf message begins so, a length of four bytes does
        return _delimited(stream, _length_of_four)
    if head[1:2] == b"\n" or head[2:3] == b"\n" or head[3:4] == b"\n":
        return _delimited(stream, _varint)
    raise BadInput("neither JSON nor OTLP protobuf")


# ---- protobuf ---------------------------------------------------------------------------------


def _fields(stream: io.BufferedReader) -> Iterator[Piece]:
    """One request, a resource at a time: its one field is tag, length, message, again and again."""
    while (tag := stream.read(1)) != b"":
        length = _varint(stream)
        if tag != b"\n" or length is None:
            raise BadInput("no OTLP protobuf: expected the next resource's spans")
        yield Piece(None, _parsed(b"\n" + _as_varint(length) + _exactly(stream, length)))


def _delimited(
    stream: io.BufferedReader, length_of: Callable[[io.BufferedReader], int | None]
) -> Iterator[Piece]:
    while (length := length_of(stream)) is not None:
        yield Piece(None, _parsed(_exactly(stream, length)))


def _length_of_four(stream: io.BufferedReader) -> int | None:
    told = stream.read(4)
    if 0 < len(told) < 4:
        raise BadInput("the file ends within a length")
    return int.from_bytes(told, "big") if told else None


def _varint(stream: io.BufferedReader) -> int | None:
    value = shift = 0
    while (byte := stream.read(1)) != b"":
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
        shift += 7
        if shift > 35:
            raise BadInput("no OTLP protobuf: a length that cannot be")
    if shift:
        raise BadInput("the file ends within a length")
    return None


def _as_varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _exactly(stream: io.BufferedReader, length: int) -> bytes:
    if length > MAX_MESSAGE_BYTES:
        raise BadInput(f"no OTLP protobuf: a message of {length:,} bytes")
    data = stream.read(length)
    if len(data) < length:
        raise BadInput("the file ends within a message")
    return data


def _parsed(data: bytes) -> ExportTraceServiceRequest:
    try:
        return ExportTraceServiceRequest.FromString(data)
    except (DecodeError, RecursionError) as error:
        raise BadInput(f"no OTLP protobuf: {error}") from None


# ---- JSON -------------------------------------------------------------------------------------


def _json(stream: io.BufferedReader) -> Iterator[Piece]:
    first = stream.readline(MAX_PART_BYTES)
    try:
        json.loads(first)
    except (ValueError, RecursionError):
        chunks = chain(
            (first.removeprefix(b"\xef\xbb\xbf"),), iter(lambda: stream.read(_CHUNK), b"")
        )
        return _cut(chunks)
    return _lines(chain((first,), iter(lambda: stream.readline(MAX_PART_BYTES + 1), b"")))


def _lines(lines: Iterable[bytes]) -> Iterator[Piece]:
    for number, line in enumerate(lines, start=1):
        if len(line) > MAX_PART_BYTES:
            raise BrokenJson(number, f"the line is longer than {MAX_PART_BYTES:,} bytes")
        if line.strip():
            for request in _located(number, line, _from_document):
                yield Piece(number, request)


def _cut(chunks: Iterable[bytes]) -> Iterator[Piece]:
    """Zipkin's spans are so small that many share a request."""
    spans: list[Any] = []
    begun = 1
    for part in parts(chunks, ("resourceSpans", "data")):
        for request in _located(part.line, part.data, lambda told, p=part: _from_part(p, told)):
            if not isinstance(request, ExportTraceServiceRequest):
                begun = begun if spans else part.line
                spans.append(request)
                if len(spans) >= _ZIPKIN_AT_ONCE:
                    yield _zipkin(begun, spans)
                    spans = []
                continue
            yield Piece(part.line, request)
    if spans:
        yield _zipkin(begun, spans)


def _zipkin(line: int, spans: list[Any]) -> Piece:
    try:
        return Piece(line, zipkin_to_otlp(spans))
    except BadInput as error:
        raise BrokenJson(line, f"in the spans from here on: {error}") from None


def _from_part(part: Part, told: Any) -> Iterator[Any]:
    if part.key == "resourceSpans":
        yield document_to_request({"resourceSpans": [told]})
    elif part.key == "data":
        yield jaeger_to_otlp({"data": [told]})
    elif part.key == "" and isinstance(told, dict) and is_zipkin(told):
        yield told
    else:
        yield from _from_document(told)


def _from_document(told: Any) -> Iterator[ExportTraceServiceRequest]:
    if isinstance(told, list):
        items = cast(list[Any], told)
        if items and all(isinstance(item, dict) and is_zipkin(item) for item in items):
            yield zipkin_to_otlp(items)
        else:
            for item in items:
                yield from _from_document(item)
    elif not isinstance(told, dict):
        raise BadInput("expected a JSON object")
    elif "resourceSpans" in told or not told:
        yield document_to_request(told)
    elif "resourceMetrics" in told or "resourceLogs" in told:
        return  # a file of every signal: only traces are kept, as at the doors
    elif isinstance(told.get("result"), dict) and "resourceSpans" in told["result"]:
        yield document_to_request(told["result"])  # as Jaeger's API v3 answers
    elif is_jaeger(told):
        yield jaeger_to_otlp(told)
    elif is_zipkin(told):
        yield zipkin_to_otlp([told])
    else:
        names = ", ".join(list(map(str, told))[:5])
        raise BadInput(f"an object of {names}: neither OTLP, Jaeger's nor Zipkin's spans")


def _located(line: int, data: bytes, convert: Callable[[Any], Iterator[Any]]) -> Iterator[Any]:
    try:
        yield from convert(json.loads(data.rstrip()))
    except json.JSONDecodeError as error:
        raise BrokenJson(
            line + error.lineno - 1, f"not JSON: {error.msg} character {error.colno:,}"
        ) from None
    except (BadInput, ValueError, RecursionError) as error:
        raise BrokenJson(line, str(error)) from None
