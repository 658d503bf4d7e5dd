"use strict";
/* The list of traces as a table, two of which can be chosen to be compared. */
(() => {
  const sl = window.strayline;
  const { h } = sl;
  const chosen = new Set();

  function columns(longest) {
    return [
      [
        "",
        (t) =>
          h("input", {
            type: "checkbox",
            "aria-label": `Compare ${t.trace_id.slice(0, 8)}`,
            checked: chosen.has(t.trace_id),
            onclick: (event) => event.stopPropagation(),
            onchange: (event) => choose(t.trace_id, event.target.checked),
          }),
        { width: "34px", pick: true },
      ],
      [
        "Trace",
        (t) => [sl.chip(t.root_service), h("b", {}, t.root_service), " ", h("span", { class: "quiet" }, t.root_name)],
        {},
      ],
      [
        "Started",
        (t) =>
          h(
            "span",
            { title: `${sl.day(t.start_unix_nano)} ${sl.time(t.start_unix_nano)}` },
            sl.time(t.start_unix_nano),
          ),
        { width: "116px", n: true },
      ],
      [
        "Duration",
        (t) => [
          h("i", { class: "share-bar", style: { width: `${Math.max(1, (t.duration_ms / longest) * 52)}px` } }),
          " ",
          sl.ms(t.duration_ms),
        ],
        { width: "132px", n: true },
      ],
      [
        "Queue wait",
        (t) =>
          t.queue_wait_ms === null
            ? h("span", { class: "faint" }, "–")
            : h("span", { class: "amqp-text" }, sl.ms(t.queue_wait_ms)),
        { width: "90px", n: true },
      ],
      ["Spans", (t) => sl.count(t.spans), { width: "62px", n: true }],
      [
        "Services",
        (t) =>
          h(
            "span",
            { title: t.services.join(", ") },
            t.services.slice(0, 8).map((name) => sl.chip(name)),
            t.services.length > 8 ? `+${t.services.length - 8}` : null,
          ),
        { width: "124px", narrow: true },
      ],
      [
        "Errors",
        (t) => (t.errors ? h("span", { class: "error-text" }, sl.count(t.errors)) : h("span", { class: "faint" }, "–")),
        { width: "64px", n: true },
      ],
      [
        "Findings",
        (t) => (t.findings ? sl.badge("warning", sl.count(t.findings)) : h("span", { class: "faint" }, "–")),
        { width: "80px", n: true },
      ],
    ];
  }
  /* Two at most; the older choice goes. */
  function choose(id, on) {
    if (on) chosen.add(id);
    else chosen.delete(id);
    while (chosen.size > 2) chosen.delete(chosen.values().next().value);
    for (const box of document.querySelectorAll("#traces input[type=checkbox]"))
      box.checked = chosen.has(box.closest("tr").dataset.trace);
    const [a, b] = chosen;
    const link = document.getElementById("compare-two");
    link.hidden = !b;
    if (b) link.setAttribute("href", `/traces/${a}/compare/${b}`);
  }

  sl.chooseTrace = choose;

  sl.tracesTable = (items) => {
    const shape = columns(Math.max(...items.map((t) => t.duration_ms), 1e-6));
    return h(
      "table",
      { id: "traces" },
      h(
        "colgroup",
        {},
        shape.map(([, , o]) =>
          h("col", { class: o.narrow ? "wide-only" : null, style: o.width ? { width: o.width } : {} }),
        ),
      ),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          shape.map(([label, , o]) =>
            h(
              "th",
              { scope: "col", class: [o.n ? "n" : "", o.narrow ? "wide-only" : ""].join(" ").trim() || null },
              label || h("span", { class: "offscreen" }, "Compare"),
            ),
          ),
        ),
      ),
      h(
        "tbody",
        {},
        items.map((t) =>
          h(
            "tr",
            {
              class: "link",
              "data-trace": t.trace_id,
              onclick: (event) => {
                if (!event.target.closest("a, input")) sl.go(sl.trace(t.trace_id));
              },
            },
            shape.map(([, cell, o], i) =>
              h(
                "td",
                { class: [o.n ? "n" : "", o.narrow ? "wide-only" : "", o.pick ? "pick" : ""].join(" ").trim() || null },
                i === 1 ? h("a", { href: sl.trace(t.trace_id) }, cell(t)) : cell(t),
              ),
            ),
          ),
        ),
      ),
    );
  };
})();
