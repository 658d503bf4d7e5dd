"use strict";
/* The evidence of one finding: what was promised, what happened, why, what to do, the messages, the SQL; and
   what a person thinks of it. */
(() => {
  const sl = window.strayline;
  const { h, s, words } = sl;
  const PLACES = new Set(["misrouted", "unroutable", "lost", "stalled"]);

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
            ["Late by", (m) => m.late_by.map((b) => b.replace("ordering_key", "key")).join(", "), { width: "184px" }],
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
            (m) => {
              const id = m.message_id || (m.trace_id || "").slice(0, 16) || "unknown";
              return h("span", { class: "mono", title: id }, id);
            },
            { width: "124px" },
          ],
          [
            "Role",
            (m) =>
              h(
                "span",
                { class: m.role === "overtaker" || m.role === "original" ? "quiet" : null },
                sl.ROLES[m.role] || words(m.role),
              ),
            { width: "86px" },
          ],
          ...columns,
          ["Deliveries", (m) => h("span", { class: "quiet", title: delivered(m) }, delivered(m)), {}],
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
  sl.triage = { acknowledge, mute, unmute };
  function triage(f) {
    const note = h("textarea", {
      class: "field",
      id: "note",
      rows: "1",
      placeholder: "Add a note (Enter saves)",
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
  sl.findingEvidence = (f) => {
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
          part("Promised", h("p", {}, sl.findingPromise(f))),
          part("What happened", h("p", {}, f.explanation)),
          f.cause ? part("Cause", h("p", {}, sl.findingCause(f))) : null,
          part("What to do", h("p", {}, f.remedy)),
        ),
        triage(f),
        h(
          "div",
          { class: "line" },
          queue
            ? h("a", { class: "button small", href: sl.url("/queue", queue) }, `Order in ${f.subject.queue}`)
            : null,
          queue
            ? h("a", { class: "button small", href: sl.url("/queue", { ...queue, tab: "routes" }) }, "Routes")
            : null,
          h("a", { class: "button small", href: sl.mapPlace(queue) }, "Map"),
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
              subject.map(([k, v]) => [
                h("dt", {}, words(k)),
                h("dd", { class: v === "" ? "quiet" : null }, v === "" ? "(empty)" : v),
              ]),
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
        f.messages_truncated
          ? h("a", { class: "quiet", id: "all-messages", href: sl.url("/sql", { q: f.sql }) }, "All of them, in SQL")
          : null,
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
  };
})();
