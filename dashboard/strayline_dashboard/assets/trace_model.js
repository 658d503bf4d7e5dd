"use strict";
/* A trace as every view of it reads it: typed columns, who is under whom, what is linked, what the
   end waited for. Times are ns after the trace's start. */
(() => {
  const sl = window.strayline;

  sl.traceModel = (outline) => {
    const columns = outline.spans;
    const n = columns.span_id.length;
    const start = Float64Array.from(columns.start_ns);
    const length = Float64Array.from(columns.duration_ns, (value) => Math.max(0, value));
    const parent = Int32Array.from(columns.parent);
    const depth = new Int32Array(n),
      kids = new Int32Array(n),
      last = new Int32Array(n);
    let deepest = 0;
    for (let i = 0; i < n; i++) {
      last[i] = i;
      if (parent[i] < 0) continue;
      depth[i] = depth[parent[i]] + 1;
      kids[parent[i]] += 1;
      deepest = Math.max(deepest, depth[i]);
    }
    /* drawing order is depth first, so whatever lies under a span follows it without a gap */
    for (let i = n - 1; i >= 0; i--) if (parent[i] >= 0 && last[i] > last[parent[i]]) last[parent[i]] = last[i];

    const grouped = (rows, key) => {
      const found = new Map();
      for (const row of rows) {
        if (!found.has(key(row))) found.set(key(row), []);
        found.get(key(row)).push(row);
      }
      return found;
    };
    const critical = grouped(
      outline.critical_path.map(([at, kind, from, ns]) => ({ at, kind, from, ns })),
      (part) => part.at,
    );
    const links = outline.links.map(([from, trace, span, to]) => ({ from, trace, span, to }));
    const linksOut = grouped(links, (link) => link.from);
    const linksIn = grouped(
      links.filter((link) => link.to >= 0),
      (link) => link.to,
    );
    const findings = new Map();
    for (const { finding, spans } of outline.findings)
      for (const at of spans) findings.set(at, [...(findings.get(at) || []), finding]);

    let errors = 0,
      wait = 0;
    for (let i = 0; i < n; i++) {
      if (columns.status[i] === 2) errors += 1;
      wait = Math.max(wait, columns.queue_wait_ns[i] || 0);
    }
    const PROTOCOL = [null, "http", "grpc", "amqp", "other"];
    const KIND = ["unspecified", "internal", "server", "client", "producer", "consumer"];
    return {
      n,
      start,
      length,
      parent,
      depth,
      kids,
      last,
      deepest,
      critical,
      linksOut,
      linksIn,
      findings,
      errors,
      wait,
      outline,
      total: Math.max(1, outline.duration_ns),
      allFindings: outline.findings.map((found) => found.finding),
      id: (i) => columns.span_id[i],
      trace: (i) => outline.traces[columns.trace[i]],
      service: (i) => outline.services[columns.service[i]],
      name: (i) => outline.names[columns.name[i]],
      serviceAt: (i) => columns.service[i],
      nameAt: (i) => columns.name[i],
      queue: (i) => (columns.queue[i] < 0 ? null : outline.queues[columns.queue[i]]),
      waited: (i) => columns.queue_wait_ns[i],
      self: (i) => columns.self_ns[i],
      failed: (i) => columns.status[i] === 2,
      protocol: (i) => PROTOCOL[columns.protocol[i]],
      kind: (i) => KIND[columns.kind[i]],
      events: (i) => columns.events[i],
      bled: (i) => columns.context_bleed[i] === 1,
      backwards: (i) => columns.duration_ns[i] < 0,
      /* a span's place by its id; where linked traces share one, the asked trace's own */
      find(spanId, traceId) {
        let found = -1;
        for (let at = columns.span_id.indexOf(spanId); at >= 0; at = columns.span_id.indexOf(spanId, at + 1)) {
          if (!traceId || outline.traces[columns.trace[at]] === traceId) return at;
          if (found < 0) found = at;
        }
        return found;
      },
    };
  };

  /* Which rows stand: everything under a folded span is left out. */
  sl.traceRows = (model, folded) => {
    const rows = new Int32Array(model.n);
    let count = 0;
    for (let i = 0; i < model.n;) {
      rows[count++] = i;
      i = folded(i) ? model.last[i] + 1 : i + 1;
    }
    return rows.subarray(0, count);
  };
})();
