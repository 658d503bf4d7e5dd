"use strict";
/* The journey of one message on one time line: publish, ways, each wait, delivery and settlement, and
   each round through a dead-letter exchange. */
(() => {
  const sl = window.strayline;
  const { h, words } = sl;
  const BAD = /nack|reject/;

  /* Deliveries in order, each with what it waited for: from the publish, or from where the message was
     given back or dead-lettered last. */
  function rounds(m) {
    let before = m.published_unix_nano;
    const handed = new Set();
    return [...m.deliveries]
      .sort((a, b) => a.received_unix_nano - b.received_unix_nano)
      .map((d) => {
        // two deliveries of queues that no span names (null, or "*" of the broker's making) may be of two
        const named = d.queue !== null && d.queue !== "*";
        const again = d.redelivered || (named && handed.has(d.queue));
        handed.add(d.queue);
        const round = {
          d,
          again,
          from:
            before !== null &&
            before <= d.received_unix_nano &&
            (again || d.death.length || m.queues.length < 2 || before === m.published_unix_nano)
              ? before
              : m.published_unix_nano,
        };
        const settled = d.settled_unix_nano || d.handled_end_unix_nano;
        if (d.settled && BAD.test(d.settled) && settled) before = settled;
        return round;
      });
  }
  /* Each entry is `queue|reason|count|exchange|keys`, as the shims write the header x-death. */
  function deaths(d) {
    return d.death
      .map((entry) => {
        if (typeof entry !== "string") return JSON.stringify(entry);
        const [queue, reason, count, exchange, keys] = entry.split("|");
        if (keys === undefined) return entry;
        const often = Number(count) > 1 ? `${sl.count(count)} times ` : "";
        return `${often}${words(reason)} in ${queue}, which it came to by ${exchange || "(default)"}${keys ? ` with key “${keys}”` : ""}`;
      })
      .join("; ");
  }

  sl.pages.message = (root, data) => {
    const m = data.message;
    const found = rounds(m);
    const times = [
      m.published_unix_nano,
      ...found.flatMap(({ d }) => [d.received_unix_nano, d.handled_end_unix_nano, d.settled_unix_nano]),
    ].filter((t) => t !== null);
    const from = Math.min(...times),
      to = Math.max(from + 1, ...times);
    const at = (t) => `${(((t - from) / (to - from)) * 100).toFixed(3)}%`;
    const long = (a, b) => `max(2px, ${((Math.max(0, b - a) / (to - from)) * 100).toFixed(3)}%)`;
    const since = (t) => (t === null ? "" : t === from ? "0" : `+${sl.duration(t - from)}`);
    const row = (kind, bad, when, label, sub, href, bars) =>
      h(
        "li",
        { class: `step ${kind}${bad ? " bad" : ""}` },
        h(
          "span",
          { class: "mono quiet when", title: when === null ? "" : `${sl.day(when)} ${sl.time(when)}` },
          since(when),
        ),
        h(
          "div",
          { class: "what" },
          href ? h("a", { href }, label) : h("span", {}, label),
          h("p", { class: "quiet" }, sub),
        ),
        h("div", { class: "track" }, bars),
      );

    const steps = [];
    if (m.trace_id)
      steps.push(
        row(
          "publish",
          sl.givenBack(m),
          m.published_unix_nano,
          [sl.chip(m.producer_service || "?"), h("b", {}, m.producer_service || "unknown"), " published"],
          [`to ${m.exchange || "(default)"} ${m.routing_key ? `with key “${m.routing_key}”` : "without a key"}`, m.outcome ? `, ${m.outcome}` : ""],
          sl.trace(m.trace_id, m.producer_span_id),
          h("i", {
            class: "mark",
            style: { left: at(m.published_unix_nano), background: sl.colour(m.producer_service || "?") },
          }),
        ),
      );
    m.queues.forEach((queue, i) => {
      const told = data.routes[i];
      const way =
        told && told.items.find((w) => w.exchange === (m.exchange || "") && w.routing_key === (m.routing_key || ""));
      const astray = way && way.into_queue && !way.meant_for_queue;
      const link = sl.url("/queue", { name: queue, broker: m.broker, vhost: m.vhost, tab: "routes" });
      steps.push(
        row(
          "route",
          astray,
          null,
          ["to ", h("b", {}, queue)],
          way && way.binding !== null
            ? `by the binding “${way.binding}” of ${m.exchange || "(default)"}${astray ? ", which nobody declares" : ""}`
            : astray
              ? "by a binding that nobody declares"
              : "the binding that matched was not seen",
          link,
          null,
        ),
      );
    });
    for (const { d, again, from: waited } of found) {
      if (d.death.length) steps.push(row("death", true, null, "dead-lettered", deaths(d), null, null));
      const ended = d.handled_end_unix_nano || d.settled_unix_nano || d.received_unix_nano;
      const started = d.handled_start_unix_nano || d.received_unix_nano;
      const settledAt = d.settled_unix_nano || d.handled_end_unix_nano;
      steps.push(
        row(
          "delivery",
          d.failed || (d.settled && BAD.test(d.settled)),
          d.received_unix_nano,
          [
            sl.chip(d.consumer_service),
            h("b", {}, d.consumer_service),
            ` ${again ? "got it again" : "got it"} from `,
            h("b", {}, d.queue || "a queue"),
          ],
          [
            waited === null ? null : `waited ${sl.duration(started - waited)}, `,
            `handled in ${sl.duration(ended - started)}`,
            d.settled ? `, ${words(d.settled)}${settledAt ? ` at ${since(settledAt)}` : ""}` : ", settlement not told",
            d.failed ? ", failed" : "",
            d.delivery_tag === null ? "" : ` · tag ${d.delivery_tag}`,
          ],
          sl.trace(d.trace_id, d.consumer_span_id),
          [
            waited !== null && waited < started
              ? h("i", {
                  class: "wait",
                  title: `waited ${sl.duration(started - waited)}`,
                  style: { left: at(waited), width: long(waited, started) },
                })
              : null,
            h("i", {
              class: "bar-of",
              style: { left: at(started), width: long(started, ended), background: sl.colour(d.consumer_service) },
            }),
            settledAt && d.settled
              ? h("i", {
                  class: `settle${BAD.test(d.settled) ? " bad" : ""}`,
                  title: words(d.settled),
                  style: { left: at(settledAt) },
                })
              : null,
          ],
        ),
      );
    }
    const facts = [
      ["message id", m.message_id],
      ["type", m.type],
      ["exchange", m.exchange || "(default)"],
      ["routing key", m.routing_key],
      ["ordering key", m.ordering_key],
      ["stamp", m.stamp],
      ["broker", m.broker],
      ["vhost", m.vhost],
      ["trace", m.trace_id],
    ].filter(([, v]) => v);
    const sql = `SELECT deliveries.* FROM deliveries JOIN publishes USING (message) WHERE publishes.trace_id = '${m.trace_id}' AND publishes.span_id = '${m.producer_span_id}' ORDER BY received`;
    sl.put(
      root,
      h(
        "div",
        { class: "head" },
        sl.title(
          `Message ${m.message_id || m.id}`,
          h(
            "p",
            { class: "quiet clip" },
            [m.type, m.exchange || "(default)", m.routing_key].filter(Boolean).join(" · "),
          ),
        ),
        sl.figures([
          [sl.duration(to - from), "from publish to end"],
          [sl.count(m.deliveries.length), m.deliveries.length === 1 ? "delivery" : "deliveries"],
          [sl.count(m.queues.length), m.queues.length === 1 ? "queue" : "queues"],
        ]),
      ),
      data.findings.map((f) =>
        h(
          "a",
          { class: `banner ${f.severity}`, href: `/findings/${f.id}` },
          h("b", {}, f.title),
          h("p", { class: "two-lines" }, f.explanation),
        ),
      ),
      h(
        "div",
        { class: "bar" },
        m.trace_id ? h("a", { class: "button small", href: sl.trace(m.trace_id, m.producer_span_id) }, "Trace") : null,
        m.queues.map((q) =>
          h(
            "a",
            { class: "button small", href: sl.url("/queue", { name: q, broker: m.broker, vhost: m.vhost }) },
            `Order in ${q}`,
          ),
        ),
        h("a", { class: "button small", id: "message-sql", href: sl.url("/sql", { q: sql }) }, "SQL"),
        sl.copyButton(() => location.href, "Copy link"),
        sl.copyButton(m.message_id || m.id, "Copy id"),
      ),
      h(
        "div",
        { class: "body" },
        h(
          "section",
          { class: "pane scroll", style: { flex: 1 }, tabindex: "0", "aria-label": "Journey" },
          h(
            "header",
            {},
            h("h2", {}, "Journey"),
            h("span", { class: "quiet mono" }, `${sl.day(from)} ${sl.time(from)}`),
          ),
          h("ol", { class: "journey", id: "journey" }, steps),
          m.deliveries.length ? null : h("p", { class: "quiet pad" }, "No delivery of it was seen."),
        ),
        h(
          "aside",
          { class: "pane side", tabindex: "0", "aria-label": "Identity" },
          h("h2", {}, "Identity"),
          h(
            "dl",
            {},
            facts.map(([k, v]) => [h("dt", {}, k), h("dd", {}, v)]),
          ),
        ),
      ),
    );
  };
})();
