"""Ports that nobody listens at, and settings that hold from the first call on."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator

import pytest

import strayline
from tests.instrumentation.conftest import Spans

Configure = Callable[..., None]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """gRPC logs what handlers raise."""
    logging.disable(logging.ERROR)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture
def unused_tcp_port() -> Iterator[int]:
    """A port that is bound and not listened at: connecting to it is refused."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture
def configure(spans: Spans, monkeypatch: pytest.MonkeyPatch) -> Configure:
    """Sets variables and instruments anew: ``configure(STRAYLINE_REDACT="token")``."""

    def configured(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        strayline.uninstrument()
        strayline.instrument()

    return configured
