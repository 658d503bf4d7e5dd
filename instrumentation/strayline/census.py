"""What this process has published and consumed so far, told every ten seconds and at exit; and what
it declared, told again every minute.

Without the first a message that was never seen could be lost, or its telemetry could be; with it
the collector knows how many there should be. Without the second a collector that begins after its
services knows no topology.
"""

from __future__ import annotations

import json
import random
import threading
import time
from typing import Any, Final

from strayline.amqp.believed import tell_again
from strayline.amqp.channel import finished_channels, open_channels, set_channel_watcher
from strayline.conventions import CENSUS, CENSUS_SPAN, EPOCH
from strayline.guard import survived
from strayline.lifecycle import after_fork, at_exit
from strayline.provider import dropped_spans, is_collector_away, say
from strayline.settings import topology_interval_s
from strayline.stamp import stamper

EVERY_S: Final = 10.0
SOON_S: Final = 2.0
"""Within this all processes tell a collector that is back what they declared."""
SPREAD: Final = 0.2
"""By so much either way the time between two tellings varies, so that processes do not keep step."""
_CONSUMING: Final = (
    "channel", "broker", "vhost", "queues", "delivery_tag", "unsettled", "closed",
)  # fmt: skip
_lock = threading.Lock()
_wanted = False
_thread: threading.Thread | None = None
_stop = threading.Event()
_back = threading.Event()
"""A collector takes spans again."""


def start() -> None:
    """Counts from the first channel on; the thread begins with it, in each process anew."""
    global _wanted
    _wanted = True
    set_channel_watcher(_run)
    if open_channels():
        _run()


def stop() -> None:
    """Ends the thread, after a last word."""
    global _thread, _wanted
    _wanted = False
    set_channel_watcher(None)
    with _lock:
        running, _thread = _thread, None
    if running is not None:
        _stop.set()
        _back.set()
        running.join(1.0)


def tell(*, last: bool = False) -> None:
    """Sends one census now, once there is anything to tell of. ``last``: the process ends."""
    with survived("taking the census"):
        document = census()
        if last:
            document["last"] = True
        if document["channels"] or document["spans_dropped"]:
            say(CENSUS_SPAN, {CENSUS: json.dumps(document), EPOCH: stamper.epoch})


def census() -> dict[str, Any]:
    """Of each channel its highest ``n``; of each consuming one its broker, vhost and queues, highest
    delivery tag and unsettled tags; spans dropped. Channels that went since the last census have their last word."""
    told = [*finished_channels(), *(channel.told() for channel in open_channels())]
    return {
        "channels": [{"channel": ch["channel"], "n": ch["n"]} for ch in told],
        "consumers": [
            {key: ch[key] for key in _CONSUMING if key in ch} for ch in told if "queues" in ch
        ],
        "spans_dropped": dropped_spans(),
        "at_unix_nano": time.time_ns(),
    }


def _run() -> None:
    global _thread
    if _thread is None:
        with _lock:
            if _thread is None:
                _stop.clear()
                _back.clear()
                thread = threading.Thread(target=_forever, name="strayline-census", daemon=True)
                with survived("starting the census thread"):  # not at interpreter shutdown
                    thread.start()
                    _thread = thread


def tell_again_soon() -> None:
    """Has what was declared told again at once, about: a collector that was away is back."""
    _back.set()


def _forever() -> None:
    every_s = topology_interval_s()
    counted = time.monotonic() + EVERY_S
    again = time.monotonic() + _spread(every_s) if every_s else None
    while not _stop.is_set():
        due = counted if again is None else min(counted, again)
        if _back.wait(max(0.0, due - time.monotonic())):
            _back.clear()
            if again is not None:
                soon = time.monotonic() + random.uniform(0, min(SOON_S, every_s))  # noqa: S311
                again = min(again, soon)
        now = time.monotonic()
        if now >= counted:
            tell()
            counted = now + EVERY_S
        if again is not None and now >= again:
            again = now + _spread(every_s)
            if not is_collector_away():  # else once it is back
                with survived("telling the topology again"):
                    tell_again()
    tell()


def _spread(seconds: float) -> float:
    return seconds * random.uniform(1 - SPREAD, 1 + SPREAD)  # noqa: S311


def _last_word() -> None:
    if _wanted or dropped_spans():
        tell(last=True)


def _after_fork() -> None:
    global _thread, _stop, _back, _lock
    _thread, _stop, _back, _lock = None, threading.Event(), threading.Event(), threading.Lock()


after_fork(_after_fork)
at_exit(_last_word)
