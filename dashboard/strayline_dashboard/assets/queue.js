"use strict";
/* One queue: its findings, the ways into it and what is judged of it. The order is drawn by order.js. */
(() => {
  const sl = window.strayline;
  const { h, words } = sl;
  const RANK = { error: 0, warning: 1, info: 2 };

  /* The queue's whole place, by whatever tells it: the address may name less. */
  function known(place, { findings, coverage }) {
    const told = [place, ...(coverage || []), ...findings.map((f) => f.subject)];
    const one = (name) => (told.find((row) => row[name]) || {})[name];
    return { name: place.name, broker: one("broker"), vhost: one("vhost") };
  }
  function where(place, data) {
    const { broker, vhost } = known(place, data);
    return [vhost, broker].filter(Boolean).join(" · ") || "\u00a0";
  }
  const sql = (place) =>
    `SELECT * FROM deliveries WHERE queue = '${(place.name || "").replaceAll("'", "''")}' ORDER BY received DESC LIMIT 200`;
  sl.pages.queue = (root, data, params, envelope) => {
    const { place, tab, order } = data;
    const to = (change) => sl.url("/queue", { ...params, ...change });
    const tabs = h(
      "div",
      { class: "tabs", role: "group", "aria-label": "About this queue" },
      [
        ["order", "Order"],
        ["routes", "Routes"],
        ["coverage", "What is judged"],
      ].map(([name, label]) =>
        h(
          "button",
          {
            type: "button",
            id: `tab-${name}`,
            "aria-pressed": String(tab === name),
            onclick: () => sl.go(to({ tab: name === "order" ? "" : name, from: "", to: "" })),
          },
          label,
        ),
      ),
    );
    const worst = [...data.findings].sort((a, b) => RANK[a.severity] - RANK[b.severity]);
    const told = order
      ? [
          order.bindings.length ? `bound to ${order.bindings.join(", ")}` : "bindings not seen",
          `consumed by ${order.consumers.join(", ")}`,
        ].join(" · ")
      : where(place, data);
    sl.put(
      root,
      h(
        "div",
        { class: "head" },
        sl.title(place.name || "No queue named", h("p", { class: "quiet clip", title: told }, told)),
        order
          ? sl.figures([
              [sl.count(order.messages), "messages"],
              [sl.count(order.late_by.either), "late", order.late_by.either ? "error-text" : null],
              [sl.many(order.worst_extent, "place"), "worst"],
              [sl.count(order.redelivered), "redelivered"],
            ])
          : null,
      ),
      worst
        .slice(0, 2)
        .map((f) =>
          h(
            "a",
            { class: `banner ${f.severity}`, href: `/findings/${f.id}` },
            h("b", { class: "clip" }, f.title),
            h("p", { class: "two-lines" }, f.explanation),
          ),
        ),
      h(
        "div",
        { class: "bar" },
        tabs,
        worst.length > 2
          ? h(
              "a",
              { class: "button small", href: sl.url("/findings", { queue: place.name }) },
              `All ${worst.length} findings`,
            )
          : null,
        h(
          "a",
          { class: "button small", href: sl.url("/traces", { q: `queue=${JSON.stringify(place.name || "")}` }) },
          "Traces",
        ),
        h("a", { class: "button small", href: sl.mapPlace(known(place, data)) }, "Map"),
        h("a", { class: "button small", id: "queue-sql", href: sl.url("/sql", { q: sql(place) }) }, "SQL"),
        sl.copyButton(() => location.href, "Copy link"),
        sl.copyButton(place.name || "", "Copy name"),
      ),
      tab === "routes"
        ? routes(data.routes)
        : tab === "coverage"
          ? coverage(data.coverage)
          : sl.drawOrder(order, params, to),
    );
  };

  function difference(nearest) {
    return h(
      "span",
      { class: "diff" },
      h("span", { class: "quiet" }, `nearest: ${nearest.destination} `),
      nearest.words.map((w, i) => [
        i ? "." : "",
        w.same
          ? h("span", {}, w.pattern)
          : [
              w.pattern !== null ? h("del", { title: "in the binding" }, w.pattern) : null,
              w.word !== null ? h("ins", { title: "in the message" }, w.word) : null,
            ],
      ]),
    );
  }
  function routes(told) {
    const wrong = (w) => (w.into_queue && !w.meant_for_queue) || (!w.into_queue && w.meant_for_queue);
    return h(
      "div",
      { class: "body" },
      h(
        "div",
        {
          class: "pane scroll",
          id: "routes",
          style: { flex: 1 },
          tabindex: "0",
          role: "region",
          "aria-label": "Routes",
        },
        told.items.length
          ? h(
              "div",
              { class: "wide-table ways" },
              sl.table(
                [
                  [
                    "Key and exchange",
                    (w) => [
                      h("span", { class: "mono" }, w.routing_key || "(empty)"),
                      h("div", { class: "quiet" }, w.exchange || "(default)"),
                    ],
                    { width: "16%" },
                  ],
                  ["Published", (w) => sl.count(w.published), { width: "84px", n: true }],
                  [
                    "Expected",
                    (w) =>
                      w.expected_queues.length
                        ? w.expected_queues.join(", ")
                        : h("span", { class: "quiet", title: w.unknown }, w.unknown ? "nowhere that is declared" : "–"),
                    { width: "17%" },
                  ],
                  [
                    "Actual",
                    (w) =>
                      w.actual.length
                        ? w.actual.map((e) => `${e.queue} (${sl.count(e.messages)})`).join(", ")
                        : h(
                            "span",
                            { class: w.returned ? "error-text" : "quiet" },
                            w.returned ? `returned (${sl.count(w.returned)})` : "nowhere seen",
                          ),
                    { width: "18%" },
                  ],
                  [
                    "",
                    (w) =>
                      wrong(w)
                        ? sl.badge("warning", w.into_queue ? "not meant here" : "did not come")
                        : w.meant_for_queue
                          ? sl.badge("info", "as meant")
                          : "",
                    { width: "138px" },
                  ],
                  [
                    "By binding, or what differs",
                    (w) =>
                      wrong(w) && w.nearest
                        ? difference(w.nearest)
                        : w.binding !== null
                          ? h("span", { class: "mono" }, w.binding || "(empty)")
                          : h("span", { class: "quiet" }, "not seen"),
                    {},
                  ],
                ],
                told.items,
                null,
                { class: "tall" },
              ),
            )
          : h("p", { class: "quiet pad" }, "Nothing was published that came here, or that is meant to."),
        told.truncated
          ? h("p", { class: "quiet pad" }, "Only the 2,000 busiest exchanges and keys were looked at.")
          : null,
        told.bindings.length
          ? h(
              "div",
              { class: "pad" },
              h("h2", {}, "Bindings into it"),
              h(
                "ul",
                { class: "plain" },
                told.bindings.map((b) =>
                  h(
                    "li",
                    {},
                    h("span", { class: "mono" }, `${b.exchange || "(default)"} — ${b.routing_key || "(empty)"}`),
                    " ",
                    h(
                      "span",
                      { class: "quiet" },
                      b.roles
                        .map((r) => ({ intended: "declared or in a reference", actual: "the broker's" })[r])
                        .join(", "),
                    ),
                  ),
                ),
              ),
            )
          : null,
      ),
    );
  }

  const BECAUSE = {
    judged: "everything it rests on was recorded",
    inferred: "it rests on what is usual, or on spans alone: never more than a warning",
  };
  const STATES = { judged: ["ok", "judged"], inferred: ["warning", "inferred"], unknown: ["info", "unknown"] };
  function coverage(rows) {
    const share = (v) => (v === null ? "–" : `${(100 * v).toFixed(v > 0.995 && v < 1 ? 1 : 0)} %`);
    return h(
      "div",
      { class: "body" },
      h(
        "div",
        {
          class: "pane scroll",
          id: "coverage",
          style: { flex: 1 },
          tabindex: "0",
          role: "region",
          "aria-label": "What is judged",
        },
        rows.length
          ? rows.map((row) => [
              h(
                "div",
                { class: "pad" },
                sl.figures([
                  [sl.count(row.deliveries), "deliveries"],
                  [share(row.stamped_share), "bear a stamp"],
                  [share(row.publish_known_share), "publish known"],
                  [share(row.settled_share), "settlement known"],
                  [`${row.processes_with_census} of ${row.processes}`, "processes count theirs"],
                  [row.declared ? "yes" : "no", "declaration seen"],
                ]),
              ),
              sl.table(
                [
                  [
                    "Verdict",
                    (v) =>
                      h(
                        "a",
                        { class: "link-text", href: sl.findingDocs(v) },
                        words(v.kind),
                        v.verdict ? `: ${words(v.verdict)}` : "",
                      ),
                    { width: "230px" },
                  ],
                  ["", (v) => sl.badge(...STATES[v.state]), { width: "104px" }],
                  ["Because", (v) => h("span", { class: "quiet" }, v.reason || BECAUSE[v.state] || ""), {}],
                ],
                row.verdicts,
                null,
                { class: "tall" },
              ),
            ])
          : h("p", { class: "quiet pad" }, "Nothing is known of this queue."),
      ),
    );
  }

  const press = (id) => () => {
    const node = document.getElementById(id);
    if (node) node.click();
  };
  sl.keys.page("queue", [
    ["1", "Order", press("tab-order")],
    ["2", "Routes", press("tab-routes")],
    ["3", "What is judged", press("tab-coverage")],
    ["w", "Closer", () => sl.zoomOrder(0.5)],
    ["s", "Wider", () => sl.zoomOrder(2)],
    ["a", "Earlier", () => sl.panOrder(-0.5)],
    ["d", "Later", () => sl.panOrder(0.5)],
    ["l", "Late ones: the next", () => sl.nextLate()],
  ]);
})();
