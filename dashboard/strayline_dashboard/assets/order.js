"use strict";
/* The order of one queue: lanes for few messages, displacement and sequence × arrival for many. What is
   drawn is a window of positions; dragging over it looks closer. */
(() => {
  const sl = window.strayline;
  const { h, s } = sl;
  const LEFT = 66,
    RIGHT = 16,
    TOP = 16,
    BOTTOM = 40;
  const LANES_MOST = 150;
  let now = null,
    W = 1000;

  const scale = (from, to, a, b) => (v) => a + ((v - from) / Math.max(1e-9, to - from)) * (b - a);
  function ticks(least, most, n) {
    const raw = Math.max(1, (most - least) / n);
    const size = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((m) => m * size).find((m) => m >= raw);
    const found = [];
    for (let t = Math.ceil(least / step) * step; t <= most; t += step) found.push(t);
    return found;
  }
  const short = (n) =>
    Math.abs(n) >= 1e6 ? `${+(n / 1e6).toFixed(2)}M` : Math.abs(n) >= 1e4 ? `${+(n / 1e3).toFixed(1)}k` : sl.count(n);
  function said(p) {
    return [
      p.message_id || p.routing_key || "a message",
      `published ${sl.count(p.sequence)}, delivered ${sl.count(p.position)}`,
      p.late
        ? `${sl.many(p.extent, "place")} late${p.cause ? ` (${p.cause.replaceAll("_", " ")})` : ""}`
        : p.overtook
          ? `${sl.many(p.overtook, "place")} early`
          : "in order",
      `${sl.time(p.delivered_unix_nano)} · ${p.consumer_service}${p.redelivered ? " · redelivered" : ""}`,
    ].join("\n");
  }
  const target = (p) =>
    p.trace_id
      ? sl.message(p) || sl.trace(p.trace_id, p.producer_span_id)
      : sl.trace(p.consumer_trace_id, p.consumer_span_id);
  const dot = (p, x, y, r) =>
    s(
      "a",
      { href: target(p), "aria-label": said(p).replaceAll("\n", ", "), tabindex: p.late ? "0" : "-1" },
      s(
        "circle",
        { class: p.late ? "late" : "calm", cx: x.toFixed(1), cy: y.toFixed(1), r: p.late ? r + 1 : r },
        s("title", {}, said(p)),
      ),
    );
  function frame(H, xTicks, yTicks, x, y, xLabel, yLabel) {
    return [
      xTicks.map((t) => [
        s("line", { class: "grid", x1: x(t), x2: x(t), y1: TOP, y2: H - BOTTOM }),
        s("text", { class: "axis-text", x: x(t), y: H - BOTTOM + 16, "text-anchor": "middle" }, short(t)),
      ]),
      yTicks.map((t) => [
        s("line", { class: "grid", x1: LEFT, x2: W - RIGHT, y1: y(t), y2: y(t) }),
        s("text", { class: "axis-text", x: LEFT - 8, y: y(t) + 4, "text-anchor": "end" }, short(t)),
      ]),
      s("text", { class: "axis-text", x: (LEFT + W - RIGHT) / 2, y: H - 5, "text-anchor": "middle" }, xLabel),
      s(
        "text",
        {
          class: "axis-text",
          x: 12,
          y: (TOP + H - BOTTOM) / 2,
          "text-anchor": "middle",
          transform: `rotate(-90 12 ${(TOP + H - BOTTOM) / 2})`,
        },
        yLabel,
      ),
    ];
  }

  /* Each draws a window of the order into a box of W × H: [messages shown, of how many, x scale, parts]. */
  const VIEWS = {
    lanes(order, H) {
      const late = order.points.filter((p) => p.late);
      let points = order.points;
      if (points.length > LANES_MOST) {
        const middle = late.length ? late.reduce((a, b) => (b.extent > a.extent ? b : a)).position : points[0].position;
        const from = Math.max(points[0].position, middle - LANES_MOST / 2);
        points = points.filter((p) => p.position >= from && p.position < from + LANES_MOST);
      }
      let least = Infinity,
        most = -Infinity;
      for (const p of points) {
        least = Math.min(least, p.sequence, p.position);
        most = Math.max(most, p.sequence, p.position);
      }
      const x = scale(least, most, LEFT + 20, W - RIGHT - 8),
        y1 = TOP + 34,
        y2 = H - BOTTOM - 34,
        middle = (y1 + y2) / 2;
      const lane = (p) =>
        s("path", {
          class: p.late ? "late" : "calm",
          style: { fill: "none", strokeWidth: p.late ? 2 : 1, opacity: p.late ? 1 : 0.55 },
          d: `M${x(p.sequence)} ${y1}C${x(p.sequence)} ${middle} ${x(p.position)} ${middle} ${x(p.position)} ${y2}`,
        });
      const sorted = [...points].sort((a, b) => a.late - b.late);
      return [
        points.length,
        order.last - order.first + 1,
        x,
        [
          ticks(least, most, 8).map((t) => [
            s("line", { class: "grid", x1: x(t), x2: x(t), y1: TOP, y2: H - BOTTOM }),
            s("text", { class: "axis-text", x: x(t), y: H - BOTTOM + 16, "text-anchor": "middle" }, short(t)),
          ]),
          s("text", { class: "axis-text", x: 4, y: y1 - 12 }, "published"),
          s("text", { class: "axis-text", x: 4, y: y2 + 22 }, order.basis === "completion" ? "completed" : "delivered"),
          sorted.map(lane),
          sorted.map((p) => [dot(p, x(p.sequence), y1, 2.6), dot(p, x(p.position), y2, 2.6)]),
        ],
      ];
    },
    displacement(order, H) {
      const steps = order.envelope;
      let most = 1,
        least = 0;
      for (const e of steps) {
        most = Math.max(most, e.displacement_max, e.extent_max);
        least = Math.min(least, e.displacement_min);
      }
      const x = scale(order.first, Math.max(order.first + 1, order.last), LEFT, W - RIGHT),
        y = scale(least, most, H - BOTTOM, TOP);
      const late = order.points.filter((p) => p.late);
      const band = (value) =>
        steps
          .map(
            (e, i) =>
              `${i ? "L" : "M"}${x(e.position).toFixed(1)} ${y(value(e)).toFixed(1)}L${x(i + 1 < steps.length ? steps[i + 1].position : order.last).toFixed(1)} ${y(value(e)).toFixed(1)}`,
          )
          .join("");
      const early = steps.length
        ? `${band((e) => Math.min(0, e.displacement_min))}L${x(order.last)} ${y(0)}L${x(order.first)} ${y(0)}Z`
        : "";
      const lateness = steps.length
        ? `${band((e) => e.extent_max)}L${x(order.last)} ${y(0)}L${x(order.first)} ${y(0)}Z`
        : "";
      return [
        late.length,
        order.window_late,
        x,
        [
          frame(
            H,
            ticks(order.first, order.last, 8),
            ticks(least, most, 6),
            x,
            y,
            order.basis === "completion" ? "place among completions" : "arrival position",
            "places late",
          ),
          s("path", { d: early, class: "early" }),
          s("path", { d: lateness, class: "band" }),
          s("line", { x1: LEFT, x2: W - RIGHT, y1: y(0), y2: y(0), style: { stroke: "var(--faint)" } }),
          late.map((p) => dot(p, x(p.position), y(p.extent), 1.6)),
        ],
      ];
    },
    sequence(order, H) {
      const steps = order.envelope;
      let least = Infinity,
        most = 1;
      for (const e of steps) {
        least = Math.min(least, e.sequence_min);
        most = Math.max(most, e.sequence_max);
      }
      const x = scale(order.first, Math.max(order.first + 1, order.last), LEFT, W - RIGHT),
        y = scale(least, most, H - BOTTOM, TOP);
      const there = steps.map((e) => `L${x(e.position).toFixed(1)} ${y(e.sequence_max).toFixed(1)}`).join("");
      const back = [...steps]
        .reverse()
        .map((e) => `L${x(e.position).toFixed(1)} ${y(e.sequence_min).toFixed(1)}`)
        .join("");
      const dots = order.truncated ? order.points.filter((p) => p.late) : order.points;
      return [
        order.points.length,
        order.last - order.first + 1,
        x,
        [
          frame(
            H,
            ticks(order.first, order.last, 8),
            ticks(least, most, 6),
            x,
            y,
            order.basis === "completion" ? "place among completions" : "arrival position",
            "place among publishes",
          ),
          order.truncated ? s("path", { d: `M${x(order.first)} ${y(least)}${there}${back}Z`, class: "early" }) : null,
          [...dots]
            .sort((a, b) => a.late - b.late)
            .map((p) => dot(p, x(p.position), y(p.sequence), order.truncated ? 1.6 : 2)),
        ],
      ];
    },
  };
  const NAMES = [
    ["sequence", "Sequence × arrival"],
    ["displacement", "Displacement"],
    ["lanes", "Lanes"],
  ];

  sl.drawOrder = (order, params, to) => {
    const size = order.last - order.first + 1;
    const view = VIEWS[params.view] ? params.view : size <= LANES_MOST ? "lanes" : "displacement";
    const whole = size === order.messages;
    now = { order, to, first: order.first, last: order.last };
    const tabs = (label, options, chosen, name) =>
      h(
        "div",
        { class: "tabs", role: "group", "aria-label": label },
        options.map(([value, text]) =>
          h(
            "button",
            { type: "button", "aria-pressed": String(chosen === value), onclick: () => sl.go(to({ [name]: value })) },
            text,
          ),
        ),
      );
    /* One may be late in the one and not in the other; the findings and the head count it either way. */
    const by = (basis) => `By ${basis}${order.late_by.either ? `: ${sl.count(order.late_by[basis])} late` : ""}`;
    const count = h("span", { class: "quiet", id: "showing" });
    const place = h("div", { class: "plot" });
    const pane = h(
      "div",
      { class: "pane order", id: "order", "data-view": view },
      h(
        "div",
        { class: "line" },
        tabs("View", NAMES, view, "view"),
        tabs(
          "Basis",
          [
            ["delivery", by("delivery")],
            ["completion", by("completion")],
          ],
          order.basis,
          "basis",
        ),
        h("span", { class: "key" }, h("i", { class: "dotkey calm" }), "in order"),
        h("span", { class: "key" }, h("i", { class: "dotkey late" }), `late (${sl.count(order.window_late)})`),
        view === "displacement" ? h("span", { class: "key" }, h("i", { class: "swatch early" }), "overtook") : null,
        count,
        h("span", { class: "grow" }),
        whole ? null : h("span", { class: "quiet" }, `positions ${sl.count(order.first)} – ${sl.count(order.last)}`),
        whole
          ? null
          : h(
              "button",
              { class: "button small", type: "button", id: "whole", onclick: () => sl.go(to({ from: "", to: "" })) },
              "Whole queue",
            ),
        h(
          "button",
          {
            class: "button small",
            type: "button",
            onclick: () => sl.saveSvg(place.querySelector("svg"), `${order.queue}-${view}`),
          },
          "SVG",
        ),
        h(
          "button",
          {
            class: "button small",
            type: "button",
            onclick: () => sl.savePng(place.querySelector("svg"), `${order.queue}-${view}`),
          },
          "PNG",
        ),
      ),
      place,
    );
    function draw() {
      const box = place.getBoundingClientRect();
      W = Math.max(420, Math.round(box.width));
      const H = Math.max(220, Math.round(box.height));
      const [shown, of, x, parts] = VIEWS[view](order, H);
      count.textContent = `showing ${sl.count(shown)} of ${sl.count(of)}${view === "displacement" ? " late" : ""}${shown < of ? (view === "lanes" ? ", around the worst" : ", the worst") : ""}`;
      const svg = s(
        "svg",
        {
          viewBox: `0 0 ${W} ${H}`,
          role: "group",
          "aria-label": `${view} of ${order.queue}: ${sl.count(order.window_late)} of ${sl.count(size)} late`,
        },
        parts,
      );
      place.replaceChildren(svg);
      if (size > 2) brush(svg, x, H);
    }
    /* Dragging picks the positions to look at closer. */
    function brush(svg, x, H) {
      let from = null,
        box = null;
      const at = (event) => {
        const r = svg.getBoundingClientRect();
        return Math.max(LEFT, Math.min(W - RIGHT, ((event.clientX - r.left) / r.width) * W));
      };
      const value = (px) => {
        const a = x(order.first),
          b = x(order.last);
        return Math.round(order.first + ((px - a) / Math.max(1e-9, b - a)) * (order.last - order.first));
      };
      svg.addEventListener("pointerdown", (event) => {
        if (event.button || event.target.closest("a")) return;
        from = at(event);
        svg.setPointerCapture(event.pointerId);
      });
      svg.addEventListener("pointermove", (event) => {
        if (from === null) return;
        if (!box) svg.append((box = s("rect", { class: "brush", y: TOP, height: H - TOP - BOTTOM })));
        const to = at(event);
        box.setAttribute("x", Math.min(from, to));
        box.setAttribute("width", Math.abs(to - from));
      });
      svg.addEventListener("pointerup", (event) => {
        const end = at(event),
          begin = from;
        from = null;
        if (box) box.remove();
        box = null;
        if (begin === null || Math.abs(end - begin) < 6) return;
        zoomTo(value(Math.min(begin, end)), value(Math.max(begin, end)));
      });
    }
    requestAnimationFrame(draw);
    let width = 0;
    const watch = new ResizeObserver(() => {
      const w = place.clientWidth + place.clientHeight;
      if (w !== width) {
        width = w;
        draw();
      }
    });
    watch.observe(place);
    sl.onLeave(() => watch.disconnect());
    return h("div", { class: "body" }, pane);
  };

  /* `now` runs ahead of what is drawn: keys pressed in a row add up. */
  function zoomTo(first, last) {
    const { order, to } = now;
    first = Math.max(0, first);
    last = Math.min(order.messages - 1, Math.max(last, first + 1));
    Object.assign(now, { first, last });
    sl.go(to(first === 0 && last === order.messages - 1 ? { from: "", to: "" } : { from: first, to: last }));
  }
  sl.zoomOrder = (factor) => {
    if (!now || !document.getElementById("order")) return;
    const middle = (now.first + now.last) / 2,
      half = Math.max(5, ((now.last - now.first + 1) * factor) / 2);
    zoomTo(Math.floor(middle - half), Math.ceil(middle + half));
  };
  sl.panOrder = (by) => {
    if (!now || !document.getElementById("order")) return;
    const size = now.last - now.first + 1;
    const first = Math.max(0, Math.min(now.order.messages - size, now.first + Math.round(size * by)));
    zoomTo(first, first + size - 1);
  };
  sl.nextLate = () => {
    const links = [...document.querySelectorAll("#order a[tabindex='0']")];
    if (links.length) links[(links.indexOf(document.activeElement) + 1) % links.length].focus();
  };
})();
