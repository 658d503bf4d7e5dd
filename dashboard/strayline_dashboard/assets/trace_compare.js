"use strict";
/* Two traces side by side: what is added, missing, slower. */
(() => {
  const sl = window.strayline;
  const { h } = sl;
  const MOST = 2000,
    SIGN = { same: "", added: "+", missing: "−", reordered: "⇅" };
  const delta = (ms) => (ms === null ? "–" : `${ms > 0 ? "+" : ms < 0 ? "−" : "±"}${sl.ms(Math.abs(ms))}`);

  /* Without a second trace: others of the same operation to choose from. */
  async function chooser(put, a) {
    const [own] = (await sl.ask("/traces", { q: `trace_id=${a}`, limit: 1 })).items;
    if (!own)
      return put(
        h(
          "div",
          { class: "empty" },
          h("h1", {}, "No such trace"),
          h("p", { class: "quiet", role: "alert" }, `Nothing stored bears the id ${a}.`),
        ),
      );
    const q = `${sl.queryTerm("service", own.root_service)} ${sl.queryTerm("operation", own.root_name)}`;
    const [fast, newest] = await Promise.all([
      sl.ask("/traces", { q, sort: "duration", limit: 8 }),
      sl.ask("/traces", { q, limit: 40 }),
    ]);
    const others = new Map(
      [...fast.items, ...newest.items].filter((t) => t.trace_id !== a).map((t) => [t.trace_id, t]),
    );
    const other = h("input", {
      class: "field mono",
      id: "other",
      placeholder: "or a trace id",
      "aria-label": "Trace id",
      spellcheck: "false",
      maxlength: 32,
    });
    other.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && /^[0-9a-f]{32}$/i.test(other.value.trim()))
        sl.go(`/traces/${a}/compare/${other.value.trim().toLowerCase()}`);
    });
    put(
      h(
        "div",
        { class: "head" },
        sl.title(
          `Compare ${own.root_service} ${own.root_name}`,
          h("p", { class: "quiet" }, "with another of the same operation: the fastest first, then the newest."),
        ),
        other,
      ),
      h(
        "div",
        { class: "body" },
        h(
          "div",
          { class: "pane scroll", style: { flex: 1 } },
          others.size
            ? sl.table(
                [
                  ["Trace", (t) => h("span", { class: "mono" }, t.trace_id), {}],
                  [
                    "Started",
                    (t) => `${sl.day(t.start_unix_nano)} ${sl.time(t.start_unix_nano)}`,
                    { width: "200px", n: true },
                  ],
                  ["Duration", (t) => sl.ms(t.duration_ms), { width: "110px", n: true }],
                  ["Difference", (t) => delta(t.duration_ms - own.duration_ms), { width: "110px", n: true }],
                  ["Spans", (t) => sl.count(t.spans), { width: "80px", n: true }],
                  [
                    "Errors",
                    (t) => (t.errors ? h("span", { class: "error-text" }, sl.count(t.errors)) : "–"),
                    { width: "80px", n: true },
                  ],
                ],
                [...others.values()],
                (t) => `/traces/${a}/compare/${t.trace_id}`,
                { id: "others" },
              )
            : h("p", { class: "quiet pad" }, "There is no other trace of this operation."),
        ),
      ),
    );
  }

  function side(label, one) {
    return h(
      "a",
      { class: "pane card side-card", href: sl.trace(one.trace_id) },
      h("h2", {}, label, h("span", { class: "mono quiet" }, ` ${one.trace_id}`)),
      sl.figures([
        [sl.ms(one.duration_ms), "duration"],
        [sl.count(one.spans), "spans"],
        [sl.count(one.errors), "errors", one.errors ? "error-text" : null],
        [sl.count(one.messages), "messages"],
        [sl.ms(one.queue_wait_ms), "queue wait", one.queue_wait_ms ? "amqp-text" : null],
      ]),
    );
  }

  function draw(root, a, b, told) {
    const only = new URLSearchParams(location.search).get("only") === "changes";
    const longest = Math.max(1e-9, ...told.calls.map((call) => Math.abs(call.delta_ms || 0)));
    const kept = told.calls.filter((call) => !only || call.change !== "same");
    const link = (key, text) => (key ? h("a", { href: sl.trace(key.slice(0, 32), key.slice(33)) }, text) : text);
    const calls = h(
      "table",
      { id: "calls" },
      h(
        "colgroup",
        {},
        [null, "84px", "84px", "214px"].map((width) => h("col", { style: width ? { width } : {} })),
      ),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          ["Call", "A", "B", "Difference"].map((label, i) => h("th", { scope: "col", class: i ? "n" : null }, label)),
        ),
      ),
      h(
        "tbody",
        {},
        kept.slice(0, MOST).map((call) =>
          h(
            "tr",
            { class: `call ${call.change}` },
            h(
              "td",
              { title: `${call.service} ${call.operation}` },
              h(
                "span",
                { class: "call-name", style: { paddingLeft: `${Math.min(call.depth, 24) * 12}px` } },
                h("b", { class: "sign", title: call.change }, SIGN[call.change]),
                sl.chip(call.service),
                h("b", {}, call.service),
                " ",
                call.operation,
              ),
            ),
            h("td", { class: "n" }, link(call.a, sl.ms(call.a_ms))),
            h("td", { class: "n" }, link(call.b, sl.ms(call.b_ms))),
            h(
              "td",
              { class: "n" },
              call.delta_ms === null
                ? h("span", { class: "quiet" }, call.change)
                : [
                    h(
                      "span",
                      { class: "swing" },
                      h("i", {
                        class: call.delta_ms > 0 ? "slower" : "faster",
                        style: { width: `${(Math.abs(call.delta_ms) / longest) * 50}%` },
                      }),
                    ),
                    h("span", { class: "swing-text" }, delta(call.delta_ms)),
                  ],
            ),
          ),
        ),
      ),
    );
    sl.put(
      root,
      h(
        "div",
        { class: "head" },
        sl.title(
          "Two traces",
          h(
            "p",
            {},
            [
              ["added", "info"],
              ["missing", "warning"],
              ["reordered", "warning"],
            ].map(([name, kind]) => (told[name] ? [sl.badge(kind, `${sl.count(told[name])} ${name}`), " "] : null)),
            told.added + told.missing + told.reordered
              ? null
              : h("span", { class: "quiet" }, "The same calls in both."),
            told.truncated ? sl.badge("warning", "cut short") : null,
          ),
        ),
        h("a", { class: "button small", id: "swap", href: `/traces/${b}/compare/${a}` }, "Swap"),
        h("a", { class: "button small", href: `/traces/${a}/compare/` }, "Another"),
        sl.copyButton(() => location.href, "Copy link"),
      ),
      h("div", { class: "bar two-cards" }, side("A", told.a), side("B", told.b)),
      h(
        "div",
        { class: "bar" },
        h(
          "div",
          { class: "tabs", role: "group", "aria-label": "Calls" },
          [
            ["", "All calls"],
            ["changes", "Only changes"],
          ].map(([value, label]) =>
            h(
              "button",
              {
                type: "button",
                "aria-pressed": String((value === "changes") === only),
                onclick: () => sl.go(sl.url(location.pathname, { only: value })),
              },
              label,
            ),
          ),
        ),
        kept.length > MOST
          ? h("span", { class: "quiet" }, `Showing ${sl.count(MOST)} of ${sl.count(kept.length)} calls.`)
          : null,
      ),
      h(
        "div",
        { class: "body" },
        h(
          "div",
          { class: "pane scroll", style: { flex: 1 } },
          kept.length ? calls : h("p", { class: "quiet pad" }, "Nothing differs."),
        ),
        h(
          "aside",
          { class: "pane side", tabindex: "0", "aria-label": "Time by operation" },
          h("h2", {}, "Time by operation"),
          h(
            "ul",
            { class: "differences" },
            told.operations
              .slice(0, 20)
              .map((op) =>
                h(
                  "li",
                  {},
                  h("p", { class: "clip", title: `${op.service} ${op.operation}` }, sl.chip(op.service), op.operation),
                  h(
                    "p",
                    { class: "quiet" },
                    `${sl.ms(op.a_total_ms)} in ${sl.many(op.a_calls, "call")} → ${sl.ms(op.b_total_ms)} in ${sl.many(op.b_calls, "call")}`,
                  ),
                ),
              ),
          ),
          told.queues.length
            ? [
                h("h2", {}, "Deliveries by queue"),
                h(
                  "dl",
                  { class: "facts" },
                  told.queues.map((queue) => [
                    h("dt", {}, queue.queue),
                    h("dd", {}, `${sl.count(queue.a_deliveries)} → ${sl.count(queue.b_deliveries)}`),
                  ]),
                ),
              ]
            : null,
        ),
      ),
    );
  }

  let answer = null;
  sl.comparePage = (root, a, b) => {
    const here = sl.here();
    const put = (...parts) => here() && sl.put(root, ...parts);
    document.title = "Compare · Strayline";
    const failed = (error) => {
      if (!error.status && here()) sl.onReturn(sl.redraw);
      put(
        h(
          "div",
          { class: "empty" },
          h("h1", {}, error.status ? "Nothing to compare" : "The collector is away"),
          h("p", { class: "quiet", role: "alert" }, error.message),
          error.status
            ? h("p", {}, h("a", { class: "button", href: `/traces/${a}/compare/` }, "Choose another"))
            : h("p", { class: "quiet" }, "This page comes by itself when it is back."),
        ),
      );
    };
    if (answer && answer.a === a && answer.b === b) return draw(root, a, b, answer.told);
    sl.put(root, h("p", { class: "pad quiet" }, "Comparing…"));
    if (!b) return chooser(put, a).catch(failed);
    return sl
      .ask(`/traces/${a}/compare/${b}`)
      .then((told) => {
        answer = { a, b, told };
        if (here()) draw(root, a, b, told);
      })
      .catch(failed);
  };
})();
