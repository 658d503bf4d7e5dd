"""Findings for terminals, scripts and CI: text, JSON lines, JUnit XML, GitHub's annotations."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

Item = Mapping[str, Any]
"""A finding as the API tells it (``query.wire.Finding``)."""

RANK: Final = {"info": 1, "warning": 2, "error": 3}
EVIDENCE: Final = 10
"""Messages named below a finding."""
_GITHUB: Final = {"info": "notice", "warning": "warning", "error": "error"}
_NOT_IN_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def fails(items: Iterable[Item], fail_on: str | None) -> bool:
    """Whether a finding that is not muted reaches ``fail_on``: ``info``, ``warning`` or ``error``."""
    worst = max((RANK[i["severity"]] for i in items if i["triage"] != "muted"), default=0)
    return fail_on is not None and worst >= RANK[fail_on]


def text(items: Sequence[Item], fail_on: str | None = None) -> str:
    """For people: each finding with its explanation, remedy and first messages."""
    if not items:
        return "no findings\n"
    return "\n".join(told(item) for item in items)


def json_lines(items: Sequence[Item], fail_on: str | None = None) -> str:
    """One JSON object a line, as ``GET /api/v1/findings`` has them."""
    return "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items)


def junit(items: Sequence[Item], fail_on: str | None = None) -> str:
    """JUnit XML: a test case a finding, failed where it reaches ``fail_on``; one that passed where
    there is none at all, since some readers refuse a suite without cases."""
    suite = ET.Element("testsuite", name="strayline")
    failures = 0
    for item in items:
        # readers take two cases of one name for one: the id parts them, the same in every build
        name = " ".join(part for part in (_what(item), _where(item), item["id"]) if part)
        case = _case(suite, f"strayline.{item['kind']}", name)
        if fails((item,), fail_on):
            failures += 1
            report = ET.SubElement(
                case, "failure", type=item["severity"], message=_xml(str(item["title"]))
            )
        else:
            report = ET.SubElement(case, "system-out")
        report.text = _xml(told(item))
    if not items:
        _case(suite, "strayline", "no findings")
    suite.set("tests", str(max(1, len(items))))
    suite.set("failures", str(failures))
    suite.set("errors", "0")
    suite.set("skipped", "0")
    suite.set("time", "0")
    ET.indent(suite)
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(suite, encoding="unicode") + "\n"
    )


def _case(suite: ET.Element, classname: str, name: str) -> ET.Element:
    """``time`` says nothing here, but Surefire's schema asks for it."""
    return ET.SubElement(suite, "testcase", classname=classname, name=_xml(name), time="0")


def github(items: Sequence[Item], fail_on: str | None = None) -> str:
    """Workflow commands of GitHub Actions: an annotation a finding."""
    return "".join(
        f"::{_GITHUB[item['severity']]} title={_property(str(item['title']))}::{_data(told(item))}\n"
        for item in items
    )


FORMATS: Final[Mapping[str, Callable[[Sequence[Item], str | None], str]]] = {
    "text": text,
    "json": json_lines,
    "junit": junit,
    "github": github,
}


def _what(item: Item) -> str:
    return " ".join(part for part in (item["kind"], item["verdict"], item["cause"]) if part)


def _where(item: Item) -> str:
    subject = item["subject"]
    return next((f"{subject[name]}" for name in ("queue", "exchange") if subject.get(name)), "")


def told(item: Item) -> str:
    """A finding in full, for people."""
    lines = [
        f"{item['severity']}: {item['title']}",
        f"  {_what(item)}, {item['confidence']}, {item['count']} {'message' if item['count'] == 1 else 'messages'}  {item['id']}",
        f"  {item['explanation']}",
        f"  {item['remedy']}",
    ]
    messages = item["messages"]
    lines += [f"    {_message(message)}" for message in messages[:EVIDENCE]]
    if len(messages) > EVIDENCE:
        lines.append(f"    and {len(messages) - EVIDENCE} more")
    return "\n".join(lines) + "\n"


def _message(message: Item) -> str:
    parts = [str(message["role"])]
    for name in ("message_id", "queue", "sequence", "trace_id"):
        if message.get(name) not in (None, ""):
            parts.append(f"{name}={message[name]}")
    for name in ("expected_queues", "actual_queues"):
        if message.get(name):
            parts.append(f"{name.removesuffix('_queues')}={','.join(message[name])}")
    if delivered := "; ".join(filter(None, map(_delivery, message.get("deliveries", ())))):
        parts.append(f"deliveries: {delivered}")
    return " ".join(parts)


def _delivery(delivery: Item) -> str:
    """As ``tag 3 nack_requeue``; nothing of one of which its spans say none of this."""
    tag = delivery["delivery_tag"]
    told = (
        None if tag is None else f"tag {tag}",
        "redelivered" if delivery["redelivered"] else None,
        delivery["settled"],
    )
    return " ".join(filter(None, told))


def _xml(value: str) -> str:
    """Less the characters that XML 1.0 cannot have."""
    return _NOT_IN_XML.sub("\ufffd", value)


def _data(value: str) -> str:
    return value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str) -> str:
    return _data(value).replace(":", "%3A").replace(",", "%2C")
