"""Which spans are recorded: ``OTEL_TRACES_SAMPLER`` and its argument, as the SDK reads them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from strayline.guard import log

Sampler = Callable[[int, bool | None], bool]
"""Asked with a trace id and whether the parent is sampled (None: a root); true records."""

_LOW: Final = (1 << 64) - 1


def always_on(trace_id: int, parent: bool | None) -> bool:
    return True


def always_off(trace_id: int, parent: bool | None) -> bool:
    return False


def ratio(rate: float) -> Sampler:
    """Records this part of all traces, the same ones in every service: by the id's lower half."""
    bound = round(rate * (1 << 64))
    return lambda trace_id, parent: trace_id & _LOW < bound


def parent_based(root: Sampler) -> Sampler:
    """As the parent was decided; a root by ``root``."""
    return lambda trace_id, parent: root(trace_id, None) if parent is None else parent


PARENT_BASED_ON: Final = parent_based(always_on)
"""The default."""


def from_environment() -> Sampler:
    """The sampler that the environment asks for. What cannot be understood is said."""
    name = os.environ.get("OTEL_TRACES_SAMPLER", "").strip().lower() or "parentbased_always_on"
    root = name.removeprefix("parentbased_")
    if root == "always_on":
        sampler = always_on
    elif root == "always_off":
        sampler = always_off
    elif root == "traceidratio":
        sampler = ratio(_rate())
    else:
        log.warning(
            "OTEL_TRACES_SAMPLER=%s is not known here; parentbased_always_on is used. Samplers of "
            "plugins need a tracer provider of the SDK, configured by the application",
            name,
        )
        return PARENT_BASED_ON
    if root == name:
        return sampler
    return PARENT_BASED_ON if sampler is always_on else parent_based(sampler)


def _rate() -> float:
    text = os.environ.get("OTEL_TRACES_SAMPLER_ARG", "").strip()
    if not text:
        return 1.0
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0 <= rate <= 1:
        log.warning("OTEL_TRACES_SAMPLER_ARG=%s is no number from 0 to 1; 1 is used", text)
        return 1.0
    return rate
