"use strict";
/* A view as a file: a menu with SVG and PNG; and what every menu is made of. */
(() => {
  const sl = window.strayline;
  const { h, s } = sl;
  const MOST_ROWS = 400,
    ROW = 26,
    NAMES = 360,
    BARS = 840,
    HEAD = 34;

  /* svg() gives the drawing, in the page or made for this; one made for this is only shown to be read. */
  sl.pictureMenu = (svg, name) => {
    const save = (how) => {
      const drawing = svg();
      if (!drawing) return sl.say("Nothing to save here");
      const made = !drawing.isConnected;
      const shelf = made ? h("div", { class: "offscreen" }, drawing) : null;
      if (made) document.body.append(shelf);
      how(drawing, name());
      if (made) shelf.remove();
    };
    return sl.menu("Save", "Save this view as a picture", [
      ["SVG", () => save(sl.saveSvg), "save-svg"],
      ["PNG", () => save(sl.savePng), "save-png"],
    ]);
  };

  /* entries: [label, run, id]. Closes by a choice, Escape, or a press elsewhere. */
  sl.menu = (label, title, entries, attributes) => {
    const menu = h(
      "details",
      { class: "menu", ...attributes },
      h("summary", { class: "button small", title }, label),
      h(
        "div",
        { class: "menu-items pane" },
        entries.map(([text, run, id]) =>
          h(
            "button",
            {
              type: "button",
              id,
              onclick: () => {
                menu.open = false;
                run();
              },
            },
            text,
          ),
        ),
      ),
    );
    menu.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && menu.open) {
        event.stopPropagation();
        menu.open = false;
        menu.firstChild.focus();
      }
    });
    document.addEventListener("pointerdown", (event) => {
      if (!menu.contains(event.target)) menu.open = false;
    });
    return menu;
  };

  const short = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

  /* The waterfall is made of rows that exist only in view; its picture is drawn anew, from the row in
     view on, 400 at most. */
  sl.waterfallPicture = (look, rows, part) => {
    const { model } = look,
      [from, to] = look.zoom();
    const first = Math.min(Math.max(0, rows.length - 1), Math.floor(part * rows.length));
    const drawn = rows.slice(rows.length > MOST_ROWS ? first : 0).slice(0, MOST_ROWS);
    const width = NAMES + BARS + 20,
      height = HEAD + drawn.length * ROW + 10;
    const x = (ns) => NAMES + Math.min(BARS, Math.max(0, ((ns - from) / (to - from)) * BARS));
    const lines = [...drawn].map((i, row) => {
      const y = HEAD + row * ROW,
        begin = model.start[i],
        end = begin + model.length[i],
        wait = model.waited(i) || 0;
      const indent = 10 + Math.min(model.depth[i], 20) * 12;
      const right = x(end),
        late = right > NAMES + BARS * 0.74;
      return s(
        "g",
        {},
        s("rect", { x: indent, y: y + 9, width: 8, height: 8, rx: 2, fill: sl.colour(model.service(i)) }),
        s(
          "text",
          { x: indent + 14, y: y + 17 },
          short(`${model.service(i)} ${model.name(i)}`, Math.max(10, Math.floor((NAMES - indent - 30) / 6.4))),
        ),
        wait
          ? s("rect", {
              x: x(begin - wait),
              y: y + 7,
              width: Math.max(1, x(begin) - x(begin - wait)),
              height: 12,
              rx: 3,
              fill: "none",
              stroke: "var(--amqp)",
              "stroke-dasharray": "2 2",
            })
          : null,
        s("rect", {
          x: x(begin),
          y: y + 7,
          width: Math.max(2, right - x(begin)),
          height: 12,
          rx: 3,
          fill: sl.colour(model.service(i)),
          stroke: model.failed(i) ? "var(--error)" : "none",
          "stroke-width": 1.5,
        }),
        s(
          "text",
          {
            x: late ? x(begin - wait) - 6 : right + 6,
            y: y + 17,
            "text-anchor": late ? "end" : "start",
            style: { fill: "var(--quiet)", fontSize: "11px" },
          },
          `${sl.duration(model.length[i])}${wait ? ` +${sl.duration(wait)} queued` : ""}`,
        ),
      );
    });
    return s(
      "svg",
      { width, height, viewBox: `0 0 ${width} ${height}` },
      s(
        "text",
        { x: 10, y: 20, style: { fontWeight: 600 } },
        short(
          `${model.outline.trace_id}  ${drawn.length < rows.length ? `rows ${first + 1} to ${first + drawn.length} of ${rows.length}` : ""}`,
          70,
        ),
      ),
      [0, 0.25, 0.5, 0.75].map((at) => [
        s("line", {
          x1: NAMES + at * BARS,
          x2: NAMES + at * BARS,
          y1: 24,
          y2: height,
          style: { stroke: "var(--line)" },
        }),
        s(
          "text",
          { x: NAMES + at * BARS + 5, y: 20, style: { fill: "var(--quiet)", fontSize: "11px" } },
          sl.duration(from + at * (to - from)),
        ),
      ]),
      lines,
    );
  };
})();
