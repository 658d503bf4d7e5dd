"use strict";
/* Find in trace: names at once, whatever else spans say as soon as the collector has looked. */
(() => {
  const sl = window.strayline;
  const { h } = sl;
  const ASK_AFTER_MS = 180,
    ALSO = 200;

  sl.findInTrace = ({ model, state, changed, pick, selected, leave }) => {
    let hits = new Set(),
      order = [],
      needle = "",
      timer = null,
      more = false,
      asked = null;
    const field = h("input", {
      type: "search",
      class: "field",
      id: "find-in-trace",
      placeholder: "Find in trace",
      "aria-label": "Find in trace",
      autocomplete: "off",
      spellcheck: "false",
    });
    const count = h("span", { class: "quiet", id: "matches", role: "status" });
    const before = h(
      "button",
      {
        class: "button small",
        type: "button",
        id: "find-before",
        "aria-label": "Previous match",
        title: "Shift Enter",
        onclick: () => step(-1),
      },
      "‹",
    );
    const after = h(
      "button",
      {
        class: "button small",
        type: "button",
        id: "find-next",
        "aria-label": "Next match",
        title: "Enter",
        onclick: () => step(1),
      },
      "›",
    );
    const node = h("span", { class: "find" }, field, before, after, count);

    function tell() {
      const at = order.indexOf(selected());
      before.disabled = after.disabled = !order.length;
      count.textContent = !needle
        ? ""
        : !order.length
          ? asked
            ? "…"
            : "no match"
          : `${at >= 0 ? `${sl.count(at + 1)} of ` : ""}${sl.many(order.length, "match", "matches")}${more ? ", at least" : ""}`;
    }
    function take(found) {
      hits = found;
      order = [...found].sort((a, b) => a - b);
      tell();
      changed();
    }
    function locally() {
      const services = model.outline.services.map((name) => name.toLowerCase().includes(needle));
      const names = model.outline.names.map((name) => name.toLowerCase().includes(needle));
      const found = new Set();
      for (let i = 0; i < model.n; i++)
        if (
          services[model.serviceAt(i)] ||
          names[model.nameAt(i)] ||
          `${model.service(i)} ${model.name(i)}`.toLowerCase().includes(needle)
        )
          found.add(i);
      return found;
    }
    function look() {
      clearTimeout(timer);
      if (asked) asked.abort();
      asked = null;
      more = false;
      needle = field.value.trim().toLowerCase();
      if (!needle) return take(new Set());
      const controller = (asked = new AbortController());
      take(locally());
      timer = setTimeout(() => {
        const also = model.outline.stitched_trace_ids.slice(0, ALSO);
        const query = new URLSearchParams([["text", needle.slice(0, 256)], ...also.map((id) => ["also", id])]);
        sl.ask(`/traces/${model.outline.trace_id}/find?${query}`, {}, { signal: controller.signal }).then(
          (answer) => {
            const found = locally(),
              wanted = new Set(answer.spans);
            for (let i = 0; i < model.n; i++) if (wanted.has(`${model.trace(i)}-${model.id(i)}`)) found.add(i);
            asked = null;
            more = answer.truncated;
            take(found);
          },
          (error) => {
            if (error.name !== "AbortError" && asked === controller) {
              asked = null;
              tell();
            }
          },
        );
      }, ASK_AFTER_MS);
    }
    function step(by) {
      if (!order.length) return;
      const here = order.indexOf(selected());
      /* with another span selected: the match after it, the first after the last */
      const at =
        here >= 0
          ? here + by
          : by > 0
            ? Math.max(
                0,
                order.findIndex((i) => i > selected()),
              )
            : order.length - 1;
      pick(order[(at + order.length) % order.length], "find");
      tell();
    }
    field.addEventListener("input", () => {
      state.set({ find: field.value.trim() || null });
      look();
    });
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter") {
        event.preventDefault();
        step(event.shiftKey ? -1 : 1);
      }
      if (event.key === "Escape") {
        event.preventDefault();
        event.stopPropagation();
        if (field.value) {
          field.value = "";
          state.set({ find: null });
          look();
        }
        leave();
      }
    });
    sl.onLeave(() => {
      clearTimeout(timer);
      if (asked) asked.abort();
    });
    return {
      node,
      step,
      tell,
      focus: () => {
        field.focus();
        field.select();
      },
      needle: () => needle,
      isHit: (i) => hits.has(i),
      restore() {
        if (field.value.trim() !== (state.find || "")) {
          field.value = state.find || "";
          look();
        }
      },
      clear() {
        if (!field.value) return false;
        field.value = "";
        state.set({ find: null });
        look();
        return true;
      },
    };
  };
})();
