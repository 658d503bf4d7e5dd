"use strict";
/* Beside a trace: what the selected span says, or, with none selected, what the whole trace waited for. */
(() => {
  const sl = window.strayline;
  const { h } = sl;
  const LONG = 600,
    ASK_AFTER_MS = 40;
  const WAITED = { self: "work", queue_wait: "queue", network: "network", gap: "gap" };

  const text = (value) => (typeof value === "string" ? value : JSON.stringify(value));
  const section = (label, ...children) => h("section", { class: "said" }, h("h2", {}, label), children);

  /* A term of the query line that holds for this attribute. */
  function term(name, value, negated) {
    const quoted = (said) =>
      /^[\w.:/@+-]{1,200}$/.test(said) && !said.startsWith("has:")
        ? said
        : `"${said.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
    return `${negated ? "!" : ""}${quoted(name)}${value.length > 200 ? "~" : "="}${quoted(value.slice(0, 200))}`;
  }
  /* The query last asked on the traces page, with one more term. */
  const lastQuery = () => sessionStorage.getItem("strayline.query") || "";
  function withTerm(name, value, negated) {
    const more = term(name, value, negated),
      before = lastQuery();
    return sl.url("/traces", { q: before.split(" ").includes(more) ? before : `${before} ${more}`.trim() });
  }
  sl.queryTerm = term;

  function value(said) {
    const whole = text(said);
    if (whole.length <= LONG) return h("dd", {}, whole);
    const cell = h(
      "dd",
      {},
      `${whole.slice(0, LONG)}… `,
      h(
        "button",
        { class: "more", type: "button", onclick: () => cell.replaceChildren(sl.plain(whole)) },
        `all ${sl.count(whole.length)} characters`,
      ),
      " ",
      sl.copyButton(whole),
    );
    return cell;
  }
  /* Attributes; `search` lets each be included in or excluded from a search. */
  function facts(pairs, search) {
    return h(
      "dl",
      { class: "facts" },
      pairs.map(([name, said]) => {
        const whole = text(said);
        const tools =
          search &&
          /^[^\s="<>!~"]+$/.test(name) &&
          h(
            "span",
            { class: "tools" },
            h(
              "a",
              {
                class: "tool",
                href: withTerm(name, whole, false),
                title: `Traces with ${name} = ${whole.slice(0, 80)}`,
                "aria-label": `Include ${name}`,
              },
              "+",
            ),
            h(
              "a",
              {
                class: "tool",
                href: withTerm(name, whole, true),
                title: `Traces without ${name} = ${whole.slice(0, 80)}`,
                "aria-label": `Exclude ${name}`,
              },
              "−",
            ),
          );
        return [h("dt", {}, h("span", { class: "attribute" }, name), tools || null), value(said)];
      }),
    );
  }

  function jumps(label, rows, model, pick) {
    if (!rows.length) return null;
    return section(
      label,
      rows
        .slice(0, 50)
        .map(({ at, trace, span }) =>
          h(
            "p",
            { class: "jump" },
            at >= 0
              ? h(
                  "button",
                  { class: "more", type: "button", "data-jump": model.id(at), onclick: () => pick(at, "jump") },
                  sl.chip(model.service(at)),
                  `${model.service(at)} ${model.name(at)}`,
                )
              : h(
                  "a",
                  { class: "more mono", href: sl.trace(trace, span) },
                  `${trace.slice(0, 8)}…/${span.slice(0, 8)}`,
                ),
          ),
        ),
      rows.length > 50 ? h("p", { class: "quiet" }, `and ${sl.count(rows.length - 50)} more`) : null,
    );
  }

  function heading(model, i, close) {
    return h(
      "div",
      { class: "pane-head" },
      h(
        "div",
        { class: "grow" },
        h("h2", {}, sl.chip(model.service(i)), h("span", {}, model.service(i))),
        h("p", { class: "quiet wrap" }, model.name(i)),
      ),
      h(
        "button",
        { class: "button small", type: "button", "aria-label": "Close the span", title: "Esc", onclick: close },
        "✕",
      ),
    );
  }

  function span(model, i, pick, close) {
    const id = model.id(i),
      trace = model.trace(i);
    const told = h("div", { class: "told", "aria-busy": "true" }, h("p", { class: "quiet" }, "Reading what it says…"));
    const wait = model.waited(i);
    const found = model.findings.get(i) || [];
    const path = (model.critical.get(i) || []).reduce((sum, part) => sum + part.ns, 0);
    const isMessage = model.kind(i) === "producer" && model.protocol(i) === "amqp";
    const sql = `SELECT * FROM spans WHERE trace_id = '${trace}' AND span_id = '${id}'`;
    const node = h(
      "aside",
      { class: "pane side", id: "span", "data-span": id, "aria-label": "Span" },
      heading(model, i, close),
      sl.figures([
        [sl.duration(model.length[i]), "duration"],
        [sl.duration(model.self(i)), "self"],
        [`+${sl.duration(model.start[i])}`, "start"],
        wait === null ? null : [sl.duration(wait), "queued", "amqp-text"],
        path ? [sl.duration(path), "critical"] : null,
      ]),
      h(
        "p",
        { class: "quiet" },
        [
          model.kind(i),
          model.protocol(i),
          model.queue(i) && `from ${model.queue(i)}`,
          model.kids[i] ? sl.many(model.kids[i], "child", "children") : null,
        ]
          .filter(Boolean)
          .join(" · "),
      ),
      model.bled(i)
        ? h(
            "p",
            { class: "note" },
            "Its parent is only the request in which this consumer was started; it is drawn apart.",
          )
        : null,
      model.backwards(i)
        ? h("p", { class: "note" }, "It was told with an end before its start; it is drawn with no length.")
        : null,
      found.map((f) =>
        h(
          "a",
          { class: `banner ${f.severity}`, href: `/findings/${f.id}` },
          h("b", {}, f.title),
          h(
            "p",
            {},
            `${[f.kind, f.cause].filter(Boolean).join(" · ").replaceAll("_", " ")} · ${sl.many(f.count, "message")}`,
          ),
        ),
      ),
      h(
        "div",
        { class: "row" },
        isMessage
          ? h(
              "a",
              { class: "button small", id: "journey", href: sl.message({ trace_id: trace, producer_span_id: id }) },
              "Journey of this message",
            )
          : null,
        sl.copyButton(id, "Copy id"),
        sl.copyButton(() => new URL(sl.trace(model.outline.trace_id, id), location.origin).href, "Copy link"),
        h("a", { class: "button small", id: "span-sql", href: sl.url("/sql", { q: sql }) }, "SQL"),
        sl.copyButton(sql, "Copy SQL"),
      ),
      jumps(
        "Links to",
        (model.linksOut.get(i) || []).map((l) => ({ at: l.to, trace: l.trace, span: l.span })),
        model,
        pick,
      ),
      jumps(
        "Linked from",
        (model.linksIn.get(i) || []).map((l) => ({ at: l.from })),
        model,
        pick,
      ),
      told,
    );
    const timer = setTimeout(() => {
      sl.ask(`/traces/${trace}/spans/${id}`).then(
        (answer) => {
          const said = answer.items.find((item) => item.kind === model.kind(i)) || answer.items[0];
          sl.put(
            told,
            said.status_message || model.failed(i)
              ? h("p", { class: "error-text wrap" }, `Error: ${said.status_message || "no message"}`)
              : null,
            section(`Attributes ${Object.keys(said.attributes).length}`, facts(Object.entries(said.attributes), true)),
            said.events.length
              ? section(
                  `Events ${said.events.length}`,
                  said.events
                    .slice(0, 100)
                    .map((e) =>
                      h(
                        "div",
                        { class: "event" },
                        h(
                          "p",
                          {},
                          h("b", {}, e.name),
                          h(
                            "span",
                            { class: "quiet mono" },
                            ` +${sl.duration(e.time_unix_nano - model.outline.start_unix_nano)}`,
                          ),
                        ),
                        facts(Object.entries(e.attributes)),
                      ),
                    ),
                  said.events.length > 100 ? h("p", { class: "quiet" }, "The first 100 are shown.") : null,
                )
              : null,
            section("Resource", facts(Object.entries(said.resource), true)),
            section(
              "Ids",
              facts([
                ["trace", trace],
                ["span", id],
                ["parent", model.parent[i] < 0 ? "none" : model.id(model.parent[i])],
                ["scope", said.scope || "none"],
              ]),
            ),
          );
          told.removeAttribute("aria-busy");
        },
        (error) => sl.put(told, h("p", { class: "error-text", role: "alert" }, error.message)),
      );
    }, ASK_AFTER_MS);
    return { node, drop: () => clearTimeout(timer) };
  }

  /* Critical path added up by service, then what is missing and what clocks say. */
  function whole(model, pick) {
    const sums = new Map();
    let all = 0;
    for (const [at, parts] of model.critical)
      for (const part of parts) {
        const name = part.kind === "self" ? model.service(at) : `${model.service(at)} · ${WAITED[part.kind]}`;
        const sum = sums.get(name) || { ns: 0, kind: part.kind, at, most: 0 };
        sum.ns += part.ns;
        if (part.ns > sum.most) Object.assign(sum, { most: part.ns, at });
        sums.set(name, sum);
        all += part.ns;
      }
    const rows = [...sums].sort((a, b) => b[1].ns - a[1].ns).slice(0, 10);
    const { outline } = model;
    return {
      drop() {},
      node: h(
        "aside",
        { class: "pane side", id: "span", "aria-label": "Trace" },
        h(
          "p",
          { class: "quiet" },
          "Select a span for what it says. ",
          h("kbd", {}, "j"),
          " ",
          h("kbd", {}, "k"),
          " move, ",
          h("kbd", {}, "/"),
          " finds, ",
          h("kbd", {}, "?"),
          " lists the keys.",
        ),
        rows.length
          ? section(
              "What the end waited for",
              h(
                "div",
                { class: "shares" },
                rows.map(([name, sum]) =>
                  h(
                    "button",
                    {
                      class: "share",
                      type: "button",
                      title: "Go to the longest of it",
                      onclick: () => pick(sum.at, "jump"),
                    },
                    h(
                      "span",
                      { class: "clip" },
                      sum.kind === "self" ? sl.chip(model.service(sum.at)) : h("i", { class: `chip ${sum.kind}` }),
                      name,
                    ),
                    h("span", { class: "mono" }, sl.duration(sum.ns)),
                    h("i", { class: "fill", style: { width: `${(100 * sum.ns) / all}%` } }),
                  ),
                ),
              ),
            )
          : null,
        outline.findings.length
          ? section(
              "Findings",
              model.allFindings
                .slice(0, 20)
                .map((f) => h("a", { class: `banner ${f.severity}`, href: `/findings/${f.id}` }, h("b", {}, f.title))),
            )
          : null,
        outline.missing.length
          ? section(
              "Named, but never told of",
              h(
                "p",
                { class: "quiet" },
                `${sl.many(outline.missing.length, "span")}: lost, not sampled, not here yet, or of a service that says nothing.`,
              ),
              outline.missing.slice(0, 20).map((m) =>
                h(
                  "p",
                  { class: "jump" },
                  h("span", { class: "mono quiet" }, `${m.span_id} `),
                  [...m.children, ...m.linked].slice(0, 3).map((key) => {
                    const at = model.find(key.slice(33), key.slice(0, 32));
                    return at >= 0
                      ? h(
                          "button",
                          { class: "more", type: "button", onclick: () => pick(at, "jump") },
                          `named by ${model.service(at)} ${model.name(at)}`,
                        )
                      : null;
                  }),
                ),
              ),
            )
          : null,
        outline.clock.length
          ? section(
              "Clocks",
              h(
                "p",
                { class: "quiet" },
                "What requests and messages say of each pair: how far the second reads ahead.",
              ),
              h(
                "dl",
                { class: "facts" },
                outline.clock
                  .slice(0, 30)
                  .map((c) => [
                    h("dt", {}, `${c.host_a} → ${c.host_b}`),
                    h(
                      "dd",
                      {},
                      `${c.min_offset_ns === null ? "…" : sl.duration(c.min_offset_ns)} to ${c.max_offset_ns === null ? "…" : sl.duration(c.max_offset_ns)}${c.consistent ? "" : " · contradictory"}`,
                    ),
                  ]),
              ),
            )
          : null,
      ),
    };
  }

  sl.tracePane = (model, i, pick, close) => (i < 0 ? whole(model, pick) : span(model, i, pick, close));
})();
