"use strict";
/* The trace added up by service and operation, sortable. */
(() => {
  const sl = window.strayline;
  const { h } = sl;
  const COLUMNS = [
    ["service", "Service"],
    ["operation", "Operation"],
    ["calls", "Calls"],
    ["errors", "Errors"],
    ["total", "Total"],
    ["self", "Self"],
    ["mean", "Mean"],
    ["most", "Longest"],
    ["wait", "Queue wait"],
  ];
  const TEXT = new Set(["service", "operation"]);
  const MOST = 1000;

  function sums(model) {
    const found = new Map();
    for (let i = 0; i < model.n; i++) {
      const key = model.serviceAt(i) * 1e6 + model.nameAt(i);
      let row = found.get(key);
      if (!row)
        found.set(
          key,
          (row = {
            service: model.service(i),
            operation: model.name(i),
            calls: 0,
            errors: 0,
            total: 0,
            self: 0,
            most: -1,
            wait: 0,
            longest: i,
          }),
        );
      row.calls += 1;
      row.errors += model.failed(i) ? 1 : 0;
      row.total += model.length[i];
      row.self += model.self(i);
      row.wait = Math.max(row.wait, model.waited(i) || 0);
      if (model.length[i] > row.most) Object.assign(row, { most: model.length[i], longest: i });
    }
    for (const row of found.values()) row.mean = row.total / row.calls;
    return [...found.values()];
  }

  sl.traceViews = sl.traceViews || {};
  sl.traceViews.table = (look) => {
    const { model, state } = look;
    const rows = sums(model),
      all = rows.reduce((sum, row) => sum + row.self, 0) || 1;
    const scroller = h("div", { class: "scroller" });
    const node = h("div", { class: "pane stage" }, scroller);

    function redraw() {
      const by = COLUMNS.some(([name]) => name === (state.sort || "").replace("-", "")) ? state.sort : "-self";
      const name = by.replace("-", ""),
        sign = by.startsWith("-") ? -1 : 1,
        needle = look.needle();
      const kept = rows.filter((row) => !needle || `${row.service} ${row.operation}`.toLowerCase().includes(needle));
      const order = [...kept].sort(
        (a, b) =>
          sign * (TEXT.has(name) ? a[name].localeCompare(b[name]) : a[name] - b[name]) ||
          a.service.localeCompare(b.service) ||
          a.operation.localeCompare(b.operation),
      );
      const mine = look.selected();
      const head = COLUMNS.map(([column, label]) =>
        h(
          "th",
          {
            scope: "col",
            class: TEXT.has(column) ? null : "n",
            "aria-sort": column === name ? (sign > 0 ? "ascending" : "descending") : null,
          },
          h(
            "button",
            {
              class: "sort",
              type: "button",
              "data-sort": column,
              onclick: () => {
                state.set({
                  sort: column === name ? (sign < 0 ? column : `-${column}`) : TEXT.has(column) ? column : `-${column}`,
                });
                redraw();
              },
            },
            label,
            column === name ? (sign > 0 ? " ↑" : " ↓") : "",
          ),
        ),
      );
      const same = (row) => mine >= 0 && model.service(mine) === row.service && model.name(mine) === row.operation;
      sl.put(
        scroller,
        h(
          "table",
          { id: "sums" },
          h(
            "colgroup",
            {},
            ["13%", null, "50px", "54px", "74px", "98px", "72px", "74px", "84px"].map((width) =>
              h("col", { style: width ? { width } : {} }),
            ),
          ),
          h("thead", {}, h("tr", {}, head)),
          h(
            "tbody",
            {},
            order.slice(0, MOST).map((row) =>
              h(
                "tr",
                {
                  class: `link${same(row) ? " selected" : ""}`,
                  onclick: () => {
                    look.pick(row.longest, "click");
                    redraw();
                  },
                },
                h("td", {}, sl.chip(row.service), row.service),
                h(
                  "td",
                  { title: row.operation },
                  h("button", { class: "more one-line", type: "button" }, row.operation),
                ),
                h("td", { class: "n" }, sl.count(row.calls)),
                h("td", { class: `n${row.errors ? " error-text" : ""}` }, row.errors ? sl.count(row.errors) : "–"),
                h("td", { class: "n" }, sl.duration(row.total)),
                h(
                  "td",
                  { class: "n" },
                  h("i", { class: "share-bar", style: { width: `${((100 * row.self) / all) * 0.4}%` } }),
                  " ",
                  sl.duration(row.self),
                ),
                h("td", { class: "n" }, sl.duration(row.mean)),
                h("td", { class: "n" }, sl.duration(row.most)),
                h("td", { class: `n${row.wait ? " amqp-text" : ""}` }, row.wait ? sl.duration(row.wait) : "–"),
              ),
            ),
          ),
        ),
        order.length > MOST
          ? h("p", { class: "quiet pad" }, `The first ${sl.count(MOST)} of ${sl.count(order.length)} are shown.`)
          : null,
        order.length ? null : h("p", { class: "quiet pad" }, "No operation matches."),
      );
    }
    return { node, layout: redraw, redraw, reveal: redraw };
  };
})();
