"""Files of traces: told apart by what they hold, read in pieces, refused with file and line."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from strayline_collector.errors import BadInput
from strayline_collector.formats.files import REQUEST_SPANS, read, split
from strayline_collector.formats.jaeger import jaeger_traces
from strayline_collector.formats.json_parts import BrokenJson, parts
from strayline_collector.formats.otlp_json import protobuf_to_document
from tests.formats.test_round_trip import flat, one_span
from tests.support.corpus import requests


def recording() -> list[ExportTraceServiceRequest]:
    return [ExportTraceServiceRequest.FromString(body) for body in requests("b_misroute")[:6]]


def merged(found: list[ExportTraceServiceRequest]) -> ExportTraceServiceRequest:
    whole = ExportTraceServiceRequest()
    for request in found:
        whole.MergeFrom(request)
    return whole


def varint(length: int) -> bytes:
    out = bytearray()
    while length > 0x7F:
        out.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([*out, length])


def otlp_files(found: list[ExportTraceServiceRequest]) -> dict[str, bytes]:
    documents = [protobuf_to_document(request) for request in found]
    whole = merged(found)
    bodies = [request.SerializeToString() for request in found]
    return {
        "one request": whole.SerializeToString(),
        "lengths of four bytes": b"".join(len(b).to_bytes(4, "big") + b for b in bodies),
        "lengths as varints": b"".join(varint(len(b)) + b for b in bodies),
        "JSON on one line": json.dumps(protobuf_to_document(whole)).encode(),
        "JSON for people": json.dumps(protobuf_to_document(whole), indent=2).encode(),
        "JSON with a byte order mark": b"\xef\xbb\xbf\n"
        + json.dumps(protobuf_to_document(whole), indent=1).encode(),
        "JSON lines": b"\n\n".join(json.dumps(d).encode() for d in documents),
        "JSON documents one after another": b"\n".join(
            json.dumps(d, indent=1).encode() for d in documents
        ),
        "a list of requests": json.dumps(documents).encode(),
        "Jaeger's API v3": json.dumps({"result": protobuf_to_document(whole)}).encode(),
    }


@pytest.mark.parametrize("kind", list(otlp_files([])))
@pytest.mark.parametrize("packed", [False, True])
def test_what_a_file_is_does_not_depend_on_its_name(
    tmp_path: Path, kind: str, packed: bool
) -> None:
    found = recording()
    data = otlp_files(found)[kind]
    path = tmp_path / "traces.txt"
    if packed:  # of two members, as `cat a.gz b.gz` makes
        data = gzip.compress(data[:100]) + gzip.compress(data[100:])
    path.write_bytes(data)
    assert flat(*read(path)) == flat(*found)


def test_an_empty_file_holds_no_spans(tmp_path: Path) -> None:
    for number, data in enumerate(
        (
            b"",
            b"{}",
            b'{"resourceMetrics": [{}]}\n{"resourceLogs": []}',
            b'{"resourceSpans": []}',
            b"[]",
            gzip.compress(b""),
        )
    ):
        path = tmp_path / f"{number}.json"
        path.write_bytes(data)
        assert list(read(path)) == []


@pytest.mark.parametrize(
    ("data", "line", "says"),
    [
        (b'{"resourceSpans": []}\n{"resourceSpans": [1]}\n', 2, "no ExportTraceServiceRequest"),
        (b'{"resourceSpans": []}\n\n{"resourceSpans": [\n', 3, "not JSON"),
        (b'{"resourceSpans": [\n{},\n{]\n]}', 3, "not JSON"),
        (b'{"resourceSpans": [\n{}\n{}]}', 3, "comma"),
        (b'{"resourceSpans": [\n{},\n{"a" 1}]}', 3, "not JSON"),
        (b'{\n"resourceSpans": [\n{"scopeSpans": [\n', 3, "ends in the middle"),
        (b'{"resourceSpans": [\n{"a": "b', 2, "never ends"),
        (b'{"resourceSpans": []}\n{"name": "John"}', 2, "an object of name"),
        (b'{"data": [\n{"traceID": "1", "spans": [{"traceID": "xyz"}]}]}', 2, "data[0].spans[0].traceID"),
        (b'[{"traceId": "1", "id": "1"}]', 1, "[0].traceId"),
        (b'[\n{"traceId": "1", "id": "1"}]', 2, "traceId"),
        (b'{"resourceSpans": []} tail', 1, "tail"),
        (b'[{"resourceSpans": []},\n7]', 2, "no object"),
        (b'{\n"resourceSpans": []}\ntail', 2, "tail"),
    ],
)  # fmt: skip
def test_text_that_cannot_be_read_names_file_and_line(
    tmp_path: Path, data: bytes, line: int, says: str
) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(data)
    with pytest.raises(BadInput) as error:
        list(read(path))
    assert str(error.value).startswith(f"{path}:{line}: ")
    assert says in str(error.value)


@pytest.mark.parametrize(
    "data",
    [
        b"hello", b"\x00\x00\x00\x09abc", b"\x00\x00", b"\n\x05abc", b"\n\x05", b"\x1f\x8bnot gzip at all",
        gzip.compress(b'{"resourceSpans": []}')[:-9], b"PK\x03\x04", b"\n\x02\x0a\xff", b"\xff" * 64,
    ],
)  # fmt: skip
def test_bytes_that_cannot_be_read_name_the_file(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.pb"
    path.write_bytes(data)
    with pytest.raises(BadInput, match=re.escape(f"{path}: ")):
        list(read(path))


@pytest.mark.parametrize("data", [b"", b"\n", b" \r\n\n"], ids=["empty", "line", "blanks"])
def test_a_blank_file_holds_nothing(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(data)
    assert list(read(path)) == []


def test_large_requests_are_split_and_keep_every_span_in_its_place() -> None:
    whole = merged(recording() * 150)
    pieces = list(split(whole))
    assert len(pieces) > 1
    assert all(sum(flat(piece).values()) <= REQUEST_SPANS for piece in pieces)
    assert flat(*pieces) == flat(whole)
    fat = [KeyValue(key="a", value=AnyValue(string_value="x" * 5_000_000))]
    wide = merged([one_span(span_id=bytes([n] * 8), attributes=fat) for n in (1, 2, 3)])
    assert [sum(flat(piece).values()) for piece in split(wide)] == [1, 1, 1]


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=6)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)
elements = st.lists(st.dictionaries(st.text(max_size=4), json_values, max_size=3), max_size=5)


@settings(max_examples=200, deadline=None)
@given(elements, st.sampled_from([None, 1]), st.sampled_from([1, 2, 3, 7, 1000]), st.booleans())
def test_a_list_is_cut_at_its_elements_wherever_the_pieces_end(
    items: list[dict[str, object]], indent: int | None, size: int, ascii_only: bool
) -> None:
    """Strings full of brackets and quotes among them, escapes and characters cut in two."""
    for key, document in (("", items), ("data", {"total": 0, "data": items, "errors": [[]]})):
        data = json.dumps(document, indent=indent, ensure_ascii=ascii_only).encode()
        chunks = [data[at : at + size] for at in range(0, len(data), size)]
        found = list(parts(chunks, ("data",)))
        assert [json.loads(part.data) for part in found] == items
        assert {part.key for part in found} <= {key}
        assert [part.line for part in found] == [
            data.count(b"\n", 0, _place(data, part.data, number, found)) + 1
            for number, part in enumerate(found)
        ]


def _place(data: bytes, part: bytes, number: int, found: list) -> int:
    at = data.index(b"[")
    for before in found[:number]:
        at = data.index(before.data, at) + len(before.data)
    return data.index(part, at)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet='[]{}",:\\ \n1a', max_size=30), st.sampled_from([1, 3, 100]))
def test_what_is_no_json_is_broken_or_its_parts_are(text: str, size: int) -> None:
    data = text.encode()
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    try:
        for part in parts(chunks, ("a",)):
            json.loads(part.data)
    except (BrokenJson, ValueError):
        return


def test_memory_is_bounded_whatever_the_file_s_size(tmp_path: Path) -> None:
    """200 MB of one JSON document and of JSON lines, read by a process of 260 MB of address space
    more than it has after its imports."""
    document = protobuf_to_document(merged(recording()))
    element = json.dumps(document["resourceSpans"][0]).encode()
    times = 200_000_000 // len(element)
    whole, lines = tmp_path / "whole.json", tmp_path / "lines.jsonl"
    with whole.open("wb") as file:
        file.write(b'{"resourceSpans":[\n' + element)
        for _ in range(times):
            file.write(b",\n" + element)
        file.write(b"]}")
    with lines.open("wb") as file:
        for _ in range(times):
            file.write(b'{"resourceSpans":[' + element + b"]}\n")
    program = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from strayline_collector.formats.files import read\n"
        "now = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (now + 260_000_000,) * 2)\n"
        "from itertools import islice\n"
        "print(sum(1 for _ in islice(read(Path(sys.argv[1])), 2000)))\n"
    )
    for path in (whole, lines):
        done = subprocess.run(
            [sys.executable, "-c", program, str(path)], capture_output=True, text=True, timeout=150
        )
        assert (done.stdout.strip(), done.returncode) == (str(min(2000, times + 1)), 0), (
            done.stderr[-500:]
        )


def test_a_jaeger_file_of_many_traces_is_read_trace_by_trace(tmp_path: Path) -> None:
    traces = jaeger_traces(merged(recording()))
    path = tmp_path / "jaeger"
    path.write_text(json.dumps({"data": traces, "total": 0, "limit": 0, "errors": None}, indent=1))
    found = list(read(path))
    assert len(found) == len(traces)
    assert sum(flat(*found).values()) == sum(flat(*recording()).values())
