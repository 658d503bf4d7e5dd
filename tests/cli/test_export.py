"""``strayline export``: what a collector holds, in files that import reads, and one line for what
cannot be."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.cli.test_cli import clear_line, strayline
from tests.formats.test_round_trip import flat
from tests.support.collector import running_collector
from tests.support.corpus import requests, truth


def test_a_recording_comes_back_in_every_format_and_goes_into_another_collector(
    tmp_path: Path,
) -> None:
    came = flat(*(ExportTraceServiceRequest.FromString(body) for body in requests("b_misroute")))
    with running_collector() as collector, running_collector() as other:
        api = ("--api", collector.api)
        collector.replay("b_misroute")
        collector.replay("b_misroute")  # every acknowledgement lost: each request sent twice
        collector.settle()
        for name in ("all.pb", "all.pb.gz", "all.jsonl.gz", "all.json"):
            done = strayline("export", "-o", str(tmp_path / name), *api)
            assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        whole = (tmp_path / "all.pb").read_bytes()
        assert flat(ExportTraceServiceRequest.FromString(whole)) == came
        assert gzip.decompress((tmp_path / "all.pb.gz").read_bytes()) == whole
        assert {path.name for path in tmp_path.iterdir()} == {
            "all.pb", "all.pb.gz", "all.jsonl.gz", "all.json",
        }  # fmt: skip
        for name in ("all.jsonl.gz", "all.json"):
            done = strayline("import", str(tmp_path / name), "--otlp-http", other.otlp_http)
            assert done.returncode == 0, done.stderr
        other.settle()
        assert other.get("/api/v1/status")["spans"] == truth("b_misroute")["spans"]
        again = strayline("export", "--format", "jsonl", STRAYLINE_API=other.api).stdout
        (tmp_path / "again.jsonl").write_text(again)
        assert strayline(
            "export", "--format", "protobuf", "-o", str(tmp_path / "again"), "--api", other.api
        ).returncode == 0  # fmt: skip
        back = ExportTraceServiceRequest.FromString((tmp_path / "again").read_bytes())
        assert flat(back) == came


def test_one_trace_a_range_and_what_cannot_be(tmp_path: Path) -> None:
    with running_collector() as collector:
        api = ("--api", collector.api)
        collector.replay("b_misroute")
        collector.settle()
        trace_id = next(iter(truth("b_misroute")["gateway_trace_of_order"].values()))
        one = json.loads(strayline("export", "--trace", trace_id.upper(), *api).stdout)
        spans = [s for r in one["resourceSpans"] for sc in r["scopeSpans"] for s in sc["spans"]]
        assert {span["traceId"] for span in spans} == {trace_id}
        jaeger = json.loads(
            strayline("export", "--trace", trace_id, "--format", "jaeger", *api).stdout
        )
        assert [t["traceID"] for t in jaeger["data"]] == [trace_id]
        assert len(jaeger["data"][0]["spans"]) == len(spans)
        starts = sorted(int(span["startTimeUnixNano"]) for span in spans)
        ranged = json.loads(
            strayline("export", "--since", str(starts[0]), "--until", str(starts[0]), *api).stdout
        )
        assert ranged["resourceSpans"]
        assert json.loads(strayline("export", "--since", "1s", *api).stdout) == {
            "resourceSpans": []
        }
        clear_line(strayline("export", "--trace", "1" * 32, *api), "no trace 1111")
        clear_line(strayline("export", "--since", "2", "--until", "1", *api), "since=2", "until=1")
        clear_line(strayline("export", "--since", "noon", *api), "since=noon", "RFC 3339")
        clear_line(strayline("export", "--trace", trace_id, "--since", "1h", *api), "--trace")
        clear_line(strayline("export", "--format", "xml", *api), "--format xml", "jaeger")
        clear_line(
            strayline("export", "-o", str(tmp_path / "no" / "x.pb"), *api),
            "x.pb",
            "cannot be written",
        )
    clear_line(strayline("import", "/dev/null"), "/dev/null", "no file")
    clear_line(strayline("export", "--api", "127.0.0.1:9"), "127.0.0.1:9", "strayline up")
