"use strict";
/* SQL with the schema beside it, and how the collector was started. */
(() => {
  const sl = window.strayline;
  const { h } = sl;
  const SHOWN = 1000;
  const EXAMPLES = [
    [
      "Spans by service",
      "SELECT service, kind, count(*) AS spans, round(quantile_cont(duration_ms, 0.95), 2) AS p95_ms\nFROM spans GROUP BY ALL ORDER BY spans DESC",
    ],
    [
      "Slowest handlings",
      "SELECT queue, service, (handled_end - handled_start) / 1e6 AS handled_ms, trace_id\nFROM deliveries ORDER BY handled_ms DESC NULLS LAST LIMIT 50",
    ],
    [
      "Verdicts by cause",
      "SELECT kind, verdict, cause, severity, count(*) AS messages\nFROM verdicts WHERE role NOT IN ('overtaker', 'original') GROUP BY ALL ORDER BY messages DESC",
    ],
    [
      "Where messages wait",
      'SELECT d.queue, count(*) AS messages, round(median(d.handled_start - p."end") / 1e6, 2) AS wait_ms\nFROM deliveries d JOIN publishes p ON p.message = d.message GROUP BY ALL ORDER BY wait_ms DESC',
    ],
  ];
  const text = (value) => (value === null ? null : typeof value === "object" ? JSON.stringify(value) : String(value));
  const quoted = (value) =>
    value === null ? "" : /[",\n\r]/.test(text(value)) ? `"${text(value).replaceAll('"', '""')}"` : text(value);
  const csv = (answer) =>
    [answer.columns.map((c) => quoted(c.name)), ...answer.rows.map((row) => row.map(quoted))]
      .map((row) => row.join(","))
      .join("\n");
  const NUMERIC = /INT|DOUBLE|FLOAT|DECIMAL/;

  /* Ids lead where they mean. */
  function cell(name, value) {
    if (value === null) return h("span", { class: "faint-text" }, "null");
    const shown = text(value);
    if (/^[0-9a-f]{32}$/.test(shown) && /trace_id$/.test(name))
      return h("a", { class: "link-text", href: sl.trace(shown) }, shown);
    if (/^fnd_[0-9a-f]{16}$/.test(shown)) return h("a", { class: "link-text", href: `/findings/${shown}` }, shown);
    return shown.length > 300 ? `${shown.slice(0, 300)}…` : shown;
  }
  function results(answer) {
    const rows = answer.rows.slice(0, SHOWN);
    return [
      h(
        "div",
        { class: "line rule" },
        h(
          "span",
          { class: "grow", id: "sql-count", role: "status" },
          `${sl.many(answer.rows.length, "row")}${answer.truncated ? ", there are more" : ""}${rows.length < answer.rows.length ? `, the first ${sl.count(rows.length)} shown` : ""} in ${sl.ms(answer.elapsed_ms)}`,
        ),
        sl.copyButton(() => csv(answer), "Copy as CSV"),
        h(
          "button",
          {
            class: "button small",
            type: "button",
            onclick: () => sl.download("answer.csv", new Blob([csv(answer)], { type: "text/csv" })),
          },
          "Save CSV",
        ),
      ),
      h(
        "div",
        { class: "scroll", style: { flex: 1 }, tabindex: "0", role: "region", "aria-label": "Answer" },
        h(
          "table",
          { class: "answer", id: "answer" },
          h(
            "thead",
            {},
            h(
              "tr",
              {},
              answer.columns.map((c) =>
                h("th", { scope: "col", class: NUMERIC.test(c.type) ? "n" : null, title: c.type }, c.name),
              ),
            ),
          ),
          h(
            "tbody",
            {},
            rows.map((row) =>
              h(
                "tr",
                {},
                row.map((v, i) =>
                  h(
                    "td",
                    { class: NUMERIC.test(answer.columns[i].type) ? "n" : null, title: v === null ? null : text(v) },
                    cell(answer.columns[i].name, v),
                  ),
                ),
              ),
            ),
          ),
        ),
      ),
    ];
  }

  let drafts = null;
  /* What was run last, and what was typed since: the page is drawn again for its address, and keeps that. */
  const since = { ran: null, typed: null };
  sl.pages.sql = (root, data, params) => {
    const editor = h("textarea", {
      class: "field mono",
      id: "sql",
      spellcheck: "false",
      "aria-label": "SQL",
      placeholder: "SELECT … FROM spans",
    });
    const wanted = params.q || drafts || EXAMPLES[0][1];
    const kept = params.q === since.ran ? since.typed : null;
    editor.value = kept ?? wanted;
    editor.addEventListener("input", () => {
      since.typed = editor.value;
    });
    const place = h(
      "div",
      { class: "answer-place", id: "sql-answer" },
      h("p", { class: "quiet pad" }, "Ctrl-Enter runs it."),
    );
    let running = null;
    async function run(push) {
      const sql = (push ? editor.value : wanted).trim();
      if (!sql) return;
      drafts = sql;
      if (push) {
        since.ran = sql;
        since.typed = null;
      }
      if (push && params.q !== sql) {
        sl.go(sl.url("/sql", { q: sql }), !params.q);
        return;
      }
      if (running) running.abort();
      running = new AbortController();
      sl.put(place, h("p", { class: "quiet pad", role: "status" }, "Running …"));
      try {
        sl.put(place, results(await sl.ask("/sql", {}, { method: "POST", body: { sql }, signal: running.signal })));
      } catch (error) {
        if (error.name !== "AbortError")
          sl.put(
            place,
            h(
              "div",
              { class: "pad" },
              h(
                "h2",
                { class: "error-text" },
                error.status === 503 ? "Busy" : error.status ? "Not answered" : "Nobody answers",
              ),
              h("p", { role: "alert", class: "mono", id: "sql-error" }, error.message),
            ),
          );
      }
    }
    editor.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        run(true);
      }
    });
    const insert = (name) => {
      editor.setRangeText(name, editor.selectionStart, editor.selectionEnd, "end");
      editor.focus();
    };
    const limits = data.limits;
    sl.put(
      root,
      h(
        "div",
        { class: "head" },
        sl.title("SQL"),
        h(
          "span",
          { class: "quiet", id: "limits" },
          `read-only · ${limits.seconds} s · ${sl.count(limits.rows)} rows · ${sl.bytes(limits.answer_bytes)} · ${limits.at_a_time} at a time`,
        ),
        h("a", { class: "link-text", href: "/docs/sql" }, "What can be asked"),
      ),
      h(
        "div",
        { class: "body" },
        h(
          "div",
          { class: "stack grow-pane" },
          h(
            "div",
            { class: "pane editor" },
            editor,
            h(
              "div",
              { class: "line" },
              h("button", { class: "button primary", type: "button", id: "run", onclick: () => run(true) }, "Run"),
              h("kbd", {}, "Ctrl Enter"),
              h(
                "select",
                {
                  class: "field small",
                  "aria-label": "Examples",
                  onchange: (event) => {
                    if (event.target.value) {
                      editor.value = EXAMPLES[event.target.value][1];
                      run(true);
                    }
                  },
                },
                h("option", { value: "" }, "Examples"),
                EXAMPLES.map(([label], i) => h("option", { value: i }, label)),
              ),
              h("span", { class: "grow" }),
              sl.copyButton(() => editor.value, "Copy SQL"),
              sl.copyButton(() => location.origin + sl.url("/sql", { q: editor.value }), "Copy link"),
            ),
          ),
          h("div", { class: "pane answer-pane" }, place),
        ),
        h(
          "aside",
          { class: "pane side schema", id: "schema", tabindex: "0", "aria-label": "What can be read" },
          data.relations.map((r, i) =>
            h(
              "details",
              { open: i === 0 || wanted.includes(r.name) },
              h("summary", {}, h("b", { class: "mono" }, r.name), h("span", { class: "quiet" }, r.means)),
              h(
                "ul",
                { class: "plain" },
                r.columns.map((c) =>
                  h(
                    "li",
                    {},
                    h(
                      "button",
                      {
                        type: "button",
                        class: "column",
                        title: "Put it into the query",
                        onclick: () => insert(c.name),
                      },
                      c.name,
                    ),
                    h("span", { class: "quiet mono" }, c.type),
                  ),
                ),
              ),
            ),
          ),
        ),
      ),
    );
    sl.onLeave(() => {
      drafts = editor.value;
      if (running) running.abort();
    });
    if (kept !== null) editor.focus();
    if (params.q) run(false);
  };
  sl.keys.page("sql", [
    ["Ctrl Enter", "Run"],
    ["/", "Write", () => document.getElementById("sql").focus()],
  ]);

  const span = (s) =>
    s % 86400 === 0
      ? sl.many(s / 86400, "day")
      : s % 3600 === 0
        ? sl.many(s / 3600, "hour")
        : sl.many(s / 60, "minute");
  sl.pages.settings = (root, { status, settings, failed_detectors: failed }) => {
    const part = (title, pairs) =>
      h(
        "section",
        { class: "pane card-of" },
        h("h2", {}, title),
        h(
          "dl",
          {},
          pairs.map(([k, v, bad]) => [h("dt", {}, k), h("dd", { class: bad ? "error-text" : null }, v)]),
        ),
      );
    const changed = settings.thresholds.filter((t) => t.value !== t.default);
    sl.put(
      root,
      h(
        "div",
        { class: "head" },
        sl.title(
          "Settings",
          h(
            "p",
            { class: "quiet" },
            "Set when the collector is started; each is an option of strayline up, and STRAYLINE_… in the environment.",
          ),
        ),
      ),
      status.ingest.problem
        ? h(
            "p",
            { class: "banner error", role: "alert" },
            h("b", {}, "Nothing is accepted or loaded right now: "),
            status.ingest.problem,
          )
        : null,
      failed.map((f) =>
        h(
          "p",
          { class: "banner error", role: "alert" },
          h("b", {}, `The detector ${f.detector} failed; what it judges is unknown. `),
          f.reason,
        ),
      ),
      h(
        "div",
        { class: "body scroll settings", id: "settings", tabindex: "0", role: "region", "aria-label": "Settings" },
        part("Health", [
          ["collector", `running since ${sl.moment(status.started_at)}`],
          ["ingest", status.ingest.problem || "accepts", status.ingest.problem],
          ["detectors", failed.length ? `${failed.length} failed` : "all run", failed.length],
          ["judged until", sl.moment(status.detection.watermark)],
          ["behind", sl.ms(status.detection.lag_s * 1000)],
        ]),
        part("Stored", [
          ["file", settings.store],
          ["size", sl.bytes(status.store.size_bytes)],
          ["spans", sl.count(status.spans)],
          ["traces", sl.count(status.traces)],
          ["retention", settings.retention_s === null ? "for ever (--retention)" : span(settings.retention_s)],
          [
            "at most",
            settings.max_db_size_bytes === null ? "no limit (--max-db-size)" : sl.bytes(settings.max_db_size_bytes),
          ],
        ]),
        part("Ingest", [
          ["accepted", `${sl.count(status.ingest.accepted_spans)} spans`],
          ["rejected", `${sl.count(status.ingest.rejected_spans)} spans`, status.ingest.rejected_spans],
          ["rate", `${status.ingest.spans_per_s.toFixed(1)} spans/s`],
          ["decoder", status.decoder],
          ["OTLP/HTTP", settings.otlp_http],
          ["OTLP/gRPC", settings.otlp_grpc],
          ["passed on to", settings.forward_to || "nobody (--forward)"],
        ]),
        part("Journal", [
          ["waiting", sl.bytes(status.ingest.journal_lag_bytes)],
          ["oldest", sl.ms(status.ingest.journal_lag_s * 1000)],
          ["damaged by the disk", sl.bytes(status.ingest.journal_lost_bytes), status.ingest.journal_lost_bytes],
          ["last load", `${sl.count(status.ingest.batch_rows)} spans`],
        ]),
        part("Memory", [
          ["limit", sl.bytes(settings.memory.limit_bytes)],
          ["store", sl.bytes(settings.memory.store_bytes)],
          ["requests", sl.bytes(settings.memory.requests_bytes)],
          ["journal", sl.bytes(settings.memory.journal_bytes)],
          ["in flight", sl.bytes(status.ingest.memory_in_flight_bytes)],
        ]),
        part("What is meant", [
          ["contract", settings.contracts.join(", ") || "none (--contract)"],
          ["topology", settings.topology_from.join(", ") || "what services declare (--rabbitmq-api polls a broker)"],
          ["lateness", `${settings.lateness_s} s`],
        ]),
        part("Access", [
          ["token", settings.token_wanted ? "wanted" : "none (--token)"],
          ["TLS", settings.tls ? "yes" : "no"],
          ["told of findings", settings.webhooks.join(", ") || "nobody (--webhook)"],
        ]),
        part("Versions", [
          ["Strayline", status.version],
          ["store", status.store.kind],
          ["API", "described at /openapi.json of the API's port"],
        ]),
        h(
          "section",
          { class: "pane card-of whole" },
          h("h2", {}, "Thresholds"),
          h(
            "p",
            { class: "quiet" },
            changed.length
              ? `${changed.length} differ from the default.`
              : "All as they are by default; --threshold NAME=VALUE sets one.",
          ),
          h(
            "div",
            { class: "wide" },
            sl.table(
              [
                ["Name", (t) => h("span", { class: "mono" }, t.name), { width: "230px" }],
                ["Value", (t) => h("b", { class: "mono" }, t.value), { width: "100px", n: true }],
                ["Default", (t) => h("span", { class: "mono quiet" }, t.default), { width: "100px", n: true }],
                ["Means", (t) => h("span", { class: "quiet" }, t.means), {}],
              ],
              settings.thresholds,
              null,
              { class: "tall" },
            ),
          ),
        ),
      ),
    );
  };
})();
