"use strict";
/* The journey of one message. */
(() => {
  const sl = window.strayline;
  const { h } = sl;
  const ROLES = sl.ROLES;

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
