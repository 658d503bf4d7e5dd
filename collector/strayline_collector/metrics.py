"""Figures of the running collector in Prometheus' text format (0.0.4), for ``GET /metrics``.

Our own, because it is a page of code and the client library would be a dependency with a global
registry, a lock a sample and process collectors that we do not want on the acknowledgement path.
A counter's series is written by one thread only; reading from any is safe.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metric(Protocol):
    name: str
    help: str
    kind: str

    def lines(self) -> list[str]:
        """Samples, one a line."""
        ...


class Counter:
    """Only grows. ``labels`` are the names of the values that ``add`` takes."""

    kind = "counter"

    def __init__(self, name: str, help: str, labels: Sequence[str] = ()) -> None:  # noqa: A002
        self.name, self.help = name, help
        self._labels = tuple(labels)
        self._series: dict[tuple[str, ...], float] = {} if labels else {(): 0}

    def add(self, amount: float, *labels: str) -> None:
        self._series[labels] = self._series.get(labels, 0) + amount

    def value(self, *labels: str) -> float:
        return self._series.get(labels, 0)

    def total(self) -> float:
        """Of every series."""
        return sum(self._series.copy().values())

    def lines(self) -> list[str]:
        return [
            f"{self.name}{_labels(self._labels, series)} {_number(value)}"
            for series, value in sorted(self._series.copy().items())
        ]


class Gauge:
    """Read when it is asked for; a figure that cannot be had right now is left out."""

    kind: str = "gauge"

    def __init__(self, name: str, help: str, read: Callable[[], float | None]) -> None:  # noqa: A002
        self.name, self.help = name, help
        self._read = read

    def lines(self) -> list[str]:
        value = self._read()
        return [] if value is None else [f"{self.name} {_number(value)}"]


class Levels:
    """A gauge with labels, read when it is asked for: values of the labels, in their order."""

    kind = "gauge"

    def __init__(
        self,
        name: str,
        help: str,  # noqa: A002
        labels: Sequence[str],
        read: Callable[[], Mapping[tuple[str, ...], float]],
    ) -> None:
        self.name, self.help = name, help
        self._labels = tuple(labels)
        self._read = read

    def lines(self) -> list[str]:
        return [
            f"{self.name}{_labels(self._labels, series)} {_number(value)}"
            for series, value in sorted(self._read().items())
        ]


class Total(Gauge):
    """A figure that only grows and is kept elsewhere."""

    kind = "counter"


class Histogram:
    """Durations in seconds."""

    kind = "histogram"

    def __init__(self, name: str, help: str, buckets: Sequence[float] = _SECONDS) -> None:  # noqa: A002
        self.name, self.help = name, help
        self._bounds = tuple(buckets)
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0
        self.last = 0.0

    def observe(self, seconds: float) -> None:
        place = 0
        for bound in self._bounds:
            if seconds <= bound:
                break
            place += 1
        self._counts[place] += 1
        self._sum += seconds
        self.last = seconds

    def lines(self) -> list[str]:
        found: list[str] = []
        running = 0
        for bound, count in zip(self._bounds, self._counts, strict=False):
            running += count
            found.append(f'{self.name}_bucket{{le="{bound:g}"}} {running}')
        running += self._counts[-1]
        found.append(f'{self.name}_bucket{{le="+Inf"}} {running}')
        found.append(f"{self.name}_sum {_number(self._sum)}")
        found.append(f"{self.name}_count {running}")
        return found


def render(metrics: Sequence[Metric]) -> str:
    """One exposition of all of them."""
    lines: list[str] = []
    for metric in metrics:
        samples = metric.lines()
        if samples:
            lines.append(f"# HELP {metric.name} {metric.help}")
            lines.append(f"# TYPE {metric.name} {metric.kind}")
            lines += samples
    return "\n".join(lines) + "\n"


def _labels(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    if not names:
        return ""
    pairs = ",".join(
        f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True)
    )
    return f"{{{pairs}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
