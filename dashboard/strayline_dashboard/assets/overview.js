"use strict";
/* The first look, live; and what a newcomer sees before any data. */
(() => {
  const sl = window.strayline;
  const { h } = sl;
  const TAIL = 60,
    RATES_EVERY = 5;

  /* The demo's own traffic, where the demo runs. */
  function demoButton() {
    if (!document.getElementById("shell").dataset.demo) return null;
    return h(
      "button",
      {
        class: "button",
        type: "button",
        id: "demo",
        onclick: async (event) => {
          const button = event.currentTarget;
          button.disabled = true;
          try {
            const answer = await (
              await fetch("/demo/orders", {
                method: "POST",
                headers: { "content-type": "application/json" },
                body: "{}",
              })
            ).json();
            sl.say(answer.detail || `${sl.many(answer.placed, "order")} placed`);
          } catch {
            sl.say("The demo does not answer");
          }
          button.disabled = false;
        },
      },
      "Run 20 orders",
    );
  }

  const FIRST =
    "pip install strayline\nimport strayline.auto          # first line of your service\nOTEL_SERVICE_NAME=billing python billing.py";
  function empty(settings) {
    const grpc = settings.otlp_grpc,
      http = settings.otlp_http;
    return h(
      "div",
      { class: "empty", "data-testid": "empty" },
      h("h1", {}, "Waiting for the first trace"),
      h("p", { class: "quiet" }, "Add one import to a Python service, and start it:"),
      h("div", { class: "copyable" }, h("pre", {}, FIRST), sl.copyButton(FIRST)),
      h("p", { class: "quiet" }, "Any OpenTelemetry SDK in any language works too. Point it at this collector:"),
      h(
        "div",
        { class: "copyable" },
        h(
          "pre",
          {},
          `OTEL_EXPORTER_OTLP_ENDPOINT=http://${http}\nOTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf    # or grpc, at ${grpc}`,
        ),
        sl.copyButton(`OTEL_EXPORTER_OTLP_ENDPOINT=http://${http}`),
      ),
      h(
        "p",
        { class: "line" },
        demoButton() ||
          h(
            "span",
            { class: "quiet" },
            "Only looking? ",
            h("code", {}, "strayline demo"),
            " brings a shop with faults of its own.",
          ),
        h("a", { class: "link-text", href: "/docs/instrumentation" }, "What is instrumented"),
      ),
    );
  }

  function findingLink(f, apart) {
    const line = sl.findingLine(f, apart);
    return h(
      "a",
      { href: `/findings/${f.id}`, "data-finding": f.id },
      h("span", { class: "title" }, f.title),
      sl.badge(f.severity),
      h(
        "span",
        { class: "quiet whole ends" },
        h("span", { class: "clip", title: line }, line),
        h("span", {}, sl.many(f.count, "message")),
      ),
    );
  }

  sl.traceColumns = () => [
    ["Trace", (t) => [sl.chip(t.root_service), h("b", {}, t.root_service), " ", t.root_name], {}],
    ["Start", (t) => h("span", { class: "mono" }, sl.time(t.start_unix_nano)), { width: "118px" }],
    ["Duration", (t) => h("span", { class: "mono" }, sl.ms(t.duration_ms)), { width: "96px", n: true }],
    [
      "Queue wait",
      (t) => h("span", { class: "mono amqp-text" }, t.queue_wait_ms === null ? "" : sl.ms(t.queue_wait_ms)),
      { width: "96px", n: true },
    ],
    ["Spans", (t) => sl.count(t.spans), { width: "64px", n: true }],
    ["Services", (t) => sl.count(t.services.length), { width: "76px", n: true }],
    [
      "",
      (t) => [
        t.errors ? sl.badge("error", sl.many(t.errors, "error")) : null,
        t.findings ? sl.badge("warning", sl.many(t.findings, "finding")) : null,
      ],
      { width: "172px" },
    ],
  ];
  const tailColumns = () => {
    const [trace, start, took, wait, spans] = sl.traceColumns();
    const none = () => h("span", { class: "faint" }, "–");
    return [
      trace,
      [
        start[0],
        (t) => h("span", { class: "mono", title: sl.time(t.start_unix_nano) }, sl.time(t.start_unix_nano).slice(0, 8)),
        { width: "86px" },
      ],
      [took[0], took[1], { width: "90px", n: true }],
      ["Wait", wait[1], { width: "84px", n: true }],
      ["Spans", spans[1], { width: "58px", n: true }],
      [
        "Errors",
        (t) => (t.errors ? h("span", { class: "error-text" }, sl.count(t.errors)) : none()),
        { width: "60px", n: true },
      ],
      [
        "Findings",
        (t) => (t.findings ? sl.badge("warning", sl.count(t.findings)) : none()),
        { width: "76px", n: true },
      ],
    ];
  };

  function card(label, value, values, options) {
    return h(
      "div",
      { class: "pane card" },
      h("div", { class: "quiet" }, label),
      h("b", {}, value),
      sl.spark(values, { width: 300, height: 34, area: true, ...options }),
    );
  }
  function cards(rates, flow) {
    const { points } = rates;
    const step = Math.max(rates.step_s, 1e-9);
    const requests = points.reduce((n, p) => n + p.requests, 0),
      errors = points.reduce((n, p) => n + p.errors, 0);
    const slowest = points.map((p) => p.p95_ms || 0);
    return [
      /* now, over what came in the range */
      card(
        "Spans arriving",
        `${flow[flow.length - 1].toFixed(flow[flow.length - 1] >= 10 ? 0 : 1)}/s`,
        flow.some((n) => n) && flow.length > 4 ? flow : points.map((p) => p.spans),
      ),
      card(
        "Calls and messages",
        `${sl.count(requests)} · ${sl.rate(requests / Math.max(1e-9, points.length * step))}`,
        points.map((p) => p.requests),
      ),
      card(
        "Errors",
        `${sl.count(errors)} · ${sl.percent(errors, requests)}`,
        points.map((p) => p.errors),
        { error: errors > 0 },
      ),
      card("p95 at its worst", sl.ms(Math.max(0, ...slowest)), slowest),
    ];
  }

  /* A list that grows by itself, and never under the cursor: while the pointer, the focus or the scroll is
     in it, or it is paused, what came is only counted. */
  function tail(place, load, draw, noun) {
    let waiting = 0,
      busy = false,
      paused = false,
      over = false;
    const news = h("button", { class: "button small", type: "button", hidden: true, onclick: () => show() });
    const pause = h(
      "button",
      { class: "button small", type: "button", "aria-pressed": "false", onclick: () => toggle() },
      "Pause",
    );
    const held = () =>
      paused ||
      over ||
      place.scrollTop > 4 ||
      (place.contains(document.activeElement) && document.activeElement !== place);
    function tell() {
      news.hidden = !waiting;
      news.textContent = `${sl.count(waiting)} new`;
      news.setAttribute("aria-label", `${waiting} new ${noun}, show`);
    }
    async function show() {
      if (busy) return;
      busy = true;
      try {
        const told = await load();
        if (!place.isConnected) return;
        if (held() && waiting && document.activeElement !== news) return;
        waiting = 0;
        place.replaceChildren(draw(told));
        place.scrollTop = 0;
      } catch {
        /* the connection says so already */
      } finally {
        busy = false;
        tell();
      }
    }
    function toggle() {
      paused = !paused;
      pause.setAttribute("aria-pressed", String(paused));
      pause.textContent = paused ? "Paused" : "Pause";
      if (!paused && waiting) show();
    }
    place.addEventListener("pointerenter", () => (over = true));
    place.addEventListener("pointerleave", () => {
      over = false;
      if (waiting && !held()) show();
    });
    return {
      news,
      pause,
      toggle,
      came(n) {
        waiting += n;
        if (held()) tell();
        else show();
      },
    };
  }

  let flow = [];
  sl.pages.overview = (root, data, params) => {
    if (!data.status.spans) {
      sl.put(root, empty(data.settings));
      sl.live({
        rates: (r) => {
          if (r.spans) sl.refresh();
        },
      });
      return;
    }
    const between = sl.between();
    const fixed = Boolean(params.end);
    if (!flow.length) flow = [data.status.ingest.spans_per_s];
    const rates = h("div", { class: "cards" }, cards(data.rates, flow));
    const traceList = h(
      "div",
      { class: "scroll tail", id: "tail", tabindex: "0", role: "region", "aria-label": "Newest traces" },
      traceTable(data.traces),
    );
    const findingList = h(
      "div",
      { class: "scroll tail", id: "newest-findings", tabindex: "0", role: "region", "aria-label": "Findings" },
      findings(data.findings),
    );
    const traces = tail(
      traceList,
      () => sl.ask("/traces", { limit: TAIL, ...between }),
      (told) => traceTable(told.items),
      "traces",
    );
    const found = tail(
      findingList,
      () => sl.ask("/findings", { limit: 30, messages: "none" }),
      (told) => findings(told.items),
      "findings",
    );
    sl.put(
      root,
      h(
        "div",
        { class: "head" },
        sl.title("Overview", h("p", { class: "quiet", id: "totals" }, totals(data.status))),
        demoButton(),
      ),
      h(
        "div",
        { class: "body stack overview" },
        rates,
        h(
          "div",
          { class: "halves" },
          h(
            "section",
            { class: "pane half" },
            h(
              "header",
              {},
              h("h2", {}, "Findings"),
              h("span", { class: "line" }, found.news, h("a", { class: "quiet", href: "/findings" }, "All findings")),
            ),
            findingList,
          ),
          h(
            "section",
            { class: "pane half wide-half" },
            h(
              "header",
              {},
              h("h2", {}, "Newest traces"),
              h(
                "span",
                { class: "line" },
                fixed ? null : [traces.news, traces.pause],
                h("a", { class: "quiet", href: "/traces" }, "All traces"),
              ),
            ),
            traceList,
          ),
        ),
      ),
    );
    sl.pages.overview.pause = traces.toggle;
    if (fixed) return;
    let known = data.status.traces,
      beats = 0;
    const change = () => found.came(1);
    sl.live({
      rates(r) {
        flow = [...flow, r.spans_per_s].slice(-60);
        const line = document.getElementById("totals");
        if (line) line.textContent = totals(r);
        if (r.traces > known) traces.came(r.traces - known);
        const moved = r.traces !== known;
        known = r.traces;
        beats += 1;
        if (beats % RATES_EVERY === 1 && (moved || beats === 1))
          sl.ask("/rates", { steps: 60, ...between }).then(
            (told) => {
              if (rates.isConnected) {
                data.rates = told;
                rates.replaceChildren(...cards(told, flow));
              }
            },
            () => {},
          );
        else rates.firstChild.replaceWith(cards(data.rates, flow)[0]);
      },
      "finding.new": change,
      "finding.retracted": change,
      "finding.updated": change,
    });
  };
  const totals = (s) => `${sl.count(s.spans)} spans in ${sl.count(s.traces)} traces`;
  const traceTable = (items) =>
    items.length
      ? sl.table(tailColumns(), items, (t) => sl.trace(t.trace_id))
      : h("p", { class: "quiet pad" }, "No trace in this range of time.");
  const findings = (items) =>
    items.length
      ? h(
          "div",
          { class: "list" },
          items.map((f) => findingLink(f, sl.findingsApart(items))),
        )
      : h("p", { class: "quiet pad" }, "Nothing is off: every message judged so far went where it should, in order.");
  sl.keys.page("overview", [
    ["p", "Pause the live list, or go on", () => sl.pages.overview.pause && sl.pages.overview.pause()],
  ]);
})();
