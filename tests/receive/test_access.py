"""Tokens and TLS on every door: who comes in, who is turned away, and with which words."""

from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter

from strayline_collector.access import Access, read_tokens
from strayline_collector.commands.serving import Protection
from strayline_collector.errors import UsageError
from strayline_collector.settings import Address, CollectorSettings
from strayline_collector.tls import Tls
from tests.support.certificates import Pair, authority, signed
from tests.support.collector import RunningCollector, collector_command
from tests.support.spans import otlp_span

TOKEN, OTHER = "one-Token.of~some+length/64==", "a-second-one"
BEARER = {"authorization": f"Bearer {TOKEN}"}
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
PROTOBUF = {"content-type": "application/x-protobuf"}


@pytest.fixture(scope="module")
def guarded() -> Iterator[RunningCollector]:
    with collector_command(STRAYLINE_TOKEN=f"{TOKEN}:{OTHER}") as running:
        yield running


@pytest.mark.parametrize(
    ("header", "is_in"),
    [
        (f"Bearer {TOKEN}", True),
        (f"bearer   {OTHER} ", True),
        (f"Bearer {TOKEN}x", False),
        (f"Bearer {TOKEN[:-1]}", False),
        (f"Basic {TOKEN}", False),
        (TOKEN, False),
        ("Bearer", False),
        ("Bearer ", False),
        ("", False),
        (None, False),
        ("Bearer ü\ud800", False),
        (b"Bearer \xff", False),
    ],
)
def test_one_of_the_tokens_is_enough_and_nothing_else_is(
    header: str | bytes | None, is_in: bool
) -> None:
    assert Access((TOKEN, OTHER)).authorised(header) is is_in
    assert Access().authorised(header)


@pytest.mark.parametrize("told", [TOKEN, OTHER, "x", TOKEN[:-1]])
def test_every_token_is_compared_in_constant_time_whatever_is_told(
    monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    compared: list[tuple[int, int]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return one == other

    monkeypatch.setattr("strayline_collector.access.hmac.compare_digest", compare)
    Access((TOKEN, OTHER)).authorised(f"Bearer {told}")
    assert compared == [(32, 32), (32, 32)]


def test_tokens_come_from_a_file_too_and_errors_do_not_repeat_them(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"{TOKEN}\n\n {OTHER} \n")
    assert read_tokens([OTHER], file) == (OTHER, TOKEN)
    for bad in ("", "with space", "ümlaut", "a:b", "line\nbreak"):
        with pytest.raises(UsageError, match="--token: ") as refused:
            read_tokens([bad], None)
        assert not bad or bad not in str(refused.value)
    file.write_text("\n")
    with pytest.raises(UsageError, match="holds no token"):
        read_tokens([], file)
    with pytest.raises(UsageError, match="cannot be read"):
        read_tokens([], tmp_path / "none")


@pytest.mark.parametrize("header", [{}, {"authorization": "Bearer wrong"}])
def test_otlp_over_http_answers_401_in_the_requests_encoding(
    guarded: RunningCollector, header: dict[str, str]
) -> None:
    url = f"http://{guarded.otlp_http}/v1/traces"
    answer = httpx.post(url, content=otlp_span(1, 1), headers={**PROTOBUF, **header})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.headers["content-type"] == "application/x-protobuf"
    status = Status.FromString(answer.content)
    assert (status.code, "token" in status.message) == (16, True)
    answer = httpx.post(url, json={}, headers=header)
    assert (answer.status_code, answer.json()["code"]) == (401, 16)
    assert httpx.post(url, content=b"", headers={**PROTOBUF, **BEARER}).status_code == 200


def test_otlp_over_grpc_wants_the_authorization_metadata(guarded: RunningCollector) -> None:
    with grpc.insecure_channel(guarded.otlp_grpc) as channel:
        export = channel.unary_unary(EXPORT)
        for metadata in ((), (("authorization", "Bearer wrong"),)):
            with pytest.raises(grpc.RpcError) as refused:
                export(otlp_span(1, 1), metadata=metadata)
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
            assert "token" in refused.value.details()
        assert export(b"", metadata=(("authorization", f"Bearer {OTHER}"),)) == b""


def test_the_api_answers_a_problem_and_leaves_the_probes_open(guarded: RunningCollector) -> None:
    with httpx.Client(base_url=f"http://{guarded.api}") as client:
        assert client.get("/health").json() == {"status": "alive"}
        assert client.get("/ready").json() == {"status": "ready"}
        for method, path in [
            ("GET", "/api/v1/status"), ("GET", "/openapi.json"), ("GET", "/metrics"), ("GET", "/nonsense"),
            ("POST", "/api/v1/sql"), ("POST", "/health"), ("GET", "/health/"), ("GET", "//health"),
            ("PATCH", "/api/v1/findings/x"), ("PUT", "/api/v1/topology"), ("OPTIONS", "/api/v1/status"),
        ]:  # fmt: skip
            answer = client.request(method, path)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer"), path
            assert answer.headers["content-type"] == "application/problem+json"
            assert "token" in answer.json()["detail"]
        assert client.get("/api/v1/status", headers=BEARER).status_code == 200


def send_one(exporter: SpanExporter) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    provider.get_tracer("t").start_span("sent").end()
    provider.shutdown()


def accepted(collector: RunningCollector, client: httpx.Client) -> int:
    assert client.post("/api/v1/detection/settle").status_code == 200
    return client.get("/api/v1/status").json()["spans"]


def test_stock_exporters_and_ours_come_in_with_the_standard_header_variable() -> None:
    with (
        collector_command("--token", TOKEN) as collector,
        httpx.Client(base_url=f"http://{collector.api}", headers=BEARER) as client,
    ):
        send_one(HttpExporter(endpoint=f"http://{collector.otlp_http}/v1/traces", headers=BEARER))
        send_one(GrpcExporter(endpoint=collector.otlp_grpc, insecure=True, headers=BEARER))
        assert accepted(collector, client) == 2
        for token, spans in (("wrong", 2), (TOKEN, 3)):
            ours = subprocess.run(
                [sys.executable, "-c", f"import strayline; strayline.instrument(service_name='s'); import httpx; httpx.get('http://{collector.api}/health')"],
                env={
                    "PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path),
                    "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector.otlp_http}",
                    # the value is URL-encoded (OpenTelemetry specification, Baggage format)
                    "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20" + token.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D"),
                },
                capture_output=True, text=True, timeout=60,
            )  # fmt: skip
            assert ours.returncode == 0, ours.stderr
            assert accepted(collector, client) == spans


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pair]:
    directory = tmp_path_factory.mktemp("pki")
    ours, theirs = authority(directory, "ours"), authority(directory, "theirs")
    return {
        "ca": ours, "other ca": theirs,
        "server": signed(ours, directory, "server"),
        "expired": signed(ours, directory, "expired", days=0),
        "client": signed(ours, directory, "client"),
        "stranger": signed(theirs, directory, "stranger"),
    }  # fmt: skip


def trusting(pki: dict[str, Pair], client: str | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=pki["ca"].cert)
    if client is not None:
        context.load_cert_chain(pki[client].cert, pki[client].key)
    return context


def tls_options(pki: dict[str, Pair], *, mutual: bool = False) -> list[str]:
    found = ["--tls-cert", str(pki["server"].cert), "--tls-key", str(pki["server"].key)]
    return [*found, "--tls-client-ca", str(pki["ca"].cert)] if mutual else found


def credentials(pki: dict[str, Pair], client: str | None = None) -> grpc.ChannelCredentials:
    own = () if client is None else (pki[client].key.read_bytes(), pki[client].cert.read_bytes())
    return grpc.ssl_channel_credentials(pki["ca"].cert.read_bytes(), *own)


def test_every_door_speaks_tls_and_nothing_else(
    pki: dict[str, Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # beat what the exporter is told
        monkeypatch.delenv(name, raising=False)
    with (
        collector_command(*tls_options(pki), STRAYLINE_TOKEN=TOKEN) as collector,
        httpx.Client(
            base_url=f"https://{collector.api}", headers=BEARER, verify=trusting(pki)
        ) as client,
    ):
        send_one(
            HttpExporter(
                endpoint=f"https://{collector.otlp_http}/v1/traces",
                certificate_file=str(pki["ca"].cert),
                headers=BEARER,
            )
        )
        send_one(
            GrpcExporter(endpoint=collector.otlp_grpc, credentials=credentials(pki), headers=BEARER)
        )
        assert accepted(collector, client) == 2
        for address in (collector.api, collector.otlp_http):
            with pytest.raises(httpx.TransportError):
                httpx.get(f"http://{address}/health")
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                httpx.get(f"https://{address}/health")
            old = trusting(pki)
            with pytest.warns(DeprecationWarning, match="TLSv1_1"):
                old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
            with pytest.raises(httpx.TransportError):
                httpx.get(f"https://{address}/health", verify=old)


@pytest.mark.parametrize(("who", "is_in"), [("client", True), ("stranger", False), (None, False)])
def test_mutual_tls_lets_in_certificates_of_its_authority_alone(
    pki: dict[str, Pair], who: str | None, is_in: bool
) -> None:
    with collector_command(*tls_options(pki, mutual=True)) as collector:
        for url in (f"https://{collector.api}/health", f"https://{collector.otlp_http}/v1/traces"):
            if is_in:
                assert httpx.get(url, verify=trusting(pki, who)).status_code in (200, 405)
            else:
                with pytest.raises(httpx.TransportError):
                    httpx.get(url, verify=trusting(pki, who))
        with grpc.secure_channel(collector.otlp_grpc, credentials(pki, who)) as channel:
            export = channel.unary_unary(EXPORT)
            if is_in:
                assert export(b"", timeout=20) == b""
            else:
                with pytest.raises(grpc.RpcError) as refused:
                    export(b"", timeout=20)
                assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


def context_of(protection: Protection) -> ssl.SSLContext:
    tls = protection.tls()
    assert tls is not None
    return tls.context()


def refused(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "strayline_collector", "collector", "--db", ":memory:",
         "--otlp-http", "127.0.0.1:0", "--otlp-grpc", "127.0.0.1:0", "--api", "127.0.0.1:0", *arguments],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert done.stderr.startswith("strayline: ")
    return done.stderr


def test_files_that_cannot_be_used_are_one_clear_line_before_anything_starts(
    pki: dict[str, Pair], tmp_path: Path
) -> None:
    cert, key = str(pki["server"].cert), str(pki["server"].key)
    wrong, junk = str(pki["client"].key), tmp_path / "junk.pem"
    junk.write_text("no PEM")
    locked = tmp_path / "locked.key"
    subprocess.run(
        ["openssl", "ec", "-aes128", "-passout", "pass:secret", "-in", key, "-out", str(locked)],
        check=True, capture_output=True,
    )  # fmt: skip
    for cert_file, key_file, client_ca, words in [
        (cert, None, None, "--tls-cert: needs --tls-key"),
        (None, key, None, "--tls-key: needs --tls-cert"),
        (None, None, cert, "--tls-client-ca: needs --tls-cert"),
        ("/none.pem", key, None, "--tls-cert /none.pem: cannot be read"),
        (cert, "/none.key", None, "--tls-key /none.key: cannot be read"),
        (cert, wrong, None, f"--tls-key {wrong}: not the key of"),
        (str(junk), key, None, "holds no certificate"),
        (cert, str(junk), None, "holds no private key"),
        (cert, str(locked), None, "without a passphrase"),
        (cert, key, str(junk), "holds no certificate"),
    ]:
        files = [None if f is None else Path(f) for f in (cert_file, key_file, client_ca)]
        with pytest.raises(UsageError) as unusable:
            context_of(Protection((), None, *files))
        assert words in str(unusable.value)
    assert "not the key of" in refused("--tls-cert", cert, "--tls-key", wrong)


def test_an_expired_certificate_is_served_with_a_warning(pki: dict[str, Pair]) -> None:
    pair = pki["expired"]
    with collector_command("--tls-cert", str(pair.cert), "--tls-key", str(pair.key)) as collector:
        with pytest.raises(httpx.ConnectError, match="expired"):
            httpx.get(f"https://{collector.api}/health", verify=trusting(pki))
        collector.process.terminate()
        assert collector.process.stderr is not None
        assert "certificate has expired; clients will refuse it" in collector.process.stderr.read()


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True), ("::ffff:127.0.0.1", True), ("127.1", True),
        ("0.0.0.0", False), ("::", False), ("::ffff:0.0.0.0", False), ("::ffff:10.0.0.1", False), ("0", False), ("10.1.2.3", False),
        ("192.0.2.1", False), ("fe80::1", False), ("2001:db8::1", False),
    ],
)  # fmt: skip
def test_an_address_is_loopback_by_what_it_stands_for(host: str, loopback: bool) -> None:
    assert Address(host, 0).loopback is loopback
    public = [CollectorSettings(**{door: Address(host, 0)}) for door in ("otlp_http", "otlp_grpc", "api")]  # fmt: skip
    for settings in public:
        if loopback:
            settings.check()
        else:
            with pytest.raises(UsageError, match="give --token or --tls-client-ca, or say --insecure"):  # fmt: skip
                settings.check()


def test_public_addresses_want_a_token_or_mutual_tls_and_a_token_without_tls_is_warned_of(
    pki: dict[str, Pair],
) -> None:
    everywhere = ("--api", "0.0.0.0:0")
    assert "--api 0.0.0.0:0" in refused(*everywhere)
    tls = Tls(pki["server"].cert, pki["server"].key)
    with pytest.raises(UsageError, match=r"0\.0\.0\.0"):
        CollectorSettings(api=Address("0.0.0.0", 0), tls=tls).check()
    CollectorSettings(api=Address("0.0.0.0", 0), insecure=True).check()
    with pytest.raises(UsageError, match="no such host"):
        CollectorSettings(api=Address("no-such-host.invalid", 0)).check()
    with collector_command(*everywhere, *tls_options(pki, mutual=True)):
        pass
    with collector_command(*everywhere, "--token", TOKEN) as collector:
        port = collector.api.rpartition(":")[2]
        url = f"http://127.0.0.1:{port}/api/v1/status"
        assert httpx.get(url).status_code == 401
        assert httpx.get(url, headers={**BEARER, "host": "strayline.example"}).status_code == 200
        collector.process.terminate()
        assert collector.process.stderr is not None
        assert "readable by anyone on the way" in collector.process.stderr.read()
