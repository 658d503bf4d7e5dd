"""A real RabbitMQ: the one at ``AMQP_URL``, else a private node of the installed package.

The private node is an ordinary child process in a temporary directory, on free ports of the
loopback interface, beside any system node. It and its port mapper die with this process.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

import httpx

START_S: Final = 90.0
LAST_LINES: Final = 12
LOOK_S: Final = 1.0
PLUGINS: Final = "[rabbitmq_management,rabbitmq_consistent_hash_exchange,rabbitmq_random_exchange]."
_INSTALLS: Final = (
    "/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server",
    "/opt/homebrew/opt/rabbitmq/sbin/rabbitmq-server",
    "/usr/local/opt/rabbitmq/sbin/rabbitmq-server",
)


class BrokerError(Exception):
    """No broker can be had; the text says what to do."""


def ended(code: int, said: str) -> str:
    """How a child ended that should not have: its exit code or signal, and what it said last."""
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    lines = [line for line in said.splitlines() if line.strip()][-LAST_LINES:]
    return f"{how}. {'Its last lines:' if lines else 'It had logged nothing.'}" + "".join(
        f"\n  {line}" for line in lines
    )


@dataclass(frozen=True, slots=True)
class Node:
    """A private node's process and what it says."""

    process: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """Raises ``BrokerError`` when it has ended."""
        if self.process.poll() is not None:
            said = self.log.read_text(errors="replace")
            raise BrokerError(f"the broker {ended(self.process.returncode, said)}")


@dataclass(slots=True)
class Reachable:
    """Somebody else's broker, of which only its port is known."""

    host: str
    port: int
    looked_s: float = 0.0

    def check(self) -> None:
        """Raises ``BrokerError`` when it takes no connections; looks every ``LOOK_S`` at most."""
        if time.monotonic() - self.looked_s < LOOK_S:
            return
        try:
            socket.create_connection((self.host, self.port), timeout=5).close()
        except OSError as error:
            raise BrokerError(
                f"the broker at {self.host}:{self.port}, which AMQP_URL names, can no longer be reached ({error})"
            ) from None
        self.looked_s = time.monotonic()


@dataclass(frozen=True, slots=True)
class Broker:
    """A running RabbitMQ: ``url`` of its default vhost, base URL and login of its management."""

    url: str
    management: str
    user: str
    password: str
    alive: Node | Reachable

    def check(self) -> None:
        """Raises ``BrokerError`` when it has ended, or no longer takes connections."""
        self.alive.check()

    def vhost_url(self, vhost: str) -> str:
        """The AMQP URL of a vhost."""
        return self.url.rsplit("/", 1)[0] + "/" + quote(vhost, safe="")

    def api(self, method: str, path: str, json: object = None) -> httpx.Response:
        """One management API call. Raises ``BrokerError`` when it is refused or nobody answers."""
        try:
            response = httpx.request(
                method,
                f"{self.management}/api{path}",
                json=json,
                auth=(self.user, self.password),
                timeout=30,
            )
            response.raise_for_status()
        except httpx.HTTPError as error:
            raise BrokerError(
                f"the broker's management API at {self.management} is needed and does not serve {method} {path} "
                f"({error or type(error).__name__}); set RABBITMQ_MANAGEMENT_URL, or unset AMQP_URL for a private node"
            ) from None
        return response

    @contextmanager
    def vhost(self) -> Generator[str]:
        """A vhost of its own: yields its AMQP URL, deletes it after."""
        name = f"t-{secrets.token_hex(6)}"
        path = f"/vhosts/{name}"
        self.api("PUT", path)
        self.api(
            "PUT",
            f"/permissions/{name}/{self.user}",
            {"configure": ".*", "write": ".*", "read": ".*"},
        )
        try:
            yield self.vhost_url(name)
        except BaseException:
            with suppress(BrokerError):  # what went wrong first says more
                self.api("DELETE", path)
            raise
        self.api("DELETE", path)


@contextmanager
def running_broker() -> Generator[Broker]:
    """The broker at ``AMQP_URL`` (management at ``RABBITMQ_MANAGEMENT_URL``, by default port
    15672 of its host), else a private node. Raises ``BrokerError``."""
    url = os.environ.get("AMQP_URL")
    if url:
        yield _given(url)
        return
    with private_node() as broker:
        yield broker


def _given(url: str) -> Broker:
    parts = urlsplit(url)
    if parts.scheme not in ("amqp", "amqps") or not parts.hostname:
        raise BrokerError(f"AMQP_URL={url}: expected amqp://user:password@host:5672/vhost")
    try:
        socket.create_connection((parts.hostname, parts.port or 5672), timeout=5).close()
    except OSError as error:
        raise BrokerError(f"AMQP_URL={url}: the broker cannot be reached ({error})") from None
    management = os.environ.get("RABBITMQ_MANAGEMENT_URL", f"http://{parts.hostname}:15672")
    base = url if parts.path else url + "/"
    return Broker(
        base,
        management.rstrip("/"),
        parts.username or "guest",
        parts.password or "guest",
        Reachable(parts.hostname, parts.port or 5672),
    )


def find_server() -> Path:
    """The server script of an installed RabbitMQ. Not ``/usr/sbin/rabbitmq-server``, which
    changes user and directory."""
    for pattern in _INSTALLS:
        found = sorted(Path("/").glob(pattern.removeprefix("/")))
        if found:
            return found[-1]
    raise BrokerError(
        "no RabbitMQ found: install it (Debian: apt-get install rabbitmq-server, macOS: brew install rabbitmq) or set AMQP_URL"
    )


@contextmanager
def private_node() -> Generator[Broker]:
    """A node of our own, stopped and removed after."""
    server = find_server()
    directory = Path(tempfile.mkdtemp(prefix="strayline-rabbit-"))
    children: list[subprocess.Popen[bytes]] = []
    try:
        mapper_port, dist_port, amqp_port, management_port = _free_ports(4)
        environment = _environment(directory, mapper_port, dist_port, amqp_port, management_port)
        epmd = shutil.which("epmd") or "epmd"
        children.append(
            _child([epmd, "-address", "127.0.0.1", "-port", str(mapper_port)], environment)
        )
        log = directory / "stdout"
        with log.open("wb") as out:
            children.append(_child([str(server)], environment, out))
        _wait_ready(children[-1], log)
        yield Broker(
            f"amqp://guest:guest@127.0.0.1:{amqp_port}/",
            f"http://127.0.0.1:{management_port}",
            "guest",
            "guest",
            Node(children[-1], log),
        )
    finally:
        for child in reversed(children):
            _stop(child)
        shutil.rmtree(directory, ignore_errors=True)


def _environment(
    directory: Path, mapper: int, dist: int, amqp: int, management: int
) -> dict[str, str]:
    cookie = directory / ".erlang.cookie"
    cookie.write_text(secrets.token_hex(20))
    cookie.chmod(0o400)
    (directory / "plugins").write_text(PLUGINS)
    (directory / "env").write_text("")
    (directory / "rabbitmq.conf").write_text(
        f"listeners.tcp.1 = 127.0.0.1:{amqp}\n"
        "management.tcp.ip = 127.0.0.1\n"
        f"management.tcp.port = {management}\n"
        "loopback_users = none\n"
    )
    return {
        "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        "LANG": "C.UTF-8",
        "HOME": str(directory),
        "RABBITMQ_NODENAME": f"strayline{secrets.token_hex(4)}@localhost",
        "RABBITMQ_CONF_ENV_FILE": str(directory / "env"),
        "RABBITMQ_CONFIG_FILE": str(directory / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "plugins"),
        "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
        "RABBITMQ_LOG_BASE": str(directory / "log"),
        "RABBITMQ_PID_FILE": str(directory / "pid"),
        "RABBITMQ_DIST_PORT": str(dist),
        "RABBITMQ_NODE_PORT": str(amqp),
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(mapper),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1 +sbwt none",
        # the script then execs, so that the child's pid is the node's
        "RUNNING_UNDER_SYSTEMD": "1",
    }


def dies_with_parent() -> Callable[[], None] | None:
    """For ``preexec_fn``: the kernel ends the child when this process dies, however it dies."""
    if not os.path.exists("/proc/self"):
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    return lambda: libc.prctl(1, signal.SIGTERM)


def _child(
    command: list[str], environment: dict[str, str], out: object = subprocess.DEVNULL
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # type: ignore[call-overload]
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=subprocess.STDOUT,
        preexec_fn=dies_with_parent(),  # noqa: PLW1509 - no threads of ours hold locks here
        start_new_session=True,
    )


def _wait_ready(node: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if "completed" in (text := log.read_text(errors="replace")):
            return
        if node.poll() is not None:
            raise BrokerError(f"RabbitMQ did not start:\n{text[-2000:]}")
        time.sleep(0.05)
    raise BrokerError(
        f"RabbitMQ was not ready within {START_S:.0f} s:\n{log.read_text(errors='replace')[-2000:]}"
    )


def _stop(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(timeout=20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago, all different."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in held]
    for listener in held:
        listener.close()
    return ports
