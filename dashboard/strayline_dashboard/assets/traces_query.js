"use strict";
/* The query line: completion at the cursor, errors with their place under it, a chip for each term. */
(() => {
  const sl = window.strayline;
  const { h } = sl;
  const ASK_AFTER_MS = 90;

  /* Terms of a line as they stand, quotes kept together. */
  sl.queryTerms = (line) => line.match(/(?:"(?:\\.|[^"\\])*"?|[^\s"])+/g) || [];

  /* The API counts characters, the browser UTF-16 units. */
  const characters = (text) => [...text].length;
  const units = (text, count) => [...text].slice(0, count).join("").length;

  sl.queryLine = ({ value, run }) => {
    let items = [],
      at = -1,
      answer = null,
      timer = null,
      asked = null;
    const field = h("input", {
      type: "search",
      class: "field mono",
      id: "query",
      value,
      role: "combobox",
      "aria-expanded": "false",
      "aria-controls": "completions",
      "aria-autocomplete": "list",
      "aria-label": "Query",
      placeholder: "service=billing duration>200ms has:finding queue=billing.orders",
      autocomplete: "off",
      spellcheck: "false",
    });
    const list = h("ul", {
      id: "completions",
      class: "completions pane",
      role: "listbox",
      "aria-label": "Completions",
      hidden: true,
    });
    const problem = h("div", { class: "query-problem", role: "alert", hidden: true });
    const node = h("div", { class: "query-line" }, field, list, problem);

    function close() {
      clearTimeout(timer);
      if (asked) asked.abort();
      items = [];
      at = -1;
      list.hidden = true;
      field.setAttribute("aria-expanded", "false");
      field.removeAttribute("aria-activedescendant");
    }
    function mark() {
      [...list.children].forEach((node_, i) => node_.setAttribute("aria-selected", String(i === at)));
      if (at >= 0) {
        field.setAttribute("aria-activedescendant", `completion-${at}`);
        list.children[at].scrollIntoView({ block: "nearest" });
      } else field.removeAttribute("aria-activedescendant");
    }
    function draw() {
      sl.put(
        list,
        items.map((item, i) =>
          h(
            "li",
            {
              role: "option",
              id: `completion-${i}`,
              "aria-selected": "false",
              onpointerdown: (event) => {
                event.preventDefault();
                take(i);
              },
            },
            h("span", { class: "clip mono" }, item.text),
            h("span", { class: "quiet" }, item.spans === null ? item.kind : sl.many(item.spans, "span")),
          ),
        ),
      );
      list.hidden = !items.length;
      field.setAttribute("aria-expanded", String(items.length > 0));
      at = -1;
    }
    function take(i) {
      const line = field.value,
        item = items[i];
      const from = units(line, answer.replace_from),
        to = units(line, answer.replace_to);
      const more = item.insert.endsWith("=") || item.insert.endsWith(":");
      const insert = more ? item.insert : `${item.insert} `;
      field.value = line.slice(0, from) + insert + line.slice(to).replace(/^ /, "");
      field.setSelectionRange(from + insert.length, from + insert.length);
      field.focus();
      if (more) look();
      else close();
    }
    function look() {
      clearTimeout(timer);
      timer = setTimeout(() => {
        if (asked) asked.abort();
        asked = new AbortController();
        const line = field.value,
          position = characters(line.slice(0, field.selectionStart));
        sl.ask("/search/complete", { q: line, position, limit: 12 }, { signal: asked.signal }).then(
          (told) => {
            if (document.activeElement !== field || field.value !== line) return;
            answer = told;
            items = told.items;
            draw();
          },
          (error) => {
            if (error.name !== "AbortError") close();
          },
        );
      }, ASK_AFTER_MS);
    }
    field.addEventListener("input", () => {
      problem.hidden = true;
      look();
    });
    field.addEventListener("blur", close);
    field.addEventListener("keydown", (event) => {
      const open = !list.hidden;
      if (event.key === "ArrowDown" && !open) {
        event.preventDefault();
        return look();
      }
      if (open && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
        event.preventDefault();
        at = (at + (event.key === "ArrowDown" ? 1 : at < 0 ? 0 : -1) + items.length) % items.length;
        mark();
      } else if (open && at >= 0 && (event.key === "Enter" || event.key === "Tab")) {
        event.preventDefault();
        take(at);
      } else if (event.key === "Enter") {
        event.preventDefault();
        close();
        run(field.value.trim());
      } else if (event.key === "Escape" && open) {
        event.preventDefault();
        event.stopPropagation();
        close();
      }
    });
    sl.onLeave(close);
    return {
      node,
      value: () => field.value.trim(),
      set(line) {
        if (document.activeElement !== field) field.value = line;
      },
      /* the API's problem: what is wrong, and under which character */
      wrong(error) {
        problem.hidden = !error;
        if (!error) return;
        const place = error.problem && error.problem.position;
        const line = field.value,
          cut = place ? units(line, place - 1) : 0;
        sl.put(
          problem,
          place
            ? h(
                "pre",
                { "aria-hidden": "true" },
                line.slice(0, cut),
                h("mark", {}, line.slice(cut, cut + 1) || "⌄"),
                line.slice(cut + 1),
              )
            : null,
          h("p", {}, error.message),
        );
      },
    };
  };
})();
