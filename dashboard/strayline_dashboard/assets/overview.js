"use strict";
/* The first look, and what a newcomer sees before any data. */
(() => {
  const sl = window.strayline;
  const { h } = sl;

  function empty() {
    return h("div", { class: "empty", "data-testid": "empty" },
      h("h1", {}, "Waiting for the first trace"),
      h("p", { class: "quiet" }, "Add one import to a Python service, and start it:"),
      h("pre", {}, "pip install strayline\nimport strayline.auto          # first line of your service\nOTEL_SERVICE_NAME=billing python billing.py"),
      h("p", { class: "quiet" }, "Any OpenTelemetry SDK in any language works too: point OTEL_EXPORTER_OTLP_ENDPOINT at the address that the collector printed."));
  }

  function card(label, value, values, error) {
    return h("div", { class: "pane card" }, h("div", { class: "quiet" }, label), h("b", {}, value), h("div", {}, sl.spark(values, { width: 300, height: 38, area: true, error })));
  }

  sl.findingLink = (f, current) => h("a", { href: `/findings/${f.id}`, "aria-current": current ? "true" : null, "data-finding": f.id },
    h("span", { class: "title" }, f.title), sl.badge(f.severity),
    h("span", { class: "quiet clip" }, [f.kind, f.verdict, f.cause].filter(Boolean).join(" · ").replaceAll("_", " "), f.subject.queue ? ` · ${f.subject.queue}` : ""), h("span", { class: "faint" }, sl.many(f.count, "message")));

  sl.traceColumns = () => [
    ["Trace", (t) => [sl.chip(t.root_service), h("b", {}, t.root_service), " ", t.root_name], {}],
    ["Start", (t) => h("span", { class: "mono" }, sl.time(t.start_unix_nano)), { width: "118px" }],
    ["Duration", (t) => h("span", { class: "mono" }, sl.ms(t.duration_ms)), { width: "96px", n: true }],
    ["Queue wait", (t) => h("span", { class: "mono amqp-text" }, t.queue_wait_ms === null ? "" : sl.ms(t.queue_wait_ms)), { width: "96px", n: true }],
    ["Spans", (t) => sl.count(t.spans), { width: "64px", n: true }],
    ["Services", (t) => sl.count(t.services.length), { width: "76px", n: true }],
    ["", (t) => [t.errors ? sl.badge("error", sl.many(t.errors, "error")) : null, t.findings ? sl.badge("warning", sl.many(t.findings, "finding")) : null], { width: "172px" }],
  ];

  sl.pages.overview = (root, data) => {
    if (!data.status.spans) return sl.put(root, empty());
    const points = data.rates.points;
    const step = Math.max(data.rates.step_s, 1e-9);
    const requests = points.reduce((n, p) => n + p.requests, 0);
    const errors = points.reduce((n, p) => n + p.errors, 0);
    const slowest = points.map((p) => p.p95_ms || 0);
    const worst = Math.max(...slowest);
    sl.put(root, 
      h("div", { class: "head" }, sl.title("Overview", h("p", { class: "quiet" }, `${sl.count(data.status.spans)} spans in ${sl.count(data.status.traces)} traces`))),
      h("div", { class: "body scroll stack" },
        h("div", { class: "cards" },
          card("Requests and messages handled", `${sl.count(requests)} · ${sl.rate(requests / (points.length * step))}`, points.map((p) => p.requests)),
          card("Errors", `${sl.count(errors)} · ${((100 * errors) / Math.max(1, requests)).toFixed(1)} %`, points.map((p) => p.errors), errors > 0),
          card("p95 at its worst", sl.ms(worst), slowest)),
        h("section", { class: "pane", style: { flex: "none" } }, h("header", {}, h("h2", {}, "Findings"), h("a", { class: "quiet", href: "/findings" }, "All findings")),
          data.findings.length ? h("div", { class: "list" }, data.findings.map((f) => sl.findingLink(f))) : h("p", { class: "quiet pad" }, "Nothing is off: every message judged so far went where it should, in order.")),
        h("section", { class: "pane", style: { flex: "none" } }, h("header", {}, h("h2", {}, "Newest traces"), h("a", { class: "quiet", href: "/traces" }, "All traces")),
          sl.table(sl.traceColumns(), data.traces, (t) => sl.trace(t.trace_id)))));
  };
})();
