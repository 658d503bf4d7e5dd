"""A peer for clients, and settings that hold from the first request on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

import strayline
from tests.instrumentation.conftest import Spans
from tests.instrumentation.http.peers import Peer

Configure = Callable[..., None]


@pytest.fixture(scope="session")
def _peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.close()


@pytest.fixture
def peer(_peer: Peer) -> Peer:
    """A plain HTTP server on loopback."""
    _peer.heard.clear()
    return _peer


@pytest.fixture
def configure(spans: Spans, monkeypatch: pytest.MonkeyPatch) -> Configure:
    """Sets variables and instruments anew: ``configure(STRAYLINE_REDACT="token")``."""

    def configured(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        strayline.uninstrument()
        strayline.instrument()

    return configured
