"use strict";
/* Keyboard: what each page can do with a key, the help that lists it, the palette that goes anywhere.
   A page registers its keys once: `strayline.keys.page("traces", [["j", "Next row", run], …])`; without
   `run` a key is only listed, and handled by the page itself. */
(() => {
  const sl = window.strayline;
  const { h } = sl;
  const registry = new Map();
  const typing = (node) => node.matches && node.matches("input, textarea, select, [contenteditable]");
  let waiting = null;

  sl.keys = {
    page(name, entries) {
      registry.set(name, [...(registry.get(name) || []), ...entries]);
    },
    of: (name) => registry.get(name) || [],
  };
  const current = () => document.getElementById("page").dataset.page;

  function focusSearch() {
    const field = document.querySelector("#page input[type=search]");
    if (field) {
      field.focus();
      field.select();
    } else sl.palette();
  }
  sl.keys.page("", [
    ["?", "This help", help],
    ["/", "Find on this page", focusSearch],
    ["⌘K", "Go to anything"],
    ...sl.NAV.map(([href, , label, letter]) => [`g ${letter}`, `Go to ${label}`, () => sl.go(sl.ranged(href))]),
    ["Esc", "Close, or leave a field"],
  ]);

  function help() {
    const list = (title, entries) =>
      entries.length
        ? [
            h("h2", {}, title),
            h(
              "dl",
              { class: "keys" },
              entries.map(([keys, label]) => [
                h(
                  "dt",
                  {},
                  keys.split(" ").map((k) => h("kbd", {}, k)),
                ),
                h("dd", {}, label),
              ]),
            ),
          ]
        : null;
    sl.dialog(
      "Keyboard",
      h(
        "div",
        { class: "columns" },
        h("div", {}, list("Everywhere", registry.get(""))),
        h(
          "div",
          {},
          list("On this page", sl.keys.of(current())) ||
            h("p", { class: "quiet" }, "This page has no keys of its own."),
        ),
      ),
    );
  }
  sl.help = help;

  document.addEventListener("keydown", (event) => {
    if ((event.metaKey || event.ctrlKey) && !event.altKey && event.key.toLowerCase() === "k") {
      event.preventDefault();
      if (!document.querySelector("dialog[open]")) sl.palette();
      return;
    }
    if (
      event.metaKey ||
      event.ctrlKey ||
      event.altKey ||
      event.defaultPrevented ||
      document.querySelector("dialog[open]")
    )
      return;
    if (typing(event.target)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const pressed = waiting === "g" ? `g ${event.key}` : event.key;
    waiting = null;
    const entry = [...sl.keys.of(current()), ...registry.get("")].find(
      ([keys, , run]) => run && (keys === pressed || keys.split(" or ").includes(pressed)),
    );
    if (entry) {
      event.preventDefault();
      entry[2](event);
      return;
    }
    if (event.key === "g") {
      waiting = "g";
      setTimeout(() => (waiting = null), 1200);
    }
  });

  /* The palette. */
  const HEX = { 32: (id) => [`/trace/${id}`, "Trace"], 49: (id) => [`/message/${id}`, "Message"] };
  async function everything() {
    const [services, queues, findings] = await Promise.all(
      [
        sl.ask("/services"),
        sl.ask("/queues", { limit: 500 }),
        sl.ask("/findings", { limit: 100, messages: "none" }),
      ].map((p) =>
        p.then(
          (d) => d.items,
          () => [],
        ),
      ),
    );
    return [
      ...services.map((s) => ["Service", s.name, sl.url("/traces", { service: s.name })]),
      ...queues.map((q) => ["Queue", q.name, sl.url("/queue", { name: q.name, broker: q.broker, vhost: q.vhost })]),
      ...findings.map((f) => ["Finding", f.title, `/findings/${f.id}`]),
    ];
  }
  sl.palette = () => {
    let all = [
      ...sl.NAV.map(([href, , label]) => ["Page", label, sl.ranged(href)]),
      ["Help", "Keyboard", help],
      ...sl.TAKE.map(([label, run]) => ["This page", label, run]),
    ];
    let found = [],
      at = 0;
    const list = h("ul", { role: "listbox", id: "palette-list", "aria-label": "Results" });
    const field = h("input", {
      type: "text",
      class: "field",
      id: "palette",
      role: "combobox",
      "aria-expanded": "true",
      "aria-controls": "palette-list",
      "aria-autocomplete": "list",
      "aria-label": "Page, service, queue, finding, trace id",
      placeholder: "Page, service, queue, finding, or a trace, message or finding id",
      autocomplete: "off",
      spellcheck: "false",
    });
    const dialog = sl.dialog("Go to", field, list);
    dialog.classList.add("palette");
    function draw() {
      const text = field.value.trim().toLowerCase();
      const byId =
        HEX[text.length] && /^[0-9a-f]{32}(-[0-9a-f]{16})?$/.test(text)
          ? HEX[text.length](text)
          : /^fnd_[0-9a-f]{16}$/.test(text)
            ? [`/findings/${text}`, "Finding"]
            : null;
      found = all.filter(([, label]) => text.split(/\s+/).every((word) => label.toLowerCase().includes(word)));
      if (byId) found = [[byId[1], text, byId[0]]];
      else if (text && !found.length)
        found = [
          ["Message id", field.value.trim(), null],
          [
            "Search",
            `Traces with “${field.value.trim()}”`,
            sl.url("/traces", { q: JSON.stringify(field.value.trim()) }),
          ],
        ];
      found = found.slice(0, 40);
      at = Math.min(at, Math.max(0, found.length - 1));
      list.replaceChildren(
        ...found.map(([kind, label], i) =>
          h(
            "li",
            {
              role: "option",
              id: `palette-${i}`,
              "aria-selected": String(i === at),
              onclick: () => choose(i),
              onmousemove: () => {
                if (at !== i) {
                  at = i;
                  mark();
                }
              },
            },
            h("span", { class: "quiet" }, kind),
            h("span", { class: "clip" }, label),
          ),
        ),
      );
      mark();
    }
    function mark() {
      [...list.children].forEach((node, i) => node.setAttribute("aria-selected", String(i === at)));
      if (list.children[at]) {
        field.setAttribute("aria-activedescendant", `palette-${at}`);
        list.children[at].scrollIntoView({ block: "nearest" });
      }
    }
    async function choose(i) {
      const entry = found[i];
      if (!entry) return;
      const [, label, target] = entry;
      dialog.close();
      if (typeof target === "function") return target();
      if (target) return sl.go(target);
      const items = await sl.ask("/messages", { message_id: label, limit: 1 }).then(
        (d) => d.items,
        () => [],
      );
      if (items.length) sl.go(`/message/${items[0].id}`);
      else sl.say(`No message ${label}`);
    }
    field.addEventListener("input", () => {
      at = 0;
      draw();
    });
    field.addEventListener("keydown", (event) => {
      const move = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (move) {
        event.preventDefault();
        at = (at + move + found.length) % Math.max(1, found.length);
        mark();
      }
      if (event.key === "Enter") {
        event.preventDefault();
        choose(at);
      }
    });
    draw();
    field.focus();
    everything().then((more) => {
      if (dialog.open) {
        all = [...all, ...more];
        draw();
      }
    });
  };
})();
