"use strict";
/* What stands above a trace: what it is, how long and how wrong, ways to take it along. */
(() => {
  const sl = window.strayline;
  const { h } = sl;

  sl.traceHead = ({ model, state, saver, nextError }) => {
    const { outline } = model;
    const services = outline.services.length;
    const first = model.n ? `${model.service(0)} ${model.name(0)}` : "Trace";
    const truncated = outline.truncated
      ? `Cut short: of ${outline.truncated_by.join(" and ")} there is more than is told (100,000 spans, 1,000 traces).`
      : null;
    return h(
      "div",
      { class: "head" },
      sl.title(
        first,
        h(
          "p",
          { class: "ids" },
          h("span", { class: "mono quiet", id: "trace-id" }, outline.trace_id),
          sl.copyButton(outline.trace_id, "Copy id"),
          sl.copyButton(() => location.href, "Copy link"),
          h("a", { class: "button small", href: `/traces/${outline.trace_id}/compare/` }, "Compare"),
          h(
            "a",
            {
              class: "button small",
              id: "trace-sql",
              href: sl.url("/sql", {
                q: `SELECT service, name, duration_ms, start FROM spans WHERE trace_id = '${outline.trace_id}' ORDER BY start`,
              }),
            },
            "SQL",
          ),
          h(
            "a",
            {
              class: "button small",
              id: "json",
              download: `${outline.trace_id}.json`,
              href: sl.url(`/api/v1/traces/${outline.trace_id}`, {
                stitch: state.stitch || "true",
                clock: state.clock,
              }),
            },
            "JSON",
          ),
          saver,
          model.errors
            ? h(
                "button",
                { class: "badge error", type: "button", title: "Go to the next one", onclick: nextError },
                sl.many(model.errors, "error"),
              )
            : null,
          model.allFindings
            .slice(0, 4)
            .map((f) =>
              h(
                "a",
                { class: `badge ${f.severity}`, href: `/findings/${f.id}`, title: f.title },
                [f.kind, f.cause].filter(Boolean).join(" · ").replaceAll("_", " "),
              ),
            ),
          model.allFindings.length > 4 ? h("span", { class: "quiet" }, `+${model.allFindings.length - 4}`) : null,
          truncated ? h("span", { class: "badge warning", title: truncated }, "cut short") : null,
          outline.missing.length
            ? h(
                "span",
                { class: "badge info", title: "Named by others and never told of" },
                `${sl.count(outline.missing.length)} missing`,
              )
            : null,
        ),
      ),
      sl.figures([
        [sl.duration(outline.duration_ns), "duration"],
        [sl.count(model.n), "spans"],
        [sl.count(services), services === 1 ? "service" : "services"],
        model.wait ? [sl.duration(model.wait), "queue wait", "amqp-text"] : null,
        [sl.count(model.deepest + 1), "depth"],
      ]),
    );
  };

  sl.linkedButton = (outline, state, reask) => {
    const linked = outline.stitched_trace_ids.length;
    return linked
      ? h(
          "button",
          {
            class: "button small",
            type: "button",
            title: "Linked traces are told as one story",
            onclick: () => reask({ stitch: "false" }),
          },
          `with ${sl.many(linked, "linked trace")} ✕`,
        )
      : state.stitch === "false"
        ? h(
            "button",
            { class: "button small", type: "button", onclick: () => reask({ stitch: null }) },
            "Add linked traces",
          )
        : null;
  };

  /* Clocks that contradict what was sent and received; nothing is moved unless asked for. */
  sl.clockButton = (outline, reask) => {
    const wrong = outline.clock.filter((c) => c.correction_ns || !c.consistent);
    if (!wrong.length && outline.clock_mode === "raw") return null;
    const words = wrong
      .map((c) =>
        c.consistent
          ? `${c.host_b} ${c.correction_ns > 0 ? "ahead of" : "behind"} ${c.host_a} by ${sl.duration(Math.abs(c.correction_ns))}`
          : `${c.host_a} and ${c.host_b} contradict themselves`,
      )
      .join("\n");
    const on = outline.clock_mode === "corrected";
    return h(
      "button",
      {
        class: "button small clock",
        id: "clock",
        type: "button",
        "aria-pressed": String(on),
        title: words,
        onclick: () => reask({ clock: on ? null : "corrected" }),
      },
      on ? "Clocks corrected ✕" : `${sl.many(wrong.length, "clock")} off: correct`,
    );
  };
})();
