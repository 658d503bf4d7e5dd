"use strict";
/* Traces over time and duration: drag over a corner to list it alone and see what it has that the rest
   has not. */
(() => {
  const sl = window.strayline;
  const { h, s } = sl;
  const HEIGHT = 168,
    LEFT = 58,
    TOP = 8,
    FOOT = 22,
    RIGHT = 8,
    LEAST_PX = 4,
    EDGE_PX = 4;

  sl.pickedOf = (text) => {
    const parts = (text || "").split("~").map(Number);
    return parts.length === 4 && parts.every(Number.isFinite)
      ? { after: parts[0], before: parts[1], least: parts[2], most: parts[3] }
      : null;
  };

  /* pick(text|null): `after~before~least~most` as the API takes it. */
  sl.spread = ({ pick, zoom }) => {
    const box = h("div", { class: "spread-box" });
    const words = h("span", { class: "quiet grow clip" });
    const slow = h(
      "button",
      {
        class: "button small",
        type: "button",
        id: "slowest",
        title: "Pick the slowest tenth",
        disabled: true,
        onclick: () => pickSlowest(),
      },
      "Slowest tenth",
    );
    const clear = h(
      "button",
      { class: "button small", type: "button", id: "unpick", hidden: true, onclick: () => pick(null) },
      "Clear",
    );
    const closer = h(
      "button",
      { class: "button small", type: "button", id: "closer", hidden: true, onclick: () => zoom(corner) },
      "Zoom to it",
    );
    const saver = sl.pictureMenu(
      () => box.querySelector("svg"),
      () => "traces",
    );
    const node = h(
      "section",
      { class: "pane spread", "aria-label": "Traces over time and duration" },
      h("header", {}, h("h2", {}, "Duration over time"), words, slow, closer, clear, saver),
      box,
    );
    let told = null,
      corner = null,
      width = 0,
      waiting = "Counting…";

    const inner = () => ({ wide: Math.max(100, width - LEFT - RIGHT), tall: HEIGHT - TOP - FOOT });
    const logs = () => [Math.log10(told.least_ns), Math.log10(told.most_ns)];
    const x = (ns) =>
      LEFT + ((ns - told.start_unix_nano) / Math.max(1, told.end_unix_nano - told.start_unix_nano)) * inner().wide;
    const y = (ns) => {
      const [low, high] = logs();
      return TOP + (1 - (Math.log10(Math.max(1, ns)) - low) / (high - low)) * inner().tall;
    };
    const time = (px) =>
      told.start_unix_nano + ((px - LEFT) / inner().wide) * (told.end_unix_nano - told.start_unix_nano);
    const length = (py) => {
      const [low, high] = logs();
      return 10 ** (low + (1 - (py - TOP) / inner().tall) * (high - low));
    };
    const text = (after, before, least, most) =>
      [Math.floor(after), Math.ceil(before), Math.floor(least), Math.ceil(most)]
        .map((n) => BigInt(Math.max(0, n)).toString())
        .join("~");

    function pickSlowest() {
      const rows = new Map();
      for (const [, row, n] of told.cells) rows.set(row, (rows.get(row) || 0) + n);
      /* rows from the top, as many as hold about a tenth, one at least */
      let sum = 0,
        row = told.rows;
      while (row > 0 && (!sum || sum + (rows.get(row - 1) || 0) <= told.traces * 0.12)) sum += rows.get(--row) || 0;
      const [low, high] = logs();
      pick(
        text(
          told.start_unix_nano,
          told.end_unix_nano,
          10 ** (low + (row / told.rows) * (high - low)) * 0.999,
          told.most_ns * 1.001,
        ),
      );
    }

    function draw() {
      width = box.clientWidth || 900;
      if (!told || !told.traces) {
        sl.put(box, h("p", { class: "quiet pad" }, told ? "No trace to draw." : waiting));
        return;
      }
      const { wide, tall } = inner();
      const most = Math.max(...told.cells.map((cell) => cell[2]));
      const w = wide / told.columns,
        t = tall / told.rows;
      const cells = told.cells.map(([column, row, n, bad]) =>
        s(
          "rect",
          {
            x: LEFT + column * w,
            y: TOP + (told.rows - 1 - row) * t,
            width: Math.max(1.5, w - 0.5),
            height: Math.max(1.5, t - 0.5),
            class: bad ? "cell bad" : "cell",
            opacity: (0.25 + 0.75 * (Math.log1p(n) / Math.log1p(most))).toFixed(2),
          },
          s("title", {}, `${sl.many(n, "trace")}${bad ? `, ${sl.count(bad)} with errors` : ""}`),
        ),
      );
      const [low, high] = logs();
      const ticks = [];
      const decades = Math.max(1, Math.ceil((high - low) / 6));
      for (let power = Math.ceil(low); power <= high; power += decades) ticks.push(10 ** power);
      if (ticks.length < 2) ticks.splice(0, ticks.length, told.least_ns, told.most_ns);
      const long = told.end_unix_nano - told.start_unix_nano;
      const clock = (ns) =>
        long > 86400e9
          ? `${sl.day(ns).slice(5)} ${sl.time(ns).slice(0, 5)}`
          : sl.time(ns).slice(0, long < 8e9 ? 12 : 8);
      /* as many as find room, none that says what the one before it said */
      const room = Math.max(1, Math.min(4, Math.floor(wide / 130)));
      const times = Array.from({ length: room + 1 }, (_, i) => [i / room, clock(told.start_unix_nano + (i / room) * long)]).filter(
        ([, said], i, all) => !i || said !== all[i - 1][1],
      );
      const brush = s("rect", { class: "brush", visibility: "hidden" });
      const svg = s(
        "svg",
        {
          width,
          height: HEIGHT,
          class: "spread-plot",
          role: "img",
          "aria-label": `${sl.many(told.traces, "trace")} from ${sl.duration(told.least_ns)} to ${sl.duration(told.most_ns)}`,
        },
        ticks.map((ns) => [
          s("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(ns), y2: y(ns) }),
          s(
            "text",
            { class: "tick", x: LEFT - 8, y: Math.max(TOP + 8, y(ns) + 4), "text-anchor": "end" },
            sl.duration(ns),
          ),
        ]),
        cells,
        times.map(([part, said]) =>
          s(
            "text",
            {
              class: "tick",
              x: LEFT + part * wide,
              y: HEIGHT - 6,
              "text-anchor": part === 0 ? "start" : part === 1 ? "end" : "middle",
            },
            said,
          ),
        ),
        corner
          ? s("rect", {
              class: "picked",
              x: Math.max(LEFT, x(corner.after)),
              y: Math.max(TOP, y(corner.most)),
              width: Math.max(2, Math.min(width - RIGHT, x(corner.before)) - Math.max(LEFT, x(corner.after))),
              height: Math.max(2, Math.min(TOP + tall, y(corner.least)) - Math.max(TOP, y(corner.most))),
            })
          : null,
        brush,
      );
      svg.addEventListener("pointerdown", (down) => {
        if (down.button) return;
        const frame = svg.getBoundingClientRect();
        const place = (event) => [
          Math.min(width - RIGHT, Math.max(LEFT, event.clientX - frame.left)),
          Math.min(TOP + tall, Math.max(TOP, event.clientY - frame.top)),
        ];
        const [x0, y0] = place(down);
        svg.setPointerCapture(down.pointerId);
        const area = (event) => {
          const [x1, y1] = place(event);
          return [Math.min(x0, x1), Math.min(y0, y1), Math.abs(x1 - x0), Math.abs(y1 - y0)];
        };
        const move = (event) => {
          area(event).forEach((value, i) => brush.setAttribute(["x", "y", "width", "height"][i], value));
          brush.setAttribute("visibility", "visible");
        };
        const end = (event) => {
          svg.removeEventListener("pointermove", move);
          brush.setAttribute("visibility", "hidden");
          const [px, py, pw, ph] = area(event);
          if (event.type !== "pointerup" || Math.max(pw, ph) < LEAST_PX) return;
          /* up to an edge means all beyond it too */
          const edge = (at, end, beyond, within) => (Math.abs(at - end) <= EDGE_PX ? beyond : within);
          const right = px + Math.max(pw, 1),
            bottom = py + Math.max(ph, 1);
          pick(
            text(
              edge(px, LEFT, told.start_unix_nano, time(px)),
              edge(right, LEFT + wide, told.end_unix_nano, time(right)),
              edge(bottom, TOP + tall, 0, length(bottom)),
              edge(py, TOP, told.most_ns * 1.001, length(py)),
            ),
          );
        };
        svg.addEventListener("pointermove", move);
        svg.addEventListener("pointerup", end, { once: true });
        svg.addEventListener("pointercancel", end, { once: true });
      });
      box.replaceChildren(svg);
    }
    new ResizeObserver(() => {
      if (box.clientWidth !== width) draw();
    }).observe(box);
    return {
      node,
      show(spread) {
        told = spread;
        waiting = "Nothing was counted.";
        words.textContent = spread
          ? `${spread.truncated ? `the newest ${sl.count(spread.traces)} that match` : sl.many(spread.traces, "trace")}. Drag over a part to pick it.`
          : "";
        slow.disabled = !spread || spread.traces < 10;
        draw();
      },
      picked(text_) {
        corner = sl.pickedOf(text_);
        clear.hidden = closer.hidden = !corner;
        draw();
      },
    };
  };

  /* What the picked have that the rest has not; `add(term)` puts one into the query. */
  sl.distinction = (told, add) => {
    const bar = (share, kind) =>
      h(
        "div",
        { class: "versus" },
        h("i", { class: kind, style: { width: `${Math.max(0.5, 100 * share)}%` } }),
        h("span", {}, `${Math.round(100 * share)} %`),
      );
    return h(
      "aside",
      { class: "pane side distinction", id: "distinction", "aria-label": "What tells the picked traces apart" },
      h(
        "div",
        { class: "pane-head" },
        h(
          "div",
          { class: "grow" },
          h("h2", {}, "What tells them apart"),
          h(
            "p",
            { class: "quiet" },
            `${sl.many(told.picked, "picked trace")} beside ${sl.count(told.others)} others${told.picked_read < told.picked || told.others_read < told.others ? `; read were ${sl.count(told.picked_read)} and ${sl.count(told.others_read)}` : ""}.`,
          ),
        ),
      ),
      told.items.length
        ? h(
            "ul",
            { class: "differences" },
            told.items.map((item) =>
              h(
                "li",
                { "data-field": item.field },
                h(
                  "div",
                  { class: "difference" },
                  h(
                    "span",
                    { class: "mono pair-of", title: `${item.field} = ${item.value}` },
                    h("span", { class: "quiet clip" }, item.field),
                    h("b", { class: "clip" }, item.value),
                  ),
                  h(
                    "span",
                    { class: "tools always" },
                    h(
                      "button",
                      {
                        class: "tool",
                        type: "button",
                        title: "Only traces with it",
                        "aria-label": `Include ${item.field} ${item.value}`.slice(0, 200),
                        onclick: () => add(sl.queryTerm(item.field, item.value, false)),
                      },
                      "+",
                    ),
                    h(
                      "button",
                      {
                        class: "tool",
                        type: "button",
                        title: "Only traces without it",
                        "aria-label": `Exclude ${item.field} ${item.value}`.slice(0, 200),
                        onclick: () => add(sl.queryTerm(item.field, item.value, true)),
                      },
                      "−",
                    ),
                  ),
                ),
                bar(item.picked_share, "mine"),
                bar(item.other_share, "theirs"),
              ),
            ),
          )
        : h(
            "p",
            { class: "quiet" },
            told.picked
              ? "Nothing: every value is about as frequent on both sides."
              : "No trace lies in the picked part.",
          ),
      told.items.length
        ? h(
            "p",
            { class: "quiet legend" },
            h("i", { class: "mine" }),
            " picked ",
            h("i", { class: "theirs" }),
            " the rest",
          )
        : null,
    );
  };
})();
