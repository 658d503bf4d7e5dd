"use strict";
/* The waterfall: only the rows in view exist, so that a hundred thousand spans scroll like ten. */
(() => {
  const sl = window.strayline;
  const { h } = sl;
  const ROW = 26,
    MARGIN = 6,
    INDENT = 12,
    DEEPEST = 26,
    CHARACTER = 7.3; /* px of a label */
  const SEGMENT = { self: "its own work", queue_wait: "waiting in a queue", network: "network", gap: "nothing traced" };

  /* Text with what is looked for marked. */
  function marked(text, needle) {
    const place = needle ? text.toLowerCase().indexOf(needle) : -1;
    return place < 0
      ? [text]
      : [
          text.slice(0, place),
          h("mark", {}, text.slice(place, place + needle.length)),
          text.slice(place + needle.length),
        ];
  }

  /* look: {model, state, folds, zoom() → [from, to], needle(), isHit(i), selected(), pick(i, how), critical()} */
  sl.waterfall = (look) => {
    const { model, folds } = look;
    let rows = new Int32Array(0),
      place = new Int32Array(model.n).fill(-1),
      shown = new Map();
    let from = 0,
      to = model.total,
      wide = 400; /* px of the part with bars */

    const space = h("div", { class: "wf-space" });
    const list = h("div", { class: "wf-rows", tabindex: 0, role: "tree", "aria-label": "Spans" }, space);
    const axis = h("div", { class: "axis" });
    const grip = h("div", {
      class: "grip",
      role: "separator",
      "aria-orientation": "vertical",
      "aria-label": "Width of the names",
      title: "Drag to resize",
    });
    const node = h(
      "div",
      { class: "waterfall" },
      h("div", { class: "wf-head" }, h("div", { class: "clip" }, "Service & operation", grip), axis),
      list,
    );
    sl.resizable(grip, node, "--names", {
      pane: () => grip.parentElement,
      least: 180,
      most: 720,
      from: 1,
      kept: "strayline.names",
    });

    const at = (ns) => ((ns - from) / (to - from)) * 100;
    const percent = (value) => `${value.toFixed(4)}%`;

    function layout() {
      rows = sl.traceRows(model, folds.folded);
      place.fill(-1);
      for (let row = 0; row < rows.length; row++) place[rows[row]] = row;
      space.style.height = `${rows.length * ROW}px`;
    }

    function piece(kind, start, ns, attributes) {
      const left = at(start),
        right = at(start + ns);
      if (right < 0 || left > 100) return null;
      const most = Math.min(right, 100.5),
        least = Math.max(left, -0.5);
      return h("div", {
        class: kind,
        ...attributes,
        style: { left: percent(least), width: percent(most - least), ...(attributes && attributes.style) },
      });
    }

    function bars(i) {
      const begin = model.start[i],
        ns = model.length[i],
        wait = model.waited(i) || 0;
      const left = at(begin),
        right = at(begin + ns),
        before = at(begin - wait);
      const told = sl.duration(ns),
        queued = wait ? ` +${sl.duration(wait)} queued` : "";
      const label = [told, wait ? h("span", { class: "amqp-text" }, queued) : null];
      const parts = [];
      if (right < 0) parts.push(h("span", { class: "wf-label off", style: { left: "4px" } }, "‹ ", label));
      else if (before > 100) parts.push(h("span", { class: "wf-label off", style: { right: "6px" } }, label, " ›"));
      else {
        if (wait)
          parts.push(
            piece("wf-wait", begin - wait, wait, { title: `${sl.duration(wait)} in ${model.queue(i) || "a queue"}` }),
          );
        parts.push(
          piece(`wf-bar${model.failed(i) ? " failed" : ""}`, begin, ns, {
            style: { background: sl.colour(model.service(i)) },
          }),
        );
        /* behind the bar where there is room, else before it; without the wait, which the hatched part
           tells too, where there is no room for both; else on it */
        const end = Math.min(100, Math.max(0, right)),
          head = Math.min(100, Math.max(0, before));
        const needs = (text) => (100 * (12 + CHARACTER * text.length)) / wide;
        const behind = { left: percent(end), marginLeft: "6px" },
          ahead = { right: percent(100 - head), marginRight: "6px" };
        const places = [told + queued, told].flatMap((text) => [
          [end + needs(text) <= 100, text, behind],
          [head >= needs(text), text, ahead],
        ]);
        const [, text, style] = places.find(([fits]) => fits) || [true, told, null];
        const words = text === told ? told : label;
        parts.push(
          style
            ? h("span", { class: "wf-label", style }, words)
            : h(
                "span",
                { class: "wf-label inside", style: { right: percent(Math.max(0, 100 - end)), marginRight: "6px" } },
                words,
              ),
        );
      }
      if (look.critical())
        for (const part of model.critical.get(i) || [])
          parts.push(
            piece(`wf-crit ${part.kind}`, part.from, part.ns, {
              title: `Critical path: ${sl.duration(part.ns)}, ${SEGMENT[part.kind]}`,
            }),
          );
      return h("div", { class: "wf-bars" }, parts);
    }

    function jumps(i) {
      const out = model.linksOut.get(i) || [],
        into = model.linksIn.get(i) || [];
      if (!out.length && !into.length) return null;
      const first = out.length ? out[0] : into[0];
      const target = out.length ? first.to : first.from;
      const words = out.length
        ? `Links to ${sl.many(out.length, "span")}`
        : `${sl.many(into.length, "span")} ${into.length === 1 ? "links" : "link"} here`;
      return h(
        "button",
        {
          class: "wf-link",
          tabindex: -1,
          "aria-label": words,
          title: words,
          onclick: (event) => {
            event.stopPropagation();
            if (target >= 0) look.pick(target, "jump");
            else sl.go(sl.trace(first.trace, first.span));
          },
        },
        out.length ? "↗" : "↙",
      );
    }

    function row(i, where) {
      const level = model.depth[i],
        needle = look.needle();
      const shut = folds.folded(i);
      const fold = model.kids[i]
        ? h(
            "button",
            {
              class: "wf-fold",
              tabindex: -1,
              "aria-label": shut ? "Unfold" : "Fold",
              onclick: (event) => {
                event.stopPropagation();
                api.toggle(i);
              },
            },
            shut ? "▶" : "▼",
          )
        : h("span", { class: "wf-fold" });
      const found = model.findings.get(i);
      const selected = i === look.selected();
      const indent = Math.min(level, DEEPEST) * INDENT;
      return h(
        "div",
        {
          class: `wf-row${selected ? " selected" : ""}${needle && !look.isHit(i) ? " hushed" : ""}`,
          role: "treeitem",
          "aria-level": level + 1,
          "aria-selected": String(selected),
          "aria-expanded": model.kids[i] ? String(!shut) : null,
          "data-span": model.id(i),
          style: { top: `${where * ROW}px` },
          onclick: () => look.pick(i, "click"),
        },
        h(
          "div",
          { class: "wf-name", title: `${model.service(i)} ${model.name(i)}` },
          h("i", { class: "wf-guide", style: { width: `${indent}px` } }),
          fold,
          sl.chip(model.service(i)),
          h("b", {}, marked(model.service(i), needle)),
          h("span", { class: "op" }, marked(model.name(i), needle)),
          shut ? h("span", { class: "wf-count" }, sl.count(model.last[i] - i)) : null,
          model.failed(i) ? h("span", { class: "wf-bad", title: "Error" }, "!") : null,
          found
            ? h(
                "span",
                { class: `badge ${found[0].severity} wf-finding`, title: found.map((f) => f.title).join("\n") },
                found[0].kind.replaceAll("_", " "),
              )
            : null,
          jumps(i),
        ),
        bars(i),
      );
    }

    /* Rows that stay in view are kept: a step of the wheel makes three, not forty. */
    function draw() {
      const first = Math.max(0, Math.floor(list.scrollTop / ROW) - MARGIN);
      const past = Math.min(rows.length, first + Math.ceil((list.clientHeight || 600) / ROW) + 2 * MARGIN);
      const next = new Map();
      for (let where = first; where < past; where++) {
        const i = rows[where];
        const old = shown.get(i);
        if (old) shown.delete(i);
        next.set(i, old || row(i, where));
      }
      for (const gone of shown.values()) gone.remove();
      for (const element of next.values()) if (!element.isConnected) space.append(element);
      shown = next;
    }
    function redraw() {
      [from, to] = look.zoom();
      wide = axis.clientWidth || wide;
      axis.replaceChildren(
        ...[0, 0.25, 0.5, 0.75].map((part) =>
          h("span", { style: { left: `${part * 100}%` } }, sl.duration(from + part * (to - from))),
        ),
      );
      for (const old of shown.values()) old.remove();
      shown = new Map();
      draw();
    }

    function show(i, middle) {
      const top = place[i] * ROW;
      if (top < 0) return;
      const seen = top >= list.scrollTop && top <= list.scrollTop + list.clientHeight - ROW;
      if (seen) return;
      if (middle) list.scrollTop = Math.max(0, top - list.clientHeight / 2);
      else list.scrollTop = top < list.scrollTop ? top : top - list.clientHeight + ROW;
    }

    let waiting = false;
    list.addEventListener("scroll", () => {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        draw();
      });
    });
    /* where labels find room depends on the width */
    new ResizeObserver(() => (axis.clientWidth === wide ? draw() : redraw())).observe(list);

    const api = {
      node,
      list,
      layout() {
        layout();
        redraw();
      },
      redraw,
      toggle(i) {
        folds.toggle(i);
        api.layout();
      },
      /* brings a span into view, opening what hides it */
      reveal(i, middle) {
        if (folds.reveal(i)) layout();
        show(i, middle);
        redraw();
      },
      /* the span some rows further, among those that stand */
      beside: (i, by) =>
        rows.length
          ? rows[Math.min(rows.length - 1, Math.max(0, (i < 0 || place[i] < 0 ? (by > 0 ? -1 : 1) : place[i]) + by))]
          : -1,
      /* whole rows, so that up undoes down */
      page(by) {
        list.scrollTop += Math.sign(by) * Math.floor(Math.abs(by) * (list.clientHeight / ROW - 2)) * ROW;
      },
      range: () => [
        list.scrollTop / ROW / Math.max(1, rows.length),
        (list.scrollTop + list.clientHeight) / ROW / Math.max(1, rows.length),
      ],
      rows: () => rows,
      focus: () => list.focus({ preventScroll: true }),
    };
    return api;
  };
})();
