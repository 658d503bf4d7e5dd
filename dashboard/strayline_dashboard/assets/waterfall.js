"use strict";
/* The waterfall: only the rows in view exist, so that ten thousand spans scroll like ten. */
(() => {
  const sl = window.strayline;
  const { h } = sl;
  const ROW = 26, MARGIN = 8;
  const key = (span) => `${span.trace_id}-${span.span_id}`;

  sl.waterfall = ({ spans, depth, started, ended, critical, pick }) => {
    const total = Math.max(1, ended - started);
    const at = (ns) => `${((ns - started) / total) * 100}%`;
    const folded = new Set();
    const children = new Map();
    for (const span of spans) if (span.display_parent) children.set(span.display_parent, (children.get(span.display_parent) || 0) + 1);
    const paths = new Map();
    for (const part of critical) if (part.kind === "self") (paths.get(`${part.trace_id}-${part.span_id}`) || paths.set(`${part.trace_id}-${part.span_id}`, []).get(`${part.trace_id}-${part.span_id}`)).push(part);
    let visible = [], selected = -1, needle = "", hits = [], showCritical = true;

    const space = h("div", { style: { position: "relative" } });
    const rows = h("div", { class: "wf-rows", tabindex: 0, role: "tree", "aria-label": "Spans" }, space);
    const mini = h("canvas", { class: "mini", "aria-hidden": "true" });
    const axis = h("div", { class: "axis" }, [0, 0.25, 0.5, 0.75].map((part) => h("span", { style: { left: `${part * 100}%` } }, sl.duration(part * total))));
    const node = h("div", { class: "pane waterfall" }, mini, h("div", { class: "wf-head" }, h("div", {}, "Service & operation"), axis), rows);

    function layout() {
      visible = [];
      let hiddenBelow = Infinity;
      spans.forEach((span, index) => {
        const level = depth.get(key(span));
        if (level > hiddenBelow) return;
        hiddenBelow = folded.has(key(span)) ? level : Infinity;
        visible.push(index);
      });
      space.style.height = `${visible.length * ROW}px`;
    }

    function marked(text) {
      const place = needle ? text.toLowerCase().indexOf(needle) : -1;
      return place < 0 ? [text] : [text.slice(0, place), h("mark", {}, text.slice(place, place + needle.length)), text.slice(place + needle.length)];
    }

    function bars(span) {
      const length = span.end_unix_nano - span.start_unix_nano;
      const wait = span.queue_wait_ns || 0;
      const left = ((span.start_unix_nano - started) / total) * 100;
      const right = ((span.end_unix_nano - started) / total) * 100;
      const label = [sl.duration(length), wait ? h("span", { class: "amqp-text" }, ` +${sl.duration(wait)} queued`) : null];
      const before = Math.max(0, left - (wait / total) * 100);
      /* behind the bar where there is room, else before it, else on it */
      const inside = right > 72 && before < 30;
      const beside = right <= 72 ? { left: `${right}%`, marginLeft: "6px" } : inside ? { right: `${100 - right}%`, marginRight: "6px" } : { right: `${100 - before}%`, marginRight: "6px" };
      return h("div", { class: "wf-bars" },
        wait ? h("div", { class: "wf-wait", style: { left: at(span.start_unix_nano - wait), width: `${(wait / total) * 100}%` } }) : null,
        h("div", { class: `wf-bar${span.status === "error" ? " failed" : ""}`, style: { left: at(span.start_unix_nano), width: `${(length / total) * 100}%`, background: sl.colour(span.service) } }),
        showCritical ? (paths.get(key(span)) || []).map((part) => h("div", { class: "wf-crit", style: { left: at(part.start_unix_nano), width: `${((part.end_unix_nano - part.start_unix_nano) / total) * 100}%` } })) : null,
        h("span", { class: inside ? "wf-label inside" : "wf-label", style: beside }, label));
    }

    function row(index, place) {
      const span = spans[index];
      const id = key(span);
      const level = depth.get(id);
      const fold = children.has(id) ? h("button", { class: "wf-fold", tabindex: -1, "aria-label": folded.has(id) ? "Unfold" : "Fold", onclick: (event) => { event.stopPropagation(); toggle(id); } }, folded.has(id) ? "▶" : "▼") : h("span", { class: "wf-fold" });
      const hushed = needle && !hits.includes(index);
      return h("div", { class: `wf-row${index === selected ? " selected" : ""}${hushed ? " hushed" : ""}`, role: "treeitem", "aria-level": level + 1, "aria-selected": String(index === selected), "data-span": span.span_id, style: { top: `${place * ROW}px` }, onclick: () => select(index, true) },
        h("div", { class: "wf-name", style: { paddingLeft: `${8 + Math.min(level, 24) * 12}px` }, title: `${span.service} ${span.name}` }, fold, sl.chip(span.service), h("b", {}, marked(span.service)), h("span", { class: "op" }, marked(span.name)),
          span.findings.length ? h("span", { class: "badge warning", style: { marginLeft: "6px" } }, "!") : null),
        bars(span));
    }

    function draw() {
      const from = Math.max(0, Math.floor(rows.scrollTop / ROW) - MARGIN);
      const to = Math.min(visible.length, from + Math.ceil((rows.clientHeight || 600) / ROW) + 2 * MARGIN);
      space.replaceChildren(...visible.slice(from, to).map((index, i) => row(index, from + i)));
    }

    function overview() {
      const width = mini.clientWidth || 800, height = 44, ratio = window.devicePixelRatio || 1;
      mini.width = width * ratio;
      mini.height = height * ratio;
      const pen = mini.getContext("2d");
      pen.scale(ratio, ratio);
      const tall = Math.max(1, Math.min(3, (height - 6) / spans.length));
      spans.forEach((span, i) => {
        pen.fillStyle = span.status === "error" ? "#d0424b" : sl.colour(span.service);
        pen.fillRect(((span.start_unix_nano - started) / total) * width, 3 + (i / spans.length) * (height - 6), Math.max(1.5, ((span.end_unix_nano - span.start_unix_nano) / total) * width), tall);
      });
    }

    function toggle(id) {
      if (folded.has(id)) folded.delete(id); else folded.add(id);
      layout();
      draw();
    }

    function select(index, quiet) {
      selected = index;
      for (let up = spans[index].display_parent; up; ) {
        folded.delete(up);
        const parent = spans.find((span) => key(span) === up);
        up = parent && parent.display_parent;
      }
      layout();
      const place = visible.indexOf(index) * ROW;
      if (!quiet || place < rows.scrollTop || place > rows.scrollTop + rows.clientHeight - ROW) rows.scrollTop = Math.max(0, place - rows.clientHeight / 2);
      draw();
      pick(spans[index]);
    }

    function move(by) {
      const place = visible.indexOf(selected);
      const to = Math.min(visible.length - 1, Math.max(0, place + by));
      if (visible.length) select(visible[to], true);
    }

    rows.addEventListener("scroll", draw);
    rows.addEventListener("keydown", (event) => {
      const id = selected >= 0 ? key(spans[selected]) : null;
      const steps = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: 20, PageUp: -20 };
      if (event.key in steps) move(steps[event.key]);
      else if (event.key === "ArrowLeft" && id && children.has(id) && !folded.has(id)) toggle(id);
      else if (event.key === "ArrowRight" && id && folded.has(id)) toggle(id);
      else return;
      event.preventDefault();
    });
    new ResizeObserver(() => { overview(); draw(); }).observe(node);

    return {
      node,
      draw() { layout(); draw(); overview(); },
      select: (index) => select(index, false),
      focus: () => rows.focus(),
      critical(on) { showCritical = on; draw(); },
      find(text) {
        needle = text.trim().toLowerCase();
        hits = needle ? spans.map((span, i) => [span, i]).filter(([span]) => `${span.service} ${span.name} ${JSON.stringify(span.attributes)}`.toLowerCase().includes(needle)).map(([, i]) => i) : [];
        if (hits.length) { folded.clear(); layout(); }
        draw();
        return needle ? sl.many(hits.length, "match", "matches") : "";
      },
      next(by) {
        if (!hits.length) return;
        const place = hits.indexOf(selected);
        select(hits[(place + by + hits.length) % hits.length], false);
      },
    };
  };
})();
