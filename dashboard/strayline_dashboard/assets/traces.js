"use strict";
/* The page of traces: query line, chips, where they lie in time and duration, the list; what of it is asked when. */
(() => {
  const sl = window.strayline;
  const { h } = sl;
  const LIMIT = 100,
    AGAIN_MS = 3000;
  const SORTS = [
    ["", "Newest"],
    ["start", "Oldest"],
    ["-duration", "Slowest"],
    ["duration", "Fastest"],
    ["-errors", "Most errors"],
    ["-queue_wait", "Longest queue wait"],
  ];
  const QUICK = [
    ["has:error", "Errors"],
    ["has:finding", "Findings"],
    ["has:queue_wait", "Through queues"],
    ["has:link", "Linked"],
  ];
  const UNITS = { s: 1e9, m: 60e9, h: 3600e9, d: 86400e9 };
  let current = null;

  const params = () => Object.fromEntries(new URLSearchParams(location.search));
  /* `last=15m` or `start` and `end`, as the API takes them. */
  sl.rangeOf = (from) => {
    const match = /^(\d{1,4})([smhd])$/.exec(from.last || "");
    if (match) return { start: BigInt(Math.round(Date.now() * 1e6 - Number(match[1]) * UNITS[match[2]])).toString() };
    return { start: from.start, end: from.end };
  };
  const change = (more) => sl.go(sl.url("/traces", { ...params(), cursor: "", ...more }));

  function build(root) {
    const line = sl.queryLine({ value: params().q || "", run: (q) => change({ q }) });
    const service = h("select", {
      class: "field small",
      id: "service",
      "aria-label": "Service",
      onchange: () => change({ service: service.value }),
    });
    const sort = h(
      "select",
      { class: "field small", id: "sort", "aria-label": "Sort", onchange: () => change({ sort: sort.value }) },
      SORTS.map(([value, label]) => h("option", { value }, label)),
    );
    const chips = h("span", { class: "chips", id: "chips" });
    const spread = sl.spread({ pick: (text) => change({ picked: text }), zoom });
    const list = h("div", { class: "pane scroll list-pane", "aria-busy": "true" });
    const pager = h("div", { class: "pager" });
    const aside = h("div", { class: "aside-box", hidden: true });
    const compare = h(
      "a",
      { class: "button small primary", id: "compare-two", hidden: true, href: "/traces" },
      "Compare these two",
    );
    sl.put(
      root,
      h("div", { class: "head" }, sl.title("Traces"), compare),
      h("div", { class: "bar query-bar" }, line.node),
      h("div", { class: "bar chips-bar" }, chips, service, sort),
      h("div", { class: "body traces" }, h("div", { class: "stack grow" }, spread.node, list, pager), aside),
    );
    let counted = null,
      asked = 0,
      again = null,
      narrowed = null;

    function zoom(corner) {
      const terms = sl.queryTerms(params().q || "").filter((term) => !term.startsWith("duration"));
      const round = (ns) => `${Number((ns / 1e6).toPrecision(4))}ms`;
      change({
        picked: "",
        last: "",
        start: BigInt(corner.after).toString(),
        end: BigInt(corner.before).toString(),
        q: [...terms, `duration>=${round(corner.least)}`, `duration<=${round(corner.most * 1.0001)}`].join(" "),
      });
    }
    function drawChips(now) {
      const terms = sl.queryTerms(now.q || "");
      const without = (term) => terms.filter((other) => other !== term).join(" ");
      sl.put(
        chips,
        QUICK.map(([term, label]) =>
          h(
            "button",
            {
              class: "button small",
              type: "button",
              "aria-pressed": String(terms.includes(term)),
              onclick: () => change({ q: terms.includes(term) ? without(term) : [...terms, term].join(" ") }),
            },
            label,
          ),
        ),
        terms
          .filter((term) => !QUICK.some(([quick]) => quick === term))
          .map((term) =>
            h(
              "span",
              { class: "term mono" },
              h("span", { class: "clip", title: term }, term),
              h(
                "button",
                {
                  type: "button",
                  "aria-label": `Remove ${term}`.slice(0, 200),
                  title: "Remove",
                  onclick: () => change({ q: without(term) }),
                },
                "✕",
              ),
            ),
          ),
        terms.length
          ? h(
              "button",
              {
                class: "button small",
                type: "button",
                id: "clear-query",
                onclick: () => change({ q: "", service: "" }),
              },
              "Clear all",
            )
          : null,
      );
    }
    function failed(error) {
      clearTimeout(again);
      line.wrong(error.status === 400 ? error : null);
      sl.put(
        list,
        h(
          "p",
          { class: "error-text pad", role: "alert" },
          error.status === 400 ? "The query line cannot be read, see above." : error.message,
        ),
        error.status ? null : h("p", { class: "quiet pad" }, "The list comes by itself when the collector is back."),
      );
      if (!error.status) again = setTimeout(update, AGAIN_MS);
    }
    function nothing(now) {
      const filtered = now.q || now.service || now.picked || now.start || now.end || now.last;
      return h(
        "div",
        { class: "empty" },
        h("h2", {}, filtered ? "No trace matches" : "No traces yet"),
        filtered
          ? h("p", { class: "quiet" }, "Remove a term, or widen the range of time.")
          : [
              h("p", { class: "quiet" }, "They appear as soon as the first spans arrive."),
              h(
                "pre",
                {},
                "pip install strayline\nexport OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318\nstrayline run python app.py",
              ),
            ],
        filtered
          ? h("p", {}, h("button", { class: "button", type: "button", onclick: () => sl.go("/traces") }, "Show all"))
          : null,
      );
    }

    function update() {
      const now = params(),
        mine = ++asked,
        range = sl.rangeOf(now);
      const search = { q: now.q, service: now.service, ...range };
      clearTimeout(again);
      sessionStorage.setItem("strayline.query", now.q || "");
      line.set(now.q || "");
      line.wrong(null);
      sort.value = SORTS.some(([value]) => value === now.sort) ? now.sort : "";
      drawChips(now);
      if (now.last && !range.start) {
        list.removeAttribute("aria-busy");
        spread.show(null);
        return failed(
          Object.assign(new Error(`last=${now.last}: expected a number and s, m, h or d, for example last=15m`), {
            status: 422,
          }),
        );
      }
      list.setAttribute("aria-busy", "true");
      sl.ask("/traces", { ...search, sort: now.sort, picked: now.picked, cursor: now.cursor, limit: LIMIT })
        .then(
          (answer) => {
            if (mine !== asked) return;
            const { items, next_cursor: next } = answer;
            sl.put(list, items.length ? sl.tracesTable(items) : nothing(now));
            list.scrollTop = 0;
            sl.put(
              pager,
              now.cursor
                ? h(
                    "a",
                    { class: "button small", id: "first-page", href: sl.url("/traces", { ...now, cursor: "" }) },
                    "First page",
                  )
                : null,
              next
                ? h(
                    "a",
                    { class: "button small", id: "next-page", href: sl.url("/traces", { ...now, cursor: next }) },
                    "Next page",
                  )
                : null,
            );
            pager.hidden = !pager.childElementCount;
            sl.chooseTrace(null, false);
          },
          (error) => {
            if (mine === asked) failed(error);
          },
        )
        .finally(() => list.removeAttribute("aria-busy"));

      spread.picked(now.picked);
      const key = JSON.stringify([now.q, now.service, now.last, now.start, now.end]);
      if (counted !== key) {
        counted = key;
        sl.ask("/search/spread", { ...search, columns: 96, rows: 24 }).then(
          (told) => {
            if (counted === key) {
              spread.show(told);
              spread.picked(params().picked);
            }
          },
          () => {
            if (counted === key) {
              counted = null;
              spread.show(null);
            }
          },
        );
        sl.ask("/services", range).then(
          ({ items }) =>
            sl.put(
              service,
              h("option", { value: "" }, "All services"),
              items.map((one) => h("option", { value: one.name, selected: one.name === params().service }, one.name)),
            ),
          () => {},
        );
      } else service.value = now.service || "";
      const wanted = now.picked ? `${key} ${now.picked}` : null;
      if (wanted !== narrowed) {
        narrowed = wanted;
        aside.hidden = !wanted;
        sl.put(aside, wanted ? h("aside", { class: "pane side" }, h("p", { class: "quiet" }, "Comparing…")) : null);
        if (wanted)
          sl.ask("/search/distinguish", { ...search, picked: now.picked }).then(
            (told) => {
              if (narrowed === wanted)
                sl.put(
                  aside,
                  sl.distinction(told, (term) =>
                    change({ q: [...sl.queryTerms(params().q || ""), term].join(" "), picked: "" }),
                  ),
                );
            },
            (error) => {
              if (narrowed === wanted)
                sl.put(
                  aside,
                  h("aside", { class: "pane side" }, h("p", { class: "error-text", role: "alert" }, error.message)),
                );
            },
          );
      }
    }
    update();
    return { root, update, stop: () => clearTimeout(again) };
  }

  sl.pages.traces = (root) => {
    const compared = /^\/traces\/([0-9a-f]{32})\/compare\/([0-9a-f]{32})?\/?$/i.exec(location.pathname);
    if (compared) return sl.comparePage(root, compared[1].toLowerCase(), (compared[2] || "").toLowerCase());
    const one = /^\/traces\/([0-9a-f]{32})\/?$/i.exec(location.pathname); // as the API names it
    if (one) return location.replace(sl.trace(one[1].toLowerCase()) + location.search);
    if (current && current.root.contains(document.getElementById("query"))) current.update();
    else current = build(root);
    sl.onLeave(() => current && current.stop());
  };

  function row(by) {
    const all = [...document.querySelectorAll("#traces tbody tr")];
    if (!all.length) return;
    const at = all.findIndex((one) => one.contains(document.activeElement));
    all[Math.min(all.length - 1, Math.max(0, at < 0 ? 0 : at + by))].querySelector("a").focus();
  }
  const press = (id) => () => {
    const node = document.getElementById(id);
    if (node) node.click();
  };
  sl.keys.page("traces", [
    ["j", "Next trace", () => row(1)],
    ["k", "Previous trace", () => row(-1)],
    ["Enter", "Open it"],
    ["n", "Next page", press("next-page")],
    [
      "x",
      "Choose for comparing",
      () => {
        const one = document.activeElement.closest("tr");
        if (one) one.querySelector("input").click();
      },
    ],
    ["c", "Compare the two chosen", press("compare-two")],
    ["h", "Pick the slowest tenth", press("slowest")],
    ["u", "Pick nothing", press("unpick")],
  ]);
})();
