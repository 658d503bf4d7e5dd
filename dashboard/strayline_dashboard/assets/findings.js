"use strict";
/* Findings: the list, and beside it the evidence. */
(() => {
  const sl = window.strayline;
  const { h } = sl;

  const ROLES = { late: "late", strayed: "strayed", missing: "missing", overtaker: "overtook", copy: "copy", original: "original", looping: "looping", dead_lettered: "dead letter", orphan: "orphan" };
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
  const PLACES = new Set(["misrouted", "unroutable", "lost", "stalled"]);

  function promised(f) {
    if (f.kind === "reordered") return f.messages.some((m) => m.evidence.order_asked) ? "These messages were to be handled in the order in which they were published." : "One channel, one exchange, one queue: AMQP delivers in the order of publishing.";
    const expected = [...new Set(f.messages.flatMap((m) => m.expected_queues))];
    if (f.kind === "misrouted") return expected.length ? `Messages of this kind go to ${expected.join(", ")}.` : "Nothing declared leads messages with this key here.";
    return PROMISES[`${f.kind} ${f.verdict}`] || PROMISES[f.kind] || "";
  }

  function delivered(m) {
    return m.deliveries.map((d) => [d.settled ? d.settled.replaceAll("_", " ") : "delivered", d.redelivered ? " (again)" : "", d.delivery_tag === null ? "" : ` #${d.delivery_tag}`].join("")).join(" → ");
  }

  function messages(f) {
    const columns = f.kind === "reordered"
      ? [["Late by", (m) => m.late_by.map((b) => b.replace("ordering_key", "key")).join(", "), { width: "178px" }], ["Places", (m) => (m.extent === null ? "" : m.extent), { width: "64px", n: true }]]
      : PLACES.has(f.kind)
        ? [["Arrived in", (m) => m.actual_queues.join(", ") || "no queue", { width: "180px" }], ["Expected", (m) => m.expected_queues.join(", ") || "–", { width: "150px" }]]
        : [["Queue", (m) => m.queue || f.subject.queue || "–", { width: "220px" }]];
    return sl.table([
      ["Message", (m) => h("span", { class: "mono" }, m.message_id || (m.trace_id || "").slice(0, 16) || "unknown"), {}],
      ["", (m) => h("span", { class: m.role === "overtaker" ? "quiet" : null }, ROLES[m.role] || m.role), { width: "92px" }],
      ...columns,
      ["Deliveries", (m) => h("span", { class: "quiet" }, delivered(m)), { width: "240px" }],
      ["", (m) => (m.trace_id ? h("a", { href: sl.trace(m.trace_id, m.producer_span_id), style: { color: "var(--accent)" } }, "Trace") : ""), { width: "60px" }],
    ], f.messages, sl.message, { id: "messages" });
  }

  function triage(f) {
    const set = (value) => () => sl.act({ finding: f.id, triage: value });
    const note = h("input", { class: "field", id: "note", value: f.note || "", placeholder: "Note", "aria-label": "Note", style: { flex: 1, minWidth: "160px" } });
    note.addEventListener("keydown", (event) => { if (event.key === "Enter") sl.act({ finding: f.id, note: note.value || null }); });
    const other = (value, label, back) => h("button", { class: "button", id: value, onclick: set(f.triage === value ? "new" : value) }, f.triage === value ? back : label);
    return h("div", { style: { display: "flex", gap: "8px", flexWrap: "wrap" } }, other("acknowledged", "Acknowledge", "Acknowledged ✓"), other("muted", "Mute", "Unmute"), note);
  }

  function evidence(f) {
    const where = Object.entries(f.subject).filter(([, v]) => v !== null);
    return h("section", { class: "pane scroll", style: { flex: 1 }, id: "evidence", "data-finding": f.id },
      h("div", { style: { padding: "16px 18px", display: "grid", gap: "14px" } },
        h("div", {}, h("p", {}, sl.badge(f.severity), " ", sl.badge("info", f.confidence), " ", f.status === "open" ? "" : sl.badge("info", f.status), h("span", { class: "quiet" }, ` ${[f.kind, f.verdict, f.cause].filter(Boolean).join(" · ").replaceAll("_", " ")}`)),
          h("h1", { style: { marginTop: "6px" } }, f.title)),
        h("div", {}, h("h2", {}, "Promised"), h("p", { class: "quiet" }, promised(f))),
        h("div", {}, h("h2", {}, "What happened"), h("p", { class: "quiet" }, f.explanation)),
        h("div", {}, h("h2", {}, "What to do"), h("p", { class: "quiet" }, f.remedy)),
        triage(f),
        h("div", { class: "bar", style: { padding: 0 } }, f.subject.queue && f.subject.queue !== "*" ? h("a", { class: "button", href: sl.url("/queue", { name: f.subject.queue, broker: f.subject.broker, vhost: f.subject.vhost }) }, `Order in ${f.subject.queue}`) : null, h("a", { class: "button", href: "/map" }, "Map")),
        h("dl", {}, where.map(([k, v]) => [h("dt", {}, k.replaceAll("_", " ")), h("dd", {}, v)]), h("dt", {}, "first seen"), h("dd", {}, f.first_seen), h("dt", {}, "last seen"), h("dd", {}, f.last_seen), h("dt", {}, "episodes"), h("dd", {}, sl.count(f.episodes.length)))),
      h("header", { style: { padding: "8px 18px", borderTop: "1px solid var(--line)", borderBottom: "1px solid var(--line)" } }, h("h2", {}, `${sl.many(f.count, "message")}${f.messages_truncated ? `, the first ${f.messages.length} shown` : ""}`)),
      messages(f),
      h("div", { style: { padding: "14px 18px", display: "grid", gap: "8px" } }, h("div", { style: { display: "flex", justifyContent: "space-between" } }, h("h2", {}, "SQL"), h("button", { class: "button", onclick: (event) => sl.copy(f.sql, event.currentTarget) }, "Copy")), h("pre", {}, f.sql)));
  }

  sl.pages.findings = (root, data, params) => {
    const head = h("div", { class: "head" }, sl.title("Findings", params.queue ? h("p", { class: "quiet" }, `in ${params.queue} `, h("a", { href: "/findings", style: { color: "var(--accent)" } }, "all")) : null));
    if (!data.items.length) return sl.put(root, head, h("div", { class: "empty" }, h("h2", {}, "Nothing is off"), h("p", { class: "quiet" }, "Every message judged so far went where it should, in order.")));
    const keep = document.querySelector("#list") ? document.querySelector("#list").scrollTop : 0;
    const list = h("nav", { class: "pane scroll list", id: "list", style: { width: "340px", flex: "none" }, "aria-label": "Findings" }, data.items.map((f) => sl.findingLink(f, data.selected && f.id === data.selected.id)));
    sl.put(root, head, h("div", { class: "body" }, list, data.selected ? evidence(data.selected) : null));
    list.scrollTop = keep;
  };

  sl.pages.message = (root, m) => {
    const steps = [];
    if (m.published_unix_nano) steps.push([m.published_unix_nano, m.producer_service, `published to ${m.exchange || "(default)"} with key “${m.routing_key}”${m.outcome ? `, ${m.outcome}` : ""}`, m.outcome === "returned", sl.trace(m.trace_id, m.producer_span_id)]);
    for (const d of m.deliveries) {
      const link = sl.trace(d.trace_id, d.consumer_span_id);
      steps.push([d.received_unix_nano, d.consumer_service, `received from ${d.queue}${d.redelivered ? ", again" : ""}${d.delivery_tag === null ? "" : `, delivery ${d.delivery_tag}`}`, false, link]);
      if (d.settled) steps.push([d.settled_unix_nano || d.handled_end_unix_nano, d.consumer_service, d.settled.replaceAll("_", " "), /nack|reject/.test(d.settled), link]);
    }
    steps.sort((a, b) => a[0] - b[0]);
    sl.put(root, 
      h("div", { class: "head" }, sl.title(`Message ${m.message_id || m.id}`, h("p", { class: "quiet" }, [m.type, m.exchange || "(default)", m.routing_key].filter(Boolean).join(" · ")))),
      m.findings.map((f) => h("a", { class: `banner ${f.severity}`, href: `/findings/${f.id}` }, h("b", {}, `${f.kind}: ${ROLES[f.role] || f.role}`))),
      h("div", { class: "body" },
        h("section", { class: "pane scroll", style: { flex: 1 } }, h("header", {}, h("h2", {}, "Journey")),
          h("ol", { class: "steps", id: "journey" }, steps.map(([at, who, what, bad, link]) => h("li", { class: bad ? "bad" : null }, h("span", { class: "mono quiet" }, sl.time(at)), h("i", {}), h("a", { href: link }, h("b", {}, who), ` ${what}`)))),
          m.deliveries.length ? null : h("p", { class: "quiet pad" }, "No delivery of it was seen.")),
        h("aside", { class: "pane side" }, h("h2", {}, "Identity"), h("dl", {}, [["message id", m.message_id], ["stamp", m.stamp], ["ordering key", m.ordering_key], ["broker", m.broker], ["vhost", m.vhost], ["queues", m.queues.join(", ")]].filter(([, v]) => v).map(([k, v]) => [h("dt", {}, k), h("dd", {}, v)])))));
  };
})();
