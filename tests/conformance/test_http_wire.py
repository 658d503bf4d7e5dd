"""OTLP/HTTP byte by byte: what other stacks send that Python's HTTP clients would not."""

from __future__ import annotations

import gzip
import json

import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tests.support.collector import RunningCollector
from tests.support.otlp import body, new_trace, trace_id
from tests.support.raw_http import Wire, head, wire

PROTOBUF = "application/x-protobuf"


def kept(collector: RunningCollector, number: int) -> int:
    """How many spans of a trace are stored."""
    collector.settle()
    items = collector.get("/api/v1/traces", q=f"trace_id={trace_id(number)}")["items"]
    return items[0]["spans"] if items else 0


def post(content: bytes, **headers: str) -> bytes:
    """A whole request with its length."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return (
        head(headers={"Content-Type": PROTOBUF, "Content-Length": str(len(content)), **names})
        + content
    )


def chunks(content: bytes, size: int) -> bytes:
    """``content`` in chunked transfer coding."""
    parts = [content[i : i + size] for i in range(0, len(content), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def taken(connection: Wire) -> None:
    """The next answer says that all was taken."""
    answer = connection.answer()
    assert (answer.status, answer.headers["content-type"]) == (200, PROTOBUF)
    assert ExportTraceServiceResponse.FromString(answer.body) == ExportTraceServiceResponse()


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_chunked_body_is_read_whatever_its_chunks(collector: RunningCollector, size: int) -> None:
    number = new_trace()
    headers = {"Content-Type": PROTOBUF, "Transfer-Encoding": "chunked"}
    with wire(collector.otlp_http) as connection:
        connection.send(head(headers=headers) + chunks(body(number, spans=3), size))
        taken(connection)
        zipped = gzip.compress(body(number, spans=5))
        connection.send(
            head(headers={**headers, "Content-Encoding": "gzip"}) + chunks(zipped, size)
        )
        taken(connection)
    assert kept(collector, number) == 5


def test_pipelined_requests_are_answered_in_order(collector: RunningCollector) -> None:
    number = new_trace()
    with wire(collector.otlp_http) as connection:
        connection.send(
            post(body(number)) + post(b"\xff\xff\xff") + post(body(number, spans=2)) + post(b"")
        )
        taken(connection)
        assert connection.answer().status == 400
        taken(connection)
        taken(connection)
    assert kept(collector, number) == 2


def test_who_expects_to_be_told_to_go_on_is_told(collector: RunningCollector) -> None:
    content = body(number := new_trace())
    with wire(collector.otlp_http) as connection:
        connection.send(
            head(
                headers={
                    "Content-Type": PROTOBUF,
                    "Content-Length": str(len(content)),
                    "Expect": "100-continue",
                }
            )
        )
        assert connection.answer().status == 100
        connection.send(content)
        taken(connection)
    assert kept(collector, number) == 1


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"])
def test_other_methods_are_405_and_say_which_is_answered(
    collector: RunningCollector, method: str
) -> None:
    with wire(collector.otlp_http) as connection:
        connection.send(
            head(method, headers={"Content-Type": "application/json", "Content-Length": "0"})
        )
        answer = connection.answer(bodiless=method == "HEAD")
        assert (answer.status, answer.headers["allow"]) == (405, "POST")
        if method != "HEAD":
            assert json.loads(answer.body)["message"]
        connection.send(post(b""))
        taken(connection)


def test_a_post_without_a_length_has_no_body(collector: RunningCollector) -> None:
    with wire(collector.otlp_http) as connection:
        connection.send(head(headers={"Content-Type": PROTOBUF}))
        taken(connection)


@pytest.mark.parametrize("length", ["-1", "x", "0x10", "1, 2", "9" * 40])
def test_a_length_that_is_none_is_refused(collector: RunningCollector, length: str) -> None:
    with wire(collector.otlp_http) as connection:
        connection.send(head(headers={"Content-Type": PROTOBUF, "Content-Length": length}))
        assert connection.answer().status in (400, 413)


def test_a_length_shorter_than_the_body_ends_the_connection(collector: RunningCollector) -> None:
    content = body(new_trace(), spans=20)
    with wire(collector.otlp_http) as connection:
        connection.send(
            head(headers={"Content-Type": PROTOBUF, "Content-Length": "10"}) + content + b"\r\n\r\n"
        )
        assert connection.answer().status == 400  # ten bytes of it are no request
        assert b" 200 " not in connection.rest()
    with wire(collector.otlp_http) as connection:
        connection.send(post(b""))
        taken(connection)


def test_a_body_that_ends_before_its_length_is_not_taken(collector: RunningCollector) -> None:
    content = body(number := new_trace())
    length = str(len(content) + 5)
    with wire(collector.otlp_http) as connection:
        connection.send(head(headers={"Content-Type": PROTOBUF, "Content-Length": length}))
        connection.send(content)
        connection.socket.shutdown(1)
        assert b" 200 " not in connection.rest()
    assert kept(collector, number) == 0


def test_both_a_length_and_chunks_are_not_two_requests(collector: RunningCollector) -> None:
    """RFC 9112 6.3: chunks win or the request is refused; what follows is never a request."""
    number = new_trace()
    with wire(collector.otlp_http) as connection:
        connection.send(
            head(
                headers={
                    "Content-Type": PROTOBUF,
                    "Content-Length": "5",
                    "Transfer-Encoding": "chunked",
                }
            )
            + b"0\r\n\r\n"
        )
        first = connection.answer()
        if first.status == 200:
            connection.send(post(body(number)))
            taken(connection)
        else:
            assert first.status == 400


def test_huge_headers_are_refused_and_the_door_stays_open(collector: RunningCollector) -> None:
    with wire(collector.otlp_http) as connection:
        try:
            connection.send(
                head(
                    headers={
                        "Content-Type": PROTOBUF,
                        "Content-Length": "0",
                        "X-Huge": "x" * 4_000_000,
                    }
                )
            )
            assert connection.answer().status in (400, 431)
        except ConnectionError:  # closed while we still sent
            pass
    with wire(collector.otlp_http) as connection:
        connection.send(post(b""))
        taken(connection)


def test_http_1_0_is_answered_and_closed(collector: RunningCollector) -> None:
    content = body(number := new_trace())
    with wire(collector.otlp_http) as connection:
        connection.send(
            head(
                version="1.0",
                headers={"Content-Type": PROTOBUF, "Content-Length": str(len(content))},
            )
            + content
        )
        taken(connection)
        assert connection.rest() == b""
    assert kept(collector, number) == 1


@pytest.mark.parametrize(
    "media",
    [
        "application/x-protobuf; charset=utf-8",
        "Application/X-Protobuf",
        "application/x-protobuf;proto=opentelemetry.proto.collector.trace.v1",
    ],
)
def test_parameters_and_case_of_the_content_type_do_not_matter(
    collector: RunningCollector, media: str
) -> None:
    with wire(collector.otlp_http) as connection:
        connection.send(post(body(number := new_trace()), Content_Type=media))
        taken(connection)
        document = b'{"resourceSpans":[]}'
        connection.send(post(document, Content_Type="Application/JSON; Charset=UTF-8"))
        answer = connection.answer()
        assert (answer.status, answer.headers["content-type"], json.loads(answer.body)) == (
            200,
            "application/json",
            {},
        )
    assert kept(collector, number) == 1


@pytest.mark.parametrize("encoding", ["GZIP", "Gzip", "gzip", " gzip "])
def test_gzip_in_any_case_is_unzipped(collector: RunningCollector, encoding: str) -> None:
    with wire(collector.otlp_http) as connection:
        connection.send(post(gzip.compress(body(number := new_trace())), Content_Encoding=encoding))
        taken(connection)
    assert kept(collector, number) == 1


@pytest.mark.parametrize("encoding", ["deflate", "br", "zstd", "gzip, gzip", "x"])
def test_other_encodings_are_refused_with_a_word(
    collector: RunningCollector, encoding: str
) -> None:
    with wire(collector.otlp_http) as connection:
        connection.send(post(body(), Content_Encoding=encoding))
        answer = connection.answer()
        assert answer.status in (400, 415)
        assert answer.headers["content-type"] == PROTOBUF
        assert "gzip" in Status.FromString(answer.body).message


def test_a_response_stays_small_whatever_the_request_says(collector: RunningCollector) -> None:
    """Responses over 4 MiB are more than clients read."""
    long = "x" * 6_000_000
    for content, media in (
        (json.dumps({"resourceSpans": long}).encode(), "application/json"),
        (json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [{"startTimeUnixNano": long}]}]}]}).encode(), "application/json"),
        (b"\x0a" + b"\xff" * 6_000_000, PROTOBUF),
    ):  # fmt: skip
        with wire(collector.otlp_http) as connection:
            connection.send(post(content, Content_Type=media))
            answer = connection.answer()
            assert answer.status == 400
            assert len(answer.body) < 64 * 1024
