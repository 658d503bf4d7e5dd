"use strict";
/* Findings: the list, and beside it the evidence: what was promised, what happened, why, what to do, the
   messages, the SQL. */
(() => {
  const sl = window.strayline;
  const { h, s } = sl;

  sl.ROLES = {
    late: "late",
    strayed: "strayed",
    missing: "missing",
    overtaker: "overtook",
    copy: "copy",
    original: "original",
    looping: "looping",
    dead_lettered: "dead letter",
    orphan: "orphan",
  };
  const PROMISES = {
    unroutable: "A published message reaches at least one queue.",
    lost: "What a queue takes is delivered to somebody.",
    stalled: "A queue with consumers is emptied.",
    "duplicated publish_retry": "A message is published once.",
    duplicated: "A message is handled once.",
    redelivery_loop: "A message is handled, or given up after a few tries.",
    dead_lettered: "A message is handled in the queue that it was sent to.",
    context_lost: "Whoever gets a message continues its trace.",
    uninstrumented: "Whoever takes part is seen.",
  };
  const CAUSES = {
    requeue: "A consumer gave messages back with requeue; the broker offered them again, behind later ones.",
    channel_closed: "A channel closed with messages under way; the broker delivered them again on another.",
    failover: "The single active consumer changed with messages under way.",
    competing_consumers: "Several consuming channels each kept the order; together they did not.",
    concurrent_handlers: "Delivered in order on one channel, handled at the same time.",
    dead_letter_retry: "The messages went round through a dead-letter queue and came back.",
    republished: "A program published them again.",
    publish_retry: "The publisher tried again after it had lost sight of its first try.",
    priority: "The queue has priorities, and what overtook has a higher one.",
    broker: "The broker itself gave them out in another order.",
    expired: "Their time to live was over.",
    max_length: "The queue was full.",
    purged: "The queue was purged.",
    queue_deleted: "The queue was deleted.",
    auto_ack_consumer: "A consumer with automatic acknowledgement ended before it had handled them.",
    discarded: "They were rejected, and no dead-letter exchange keeps them.",
    unknown: "What was recorded does not tell.",
  };
  const PLACES = new Set(["misrouted", "unroutable", "lost", "stalled"]);
  const words = (text) => text.replaceAll("_", " ");
  sl.findingDocs = (f) => `/docs/detectors/${f.kind === "misrouted" && f.verdict ? f.verdict : f.kind}`;

  function promised(f) {
    if (f.kind === "reordered")
      return f.messages.some((m) => m.evidence.order_asked)
        ? "These messages were to be handled in the order in which they were published."
        : "One channel, one exchange, one queue: AMQP delivers in the order of publishing.";
    const expected = [...new Set(f.messages.flatMap((m) => m.expected_queues))];
    if (f.kind === "misrouted")
      return expected.length
        ? `Messages of this kind go to ${expected.join(", ")}.`
        : "Nothing declared leads messages with this key here.";
    return PROMISES[`${f.kind} ${f.verdict}`] || PROMISES[f.kind] || "";
  }
  const delivered = (m) =>
    m.deliveries
      .map((d) =>
        [
          d.settled ? words(d.settled) : "delivered",
          d.redelivered ? " (again)" : "",
          d.delivery_tag === null ? "" : ` #${d.delivery_tag}`,
        ].join(""),
      )
      .join(" → ");

  function messages(f) {
    const columns =
      f.kind === "reordered"
        ? [
            ["Late by", (m) => m.late_by.map((b) => b.replace("ordering_key", "key")).join(", "), { width: "150px" }],
            ["Places", (m) => (m.extent === null ? "" : sl.count(m.extent)), { width: "62px", n: true }],
          ]
        : PLACES.has(f.kind)
          ? [
              ["Arrived in", (m) => m.actual_queues.join(", ") || "no queue", { width: "150px" }],
              ["Expected", (m) => m.expected_queues.join(", ") || "–", { width: "140px" }],
            ]
          : [["Queue", (m) => m.queue || f.subject.queue || "–", { width: "190px" }]];
    const consumer = (m) => m.deliveries[m.deliveries.length - 1];
    return h(
      "div",
      { class: "wide", tabindex: "0", role: "region", "aria-label": "Messages" },
      sl.table(
        [
          [
            "Message",
            (m) => h("span", { class: "mono" }, m.message_id || (m.trace_id || "").slice(0, 16) || "unknown"),
            {},
          ],
          [
            "Role",
            (m) =>
              h(
                "span",
                { class: m.role === "overtaker" || m.role === "original" ? "quiet" : null },
                sl.ROLES[m.role] || words(m.role),
              ),
            { width: "80px" },
          ],
          ...columns,
          ["Deliveries", (m) => h("span", { class: "quiet", title: delivered(m) }, delivered(m)), { width: "170px" }],
          [
            "Trace",
            (m) =>
              m.trace_id
                ? h(
                    "span",
                    { class: "links" },
                    h("a", { class: "link-text", href: sl.trace(m.trace_id, m.producer_span_id) }, "publish"),
                    consumer(m)
                      ? h(
                          "a",
                          { class: "link-text", href: sl.trace(consumer(m).trace_id, consumer(m).consumer_span_id) },
                          "handling",
                        )
                      : null,
                  )
                : "",
            { width: "132px" },
          ],
        ],
        f.messages,
        sl.message,
        { id: "messages" },
      ),
    );
  }

  /* Triage: what a person thinks of it. */
  const MUTES = [
    ["1h", "for an hour", 3600e3],
    ["1d", "for a day", 86400e3],
    ["7d", "for a week", 7 * 86400e3],
    ["ever", "until unmuted", null],
  ];
  async function change(f, fields, said) {
    try {
      await sl.ask(`/findings/${f.id}`, {}, { method: "PATCH", body: fields });
      sl.say(said);
      sl.refresh();
    } catch (error) {
      sl.say(error.message);
    }
  }
  const acknowledge = (f) =>
    change(
      f,
      { triage: f.triage === "acknowledged" ? "new" : "acknowledged" },
      f.triage === "acknowledged" ? "New again" : "Acknowledged",
    );
  function mute(f, choice) {
    const [, , length] = MUTES.find(([name]) => name === choice);
    return change(
      f,
      { triage: "muted", muted_until: length === null ? null : new Date(Date.now() + length).toISOString() },
      "Muted",
    );
  }
  const unmute = (f) => change(f, { triage: "new", muted_until: null }, "Unmuted");
  function triage(f) {
    const note = h("textarea", {
      class: "field",
      id: "note",
      rows: "1",
      placeholder: "Note for whoever looks next (Enter saves)",
      "aria-label": "Note",
      maxlength: "10000",
    });
    note.value = f.note || "";
    const save = () => {
      if (note.value.trim() !== (f.note || "")) change(f, { note: note.value.trim() || null }, "Note saved");
    };
    note.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey) {
        event.preventDefault();
        save();
      }
    });
    note.addEventListener("blur", save);
    return h(
      "div",
      { class: "triage" },
      h(
        "button",
        {
          class: "button",
          type: "button",
          id: "acknowledged",
          "aria-pressed": String(f.triage === "acknowledged"),
          onclick: () => acknowledge(f),
        },
        f.triage === "acknowledged" ? "Acknowledged ✓" : "Acknowledge",
      ),
      f.triage === "muted"
        ? h(
            "button",
            { class: "button", type: "button", id: "unmute", onclick: () => unmute(f) },
            f.muted_until ? `Muted until ${sl.moment(f.muted_until)} · unmute` : "Muted · unmute",
          )
        : h(
            "select",
            { class: "field", id: "mute", "aria-label": "Mute", onchange: (event) => mute(f, event.target.value) },
            h("option", { value: "" }, "Mute …"),
            MUTES.map(([name, label]) => h("option", { value: name }, label)),
          ),
      note,
    );
  }

  /* Each episode where it was, between the first and the last. */
  function episodes(f) {
    const spans = f.episodes.map((e) => [sl.ns(e.from), sl.ns(e.to), e]);
    const from = Math.min(...spans.map(([a]) => a)),
      to = Math.max(...spans.map(([, b]) => b));
    const x = (t) => (to > from ? ((t - from) / (to - from)) * 990 : 0);
    return h(
      "div",
      { class: "episodes" },
      s(
        "svg",
        { viewBox: "0 0 1000 14", preserveAspectRatio: "none", "aria-hidden": "true" },
        s("line", { x1: 0, x2: 1000, y1: 7, y2: 7, class: "base" }),
        spans.map(([a, b]) =>
          s("rect", { x: x(a), y: 2, height: 10, width: Math.max(10, x(b) - x(a)), class: f.severity }),
        ),
      ),
      h(
        "ol",
        {},
        spans
          .slice(-5)
          .map(([a, b, e]) =>
            h(
              "li",
              { class: "quiet" },
              `${sl.moment(e.from)}${b > a ? ` for ${sl.duration(b - a)}` : ""}: ${sl.many(e.count, "message")}`,
            ),
          ),
      ),
      spans.length > 5 ? h("p", { class: "quiet" }, `the last 5 of ${spans.length}`) : null,
    );
  }

  const part = (title, ...children) => h("section", { class: "part" }, h("h2", {}, title), children);
  function evidence(f) {
    if (f.problem)
      return h(
        "section",
        { class: "pane", style: { flex: 1 }, id: "evidence" },
        h("div", { class: "empty" }, h("h2", {}, "Not there"), h("p", { class: "quiet", role: "alert" }, f.problem)),
      );
    const subject = Object.entries(f.subject).filter(([, v]) => v !== null);
    const queue =
      f.subject.queue && f.subject.queue !== "*"
        ? { name: f.subject.queue, broker: f.subject.broker, vhost: f.subject.vhost }
        : null;
    return h(
      "section",
      {
        class: "pane scroll",
        style: { flex: 1 },
        id: "evidence",
        "data-finding": f.id,
        tabindex: "0",
        "aria-label": "Evidence",
      },
      h(
        "div",
        { class: "evidence" },
        h(
          "div",
          {},
          h(
            "p",
            { class: "line" },
            sl.badge(f.severity),
            sl.badge("info", f.confidence),
            f.status === "open" ? null : sl.badge("info", f.status),
            h("span", { class: "quiet" }, words([f.kind, f.verdict, f.cause].filter(Boolean).join(" · "))),
            h("a", { class: "link-text", id: "explain", href: sl.findingDocs(f) }, `What is “${words(f.kind)}”?`),
          ),
          h("h1", {}, f.title),
        ),
        h(
          "div",
          { class: "pairs" },
          part("Promised", h("p", {}, promised(f))),
          part("What happened", h("p", {}, f.explanation)),
          f.cause ? part("Cause", h("p", {}, CAUSES[f.cause] || words(f.cause))) : null,
          part("What to do", h("p", {}, f.remedy)),
        ),
        triage(f),
        h(
          "div",
          { class: "line" },
          queue ? h("a", { class: "button", href: sl.url("/queue", queue) }, `Order in ${f.subject.queue}`) : null,
          queue ? h("a", { class: "button", href: sl.url("/queue", { ...queue, tab: "routes" }) }, "Routes") : null,
          h("a", { class: "button", href: "/map" }, "Map"),
          sl.copyButton(() => location.origin + `/findings/${f.id}`, "Copy link"),
          sl.copyButton(f.id, "Copy id"),
        ),
        h(
          "div",
          { class: "pairs" },
          part(
            "Where",
            h(
              "dl",
              {},
              subject.map(([k, v]) => [h("dt", {}, words(k)), h("dd", {}, v)]),
            ),
          ),
          part(
            "When",
            h(
              "dl",
              {},
              h("dt", {}, "first seen"),
              h("dd", {}, sl.moment(f.first_seen)),
              h("dt", {}, "last seen"),
              h("dd", {}, sl.moment(f.last_seen)),
              h("dt", {}, "episodes"),
              h("dd", {}, sl.count(f.episodes.length)),
            ),
            f.episodes.length ? episodes(f) : null,
          ),
        ),
      ),
      h(
        "header",
        { class: "rule" },
        h(
          "h2",
          {},
          f.messages.length
            ? `${sl.many(f.count, "message")}${f.messages_truncated ? `, the first ${f.messages.length} shown` : ""}`
            : `${sl.many(f.count, "message")}, none of them seen`,
        ),
      ),
      f.messages.length ? messages(f) : null,
      h(
        "div",
        { class: "evidence" },
        h(
          "div",
          { class: "line" },
          h("h2", { class: "grow" }, "SQL"),
          sl.copyButton(f.sql),
          h("a", { class: "button small", id: "open-sql", href: sl.url("/sql", { q: f.sql }) }, "Open in SQL"),
        ),
        h("pre", {}, f.sql),
      ),
    );
  }

  /* The list and its filters. */
  const FILTERS = [
    ["severity", "Severity", ["error", "warning", "info"]],
    ["status", "Status", ["open", "provisional", "retracted"]],
    ["triage", "Triage", ["new", "acknowledged", "muted"]],
    ["confidence", "Confidence", ["proven", "inferred"]],
  ];
  function filters(data, params) {
    const set = (name) => (event) => sl.go(sl.url("/findings", { ...params, cursor: "", [name]: event.target.value }));
    const select = (name, label, options) =>
      h(
        "select",
        {
          class: `field small${params[name] ? " set" : ""}`,
          id: `filter-${name}`,
          "aria-label": label,
          onchange: set(name),
        },
        h("option", { value: "" }, label),
        options.map(([value, text]) => h("option", { value, selected: params[name] === value }, text)),
      );
    const counted = (tally, chosen) =>
      Object.entries(chosen && !(chosen in tally) ? { ...tally, [chosen]: 0 } : tally).map(([name, n]) => [
        name,
        `${words(name)} (${n})`,
      ]);
    return [
      select("kind", "Kind", counted(data.kinds, params.kind)),
      ...FILTERS.map(([name, label, options]) =>
        select(
          name,
          label,
          options.map((o) => [o, o]),
        ),
      ),
      select(
        "queue",
        "Queue",
        Object.entries(
          params.queue && !(params.queue in data.queues) ? { ...data.queues, [params.queue]: 0 } : data.queues,
        ).map(([name, n]) => [name, `${name} (${n})`]),
      ),
      ["kind", "severity", "status", "triage", "confidence", "queue"].some((name) => params[name])
        ? h("a", { class: "button small", href: "/findings", id: "clear" }, "Clear")
        : null,
    ];
  }

  function entry(f, current, params) {
    return h(
      "a",
      {
        href: sl.url(`/findings/${f.id}`, params),
        "aria-current": current ? "true" : null,
        "data-finding": f.id,
        class: f.triage === "new" ? null : "seen",
      },
      h("span", { class: "title" }, f.title),
      sl.badge(f.severity),
      h(
        "span",
        { class: "quiet clip" },
        words([f.kind, f.verdict, f.cause].filter(Boolean).join(" · ")),
        f.subject.queue ? ` · ${f.subject.queue}` : "",
      ),
      h("span", { class: "quiet" }, sl.count(f.count)),
      h("span", { class: "quiet" }, sl.moment(f.last_seen)),
      h("span", { class: "quiet" }, f.triage === "new" ? "" : f.triage, f.status === "open" ? "" : ` ${f.status}`),
    );
  }

  let fresh = 0;
  sl.pages.findings = (root, data, params) => {
    fresh = 0;
    const before = { list: document.querySelector("#list"), evidence: document.querySelector("#evidence") };
    const kept = {
      list: before.list ? before.list.scrollTop : 0,
      evidence:
        before.evidence && data.selected && before.evidence.dataset.finding === data.selected.id
          ? before.evidence.scrollTop
          : 0,
    };
    const focus = document.activeElement && document.activeElement.id;
    const news = h("button", {
      class: "button small",
      type: "button",
      id: "fresh",
      hidden: true,
      onclick: () => sl.refresh(),
    });
    const head = h(
      "div",
      { class: "head" },
      sl.title("Findings"),
      news,
      h(
        "span",
        { class: "quiet" },
        data.next_cursor ? `the first ${data.items.length}` : sl.many(data.items.length, "finding"),
      ),
    );
    const bar = h("div", { class: "bar" }, filters(data, params));
    const filtered = bar.querySelector("#clear");
    const empty = h(
      "div",
      { class: "empty" },
      h("h2", {}, filtered ? "Nothing matches" : "Nothing is off"),
      h(
        "p",
        { class: "quiet" },
        filtered ? "No finding is like that." : "Every message judged so far went where it should, in order.",
      ),
      filtered
        ? h("p", {}, h("a", { class: "button", href: "/findings" }, "Show all findings"))
        : h(
            "p",
            {},
            h(
              "a",
              { class: "link-text", href: "/queues" },
              "What is judged, and what cannot be, is told of each queue.",
            ),
          ),
    );
    const list = h(
      "nav",
      { class: "pane scroll list", id: "list", "aria-label": "Findings" },
      data.items.map((f) => entry(f, data.selected && f.id === data.selected.id, params)),
      data.next_cursor || params.cursor
        ? h(
            "p",
            { class: "line pad" },
            params.cursor
              ? h("a", { class: "button small", href: sl.url("/findings", { ...params, cursor: "" }) }, "First page")
              : null,
            data.next_cursor
              ? h(
                  "a",
                  { class: "button small", href: sl.url("/findings", { ...params, cursor: data.next_cursor }) },
                  "Next page",
                )
              : null,
          )
        : null,
    );
    sl.put(
      root,
      head,
      bar,
      h(
        "div",
        { class: "body inbox" },
        data.items.length || data.named ? [list, data.selected ? evidence(data.selected) : null] : empty,
      ),
    );
    list.scrollTop = kept.list;
    const shown = document.querySelector("#evidence");
    if (shown) shown.scrollTop = kept.evidence;
    if (focus && root.querySelector(`#${CSS.escape(focus)}`)) root.querySelector(`#${CSS.escape(focus)}`).focus();
    const chosen = list.querySelector("[aria-current]");
    if (chosen) chosen.scrollIntoView({ block: "nearest" });
    /* new ones are told, not pushed in: nothing moves under the cursor */
    const tell = () => {
      fresh += 1;
      news.hidden = false;
      news.textContent = `${fresh} changed · show`;
    };
    sl.live({ "finding.new": tell, "finding.retracted": tell });
    sl.pages.findings.data = data;
  };

  const step = (by) => () => {
    const links = [...document.querySelectorAll("#list a[data-finding]")];
    const at = links.findIndex((a) => a.hasAttribute("aria-current"));
    const next = links[Math.max(0, Math.min(links.length - 1, at + by))];
    if (next) sl.go(next.getAttribute("href"), true);
  };
  const selected = (run) => () => {
    const f = sl.pages.findings.data && sl.pages.findings.data.selected;
    if (f && !f.problem) run(f);
  };
  sl.keys.page("findings", [
    ["j", "Next finding", step(1)],
    ["k", "Previous finding", step(-1)],
    ["a", "Acknowledge, or not", selected(acknowledge)],
    ["m", "Mute for a day, or unmute", selected((f) => (f.triage === "muted" ? unmute(f) : mute(f, "1d")))],
    ["n", "Write a note", selected(() => document.querySelector("#note").focus())],
    [
      "Enter",
      "The first message",
      selected((f) => f.messages[0] && sl.message(f.messages[0]) && sl.go(sl.message(f.messages[0]))),
    ],
    ["e", "Explain this kind", selected((f) => sl.go(sl.findingDocs(f)))],
    ["x", "Open its SQL", selected((f) => sl.go(sl.url("/sql", { q: f.sql })))],
    ["c", "Copy its link", selected((f) => sl.copy(`${location.origin}/findings/${f.id}`))],
  ]);
})();
