"use strict";
/* The list of queues: how much came and waited, what was late, and what is judged of each. */
(() => {
  const sl = window.strayline;
  const { h, words } = sl;
  const key = (q) => [q.name || q.queue, q.broker, q.vhost].join("\n");
  /* on the map, opened; the ids are the API's own */
  sl.mapPlace = (q) =>
    q && q.name ? sl.url("/map", { node: `queue:${q.broker || ""}|${q.vhost || ""}|${q.name}` }) : "/map";
  sl.queueLink = (q) => sl.url("/queue", { name: q.name, broker: q.broker, vhost: q.vhost });

  /* The list. */
  const SORTS = {
    messages: (q) => q.messages,
    rate: (q) => q.rate_per_s,
    wait: (q) => q.wait_p95_ms || 0,
    depth: (q) => q.depth_max,
    errors: (q) => q.errors / Math.max(1, q.deliveries),
    redelivered: (q) => q.redelivered,
    late: (q) => q.late,
    findings: (q) => q.findings,
  };
  function judged(coverage) {
    if (!coverage) return h("span", { class: "quiet" }, "–");
    const count = (state) => coverage.verdicts.filter((v) => v.state === state).length;
    const [sure, inferred, unknown] = ["judged", "inferred", "unknown"].map(count);
    const why = coverage.verdicts
      .filter((v) => v.state !== "judged")
      .map((v) => `${words(v.verdict || v.kind)}: ${v.state}${v.reason ? `, ${v.reason}` : ""}`)
      .join("\n");
    return h(
      "span",
      { class: "coverage", title: why },
      h("i", { class: "judged", style: { flex: sure } }),
      h("i", { class: "inferred", style: { flex: inferred } }),
      h("i", { class: "unknown", style: { flex: unknown } }),
      h("span", { class: "offscreen" }, `${sure} judged, ${inferred} inferred, ${unknown} unknown`),
    );
  }
  /* Spans of some SDKs' consumers name no queue: what was handled stands by who did. */
  function unnamed(rows) {
    return [
      h("h2", { class: "pad" }, "Handled from queues that no span names"),
      h(
        "div",
        { class: "wide-table", id: "unnamed" },
        sl.table(
          [
            ["Service", (row) => h("b", {}, row.consumer_service), {}],
            ["Published to", (row) => (row.exchange === null ? "–" : row.exchange || "(default)"), {}],
            ["Deliveries", (row) => sl.count(row.deliveries), { width: "106px", n: true }],
            ["Judged", judged, { width: "76px" }],
          ],
          rows,
        ),
      ),
    ];
  }
  const FIRST =
    "pip install strayline\nimport strayline.auto          # first line of each service that sends or handles";
  const nothing = () =>
    h(
      "div",
      { class: "empty" },
      h("h2", {}, "No queue yet"),
      h("p", { class: "quiet" }, "A queue appears with the first message that a consumer takes from it."),
      h("pre", {}, FIRST),
      h("p", {}, h("a", { class: "link-text", href: "/docs/instrumentation" }, "Which clients are instrumented")),
    );
  sl.pages.queues = (root, data, params) => {
    const covered = new Map(data.coverage.map((row) => [key(row), row]));
    const sort = SORTS[params.sort] ? params.sort : "messages";
    const text = (params.find || "").toLowerCase();
    const items = data.items
      .filter((q) => q.name.toLowerCase().includes(text))
      .sort((a, b) => SORTS[sort](b) - SORTS[sort](a));
    const seen = new Set(data.items.map(key));
    const silent = data.coverage.filter((row) => !seen.has(key(row)) && row.queue.toLowerCase().includes(text));
    const handled = text ? [] : data.unnamed;
    const find = h("input", {
      type: "search",
      class: "field",
      id: "find-queue",
      value: params.find || "",
      placeholder: "Find a queue",
      "aria-label": "Find a queue",
    });
    find.addEventListener("input", () => {
      clearTimeout(find.timer);
      find.timer = setTimeout(() => sl.go(sl.url("/queues", { ...params, find: find.value }), true), 250);
    });
    const typing = document.activeElement && document.activeElement.id === "find-queue";
    const head = (name, label) =>
      h(
        "a",
        {
          class: `sort${sort === name ? " on" : ""}`,
          href: sl.url("/queues", { ...params, sort: name === "messages" ? "" : name }),
          "aria-label": `Sort by ${label}`,
        },
        label,
        sort === name ? " ↓" : "",
      );
    sl.put(
      root,
      h(
        "div",
        { class: "head" },
        sl.title("Queues"),
        data.failed_detectors.length
          ? h(
              "a",
              { href: "/settings" },
              sl.badge("error", `${sl.many(data.failed_detectors.length, "detector")} failed`),
            )
          : null,
      ),
      h(
        "div",
        { class: "bar" },
        find,
        h("span", { class: "quiet" }, sl.many(items.length, "queue"), data.truncated ? ", the busiest" : ""),
        h("span", { class: "key of-judged" }, h("i", { class: "swatch judged" }), "judged"),
        h("span", { class: "key of-judged" }, h("i", { class: "swatch inferred" }), "inferred"),
        h("span", { class: "key of-judged" }, h("i", { class: "swatch unknown" }), "unknown"),
      ),
      h(
        "div",
        { class: "body" },
        h(
          "div",
          { class: "pane scroll", style: { flex: 1 }, tabindex: "0", role: "region", "aria-label": "Queues" },
          items.length
            ? h(
                "div",
                { class: "wide-table queues" },
                sl.table(
                  [
                    [
                      "Queue",
                      (q) => h("b", { title: [q.name, q.vhost, q.broker].filter(Boolean).join(" · ") }, q.name),
                      {},
                    ],
                    ["", (q) => sl.spark(q.delivered_steps, { width: 72, height: 18, area: true }), { width: "98px" }],
                    [head("rate", "Rate"), (q) => sl.rate(q.rate_per_s), { width: "70px", n: true }],
                    [head("messages", "Messages"), (q) => sl.count(q.messages), { width: "106px", n: true }],
                    [
                      head("wait", "Wait p95"),
                      (q) => h("span", { class: "mono" }, sl.ms(q.wait_p95_ms)),
                      { width: "84px", n: true },
                    ],
                    [head("depth", "Depth max"), (q) => sl.count(q.depth_max), { width: "92px", n: true }],
                    [
                      head("errors", "Errors"),
                      (q) =>
                        h(
                          "span",
                          {
                            class: q.errors ? "error-text" : "quiet",
                            title: `${sl.count(q.errors)} of ${sl.many(q.deliveries, "delivery", "deliveries")} handled with an error`,
                          },
                          q.errors ? sl.percent(q.errors, q.deliveries) : "–",
                        ),
                      { width: "72px", n: true },
                    ],
                    [head("redelivered", "Redelivered"), (q) => sl.count(q.redelivered), { width: "98px", n: true }],
                    [
                      head("late", "Late"),
                      (q) => h("span", { class: q.late ? "error-text" : "quiet" }, sl.count(q.late)),
                      { width: "54px", n: true },
                    ],
                    [
                      head("findings", "Findings"),
                      (q) => (q.findings ? sl.badge(q.worst_severity || "warning", sl.count(q.findings)) : ""),
                      { width: "84px", n: true },
                    ],
                    [
                      "Handling",
                      (q) => h("span", { class: "mono", title: "p95" }, sl.ms(q.handle_p95_ms)),
                      { width: "84px", n: true },
                    ],
                    [
                      "Consumers",
                      (q) => h("span", { title: q.consumers.join(", ") }, q.consumers.join(", ")),
                      { width: "108px" },
                    ],
                    ["Judged", (q) => judged(covered.get(key(q))), { width: "76px" }],
                  ],
                  items,
                  sl.queueLink,
                ),
              )
            : text
              ? h("p", { class: "quiet pad" }, "No queue is named so.")
              : handled.length
                ? null
                : nothing(),
          silent.length
            ? [
                h("h2", { class: "pad" }, "Declared, and nothing was delivered from them"),
                h(
                  "ul",
                  { class: "plain pad" },
                  silent.map((row) => h("li", { class: "quiet" }, row.queue)),
                ),
              ]
            : null,
          handled.length ? unnamed(handled) : null,
        ),
      ),
    );
    if (typing) {
      const field = document.getElementById("find-queue");
      field.focus();
      field.setSelectionRange(field.value.length, field.value.length);
    }
  };

  sl.keys.page("queues", [["/", "Find a queue", () => document.getElementById("find-queue").focus()]]);
})();
