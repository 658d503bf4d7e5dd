"use strict";
/* What the map is drawn of: services, exchanges and queues as cards, edges coloured by protocol. */
(() => {
  const sl = window.strayline;
  const { s } = sl;
  const { WIDTH, HEIGHT, FOOT } = (sl.mapCard = { WIDTH: 184, HEIGHT: 54, FOOT: 20 });

  const short = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
  /* A name in `room` px: letters differ by a factor of three, and so do scripts. */
  const pen = document.createElement("canvas").getContext("2d");
  function fitted(text, room) {
    pen.font = "620 13px Inter, sans-serif"; // as .node .name
    const whole = sl.plain(text.slice(0, 60));
    let told = short(whole, 40);
    for (let most = told.length - 1; most > 1 && pen.measureText(told).width > room; most--) told = short(whole, most);
    return told;
  }
  function icon(node) {
    const colour =
      node.kind === "service" ? sl.colour(node.name) : node.kind === "external" ? "var(--faint)" : "var(--amqp)";
    if (node.kind === "exchange")
      return s("path", { d: "M15 11l6 6-6 6-6-6z", fill: "none", stroke: colour, "stroke-width": 1.8 });
    if (node.kind === "queue")
      return s(
        "g",
        { fill: colour },
        [0, 5, 10].map((x) => s("rect", { x: 9 + x, y: 12, width: 3.4, height: 10, rx: 1 })),
      );
    if (node.kind === "external")
      return s("rect", {
        x: 10,
        y: 12,
        width: 10,
        height: 10,
        rx: 5,
        fill: "none",
        stroke: colour,
        "stroke-width": 1.8,
      });
    return s("rect", { x: 10, y: 12, width: 10, height: 10, rx: 2.5, fill: colour });
  }

  sl.mapNode = (node, at, change) => {
    const alarming = node.worst_severity === "error" || node.worst_severity === "warning";
    const height = HEIGHT + (node.findings ? FOOT : 0),
      gone = change && change.change === "gone";
    const failing = node.errors ? sl.percent(node.errors, node.calls) : null;
    const sub = gone
      ? "not seen now"
      : [sl.rate(node.rate_per_s), node.p95_ms === null ? null : `p95 ${sl.ms(node.p95_ms)}`]
          .filter(Boolean)
          .join(" · ");
    const line = node.sparkline.some((n) => n)
      ? sl.spark(node.sparkline, { width: 40, height: 14, error: node.errors > 0 })
      : null;
    if (line) {
      line.setAttribute("x", WIDTH - 48);
      line.setAttribute("y", 33);
    }
    const marked = change && change.change !== "same";
    const aside = marked ? [change.change, change.change] : failing ? [`${failing} err`, "bad"] : null;
    const named = fitted(node.name, WIDTH - (aside ? 92 : 38)),
      flow = short(sub, 22),
      found = node.findings ? `● ${sl.many(node.findings, "finding")}` : "";
    // read aloud is what is seen, after the kind and the whole name
    return s(
      "g",
      {
        class: `node ${alarming ? node.worst_severity : ""}${gone ? " gone" : ""}`,
        "data-id": node.id,
        tabindex: 0,
        role: "button",
        transform: `translate(${at.x - WIDTH / 2} ${at.y - height / 2})`,
      },
      s("title", {}, `${node.kind} ${node.name}`),
      s("rect", { class: "box", width: WIDTH, height, rx: 7 }),
      node.findings
        ? s("path", {
            d: `M.5 ${HEIGHT}h${WIDTH - 1}v${FOOT - 8}a7 7 0 0 1-7 7h-${WIDTH - 15}a7 7 0 0 1-7-7z`,
            fill: alarming ? `var(--${node.worst_severity}-soft)` : "var(--info-soft)",
          })
        : null,
      icon(node),
      s("text", { class: "name", x: 29, y: 22 }, named),
      aside ? s("text", { class: `mark ${aside[1]}`, x: WIDTH - 9, y: 21 }, aside[0]) : null,
      line,
      s("text", { class: "sub", x: 10, y: 42 }, flow),
      node.findings
        ? s(
            "text",
            {
              x: 10,
              y: HEIGHT + 14,
              style: {
                fill: alarming ? `var(--${node.worst_severity})` : "var(--info)",
                fontSize: "11px",
                fontWeight: 600,
              },
            },
            found,
          )
        : null,
    );
  };

  sl.mapLabel = (edge) =>
    edge.change === "gone"
      ? "gone"
      : [
          edge.change && edge.change !== "same" ? edge.change : null,
          sl.count(edge.calls),
          edge.errors ? `${sl.percent(edge.errors, edge.calls)} err` : null,
          edge.p95_ms === null || edge.target.startsWith("exchange:") ? null : sl.ms(edge.p95_ms),
        ]
          .filter(Boolean)
          .join(" · ");

  sl.mapEdge = (edge, at) => {
    const colour = edge.change === "gone" ? "var(--faint)" : edge.errors ? "var(--error)" : sl.PROTOCOLS[edge.protocol];
    const wait = edge.queue_wait_p95_ms === null ? "" : `, queue wait p95 ${sl.ms(edge.queue_wait_p95_ms)}`;
    const before =
      edge.change && edge.change !== "same"
        ? `\n${edge.change}: p95 ${sl.ms(edge.before_p95_ms)} → ${sl.ms(edge.p95_ms)}, calls ${sl.count(edge.before_calls)} → ${sl.count(edge.calls)}`
        : "";
    return s(
      "g",
      { class: `edge ${edge.change || ""}`, "data-source": edge.source, "data-target": edge.target },
      s("title", {}, `${sl.count(edge.calls)} calls by ${edge.protocol}${wait}${before}`),
      s("path", {
        class: "line",
        d: sl.mapCurve(at.points),
        stroke: colour,
        "stroke-dasharray": edge.change === "gone" ? "2 4" : edge.protocol === "amqp" ? "5 3" : null,
        "marker-end": `url(#arrow-${edge.change === "gone" ? "other" : edge.errors ? "error" : edge.protocol})`,
      }),
      s("text", { class: "label", x: at.x, y: at.y + 4 }, sl.mapLabel(edge)),
    );
  };

  sl.mapMarkers = () =>
    s(
      "defs",
      {},
      Object.entries({ ...sl.PROTOCOLS, error: "var(--error)" }).map(([name, colour]) =>
        s(
          "marker",
          {
            id: `arrow-${name}`,
            viewBox: "0 0 8 8",
            refX: 7,
            refY: 4,
            markerWidth: 7,
            markerHeight: 7,
            orient: "auto-start-reverse",
            markerUnits: "userSpaceOnUse",
          },
          s("path", { d: "M0 .8L7 4 0 7.2z", fill: colour }),
        ),
      ),
    );
})();
