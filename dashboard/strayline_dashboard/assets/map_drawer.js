"use strict";
/* What is known of a node of the map, and where to go from it. */
(() => {
  const sl = window.strayline;
  const { h } = sl;
  const NEIGHBOURS = 12;
  const quoted = (text) => JSON.stringify(text);

  function ways(node) {
    const finding = node.findings
      ? [
          [
            sl.url("/findings", node.kind === "queue" ? { queue: node.name } : {}),
            `${sl.many(node.findings, "finding")}`,
          ],
        ]
      : [];
    if (node.kind === "service")
      return [
        [sl.url("/traces", { service: node.name }), "Its traces"],
        node.errors ? [sl.url("/traces", { service: node.name, q: "has:error" }), "Its traces with errors"] : null,
        [sl.url("/traces", { service: node.name, sort: "-duration" }), "Its slowest traces"],
        ...finding,
      ];
    if (node.kind === "queue")
      return [
        [sl.url("/queue", { name: node.name, broker: node.broker, vhost: node.vhost }), "Order of its messages"],
        [sl.url("/traces", { q: `queue=${quoted(node.name)}` }), "Traces through it"],
        [sl.url("/traces", { q: `queue=${quoted(node.name)}`, sort: "-queue_wait" }), "Longest waits in it"],
        ...finding,
      ];
    if (node.kind === "exchange")
      return [
        [
          sl.url("/traces", { q: `exchange=${quoted(node.name === "(default)" ? "" : node.name)}` }),
          "Traces through it",
        ],
        ...finding,
      ];
    return [];
  }

  function neighbours(label, edges, end, names, open) {
    if (!edges.length) return null;
    const rows = [...edges].sort((a, b) => b.calls - a.calls);
    return h(
      "section",
      { class: "said" },
      h("h2", {}, label),
      rows
        .slice(0, NEIGHBOURS)
        .map((edge) =>
          h(
            "button",
            { class: "share", type: "button", onclick: () => open(edge[end]) },
            h(
              "span",
              { class: "clip" },
              h("i", { class: "chip", style: { background: sl.PROTOCOLS[edge.protocol] } }),
              names.get(edge[end]) || edge[end],
            ),
            h(
              "span",
              { class: edge.errors ? "mono error-text" : "mono quiet" },
              [sl.count(edge.calls), edge.p95_ms === null ? null : sl.ms(edge.p95_ms)].filter(Boolean).join(" · "),
            ),
          ),
        ),
      rows.length > NEIGHBOURS ? h("p", { class: "quiet" }, `and ${sl.count(rows.length - NEIGHBOURS)} more`) : null,
    );
  }

  /* change: of this node between the ranges, or null */
  sl.mapDrawer = ({ graph, node, change, names, open, close }) => {
    const into = graph.edges.filter((edge) => edge.target === node.id),
      out = graph.edges.filter((edge) => edge.source === node.id);
    const wait = Math.max(...into.concat(out).map((edge) => edge.queue_wait_p95_ms || 0), 0);
    return h(
      "aside",
      { class: "pane side map-drawer", id: "drawer", "data-node": node.id, "aria-label": node.name },
      h(
        "div",
        { class: "pane-head" },
        h(
          "div",
          { class: "grow" },
          h("h2", {}, node.name),
          h(
            "p",
            { class: "quiet wrap" },
            [node.kind, node.vhost && `vhost ${node.vhost}`, node.broker].filter(Boolean).join(" · "),
          ),
          node.kind === "external"
            ? h(
                "p",
                { class: "quiet wrap", id: "unheard" },
                "No span of the called side has come. Those of the newest calls may still be on their way.",
              )
            : null,
        ),
        h(
          "button",
          { class: "button small", type: "button", "aria-label": "Close", title: "Esc", onclick: close },
          "✕",
        ),
      ),
      sl.figures([
        [sl.rate(node.rate_per_s), "rate"],
        [sl.count(node.calls), node.kind === "exchange" ? "published" : node.kind === "queue" ? "deliveries" : "calls"],
        node.p95_ms === null ? null : [sl.ms(node.p95_ms), "p95"],
        node.errors ? [sl.percent(node.errors, node.calls), "errors", "error-text"] : null,
        wait ? [sl.ms(wait), "wait p95", "amqp-text"] : null,
      ]),
      node.sparkline.some((n) => n)
        ? sl.spark(node.sparkline, { width: 300, height: 40, area: true, error: node.errors > 0 })
        : null,
      change
        ? h(
            "section",
            { class: "said" },
            h("h2", {}, "Against the other range"),
            h("p", {}, h("span", { class: `change ${change.change}` }, change.change)),
            h(
              "dl",
              { class: "facts" },
              [
                ["calls", `${sl.count(change.before_calls)} → ${sl.count(change.calls)}`],
                ["errors", `${sl.count(change.before_errors)} → ${sl.count(change.errors)}`],
                ["p95", `${sl.ms(change.before_p95_ms)} → ${sl.ms(change.p95_ms)}`],
              ].map(([k, v]) => [h("dt", {}, k), h("dd", {}, v)]),
            ),
          )
        : null,
      h(
        "div",
        { class: "ways" },
        ways(node)
          .filter(Boolean)
          .map(([href, label]) => h("a", { class: "button small", href }, label, " →")),
        sl.copyButton(node.name, "Copy name"),
      ),
      node.kind === "service" && node.calls ? sl.whereTimeGoes(node.name) : null,
      neighbours("From", into, "source", names, open),
      neighbours("To", out, "target", names, open),
    );
  };
})();
