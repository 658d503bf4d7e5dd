"use strict";
/* One trace: figures, find, the waterfall, and the span that is selected. */
(() => {
  const sl = window.strayline;
  const { h } = sl;
  const key = (span) => `${span.trace_id}-${span.span_id}`;

  function depthOf(spans) {
    const depth = new Map();
    for (const span of spans) depth.set(key(span), span.display_parent && depth.has(span.display_parent) ? depth.get(span.display_parent) + 1 : 0);
    return depth;
  }

  function text(value) {
    return typeof value === "string" ? value : JSON.stringify(value);
  }
  const facts = (pairs) => h("dl", {}, pairs.map(([k, v]) => [h("dt", {}, k), h("dd", {}, v)]));

  function linked(span, known) {
    const out = span.links.map((link) => ["links to", link.trace_id, link.span_id]);
    const into = known.filter((other) => other.links.some((link) => link.trace_id === span.trace_id && link.span_id === span.span_id)).map((other) => ["linked from", other.trace_id, other.span_id]);
    return [...out, ...into].map(([how, traceId, spanId]) => {
      const there = known.find((other) => other.trace_id === traceId && other.span_id === spanId);
      return h("p", {}, h("span", { class: "quiet" }, `${how} `), h("a", { class: "mono", href: sl.trace(traceId, spanId), style: { color: "var(--accent)" } }, there ? `${there.service} ${there.name}` : `${traceId.slice(0, 8)}…${spanId.slice(0, 4)}`));
    });
  }

  function side(span, data, started) {
    if (!span) return h("aside", { class: "pane side", id: "span" }, h("p", { class: "quiet" }, "Select a span. ↑ ↓ move, ← → fold, / finds."));
    const found = data.findings.filter((f) => span.findings.includes(f.id));
    const links = linked(span, data.trace.spans);
    const isMessage = span.kind === "producer" && span.protocol === "amqp";
    return h("aside", { class: "pane side", id: "span", "data-span": span.span_id },
      h("div", {}, h("h2", {}, sl.chip(span.service), span.service), h("p", { class: "quiet", style: { overflowWrap: "anywhere" } }, span.name)),
      sl.figures([[sl.duration(span.end_unix_nano - span.start_unix_nano), "duration"], [`+${sl.duration(span.start_unix_nano - started)}`, "start"], span.queue_wait_ns === null ? null : [sl.duration(span.queue_wait_ns), "queued", "amqp-text"]]),
      span.status === "error" ? h("p", { class: "error-text" }, `Error: ${span.status_message || "no message"}`) : null,
      found.map((f) => h("a", { class: `banner ${f.severity}`, style: { margin: 0 }, href: `/findings/${f.id}` }, h("b", {}, f.title), h("p", {}, `${f.kind} · ${sl.many(f.count, "message")}`))),
      isMessage ? h("a", { class: "button", href: sl.message({ trace_id: span.trace_id, producer_span_id: span.span_id }), style: { justifySelf: "start" } }, "Journey of this message") : null,
      links.length ? h("div", {}, h("h2", {}, "Links"), links) : null,
      h("h2", {}, "Attributes"), facts(Object.entries(span.attributes).map(([k, v]) => [k, text(v)])),
      span.events.length ? [h("h2", {}, "Events"), span.events.map((e) => h("div", {}, h("p", {}, h("b", {}, e.name), h("span", { class: "quiet mono" }, ` +${sl.duration(e.time_unix_nano - span.start_unix_nano)}`)), facts(Object.entries(e.attributes).map(([k, v]) => [k, text(v)]))))] : null,
      h("h2", {}, "Resource"), facts(Object.entries(span.resource).map(([k, v]) => [k, text(v)])),
      h("h2", {}, "Ids"), facts([["trace", span.trace_id], ["span", span.span_id], ["parent", span.parent_span_id || "none"], ["scope", span.scope || ""]]));
  }

  sl.pages.trace = (root, data, params) => {
    const trace = data.trace;
    const spans = trace.spans;
    const depth = depthOf(spans);
    const started = spans.reduce((least, span) => Math.min(least, span.start_unix_nano), Infinity);
    const ended = spans.reduce((most, span) => Math.max(most, span.end_unix_nano), 0);
    const first = spans[0];
    const errors = spans.filter((span) => span.status === "error").length;
    const wait = spans.reduce((most, span) => Math.max(most, span.queue_wait_ns || 0), 0);
    const services = new Set(spans.map((span) => span.service));
    const find = h("input", { type: "search", class: "field", id: "find", placeholder: "Find in trace  /", "aria-label": "Find in trace" });
    const matches = h("span", { class: "quiet", id: "matches", role: "status" });
    const critical = h("input", { type: "checkbox", id: "critical", checked: true });
    let panel = side(null, data, started);
    const pick = (span) => {
      const fresh = side(span, data, started);
      panel.replaceWith(fresh);
      panel = fresh;
      history.replaceState({}, "", sl.url(location.pathname, { ...Object.fromEntries(new URLSearchParams(location.search)), span: span.span_id }));
    };
    const fall = sl.waterfall({ spans, depth, started, ended, critical: trace.critical_path, pick });
    find.addEventListener("input", () => { matches.textContent = fall.find(find.value); });
    find.addEventListener("keydown", (event) => { if (event.key === "Enter") fall.next(event.shiftKey ? -1 : 1); if (event.key === "Escape") fall.focus(); });
    critical.addEventListener("change", () => fall.critical(critical.checked));
    sl.put(root, 
      h("div", { class: "head" },
        sl.title(first ? `${first.service} ${first.name}` : "Trace",
          h("p", {}, h("span", { class: "mono quiet" }, trace.trace_id), " ", errors ? sl.badge("error", sl.many(errors, "error")) : null, " ",
            data.findings.map((f) => [h("a", { href: `/findings/${f.id}` }, sl.badge(f.severity, `${f.kind}${f.cause ? ` · ${f.cause.replaceAll("_", " ")}` : ""}`)), " "]),
            trace.truncated ? sl.badge("warning", "cut short") : null)),
        sl.figures([[sl.duration(ended - started), "duration"], [sl.count(spans.length), "spans"], [sl.count(services.size), "services"], [sl.duration(wait), "queue wait", wait ? "amqp-text" : null], [sl.count(Math.max(0, ...depth.values()) + 1), "depth"]])),
      h("div", { class: "bar" }, find, matches, h("label", { class: "quiet" }, critical, " Critical path"),
        h("button", { class: "button", onclick: () => sl.save(`${trace.trace_id}.json`, trace) }, "JSON"),
        trace.stitched_trace_ids.length ? h("span", { class: "quiet" }, `with ${sl.many(trace.stitched_trace_ids.length, "linked trace")}`) : null),
      h("div", { class: "body" }, fall.node, panel));
    fall.draw();
    const wanted = spans.findIndex((span) => span.span_id === params.span);
    if (wanted >= 0) fall.select(wanted);
  };
})();
