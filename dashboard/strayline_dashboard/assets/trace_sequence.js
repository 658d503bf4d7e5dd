"use strict";
/* Sequence diagram: services, exchanges and queues as life lines, what crosses between them as arrows
   in order of time. What stays within a service is left out. Where the lines stand closer than their
   names are wide, neighbours' names stand in rows of their own, up to ROWS of them; closer than NEAREST
   the diagram is wider than its pane and scrolls, with names and times standing still. */
(() => {
  const sl = window.strayline;
  const { h, s } = sl;
  const ROW = 30,
    LEFT = 88,
    NEAREST = 44,
    ROWS = 3,
    NAME = 26,
    LETTER = 6.3,
    SIGN = 24,
    LABEL = 170,
    MOST = 600,
    LINES = 40;
  const NOT_CALLS = new Set(["consumer", "producer"]);

  /* Steps: {at, from, to, protocol, label, span, back?, bad?}, times in ns after the start. */
  function steps(model, messages) {
    const found = [];
    for (let i = 0; i < model.n; i++) {
      const up = model.parent[i];
      if (up < 0 || NOT_CALLS.has(model.kind(i)) || model.serviceAt(i) === model.serviceAt(up)) continue;
      const protocol = model.protocol(i) || model.protocol(up) || "other";
      const from = ["service", model.service(up)],
        to = ["service", model.service(i)],
        bad = model.failed(i);
      found.push({ at: model.start[i], from, to, protocol, label: model.name(i), span: i, bad });
      found.push({
        at: model.start[i] + model.length[i],
        from: to,
        to: from,
        protocol,
        label: sl.duration(model.length[i]),
        span: i,
        back: true,
        bad,
      });
    }
    const base = model.outline.start_unix_nano;
    for (const m of messages) {
      const sender = m.producer_span_id ? model.find(m.producer_span_id) : -1;
      const exchange = ["exchange", m.exchange || "(default)"],
        /* the address of a direct reply is a token of its connection */
        key = (m.routing_key || "").replace(/^(amq\.rabbitmq\.reply-to)\..*/, "$1");
      const sent = sender >= 0 ? model.start[sender] : m.published_unix_nano ? m.published_unix_nano - base : null;
      if (m.producer_service && sent !== null) {
        found.push({
          at: sent,
          from: ["service", m.producer_service],
          to: exchange,
          protocol: "amqp",
          label: key,
          span: sender,
          bad: sl.givenBack(m),
        });
        for (const queue of m.queues)
          found.push({
            at: sent + 1,
            from: exchange,
            to: ["queue", queue],
            protocol: "amqp",
            label: key,
            span: sender,
          });
      }
      for (const d of m.deliveries) {
        const taker = model.find(d.consumer_span_id);
        const at = taker >= 0 ? model.start[taker] : d.received_unix_nano - base;
        found.push({
          at,
          from: ["queue", d.queue || "(unknown queue)"],
          to: ["service", d.consumer_service],
          protocol: "amqp",
          label: `${sl.settled(d)}${d.redelivered ? ", again" : ""}`,
          span: taker,
          bad: d.failed || /nack|reject/.test(d.settled || ""),
        });
      }
    }
    return found.sort((a, b) => a.at - b.at);
  }

  sl.traceViews = sl.traceViews || {};
  sl.traceViews.sequence = (look) => {
    const { model } = look;
    const scroller = h(
      "div",
      { class: "scroller", tabindex: 0, role: "group", "aria-label": "Sequence diagram", "aria-busy": "true" },
      h("p", { class: "quiet pad" }, "Reading messages…"),
    );
    const note = h("div", { class: "crumb", hidden: true });
    const node = h("div", { class: "pane stage" }, note, scroller);
    const short = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
    /* Queues are told apart by how their names end. */
    const both = (text, most) => {
      const end = Math.ceil((Math.max(most, 4) - 1) / 2);
      return text.length > most ? `${text.slice(0, Math.max(most, 4) - 1 - end)}…${text.slice(-end)}` : text;
    };
    let all = null,
      svg = null,
      width = 0;

    function redraw() {
      if (!all) return;
      const kept = all.slice(0, MOST);
      const lines = new Map();
      for (const step of kept)
        for (const end of [step.from, step.to]) {
          const id = end.join(":");
          if (!lines.has(id) && lines.size < LINES) lines.set(id, end);
        }
      const drawn = kept.filter((step) => lines.has(step.from.join(":")) && lines.has(step.to.join(":")));
      note.hidden = drawn.length === all.length;
      note.textContent = `Showing the first ${sl.count(drawn.length)} of ${sl.many(all.length, "arrow")}.`;
      if (!drawn.length)
        return sl.put(scroller, h("p", { class: "quiet pad" }, "Nothing crosses between services here."));
      width = scroller.clientWidth || 900;
      const needs = (end) => SIGN + end[1].length * LETTER,
        longest = Math.max(...[...lines.values()].map(needs)),
        steps = Math.max(1, lines.size - 0.5),
        last = Math.max(42, Math.min(needs([...lines.values()].at(-1)), ROWS * NEAREST - 10) / 2) + 6;
      const gap = Math.max(NEAREST, (width - LEFT - last) / steps),
        high = Math.min(ROWS, lines.size, Math.ceil((longest + 10) / gap)),
        room = Math.min(high * gap - 10, 2 * (LEFT + gap / 2 - 6)),
        wide = Math.floor(LEFT + gap * steps + last),
        HEAD = 10 + high * (NAME + 4);
      const ids = [...lines.keys()],
        x = (end) => LEFT + gap * (ids.indexOf(end.join(":")) + 0.5);
      const height = HEAD + drawn.length * ROW + 16,
        needle = look.needle(),
        mine = look.selected();
      const parties = [...lines.values()].map((end, place) => {
        const y = 6 + (place % high) * (NAME + 4),
          own = Math.min(room, Math.max(needs(end), 84));
        return s(
          "g",
          { class: `party ${end[0]}` },
          s("title", {}, end.join(" ")),
          s("rect", { x: x(end) - own / 2, y, width: own, height: NAME, rx: 5 }),
          end[0] === "service"
            ? s("rect", {
                x: x(end) - own / 2 + 7,
                y: y + 9,
                width: 8,
                height: 8,
                rx: 2,
                style: { fill: sl.colour(end[1]), stroke: "none" },
              })
            : null,
          s(
            "text",
            { x: x(end) + (end[0] === "service" ? 7 : 0), y: y + 17 },
            `${end[0] === "exchange" ? "◇ " : end[0] === "queue" ? "▤ " : ""}${both(end[1], Math.floor((room - SIGN) / LETTER))}`,
          ),
        );
      });
      const rows = drawn.map((step, row) => {
        const y = HEAD + row * ROW + 20,
          a = x(step.from),
          b = x(step.to),
          self = a === b,
          label = short(step.label, Math.floor(Math.max(LABEL, Math.abs(b - a)) / 6.6)),
          half = label.length * 3.3;
        const colour = step.bad ? "var(--error)" : sl.PROTOCOLS[step.protocol],
          dash = step.protocol === "amqp" ? "5 3" : step.back ? "2 3" : null;
        const hushed = needle && !`${step.from[1]} ${step.to[1]} ${step.label}`.toLowerCase().includes(needle);
        const choose = () => step.span >= 0 && look.pick(step.span, "click");
        // read aloud is what is seen, after who sent it to whom
        return s(
          "g",
          {
            class: `step${step.bad ? " bad" : ""}${step.span >= 0 && step.span === mine ? " selected" : ""}`,
            tabindex: step.span >= 0 ? 0 : null,
            role: "button",
            "data-way": `${step.from[1]} to ${step.to[1]}`,
            opacity: hushed ? 0.3 : null,
            onclick: choose,
            onkeydown: (event) => {
              if (event.key === "Enter") {
                event.preventDefault();
                event.stopPropagation();
                choose();
              }
            },
          },
          s("title", {}, `${step.from[1]} → ${step.to[1]}\n${step.label}\n+${sl.duration(step.at)}`),
          s("rect", { class: "wide", x: 2, y: y - 19, width: wide - 4, height: ROW - 2, rx: 4 }),
          s("text", { class: "at", x: LEFT - 14, y: y + 4 }, `+${sl.duration(step.at)}`),
          self
            ? s("path", {
                d: `M${a} ${y - 6}h18v10h-12`,
                stroke: colour,
                "stroke-dasharray": dash,
                "marker-end": `url(#to-${step.bad ? "error" : step.protocol})`,
              })
            : s("line", {
                x1: a,
                x2: b - Math.sign(b - a) * 2,
                y1: y,
                y2: y,
                stroke: colour,
                "stroke-dasharray": dash,
                "marker-end": `url(#to-${step.bad ? "error" : step.protocol})`,
              }),
          s(
            "text",
            {
              x: self ? a + 26 : Math.max(LEFT + half, Math.min(wide - 4 - half, (a + b) / 2)),
              y: y - 5,
              style: self ? { textAnchor: "start" } : {},
            },
            label,
          ),
        );
      });
      const markers = s(
        "defs",
        {},
        Object.entries({ ...sl.PROTOCOLS, error: "var(--error)" }).map(([name, colour]) =>
          s(
            "marker",
            {
              id: `to-${name}`,
              viewBox: "0 0 8 8",
              refX: 7,
              refY: 4,
              markerWidth: 8,
              markerHeight: 8,
              orient: "auto-start-reverse",
              markerUnits: "userSpaceOnUse",
            },
            s("path", { d: "M0 .8L7 4 0 7.2z", style: { fill: colour, stroke: "none" } }),
          ),
        ),
      );
      svg = s(
        "svg",
        { class: "sequence", width: wide, height, role: "group", "aria-label": "Arrows" },
        markers,
        [...lines.values()].map((end) =>
          s("line", { class: "life", x1: x(end), x2: x(end), y1: HEAD - 8, y2: height }),
        ),
        rows,
        parties.map((party) => party.cloneNode(true)),
      );
      const head = s("svg", { class: "sequence", width: wide, height: HEAD, "aria-hidden": "true" }, parties);
      const times = h(
        "div",
        { class: "sequence-times", hidden: wide <= width, style: { height: `${height}px`, marginBottom: `-${height}px` } },
        s(
          "svg",
          { class: "sequence", width: LEFT, height, "aria-hidden": "true" },
          drawn.map((step, row) =>
            s("text", { class: "at", x: LEFT - 14, y: HEAD + row * ROW + 24 }, `+${sl.duration(step.at)}`),
          ),
        ),
      );
      scroller.replaceChildren(
        h("div", { class: "sequence-head", style: { width: `${wide}px`, marginBottom: `-${HEAD + 1}px` } }, head),
        times,
        svg,
      );
    }
    sl.traceMessages(model)
      .catch((error) => {
        sl.say(error.message);
        return { items: [] };
      })
      .then(({ items }) => {
        all = steps(model, items);
        scroller.removeAttribute("aria-busy");
        redraw();
        if (look.selected() >= 0) api.reveal();
      });
    new ResizeObserver(() => {
      if (scroller.clientWidth !== width) redraw();
    }).observe(scroller);
    const api = {
      node,
      layout: redraw,
      redraw,
      reveal() {
        redraw();
        const mark = svg && svg.querySelector(".step.selected");
        if (mark) mark.scrollIntoView({ block: "nearest" });
      },
      focus: () => scroller.focus({ preventScroll: true }),
      picture: () => svg,
    };
    return api;
  };
})();
