"""Flask alone: subclasses, middleware, mounts, files, errors that Flask lets through."""

from __future__ import annotations

import io
from typing import Any
from wsgiref.util import FileWrapper

import flask
import pytest
from opentelemetry import context, trace
from opentelemetry.trace import SpanKind
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import EnvironBuilder

import strayline
from tests.instrumentation.conftest import Spans
from tests.instrumentation.http.clients import told
from tests.instrumentation.http.servers import flask_app


def _call(app: Any, path: str = "/items/7", **more: Any) -> tuple[str, Any]:
    """Calls an application as a server does; gives status and body, unread and unclosed."""
    environ = EnvironBuilder(path, base_url="http://shop/").get_environ() | more
    said: list[str] = []
    body = app(environ, lambda status, headers, *rest: said.append(status) or (lambda _: None))
    assert not context.get_current()
    return said[0], body


def _whole(app: Any, path: str = "/items/7", **more: Any) -> str:
    status, body = _call(app, path, **more)
    b"".join(body)
    body.close()
    return status


class OwnCall(flask.Flask):
    def __call__(self, environ: Any, start_response: Any) -> Any:
        return super().__call__(environ, start_response)


class OwnWsgiApp(flask.Flask):
    def wsgi_app(self, environ: Any, start_response: Any) -> Any:
        return super().wsgi_app(environ, start_response)


@pytest.mark.parametrize("kind", [flask.Flask, OwnCall, OwnWsgiApp])
def test_subclasses_have_one_span_too(spans: Spans, kind: type[flask.Flask]) -> None:
    app = kind("shop")
    app.add_url_rule("/x", view_func=lambda: "x")
    assert _whole(app, "/x") == "200 OK"
    assert [span.name for span in spans()] == ["GET /x"]


def test_middleware_within_and_around_changes_nothing(spans: Spans) -> None:
    within: Any = flask_app()
    within.wsgi_app = ProxyFix(within.wsgi_app)
    around = ProxyFix(flask_app().wsgi_app)
    for app in (within, around):
        assert _whole(app) == "200 OK"
    assert [span.name for span in spans()] == ["GET /items/<item>"] * 2


def test_a_mounted_application_has_its_place_in_path_and_route(spans: Spans) -> None:
    app = DispatcherMiddleware(flask.Flask("outer"), {"/api": flask_app()})
    assert _whole(app, "/api/items/7") == "200 OK"
    (span,) = spans()
    assert (told(span)["url.path"], told(span)["http.route"]) == (
        "/api/items/7",
        "/api/items/<item>",
    )


def test_a_streamed_body_ends_the_span_when_it_is_closed(spans: Spans) -> None:
    _, body = _call(flask_app(), "/stream")
    assert next(iter(body)) == b"part"
    assert not [span for span in spans() if span.kind is SpanKind.SERVER]
    body.close()
    body.close()
    assert len([span for span in spans() if span.kind is SpanKind.SERVER]) == 1


def test_a_body_that_is_closed_unread_ends_the_span(spans: Spans) -> None:
    _, body = _call(flask_app())
    body.close()
    assert len(spans()) == 1


def test_a_body_that_raises_is_an_error_of_the_span(spans: Spans) -> None:
    app = flask.Flask("shop")

    def parts() -> Any:
        yield b"one"
        raise RuntimeError("two")

    app.add_url_rule("/", view_func=lambda: flask.Response(parts()))
    _, body = _call(app, "/")
    with pytest.raises(RuntimeError, match="two"):
        list(body)
    body.close()
    (span,) = spans()
    assert told(span)["error.type"] == "RuntimeError"
    assert told(span)["http.response.status_code"] == 200


def test_the_context_between_two_parts_is_the_servers(spans: Spans) -> None:
    _, body = _call(flask_app(), "/stream")
    for _ in body:
        assert trace.get_current_span() is trace.INVALID_SPAN
    body.close()


def test_a_file_goes_to_the_server_as_it_is(spans: Spans) -> None:
    """A server tells a file by its type and has the kernel send it."""
    app = flask.Flask("shop")

    @app.route("/file")
    def file() -> flask.Response:
        return flask.send_file(io.BytesIO(b"x" * 10), mimetype="text/plain")

    status, body = _call(app, "/file", **{"wsgi.file_wrapper": FileWrapper})
    assert status == "200 OK"
    assert type(body) is FileWrapper
    body.close()
    assert told(spans()[0])["http.route"] == "/file"


def test_an_error_that_flask_lets_through_ends_the_span(spans: Spans) -> None:
    app = flask_app()
    app.config["PROPAGATE_EXCEPTIONS"] = True
    with pytest.raises(RuntimeError, match="boom"):
        _call(app, "/boom")
    (span,) = spans()
    assert told(span)["error.type"] == "RuntimeError"
    assert not context.get_current()


def test_an_error_that_a_handler_answers_is_the_applications_own_business(spans: Spans) -> None:
    app = flask_app()
    app.register_error_handler(RuntimeError, lambda error: ("sorry", 409))
    assert _whole(app, "/boom").startswith("409")
    assert "error.type" not in told(spans()[0])


def test_an_environ_that_lacks_things_is_served(spans: Spans) -> None:
    environ = EnvironBuilder("/items/7").get_environ()
    for name in ("HTTP_HOST", "QUERY_STRING", "SERVER_PROTOCOL", "SCRIPT_NAME"):
        environ.pop(name, None)
    body: Any = flask_app()(environ, lambda *_: lambda _: None)
    assert b"".join(body) == b"7"
    body.close()
    assert told(spans()[0])["server.address"] == "localhost"


def test_off_puts_the_very_functions_back() -> None:
    before = (flask.Flask.__call__, flask.Flask.wsgi_app)
    receivers = dict(flask.got_request_exception.receivers)
    strayline.instrument(only=["flask"])
    assert flask.Flask.__call__ is not before[0]
    strayline.uninstrument()
    assert (flask.Flask.__call__, flask.Flask.wsgi_app) == before
    assert dict(flask.got_request_exception.receivers) == receivers
