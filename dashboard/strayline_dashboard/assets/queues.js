"use strict";
/* Queues and the order view: lanes for few messages, displacement and sequence for many. */
(() => {
  const sl = window.strayline;
  const { h, s } = sl;
  const W = 1000, H = 420, LEFT = 62, RIGHT = 16, TOP = 16, BOTTOM = 36;
  const LANES_MOST = 150;
  const RANK = { error: 0, warning: 1, info: 2 };

  sl.pages.queues = (root, data) => {
    sl.put(root, h("div", { class: "head" }, sl.title("Queues")),
      h("div", { class: "body" }, h("div", { class: "pane scroll", style: { flex: 1 } }, data.items.length ? sl.table([
        ["Queue", (q) => h("b", {}, q.name), {}],
        ["Messages", (q) => sl.count(q.messages), { width: "92px", n: true }],
        ["Redelivered", (q) => sl.count(q.redelivered), { width: "98px", n: true }],
        ["Late", (q) => h("span", { class: q.late ? "error-text" : "faint" }, sl.count(q.late)), { width: "64px", n: true }],
        ["Wait p50", (q) => h("span", { class: "mono" }, sl.ms(q.wait_p50_ms)), { width: "92px", n: true }],
        ["Wait p95", (q) => h("span", { class: "mono" }, sl.ms(q.wait_p95_ms)), { width: "92px", n: true }],
        ["Handling p95", (q) => h("span", { class: "mono" }, sl.ms(q.handle_p95_ms)), { width: "108px", n: true }],
        ["From", (q) => q.producers.join(", "), { width: "150px" }],
        ["To", (q) => q.consumers.join(", "), { width: "150px" }],
        ["", (q) => (q.findings ? sl.badge("warning", sl.many(q.findings, "finding")) : ""), { width: "104px" }],
      ], data.items, (q) => sl.url("/queue", { name: q.name, broker: q.broker, vhost: q.vhost })) : h("p", { class: "quiet pad" }, "No delivery was seen yet."))));
  };

  const scale = (from, to, a, b) => (v) => a + ((v - from) / Math.max(1e-9, to - from)) * (b - a);
  function ticks(least, most, n) {
    const raw = Math.max(1, (most - least) / n);
    const size = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((m) => m * size).find((m) => m >= raw);
    const found = [];
    for (let t = Math.ceil(least / step) * step; t <= most; t += step) found.push(t);
    return found;
  }
  function dot(p, x, y, r) {
    return s("a", { href: p.trace_id ? sl.trace(p.trace_id, p.producer_span_id) : null }, s("circle", { class: p.late ? "late" : "calm", cx: x, cy: y, r: p.late ? r + 1 : r }, s("title", {}, `${p.message_id || p.routing_key || ""}: published ${p.sequence}, delivered ${p.position}${p.late ? `, ${p.extent} places late (${(p.cause || "").replaceAll("_", " ")})` : ""}`)));
  }
  function frame(xTicks, yTicks, x, y, xLabel, yLabel) {
    return [
      xTicks.map((t) => [s("line", { class: "grid", x1: x(t), x2: x(t), y1: TOP, y2: H - BOTTOM }), s("text", { class: "axis-text", x: x(t), y: H - BOTTOM + 16, "text-anchor": "middle" }, sl.count(t))]),
      yTicks.map((t) => [s("line", { class: "grid", x1: LEFT, x2: W - RIGHT, y1: y(t), y2: y(t) }), s("text", { class: "axis-text", x: LEFT - 8, y: y(t) + 4, "text-anchor": "end" }, sl.count(t))]),
      s("text", { class: "axis-text", x: (LEFT + W - RIGHT) / 2, y: H - 4, "text-anchor": "middle" }, xLabel),
      s("text", { class: "axis-text", x: 12, y: (TOP + H - BOTTOM) / 2, "text-anchor": "middle", transform: `rotate(-90 12 ${(TOP + H - BOTTOM) / 2})` }, yLabel)];
  }

  const VIEWS = {
    lanes(order) {
      const late = order.points.filter((p) => p.late);
      let points = order.points;
      if (points.length > LANES_MOST) {
        const middle = late.length ? late.reduce((a, b) => (b.extent > a.extent ? b : a)).position : points[0].position;
        const from = Math.max(points[0].position, middle - LANES_MOST / 2);
        points = points.filter((p) => p.position >= from && p.position < from + LANES_MOST);
      }
      const places = points.flatMap((p) => [p.sequence, p.position]);
      const [least, most] = [Math.min(...places), Math.max(...places)];
      const x = scale(least, most, LEFT + 20, W - RIGHT - 8);
      const y1 = TOP + 50, y2 = H - BOTTOM - 40;
      const lane = (p) => s("path", { class: p.late ? "late" : "calm", style: { fill: "none", strokeWidth: p.late ? 2 : 1, opacity: p.late ? 1 : 0.55 }, d: `M${x(p.sequence)} ${y1}C${x(p.sequence)} ${(y1 + y2) / 2} ${x(p.position)} ${(y1 + y2) / 2} ${x(p.position)} ${y2}` });
      const sorted = [...points].sort((a, b) => a.late - b.late);
      return [points.length, [
        ticks(least, most, 8).map((t) => [s("line", { class: "grid", x1: x(t), x2: x(t), y1: TOP, y2: H - BOTTOM }), s("text", { class: "axis-text", x: x(t), y: H - BOTTOM + 16, "text-anchor": "middle" }, sl.count(t))]),
        s("text", { class: "axis-text", x: LEFT + 8, y: y1 - 14, "text-anchor": "end" }, "published"), s("text", { class: "axis-text", x: LEFT + 8, y: y2 + 24, "text-anchor": "end" }, "delivered"),
        sorted.map(lane), sorted.map((p) => [dot(p, x(p.sequence), y1, 2.6), dot(p, x(p.position), y2, 2.6)])]];
    },
    displacement(order) {
      const steps = order.envelope;
      const most = Math.max(1, ...steps.map((e) => e.displacement_max), ...order.points.map((p) => (p.late ? p.extent : 0)));
      const least = Math.min(0, ...steps.map((e) => e.displacement_min));
      const x = scale(0, Math.max(1, order.messages - 1), LEFT, W - RIGHT), y = scale(least, most, H - BOTTOM, TOP);
      const late = order.points.filter((p) => p.late);
      const early = steps.length ? `M${x(0)} ${y(0)}${steps.map((e) => `L${x(e.position)} ${y(Math.min(0, e.displacement_min))}`).join("")}L${x(order.messages - 1)} ${y(0)}Z` : "";
      return [late.length, [
        frame(ticks(0, order.messages - 1, 8), ticks(least, most, 6), x, y, "arrival position", "places late"),
        s("path", { d: early, style: { fill: "var(--accent-soft)", stroke: "none" } }),
        s("line", { x1: LEFT, x2: W - RIGHT, y1: y(0), y2: y(0), style: { stroke: "var(--quiet)" } }),
        late.map((p) => [s("line", { class: "late", style: { opacity: 0.25 }, x1: x(p.position), x2: x(p.position), y1: y(0), y2: y(p.extent) }), dot(p, x(p.position), y(p.extent), 2.2)])]];
    },
    sequence(order) {
      const top = Math.max(1, order.messages - 1);
      const x = scale(0, top, LEFT, W - RIGHT), y = scale(0, top, H - BOTTOM, TOP);
      return [order.points.length, [
        frame(ticks(0, top, 8), ticks(0, top, 6), x, y, "arrival position", "sequence"),
        s("line", { x1: x(0), y1: y(0), x2: x(top), y2: y(top), style: { stroke: "var(--line)" } }),
        [...order.points].sort((a, b) => a.late - b.late).map((p) => dot(p, x(p.position), y(p.sequence), 2))]];
    },
  };

  sl.pages.queue = (root, data, params) => {
    const order = data.order;
    const few = order.messages <= LANES_MOST;
    const view = VIEWS[params.view] ? params.view : few ? "lanes" : "displacement";
    const basis = order.basis;
    const [shown, drawing] = VIEWS[view](order);
    const to = (change) => sl.url("/queue", { ...params, ...change });
    const total = view === "displacement" ? order.late : order.messages;
    sl.put(root, 
      h("div", { class: "head" }, sl.title(order.queue, h("p", { class: "quiet" }, [order.bindings.length ? `bound to ${order.bindings.join(", ")}` : "bindings not seen", `consumed by ${order.consumers.join(", ")}`].join(" · "))),
        sl.figures([[sl.count(order.messages), "messages"], [sl.count(order.late), "late", order.late ? "error-text" : null], [sl.many(order.worst_extent, "place"), "worst"], [sl.count(order.redelivered), "redelivered"]])),
      [...data.findings].sort((a, b) => RANK[a.severity] - RANK[b.severity]).slice(0, 2).map((f) => h("a", { class: `banner ${f.severity}`, href: `/findings/${f.id}` }, h("b", {}, f.title), h("p", { class: "clip" }, f.explanation))),
      h("div", { class: "body" }, h("div", { class: "pane order", id: "order", "data-view": view },
        h("div", { style: { display: "flex", gap: "12px", alignItems: "center", flexWrap: "wrap" } },
          h("div", { class: "tabs", role: "group", "aria-label": "View" }, [["sequence", "Sequence × arrival"], ["displacement", "Displacement"], ["lanes", "Lanes"]].map(([name, label]) => h("button", { "aria-pressed": String(view === name), onclick: () => sl.go(to({ view: name })) }, label))),
          h("div", { class: "tabs", role: "group", "aria-label": "Basis" }, [["delivery", "By delivery"], ["completion", "By completion"]].map(([name, label]) => h("button", { "aria-pressed": String(basis === name), onclick: () => sl.go(to({ basis: name })) }, label))),
          h("span", { class: "key" }, h("i", { style: { borderColor: "var(--faint)" } }), "in order"), h("span", { class: "key" }, h("i", { style: { borderColor: "var(--error)" } }), `late (${sl.count(order.late)})`),
          h("span", { class: "quiet" }, `showing ${sl.count(shown)} of ${sl.count(total)}`)),
        s("svg", { viewBox: `0 0 ${W} ${H}`, preserveAspectRatio: "xMidYMid meet", role: "img", "aria-label": `${view} of ${order.queue}` }, drawing))));
  };
})();
