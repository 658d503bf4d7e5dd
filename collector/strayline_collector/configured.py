"""How this collector was started, as anybody who may ask is told: no secrets, no paths."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from urllib.parse import urlsplit

from strayline_collector.detect.thresholds import Thresholds, parse_thresholds
from strayline_collector.memory import Shares
from strayline_collector.query.wire import Configured, MemoryParts, Threshold
from strayline_collector.settings import CollectorSettings


def configured(settings: CollectorSettings, parts: Shares) -> Configured:
    """For ``GET /api/v1/settings``. Of URLs only host and port are told: the rest may be a secret."""
    age_ns, size = settings.kept()
    return Configured(
        store=Path(settings.db).name,
        otlp_http=str(settings.otlp_http),
        otlp_grpc=str(settings.otlp_grpc),
        retention_s=None if age_ns is None else age_ns // 1_000_000_000,
        max_db_size_bytes=size,
        lateness_s=settings.lateness_s,
        memory=MemoryParts(
            limit_bytes=parts.limit,
            store_bytes=parts.store,
            requests_bytes=parts.requests,
            journal_bytes=parts.journal,
        ),
        contracts=[Path(path).name for path in settings.contracts],
        topology_from=[_place(url) for url in settings.rabbitmq_api],
        forward_to=None if settings.forward is None else _place(settings.forward.url),
        webhooks=[_place(url) for url in settings.webhooks],
        token_wanted=bool(settings.access.tokens),
        tls=settings.tls is not None,
        thresholds=_thresholds(parse_thresholds(settings.thresholds)),
    )


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _thresholds(chosen: Thresholds) -> list[Threshold]:
    usual = Thresholds()
    return [
        Threshold(
            name=field.name,
            value=getattr(chosen, field.name),
            default=getattr(usual, field.name),
            means=field.metadata["means"],
        )
        for field in fields(Thresholds)
    ]
