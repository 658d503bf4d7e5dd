"""What this process has published and consumed so far, told every ten seconds and at exit.

Without it a message that was never seen could be lost, or its telemetry could be; with it the
collector knows how many there should be.
"""

from __future__ import annotations

import json
import threading
import time
from typing import Any, Final

from strayline.amqp.channel import finished_channels, open_channels, set_channel_watcher
from strayline.conventions import CENSUS, CENSUS_SPAN, EPOCH
from strayline.guard import survived
from strayline.lifecycle import after_fork, at_exit
from strayline.provider import dropped_spans, say
from strayline.stamp import stamper

EVERY_S: Final = 10.0
_CONSUMING: Final = (
    "channel", "broker", "vhost", "queues", "delivery_tag", "unsettled", "closed",
)  # fmt: skip
_lock = threading.Lock()
_wanted = False
_thread: threading.Thread | None = None
_stop = threading.Event()


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
                thread = threading.Thread(target=_forever, name="strayline-census", daemon=True)
                with survived("starting the census thread"):  # not at interpreter shutdown
                    thread.start()
                    _thread = thread


def _forever() -> None:
    while not _stop.wait(EVERY_S):
        tell()
    tell()


def _last_word() -> None:
    if _wanted or dropped_spans():
        tell(last=True)


def _after_fork() -> None:
    global _thread, _stop, _lock
    _thread, _stop, _lock = None, threading.Event(), threading.Lock()


after_fork(_after_fork)
at_exit(_last_word)
