"""Queues, one queue's order, routes and coverage, and the journey of a message."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import clean_page
from tests.support.collector import RunningCollector
from tests.support.story import CONSUMER, PRODUCER, Told, send, span_id, trace_id

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser: Browser, ui: str) -> Iterator[Page]:
    with clean_page(browser, ui) as found:
        yield found


def test_queues_are_found_sorted_and_say_what_is_judged(page: Page) -> None:
    page.goto("/queues")
    rows = page.locator("tbody tr")
    expect(rows.first).to_be_visible()
    every = rows.count()
    assert "inferred" in str(rows.first.locator(".coverage").get_attribute("title"))
    page.keyboard.press("/")
    page.keyboard.type("billing")
    expect(rows).not_to_have_count(every)
    expect(page.locator("#find-queue")).to_be_focused()
    page.get_by_label("Sort by Late").click()
    expect(page).to_have_url("/queues?find=billing&sort=late")
    rows.first.click()
    expect(page.locator("#order")).to_be_visible()


def test_the_order_is_looked_at_closer_and_further_and_stays_in_the_url(page: Page) -> None:
    page.goto("/queue?name=billing.orders")
    expect(page.locator("#order")).to_have_attribute("data-view", "displacement")
    expect(page.locator("#showing")).to_have_text("showing 11 of 11 late")
    expect(page.locator(".head .figures")).to_contain_text("83late")
    expect(page.get_by_role("button", name="By delivery: 11 late", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="By completion: 83 late", exact=True)).to_be_visible()
    box = page.locator("#order svg").bounding_box()
    assert box is not None
    y = box["y"] + box["height"] * 0.5
    page.mouse.move(box["x"] + box["width"] * 0.3, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, y, steps=4)
    page.mouse.up()
    expect(page.locator("#whole")).to_be_visible()
    assert "from=" in page.url
    expect(page.locator("#order")).to_have_attribute("data-view", "lanes")
    page.keyboard.press("s")
    page.keyboard.press("s")
    page.keyboard.press("s")
    expect(page.locator("#whole")).to_have_count(0)
    page.go_back()
    expect(page.locator("#whole")).to_be_visible()
    page.locator("#whole").click()
    expect(page).to_have_url("/queue?name=billing.orders")


def test_a_late_message_leads_to_its_journey_and_back(page: Page) -> None:
    page.goto("/queue?name=billing.orders&view=sequence&basis=completion")
    expect(page.locator("#order circle.late").first).to_be_visible()
    page.keyboard.press("l")
    page.keyboard.press("Enter")
    journey = page.locator("#journey")
    expect(journey.locator(".publish")).to_have_count(1)
    expect(journey.locator(".route")).to_contain_text("billing.orders")
    expect(journey.locator(".delivery").first).to_contain_text("waited")
    page.get_by_role("link", name="Order in billing.orders").click()
    expect(page.locator("#order")).to_be_visible()


def test_a_message_that_was_given_back_shows_each_round(
    page: Page, collector: RunningCollector
) -> None:
    finding = next(f for f in collector.findings() if f["cause"] == "requeue")
    message = next(m for m in finding["messages"] if m["role"] == "late")
    page.goto(f"/message/{message['trace_id']}-{message['producer_span_id']}")
    deliveries = page.locator("#journey .delivery")
    expect(deliveries).to_have_count(2)
    expect(deliveries.first).to_contain_text("nack requeue")
    expect(deliveries.first.locator(".settle.bad")).to_have_count(1)
    expect(deliveries.nth(1)).to_contain_text("got it again")
    expect(page.locator(f"a[href='/findings/{finding['id']}']")).to_be_visible()


def test_each_round_through_a_dead_letter_exchange_is_a_step(
    page: Page, collector: RunningCollector
) -> None:
    way: dict[str, str | int | tuple[str, ...]] = {
        "messaging.system": "rabbitmq",
        "messaging.rabbitmq.destination.routing_key": "k",
        "strayline.exchange": "work",
    }
    sent = {**way, "messaging.operation.type": "send", "messaging.destination.name": "work:k"}
    came = {**way, "messaging.operation.type": "process", "messaging.destination.name": "work:k"}
    send(collector.otlp_http, [
        Told("sent", "shop", PRODUCER, 10, 12, attributes=sent),
        Told("one", "mail", CONSUMER, 13, 15, "sent", attributes={**came, "strayline.queue": "work", "strayline.settlement": "reject"}),
        Told("two", "retry", CONSUMER, 16, 17, "sent", attributes={
            **came, "strayline.queue": "work.failed", "strayline.settlement": "ack", "strayline.death": ("work|rejected|1|work|k",)}),
    ], series=78)  # fmt: skip
    collector.settle()
    page.goto(f"/message/{trace_id('a', 78)}-{span_id('sent')}")
    steps = page.locator("#journey li")
    expect(page.locator("#journey .delivery")).to_have_count(2)
    died = page.locator("#journey .death")
    expect(died).to_have_count(1)
    expect(died).to_contain_text("rejected in work")
    assert steps.evaluate_all("all => all.map(one => one.classList[1])")[-3:] == ["delivery", "death", "delivery"]  # fmt: skip
    expect(page.locator("#journey .delivery").nth(1)).to_contain_text("work.failed")


def test_a_message_that_came_astray_has_the_nearest_bindings_difference(
    page: Page, collector: RunningCollector
) -> None:
    binding = {"source": "orders", "vhost": "/", "destination_type": "queue", "arguments": {}}
    collector.put(
        "/api/v1/topology",
        {
            "queues": [{"name": name, "vhost": "/", "durable": True, "auto_delete": False, "arguments": {}} for name in ("bills", "parcels")],
            "exchanges": [{"name": "orders", "vhost": "/", "type": "topic", "durable": True, "auto_delete": False, "internal": False, "arguments": {}}],
            "bindings": [{**binding, "destination": "parcels", "routing_key": "order.paid.eu"}, {**binding, "destination": "bills", "routing_key": "order.#"}],
        },
        role="intended",
        valid_from="2026-01-01T00:00:00Z",
    )  # fmt: skip
    way: dict[str, str | int | tuple[str, ...]] = {
        "messaging.system": "rabbitmq", "messaging.destination.name": "orders:order.new.eu",
        "messaging.rabbitmq.destination.routing_key": "order.new.eu", "strayline.exchange": "orders", "strayline.vhost": "/",
    }  # fmt: skip
    send(collector.otlp_http, [
        Told("sent", "shop", PRODUCER, 10, 12, attributes={**way, "messaging.operation.type": "send"}),
        Told("one", "mail", CONSUMER, 13, 15, "sent", attributes={**way, "messaging.operation.type": "process", "strayline.queue": "parcels"}),
    ], series=79)  # fmt: skip
    collector.settle()
    page.goto("/queue?name=parcels&tab=routes")
    row = page.locator("#routes tbody tr", has_text="order.new.eu")
    expect(row).to_contain_text("not meant here")
    expect(row.locator("del")).to_have_text("paid")
    expect(row.locator("ins")).to_have_text("new")


def test_routes_and_what_is_judged_are_one_key_away(page: Page) -> None:
    page.goto("/queue?name=billing.orders")
    expect(page.locator("#order")).to_be_visible()
    page.keyboard.press("2")
    expect(page.locator("#routes tbody tr").first).to_contain_text("billing.orders")
    page.keyboard.press("3")
    expect(page.locator("#coverage")).to_contain_text("reordered")
    expect(page.locator("#coverage .badge").first).to_be_visible()
    page.keyboard.press("1")
    expect(page.locator("#order")).to_be_visible()


def test_a_drawing_is_saved_as_a_file(page: Page) -> None:
    page.goto("/queue?name=billing.orders&view=lanes")
    expect(page.locator("#order circle").first).to_be_visible()
    for kind in ("SVG", "PNG"):
        with page.expect_download() as saved:
            page.get_by_role("button", name=kind).click()
        assert saved.value.suggested_filename == f"billing.orders-lanes.{kind.lower()}"
        data = saved.value.path().read_bytes()
        assert data.startswith(b"<svg" if kind == "SVG" else b"\x89PNG")
        assert b"<script" not in data


def test_a_message_in_two_queues_without_a_name_was_not_got_again(
    page: Page, collector: RunningCollector
) -> None:
    way: dict[str, str | int] = {
        "messaging.system": "rabbitmq",
        "messaging.rabbitmq.destination.routing_key": "k",
    }
    came = {**way, "messaging.destination_publish.name": "fan", "messaging.operation": "process"}
    send(collector.otlp_http, [
        Told("sent", "shop", PRODUCER, 10, 12, attributes={**way, "messaging.destination.name": "fan"}),
        Told("one", "mail", CONSUMER, 13, 15, "sent", attributes=came),
        Told("two", "mail", CONSUMER, 14, 16, "sent", attributes=came),
    ], series=77)  # fmt: skip
    collector.settle()
    page.goto(f"/message/{trace_id('a', 77)}-{span_id('sent')}")
    deliveries = page.locator("#journey .delivery")
    expect(deliveries).to_have_count(2)
    for each in (deliveries.first, deliveries.nth(1)):
        expect(each).to_contain_text("mail got it from a queue")
    page.goto("/queues")
    row = page.locator("#unnamed tbody tr").filter(has_text="mail")
    expect(row).to_contain_text("fan")
    expect(row.locator(".coverage")).to_contain_text("0 judged, 3 inferred")
