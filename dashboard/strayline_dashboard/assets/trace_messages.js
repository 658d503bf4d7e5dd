"use strict";
/* The messages that a trace published or was delivered, as the collector tells them. Read once for
   each trace that is shown, for the list and for the sequence diagram. */
(() => {
  const sl = window.strayline;
  const { h } = sl;
  const TRACES = 10,
    EACH = 500;
  const told = new WeakMap();

  /* → {items, cut}: by time of publish; `cut`: there are more than were read. */
  sl.traceMessages = (model) => {
    if (!told.has(model)) {
      const traces = model.outline.traces.slice(0, TRACES);
      told.set(
        model,
        Promise.all(traces.map((id) => sl.ask("/messages", { trace_id: id, limit: EACH }))).then((answers) => {
          const found = new Map();
          for (const answer of answers) for (const item of answer.items) found.set(item.id, item);
          const first = (m) => m.published_unix_nano || (m.deliveries[0] && m.deliveries[0].received_unix_nano) || 0;
          return {
            items: [...found.values()].sort((a, b) => first(a) - first(b)),
            cut: answers.some((answer) => answer.next_cursor) || model.outline.traces.length > TRACES,
          };
        }),
      );
      told.get(model).catch(() => told.delete(model));
    }
    return told.get(model);
  };
  sl.settled = (delivery) => (delivery.settled || (delivery.failed ? "failed" : "delivered")).replaceAll("_", " ");

  sl.traceViews = sl.traceViews || {};
  sl.traceViews.messages = (look) => {
    const { model } = look;
    const scroller = h(
      "div",
      { class: "scroller", "aria-busy": "true" },
      h("p", { class: "quiet pad" }, "Reading messages…"),
    );
    const node = h("div", { class: "pane stage" }, scroller);
    const base = model.outline.start_unix_nano;
    /* the longest; each of several by its title */
    function wait(m) {
      const waits = m.deliveries
        .filter((d) => d.handled_start_unix_nano && m.published_unix_nano)
        .map((d) => Math.max(0, d.handled_start_unix_nano - m.published_unix_nano));
      return waits.length
        ? h("span", { title: waits.map(sl.duration).join(", ") }, sl.duration(Math.max(...waits)))
        : "–";
    }
    const became = (m) => m.deliveries.map((d) => `${sl.settled(d)}${d.redelivered ? " (again)" : ""}`).join(" → ");
    let items = null,
      cut = false;
    function redraw() {
      if (!items) return;
      const needle = look.needle();
      const kept = items.filter(
        (m) =>
          !needle ||
          JSON.stringify([
            m.message_id,
            m.exchange,
            m.routing_key,
            m.queues,
            m.producer_service,
            m.deliveries.map((d) => d.consumer_service),
          ])
            .toLowerCase()
            .includes(needle),
      );
      if (!kept.length)
        return sl.put(
          scroller,
          h(
            "p",
            { class: "quiet pad" },
            items.length ? "No message matches." : "This trace published no messages and was delivered none.",
          ),
        );
      sl.put(
        scroller,
        sl.table(
          [
            [
              "Message",
              (m) => {
                const id = m.message_id || m.id.slice(0, 16);
                return h("span", { class: "mono", title: id }, id);
              },
              { width: "9%" },
            ],
            [
              "Sent",
              (m) => (m.published_unix_nano ? `+${sl.duration(m.published_unix_nano - base)}` : "–"),
              { width: "82px", n: true, wide: true },
            ],
            [
              "From",
              (m) => (m.producer_service ? [sl.chip(m.producer_service), m.producer_service] : "–"),
              { width: "10%", wide: true },
            ],
            [
              "Exchange → key",
              (m) => {
                const exchange = m.exchange || "(default)",
                  key = m.routing_key || "(empty)";
                return h(
                  "span",
                  { class: "middle", title: `${exchange} → ${key}` },
                  h("span", { class: "clip exchange" }, exchange),
                  h("span", {}, ` → ${key}`),
                );
              },
              {},
            ],
            ["Queues", (m) => sl.middle(m.queues.join(", ") || "none"), { width: "19%" }],
            [
              "Deliveries",
              (m) =>
                h("span", { class: m.deliveries.some((d) => d.failed) ? "error-text" : null, title: became(m) }, became(m)),
              { width: "14%" },
            ],
            ["Waited", wait, { width: "76px", n: true }],
            [
              "",
              (m) =>
                m.findings
                  .slice(0, 1)
                  .map((f) =>
                    h(
                      "span",
                      { class: `badge ${f.severity} wf-finding`, title: m.findings.map((one) => one.kind).join(", ") },
                      f.kind.replaceAll("_", " "),
                    ),
                  ),
              { width: "98px", mark: true },
            ],
            [
              "",
              (m) => {
                const at = m.producer_span_id ? model.find(m.producer_span_id) : -1;
                return at >= 0
                  ? h("button", { class: "more", type: "button", onclick: () => look.pick(at, "jump") }, "Span")
                  : "";
              },
              { width: "54px" },
            ],
          ],
          kept,
          (m) => sl.message(m) || `/message/${encodeURIComponent(m.id)}`,
          { id: "trace-messages" },
        ),
        cut
          ? h("p", { class: "quiet pad" }, `There are more: read were ${EACH} of each of the first ${TRACES} traces.`)
          : null,
      );
    }
    sl.traceMessages(model).then(
      (answer) => {
        ({ items, cut } = answer);
        scroller.removeAttribute("aria-busy");
        redraw();
      },
      (error) => sl.put(scroller, h("p", { class: "error-text pad", role: "alert" }, error.message)),
    );
    return { node, layout: redraw, redraw };
  };
})();
