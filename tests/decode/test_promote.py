"""Attributes that become columns, by old names and new."""

from __future__ import annotations

from typing import Any

import pytest

from strayline_collector.decode.promote import promoted

CLIENT = 3


@pytest.mark.parametrize(
    ("attributes", "service", "method"),
    [
        ({"rpc.method": "shop.v1.Orders/Create"}, "shop.v1.Orders", "Create"),
        ({"rpc.service": "shop.v1.Orders", "rpc.method": "Create"}, "shop.v1.Orders", "Create"),
        (
            {"rpc.service": "shop.v1.Orders", "rpc.method": "shop.v1.Orders/Create"},
            "shop.v1.Orders",
            "Create",
        ),
        ({"rpc.method": "/Orders/Create"}, "Orders", "Create"),
        ({"rpc.method": "_OTHER"}, None, "_OTHER"),
        ({"rpc.service": "shop.v1.Orders"}, "shop.v1.Orders", None),
        ({"rpc.service": "Other", "rpc.method": "Orders/Create"}, "Other", "Orders/Create"),
        ({"rpc.method": "/"}, None, "/"),
        ({"rpc.method": "Orders/"}, None, "Orders/"),
        ({"rpc.method": 5}, None, "5"),
        ({"rpc.method": ["Orders/Create"]}, None, None),
    ],
)
def test_service_and_method_are_told_apart_by_either_naming(
    attributes: dict[str, Any], service: str | None, method: str | None
) -> None:
    columns = promoted(CLIENT, {"rpc.system.name": "grpc", **attributes})
    assert (columns["rpc_service"], columns["rpc_method"]) == (service, method)
    assert columns["rpc_system"] == "grpc"


@pytest.mark.parametrize(
    ("attributes", "status"),
    [
        ({"rpc.response.status_code": "NOT_FOUND", "rpc.grpc.status_code": 5}, "NOT_FOUND"),
        ({"rpc.grpc.status_code": 5}, "5"),
    ],
)
def test_a_status_is_the_newer_names(attributes: dict[str, Any], status: str) -> None:
    assert promoted(CLIENT, attributes)["rpc_status"] == status
