"""What a webhook's receiver is sent: Slack's fields for people, ours for programs, and a signature."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Final

from strayline.version import __version__
from strayline_collector.query.wire import Finding

MESSAGES_TOLD: Final = 10
_TITLE: Final = 140
_TEXT: Final = 2_900
"""Slack refuses headers of more than 150 characters and sections of more than 3,000."""
_OPENINGS: Final = {"opened": "New", "episode": "Again", "severity": "Worse"}


def body(finding: Finding, event: str, delivery: str) -> bytes:
    """The request's JSON. ``event``: ``opened``, ``episode`` or ``severity``; ``delivery`` names this
    notice, the same whenever it is tried again."""
    opening = f"{_OPENINGS[event]} {finding['severity']}"
    told = {**finding, "messages": finding["messages"][:MESSAGES_TOLD]}
    told["messages_truncated"] = len(finding["messages"]) > MESSAGES_TOLD
    subject = finding["subject"]
    where = [subject["broker"], subject["vhost"], subject["queue"], subject["producer_service"]]
    facts = [finding["kind"], f"{finding['count']} messages", finding["confidence"], finding["id"]]
    document = {
        "text": _escaped(f"{opening}: {finding['title']}"),
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": _cut(f"{opening}: {finding['title']}", _TITLE)}},
            {"type": "section", "text": {"type": "mrkdwn", "text": _cut(_escaped(finding["explanation"]), _TEXT)}},
            {"type": "section", "text": {"type": "mrkdwn", "text": _cut("*Remedy*: " + _escaped(finding["remedy"]), _TEXT)}},
            {"type": "context", "elements": [
                {"type": "plain_text", "text": _cut(" · ".join(filter(None, [*facts, *where])), _TEXT)}
            ]},
        ],
        "strayline": {"version": __version__, "event": event, "delivery": delivery, "finding": told},
    }  # fmt: skip
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def signature(secret: str, timestamp: str, content: bytes) -> str:
    """``v1=`` and the hex of HMAC-SHA256 over the timestamp, a dot and the body."""
    signed = hmac.new(secret.encode(), timestamp.encode() + b"." + content, hashlib.sha256)
    return "v1=" + signed.hexdigest()


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
