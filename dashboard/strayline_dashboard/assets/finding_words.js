"use strict";
/* What a finding is called: what was promised, each cause in a sentence, the part that a message plays. */
(() => {
  const sl = window.strayline;

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
  /* What else tells findings of the same title apart, by id: "order.created from orders". */
  const APART = [
    ["exchange", (v) => `exchange ${v || "(default)"}`],
    ["routing_key", (v) => `key ${v || "(empty)"}`],
    ["producer_service", (v) => `from ${v || "an unknown sender"}`],
    ["consumer_service", (v) => `to ${v || "an unknown consumer"}`],
    ["environment", (v) => v || "no environment"],
    ["broker", (v) => v || "unknown broker"],
    ["vhost", (v) => v || "unknown vhost"],
  ];
  sl.findingsApart = (items) => {
    const called = new Map(),
      told = new Map();
    for (const f of items) called.set(f.title, [...(called.get(f.title) || []), f]);
    for (const same of called.values())
      if (same.length > 1)
        for (const f of same)
          told.set(
            f.id,
            APART.filter(([name]) => same.some((other) => other.subject[name] !== f.subject[name]))
              .map(([name, say]) => say(f.subject[name]))
              .join(" · "),
          );
    return told;
  };
  /* The line below a finding's title: of what kind, where, and what tells it from its namesakes. */
  sl.findingLine = (f, apart) =>
    [
      sl.words([f.kind, f.verdict, f.cause].filter(Boolean).join(" · ")),
      f.subject.queue && !f.title.includes(f.subject.queue) ? f.subject.queue : null,
      apart.get(f.id),
    ]
      .filter(Boolean)
      .join(" · ");

  sl.findingCause = (f) => CAUSES[f.cause] || sl.words(f.cause);
  sl.findingDocs = (f) => `/docs/detectors/${f.kind === "misrouted" && f.verdict ? f.verdict : f.kind}`;

  sl.findingPromise = (f) => {
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
  };
})();
