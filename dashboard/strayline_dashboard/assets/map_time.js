"use strict";
/* Where the time of a service's calls goes: the critical paths of its newest calls, added up. Each part leads
   to the trace that has most of it. */
(() => {
  const sl = window.strayline;
  const { h } = sl;
  const CALLS = 50,
    PARTS = 10,
    OPERATIONS = 30,
    HANDLES = new Set(["server", "consumer"]);
  const WAITED = { queue_wait: "waiting in a queue", network: "network", gap: "nothing recorded" };

  function row(part, all) {
    const what =
      part.kind === "self"
        ? part.operation
        : part.kind === "queue_wait"
          ? `waiting in ${part.queue || "a queue"}`
          : `${WAITED[part.kind]}${part.peer ? ` to ${part.peer}` : ""}`;
    const said = [
      `${part.service} · ${part.operation}${part.kind === "self" ? "" : ` · ${WAITED[part.kind]}`}`,
      `${sl.ms(part.mean_ms)} of a call (${sl.percent(part.share, 1)}), p95 ${sl.ms(part.p95_ms)} where it is part of one`,
      "leads to the trace with most of it",
    ].join("\n");
    return h(
      "a",
      { class: "share", href: sl.trace(part.worst_trace_id), title: said },
      h(
        "span",
        { class: "clip" },
        part.kind === "self" ? sl.chip(part.service) : h("i", { class: `chip ${part.kind}` }),
        h("b", {}, part.service),
        ` ${what}`,
      ),
      h("span", { class: "mono" }, sl.ms(part.mean_ms)),
      h("i", { class: "fill", style: { width: `${100 * (part.total_ms / all)}%` } }),
    );
  }

  sl.whereTimeGoes = (service) => {
    const place = h("div", { class: "shares" }, h("p", { class: "quiet" }, "Adding up…"));
    const note = h("p", { class: "quiet" });
    let asked = 0;
    const choice = h(
      "select",
      { class: "field small", "aria-label": "Operation", onchange: () => load(choice.value) },
      h("option", { value: "" }, "All it does"),
    );
    async function load(operation) {
      const mine = ++asked;
      try {
        const told = await sl.ask("/critical_path", { service, operation, limit: CALLS, ...sl.between() });
        if (mine !== asked) return;
        note.textContent = told.traces
          ? `${sl.ms(told.mean_ms)} a call on average, p95 ${sl.ms(told.p95_ms)}, to the end of all that followed; of ${sl.many(told.traces, "call")}${told.traces < told.matching ? ", the newest" : ""}.`
          : "No call of it begins in this range of time.";
        const all = told.items.reduce((sum, part) => sum + part.total_ms, 0) || 1;
        place.replaceChildren(...told.items.slice(0, PARTS).map((part) => row(part, all)));
      } catch (error) {
        if (mine !== asked) return;
        note.textContent = error.message;
        place.replaceChildren();
      }
    }
    sl.ask("/operations", { service, ...sl.between() }).then(
      ({ items }) => {
        const names = [...new Set(items.filter((one) => HANDLES.has(one.kind)).map((one) => one.name))];
        if (names.length < 2) return choice.remove();
        choice.append(...names.slice(0, OPERATIONS).map((name) => h("option", { value: name }, name)));
      },
      () => choice.remove(),
    );
    load("");
    return h(
      "section",
      { class: "said", id: "where-time-goes" },
      h("h2", {}, "Where the time of its calls goes"),
      choice,
      note,
      place,
    );
  };
})();
