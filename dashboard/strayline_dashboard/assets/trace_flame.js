"use strict";
/* Flame graph: calls of the same service and operation below the same callers are one frame, as wide
   as the work within it. Consumers' time counts where they were caused. */
(() => {
  const sl = window.strayline;
  const { h, s } = sl;
  const ROW = 20,
    LEAST_PX = 0.6,
    LETTER_PX = 6.4;

  /* Letters that can be read on a colour: WCAG's luminance decides. */
  const inks = new Map();
  function ink(hex) {
    if (!inks.has(hex)) {
      const [r, g, b] = [1, 3, 5]
        .map((at) => parseInt(hex.slice(at, at + 2), 16) / 255)
        .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
      inks.set(hex, 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#15181d" : "#ffffff");
    }
    return inks.get(hex);
  }

  /* Spans merged by path from the root; times in ns. */
  function merge(model) {
    const root = {
      id: "",
      name: "the trace",
      service: "",
      kids: new Map(),
      self: 0,
      calls: 1,
      longest: -1,
      depth: 0,
      errors: 0,
    };
    const at = new Array(model.n);
    for (let i = 0; i < model.n; i++) {
      const above = model.parent[i] < 0 ? root : at[model.parent[i]];
      const key = model.serviceAt(i) * 1e6 + model.nameAt(i);
      let frame = above.kids.get(key);
      if (!frame)
        above.kids.set(
          key,
          (frame = {
            id: `${above.id}/${model.serviceAt(i)}.${model.nameAt(i)}`,
            name: model.name(i),
            service: model.service(i),
            kids: new Map(),
            self: 0,
            calls: 0,
            longest: i,
            depth: above.depth + 1,
            errors: 0,
            above,
          }),
        );
      frame.self += model.self(i);
      frame.calls += 1;
      frame.errors += model.failed(i) ? 1 : 0;
      if (model.length[i] > model.length[frame.longest]) frame.longest = i;
      at[i] = frame;
    }
    const weigh = (frame) => {
      frame.total = frame.self;
      for (const below of frame.kids.values()) frame.total += weigh(below);
      return frame.total;
    };
    weigh(root);
    return { root, at };
  }

  sl.traceViews = sl.traceViews || {};
  sl.traceViews.flame = (look) => {
    const { model, state } = look;
    const { root, at } = merge(model);
    const byId = new Map();
    const collect = (frame) => {
      byId.set(frame.id, frame);
      frame.kids.forEach(collect);
    };
    collect(root);
    const crumb = h("div", { class: "crumb" });
    const scroller = h("div", { class: "scroller", tabindex: 0, role: "group", "aria-label": "Flame graph" });
    const node = h("div", { class: "pane stage" }, crumb, scroller);
    let svg = null,
      width = 0;
    const zoom = (frame) => {
      state.set({ frame: frame && frame !== root ? frame.id : null }, true);
      redraw();
    };

    function redraw() {
      const top = byId.get(state.frame || "") || root;
      width = scroller.clientWidth || 900;
      const frames = [],
        needle = look.needle(),
        mine = look.selected() >= 0 ? at[look.selected()] : null;
      let deepest = 0;
      const place = (frame, x, wide, row) => {
        if (wide < LEAST_PX) return;
        deepest = Math.max(deepest, row);
        frames.push([frame, x, wide, row]);
        let left = x;
        for (const below of [...frame.kids.values()].sort((a, b) => b.total - a.total)) {
          const part = frame.total ? (below.total / frame.total) * wide : 0;
          place(below, left, part, row + 1);
          left += part;
        }
      };
      place(top, 0, width - 2, 0);
      const hits = needle ? (frame) => `${frame.service} ${frame.name}`.toLowerCase().includes(needle) : null;
      const bad = getComputedStyle(node).getPropertyValue("--error").trim();
      svg = s(
        "svg",
        { class: "flame", width: width - 2, height: (deepest + 1) * ROW + 8, role: "list", "aria-label": "Frames" },
        frames.map(([frame, x, wide, row]) => {
          const label =
            frame === root
              ? `the trace · ${sl.duration(frame.total)} of work`
              : `${frame.service} ${frame.name}${frame.calls > 1 ? ` ×${sl.count(frame.calls)}` : ""} · ${sl.duration(frame.total)}`;
          const most = Math.floor((wide - 8) / LETTER_PX);
          const paint = frame === root ? "#8b909c" : frame.errors ? bad : sl.colour(frame.service);
          const choose = () => (frame === root ? zoom(null) : look.pick(frame.longest, "click"));
          return s(
            "g",
            {
              class: `frame${frame === mine ? " selected" : ""}${hits && !hits(frame) ? " hushed" : ""}`,
              role: "listitem",
              tabindex: wide > 24 ? 0 : null,
              "data-frame": frame.id,
              "aria-label": label,
              onclick: choose,
              ondblclick: () => zoom(frame),
              onkeydown: (event) => {
                if (event.key === "Enter") {
                  event.preventDefault();
                  event.stopPropagation();
                  if (event.shiftKey) zoom(frame);
                  else choose();
                }
              },
            },
            s(
              "title",
              {},
              `${label}\nself ${sl.duration(frame.self)}${frame.errors ? `\n${sl.many(frame.errors, "error")}` : ""}\nDouble-click: only this`,
            ),
            s("rect", {
              x: x + 0.5,
              y: row * ROW + 4,
              width: Math.max(0.5, wide - 0.5),
              height: ROW - 1,
              rx: 2,
              fill: paint,
            }),
            most > 3
              ? s(
                  "text",
                  { x: x + 5, y: row * ROW + 18, style: { fill: ink(paint) } },
                  label.length > most ? `${label.slice(0, most - 1)}…` : label,
                )
              : null,
          );
        }),
      );
      scroller.replaceChildren(svg);
      const path = [];
      for (let up = top; up && up !== root; up = up.above) path.unshift(up);
      sl.put(
        crumb,
        h("button", { class: "more", type: "button", onclick: () => zoom(null), disabled: top === root }, "All"),
        path.map((frame) => [
          "›",
          h(
            "button",
            { class: "more clip", type: "button", onclick: () => zoom(frame) },
            `${frame.service} ${frame.name}`,
          ),
        ]),
        h("span", { class: "grow" }),
        h("span", {}, "As wide as the work within. Click selects the longest, double-click shows only it."),
      );
    }
    new ResizeObserver(() => {
      if (scroller.clientWidth !== width) redraw();
    }).observe(scroller);
    return {
      node,
      layout: redraw,
      redraw,
      reveal: redraw,
      focus: () => scroller.focus({ preventScroll: true }),
      picture: () => svg,
    };
  };
})();
