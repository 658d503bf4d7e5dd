"use strict";
/* The trace added up by service and operation, sortable. */
(() => {
  const sl = window.strayline;
  const { h } = sl;
  const COLUMNS = [
    ["service", "Service", "112px"],
    ["operation", "Operation", null],
    ["calls", "Calls", "50px"],
    ["errors", "Errors", "54px"],
    ["total", "Total", "74px"],
    ["self", "Self", "98px"],
    ["mean", "Mean", "72px"],
    ["most", "Longest", "74px"],
    ["wait", "Queue wait", "84px"],
  ];
  const TEXT = new Set(["service", "operation"]);
  /* left out where it is narrow */
  const OF_ONE = new Set(["mean", "most"]);
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
      most = Math.max(1, ...rows.map((row) => row.self));
    /* a column of dashes takes room from names */
    const columns = COLUMNS.filter(([name]) => (name === "errors" ? model.errors : name === "wait" ? model.wait : true));
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
      const head = columns.map(([column, label]) =>
        h(
          "th",
          {
            scope: "col",
            class: TEXT.has(column) ? null : OF_ONE.has(column) ? "n of-one" : "n",
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
            columns.map(([name, , width]) => h("col", { class: OF_ONE.has(name) ? "of-one" : null, style: width ? { width } : {} })),
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
                  h("button", { class: "more one-line", type: "button" }, sl.middle(row.operation)),
                ),
                h("td", { class: "n" }, sl.count(row.calls)),
                model.errors
                  ? h("td", { class: `n${row.errors ? " error-text" : ""}` }, row.errors ? sl.count(row.errors) : "–")
                  : null,
                h("td", { class: "n" }, sl.duration(row.total)),
                h(
                  "td",
                  { class: "n" },
                  h("i", { class: "share-bar", style: { width: `${Math.round((24 * row.self) / most)}px` } }),
                  " ",
                  sl.duration(row.self),
                ),
                h("td", { class: "n of-one" }, sl.duration(row.mean)),
                h("td", { class: "n of-one" }, sl.duration(row.most)),
                model.wait
                  ? h("td", { class: `n${row.wait ? " amqp-text" : ""}` }, row.wait ? sl.duration(row.wait) : "–")
                  : null,
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
