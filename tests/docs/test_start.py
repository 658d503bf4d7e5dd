"""The first finding, as ``docs/start.md`` tells it: its program, its command, its answer."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from demo_services.processes import ROOT
from tests.support.collector import running_collector

PAGE = (ROOT / "docs" / "start.md").read_text("utf-8")
pytestmark = pytest.mark.broker


def test_the_program_of_the_first_page_leads_to_its_finding(vhost: str, tmp_path: Path) -> None:
    program = re.findall(r"```python\n(.*?)```", PAGE, re.S)[0]
    (tmp_path / "orders.py").write_text(program, encoding="utf-8")
    told = re.search(r"^warning  1  (.*)  fnd_", PAGE, re.M)
    assert told is not None
    with running_collector() as collector:
        options = ["--service-name", "shop", "--endpoint", collector.otlp_http]
        subprocess.run(
            [sys.executable, "-m", "strayline_collector", "run", *options, "--", sys.executable, "orders.py"],
            cwd=tmp_path, env={**os.environ, "AMQP_URL": vhost}, check=True, timeout=60,
        )  # fmt: skip
        collector.settle()
        found = subprocess.run(
            [sys.executable, "-m", "strayline_collector", "findings", "--api", f"http://{collector.api}"],
            capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
    lines = found.stdout.splitlines()
    assert [re.sub(r"fnd_\w+$", "", line).rstrip() for line in lines] == [f"warning  1  {told[1]}"]
