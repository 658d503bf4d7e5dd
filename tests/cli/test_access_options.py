"""Tokens, certificates and SQL on the command line: clients come in, and nothing tells the secret."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from demo_services.processes import ROOT
from tests.cli.test_cli import clear_line, strayline
from tests.support.certificates import authority, signed
from tests.support.collector import collector_command, running_collector
from tests.support.spans import otlp_span

TOKEN = "the-secret-token"


def test_clients_show_a_token_and_a_certificate(tmp_path: Path) -> None:
    ca = authority(tmp_path, "ca")
    server, client = signed(ca, tmp_path, "server"), signed(ca, tmp_path, "client")
    file = tmp_path / "one.pb"
    file.write_bytes(otlp_span(1, 1))
    tokens = tmp_path / "tokens"
    tokens.write_text(TOKEN)
    with collector_command(
        "--token-file", str(tokens), "--tls-cert", str(server.cert), "--tls-key", str(server.key), "--tls-client-ca", str(ca.cert)
    ) as collector:  # fmt: skip
        api, otlp = f"https://{collector.api}", f"https://{collector.otlp_http}"
        shown = ("--ca", str(ca.cert), "--client-cert", str(client.cert), "--client-key", str(client.key))  # fmt: skip
        done = strayline("findings", "--api", api, *shown, "--token", TOKEN)
        assert (done.returncode, done.stdout) == (0, "no findings\n"), done.stderr
        done = strayline("import", str(file), "--otlp-http", otlp, *shown, STRAYLINE_TOKEN=TOKEN)
        assert (done.returncode, done.stdout) == (0, "1 spans from 1 file\n"), done.stderr
        done = strayline(
            "sql", "SELECT 1", "--api", api, "--csv", SSL_CERT_FILE=str(ca.cert), STRAYLINE_TOKEN=TOKEN,
            STRAYLINE_CLIENT_CERT=str(client.cert), STRAYLINE_CLIENT_KEY=str(client.key),
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (0, "1\n1\n"), done.stderr
        done = strayline("export", "--format", "jsonl", "--api", api, *shown, "--token", TOKEN)
        assert (done.returncode, done.stdout.count('"spanId"')) == (0, 1), done.stderr
        clear_line(strayline("findings", "--api", api, *shown), "401", "give --token")
        clear_line(strayline("export", "--api", api, *shown), "401", "give --token")
        clear_line(strayline("import", str(file), "--otlp-http", otlp, *shown), "401", "--token")
        clear_line(strayline("findings", "--api", api, "--token", TOKEN), "CERTIFICATE_VERIFY_FAILED")  # fmt: skip
        clear_line(strayline("findings", "--api", api, "--ca", "/none.pem"), "--ca /none.pem")
        clear_line(strayline("findings", "--api", api, "--client-cert", "/none.pem"), "--client-cert /none.pem")  # fmt: skip


@pytest.mark.parametrize("with_tls", [False, True])
def test_up_lets_its_dashboard_in_and_shows_the_token_to_nobody(
    tmp_path: Path, with_tls: bool
) -> None:
    tls: tuple[str, ...] = ()
    if with_tls:
        ca = authority(tmp_path, "ca")
        server, client = signed(ca, tmp_path, "server"), signed(ca, tmp_path, "client")
        tls = (
            "--tls-cert", str(server.cert), "--tls-key", str(server.key), "--tls-client-ca", str(ca.cert),
            "--client-cert", str(client.cert), "--client-key", str(client.key),
        )  # fmt: skip
    up = subprocess.Popen(
        [sys.executable, "-m", "strayline_collector", "up", "--db", ":memory:", "--ui", "127.0.0.1:0",
         "--otlp-http", "127.0.0.1:0", "--otlp-grpc", "127.0.0.1:0", "--api", "127.0.0.1:0", *tls],
        cwd=ROOT, env={"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path), "STRAYLINE_TOKEN": f"{TOKEN}:another"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        assert up.stdout is not None
        told = {line[0]: line[-1] for line in (up.stdout.readline().split() for _ in range(5))}
        assert told["api"].startswith("https://" if with_tls else "http://")
        children = Path(f"/proc/{up.pid}/task/{up.pid}/children").read_text().split()
        for child in children:
            assert TOKEN not in Path(f"/proc/{child}/cmdline").read_text()
        dependencies = {"output": "data.data", "outputs": {"id": "data", "property": "data"}, "changedPropIds": ["url.pathname"]}  # fmt: skip
        inputs = [{"id": "url", "property": "pathname", "value": "/"}, {"id": "url", "property": "search", "value": ""}, {"id": "refresh", "property": "data"}]  # fmt: skip
        with httpx.Client(base_url=told["dashboard"]) as browser:
            assert browser.get("/").headers["location"] == "/login?next=%2F"
            browser.post("/login", data={"token": "another"})
            page = browser.get("/")
            drawn = browser.post("/_dash-update-component", json={**dependencies, "inputs": inputs})
            assert drawn.status_code == 200, drawn.text
            assert drawn.json()["response"]["data"]["data"]["error"] is None
            for answer in (page, drawn, browser.get("/_dash-layout")):
                assert TOKEN not in answer.text + str(answer.headers)
    finally:
        up.send_signal(signal.SIGINT)
        _, errors = up.communicate(timeout=30)
    assert up.returncode == 0, errors
    assert TOKEN not in errors


def test_a_dashboard_without_the_token_says_what_it_needs(tmp_path: Path) -> None:
    from strayline_dashboard.client import ApiProblem, Client, Entry

    with collector_command("--token", TOKEN) as collector:
        for token in (TOKEN, None, "wrong"):
            client = Client(f"http://{collector.api}", Entry(token=token))
            with contextlib.closing(client._http):
                if token == TOKEN:
                    assert client.get("/api/v1/status")
                    continue
                with pytest.raises(ApiProblem, match="start the dashboard with --token"):
                    client.get("/api/v1/status")
    clear_line(strayline("dashboard", "--ui", "0.0.0.0:0", "--token", TOKEN), "--insecure")
    clear_line(strayline("dashboard", "--api", "http://:9"), "--api http://:9", "URL")
    clear_line(strayline("dashboard", "--api", "https://127.0.0.1:9", "--ca", "/none.pem"), "--ca")


def test_mutual_tls_with_a_dashboard_wants_its_certificate_too(tmp_path: Path) -> None:
    ca = authority(tmp_path, "ca")
    options = ("--tls-cert", str(ca.cert), "--tls-key", str(ca.key), "--tls-client-ca", str(ca.cert))  # fmt: skip
    clear_line(strayline("up", "--db", ":memory:", *options), "--client-cert")


def test_sql_as_table_json_and_csv_from_an_argument_and_from_standard_input() -> None:
    with running_collector() as collector:
        api = ("--api", collector.api)
        statement = "SELECT * FROM (VALUES (1, 'a,b'), (22, NULL)) t(n, text)"
        done = strayline("sql", statement, *api)
        assert done.stdout == " n  text\n--  ----\n 1  a,b\n22\n", done.stderr
        lines = strayline("sql", statement, *api, "--json").stdout.splitlines()
        assert [json.loads(line) for line in lines] == [{"n": 1, "text": "a,b"}, {"n": 22, "text": None}]  # fmt: skip
        told = strayline("sql", statement, "--csv", STRAYLINE_API=f"http://{collector.api}").stdout
        assert list(csv.reader(io.StringIO(told))) == [["n", "text"], ["1", "a,b"], ["22", ""]]
        piped = subprocess.run(
            [sys.executable, "-m", "strayline_collector", "sql", "-", *api, "--max-rows", "1"],
            input=statement, cwd=ROOT, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert piped.stdout == "n  text\n-  ----\n1  a,b\n"
        assert piped.stderr == "only the first 1 rows; there are more\n"
        clear_line(strayline("sql", "DROP TABLE spans", *api), "exactly one SELECT")
        clear_line(strayline("sql", "SELECT 1", "--json", "--csv", *api), "choose one")
        clear_line(strayline("sql", "SELECT 1", "--api", "127.0.0.1:9"), "strayline up")
        escape = strayline("sql", "SELECT chr(27) || '[31mred' AS x", *api)
        assert "\x1b" not in escape.stdout
