"""How the commands reach a running collector: its address, the token, and over TLS whom to trust."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import httpx

from strayline_collector.commands import UsageProblem


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client shows and whom it trusts; None is the default."""

    token: str | None = None
    ca: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None


def connect(address: str, credentials: Credentials, *, option: str) -> httpx.Client:
    """A client of ``address`` (a URL, or HOST:PORT over HTTP). Raises ``UsageProblem``."""
    url = (address if "://" in address else f"http://{address}").rstrip("/")
    headers = {}
    if credentials.token:
        if not credentials.token.isascii() or not credentials.token.isprintable():
            raise UsageProblem("--token: holds what no header can carry")
        headers["authorization"] = f"Bearer {credentials.token}"
    verify = _context(credentials) if url.startswith("https://") else True
    try:
        return httpx.Client(base_url=url, headers=headers, timeout=60, verify=verify)
    except (httpx.InvalidURL, ValueError) as error:
        raise UsageProblem(f"{option} {address}: no address: {error}") from None


def refusal(api: str, answer: httpx.Response) -> UsageProblem:
    """What is to be said where the API, or what stands in its place, answered otherwise than 200;
    ``answer`` was read."""
    if answer.headers.get("content-type") != "application/problem+json":
        return UsageProblem(
            f"--api {api}: answers, but not as a collector's API does (HTTP {answer.status_code}); "
            "give the address that strayline up calls api"
        )
    detail = str(answer.json().get("detail"))
    if answer.status_code in (400, 422):  # it names what was wrong, which the address was not
        return UsageProblem(detail)
    remedy = "; give --token" if answer.status_code == 401 else ""
    return UsageProblem(f"--api {api}: HTTP {answer.status_code}: {detail}{remedy}")


def unreachable(option: str, address: str, error: Exception, what: str) -> UsageProblem:
    """What is to be said where nothing answers, or nothing that makes sense."""
    return UsageProblem(
        f"{option} {address}: {what} ({str(error) or type(error).__name__}); start one with: strayline up"
    )


def _context(credentials: Credentials) -> ssl.SSLContext:
    context = ssl.create_default_context()  # SSL_CERT_FILE is heard
    try:
        if credentials.ca is not None:
            context.load_verify_locations(credentials.ca)
    except (OSError, ssl.SSLError) as error:
        raise UsageProblem(f"--ca {credentials.ca}: cannot be used: {error}") from None
    try:
        if credentials.client_cert is not None:
            context.load_cert_chain(credentials.client_cert, credentials.client_key)
    except (OSError, ssl.SSLError) as error:
        raise UsageProblem(
            f"--client-cert {credentials.client_cert}: cannot be used: {error}"
        ) from None
    return context
