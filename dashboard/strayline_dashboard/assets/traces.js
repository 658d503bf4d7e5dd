"use strict";
/* The list of traces with its query line. */
(() => {
  const sl = window.strayline;
  const { h } = sl;

  sl.pages.traces = (root, data, params) => {
    const query = h("input", { type: "search", class: "field mono", id: "query", style: { flex: "1", minWidth: "260px" }, value: params.q || "", placeholder: "service=billing duration>200ms has:finding queue=billing.orders", "aria-label": "Query", spellcheck: "false" });
    const service = h("select", { class: "field", id: "service", "aria-label": "Service" }, h("option", { value: "" }, "All services"), data.services.map((s) => h("option", { value: s.name, selected: s.name === params.service }, s.name)));
    const sort = h("select", { class: "field", id: "sort", "aria-label": "Sort" }, [["-start", "Newest"], ["-duration", "Slowest"], ["-errors", "Most errors"], ["-queue_wait", "Longest queue wait"]].map(([value, label]) => h("option", { value, selected: value === params.sort }, label)));
    const apply = () => sl.go(sl.url("/traces", { q: query.value.trim(), service: service.value, sort: sort.value === "-start" ? "" : sort.value }));
    query.addEventListener("keydown", (event) => { if (event.key === "Enter") apply(); });
    service.addEventListener("change", apply);
    sort.addEventListener("change", apply);
    const chips = [["status=error", "Errors"], ["has:finding", "With findings"], ["has:queue_wait", "Through queues"]].map(([term, label]) => {
      const on = (params.q || "").split(" ").includes(term);
      return h("button", { class: "button", "aria-pressed": String(on), onclick: () => { query.value = on ? query.value.replace(term, "").trim() : `${query.value} ${term}`.trim(); apply(); } }, on ? `✓ ${label}` : label);
    });
    const { items, next_cursor: next } = data.traces;
    sl.put(root, 
      h("div", { class: "head" }, sl.title("Traces")),
      h("div", { class: "bar" }, query, service, sort, chips),
      h("div", { class: "body" }, h("div", { class: "pane scroll", style: { flex: "1" } },
        items.length ? sl.table(sl.traceColumns(), items, (t) => sl.trace(t.trace_id)) : h("p", { class: "quiet pad" }, "No trace matches."))),
      next || params.cursor ? h("div", { class: "bar" }, params.cursor ? h("a", { class: "button", href: sl.url("/traces", { ...params, cursor: "" }) }, "First page") : null, next ? h("a", { class: "button", href: sl.url("/traces", { ...params, cursor: next }) }, "Next page") : null) : "");
  };
})();
