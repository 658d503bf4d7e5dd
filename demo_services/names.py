"""Names of exchanges and queues, importable without starting (or instrumenting) a service."""

from __future__ import annotations

from typing import Final

EVENTS: Final = "orders.events"
NOTIFY: Final = "notify"
BILLING: Final = "billing.orders"
SHIPPING: Final = "shipping.orders"
EMAIL: Final = "notifications.email"
AUDIT: Final = "notifications.audit"
INVENTORY: Final = "inventory.rpc"
