"use strict";
/* Navigation, theme, zone, range of time, connection, and which renderer draws what arrived. */
(() => {
  const sl = window.strayline;
  const { h } = sl;
  let shown = null,
    drawnText = null,
    leaving = [],
    returns = [];

  /* Theme: as the system has it, unless chosen. */
  const dark = matchMedia("(prefers-color-scheme: dark)");
  function theme(choice) {
    if (choice) localStorage.setItem("strayline.theme", choice);
    const wanted = localStorage.getItem("strayline.theme") || "auto";
    document.documentElement.dataset.theme = wanted === "auto" ? (dark.matches ? "dark" : "light") : wanted;
    for (const select of document.querySelectorAll("select[data-theme-choice]")) select.value = wanted;
  }
  theme();
  dark.addEventListener("change", () => theme());

  const choice = (options, label, value, change, attributes) =>
    h(
      "select",
      {
        class: "field small",
        "aria-label": label,
        title: label,
        onchange: (event) => change(event.target.value),
        ...attributes,
      },
      options.map(([v, text]) => h("option", { value: v, selected: v === value }, text)),
    );
  const themeChoice = () =>
    choice(
      [
        ["auto", "Auto theme"],
        ["light", "Light"],
        ["dark", "Dark"],
      ],
      "Theme",
      localStorage.getItem("strayline.theme") || "auto",
      theme,
      { "data-theme-choice": true, id: "theme" },
    );
  const zoneChoice = () =>
    choice(
      [
        ["utc", "UTC"],
        ["local", "Local time"],
      ],
      "Time zone",
      sl.local() ? "local" : "utc",
      (v) => {
        localStorage.setItem("strayline.zone", v);
        redraw();
      },
      { id: "zone" },
    );

  /* Range of time: in the URL, for the pages that have one. */
  const LASTS = [
    ["", "All time"],
    ["15m", "Last 15 min"],
    ["1h", "Last hour"],
    ["6h", "Last 6 h"],
    ["24h", "Last 24 h"],
    ["7d", "Last 7 days"],
  ];
  function setRange(change) {
    const params = Object.fromEntries(new URLSearchParams(location.search));
    for (const name of [...sl.RANGE, "cursor", "at"]) delete params[name];
    sl.go(sl.url(location.pathname, { ...params, ...change }));
  }
  function rangeDialog() {
    const params = new URLSearchParams(location.search);
    const field = (name, label) => {
      const at = params.get(name);
      const shownAt = at ? (/^\d+$/.test(at) ? `${sl.day(at)}T${sl.time(at).slice(0, 8)}` : at.slice(0, 19)) : "";
      return [
        h("label", { for: `range-${name}` }, label),
        h("input", { class: "field", type: "datetime-local", step: "1", id: `range-${name}`, value: shownAt }),
      ];
    };
    const dialog = sl.dialog(
      "Range of time",
      h(
        "form",
        {
          class: "form",
          onsubmit: (event) => {
            event.preventDefault();
            const value = (name) => {
              const text = dialog.querySelector(`#range-${name}`).value;
              return text ? new Date(sl.local() ? text : `${text}Z`).toISOString() : "";
            };
            dialog.close();
            setRange({ start: value("start"), end: value("end") });
          },
        },
        field("start", `From (${sl.local() ? "local" : "UTC"})`),
        field("end", "To"),
        h("button", { class: "button primary", type: "submit" }, "Show"),
      ),
    );
  }
  /* today's by the clock alone, and how long instead of until when: the field is narrow */
  function saidRange(start, end) {
    const [from, to] = [start, end].map((text) => (/^\d+$/.test(text || "") ? Number(text) : sl.ns(text || "")));
    const said = (at, text) => {
      if (!Number.isFinite(at)) return text.slice(0, 16);
      const clock = sl.time(at).slice(0, 8);
      return sl.day(at) === sl.day(Date.now() * 1e6) ? clock : `${sl.day(at).slice(5)} ${clock.slice(0, 5)}`;
    };
    if (!end) return `since ${said(from, start)}`;
    if (!start) return `until ${said(to, end)}`;
    return `${sl.duration(to - from)} from ${said(from, start)}`;
  }
  const RANGED = new Set(["overview", "map", "traces", "queues", "queue"]);
  function rangeChoice() {
    const params = new URLSearchParams(location.search);
    const own = params.has("start") || params.has("end");
    const last = params.get("last") || "";
    const options = LASTS.some(([v]) => v === last) ? LASTS : [...LASTS, [last, `Last ${last}`]];
    return choice(
      [...options, ["own", own ? saidRange(params.get("start"), params.get("end")) : "From – to …"]],
      "Range of time",
      own ? "own" : last,
      (v) => (v === "own" ? rangeDialog() : setRange({ last: v })),
      { id: "range" },
    );
  }

  /* A modal dialog; Escape closes it, the focus goes back to where it was. */
  sl.dialog = (label, ...children) => {
    const before = document.activeElement;
    const dialog = h(
      "dialog",
      { class: "dialog", "aria-label": label },
      h(
        "header",
        {},
        h("h2", {}, label),
        h(
          "button",
          { class: "button small", type: "button", onclick: () => dialog.close() },
          "Close ",
          h("kbd", {}, "Esc"),
        ),
      ),
      children,
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (before && before.isConnected) before.focus();
    });
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) dialog.close();
    });
    document.body.append(dialog);
    dialog.showModal();
    return dialog;
  };

  const ITEMS = [
    ["/", "overview", "Overview", "o"],
    ["/map", "map", "Map", "m"],
    ["/traces", "traces", "Traces", "t"],
    ["/findings", "findings", "Findings", "f"],
    ["/queues", "queues", "Queues", "q"],
    ["/sql", "sql", "SQL", "s"],
    ["/settings", "settings", "Settings", "e"],
  ];
  sl.NAV = ITEMS;
  const SECTION = { trace: "traces", compare: "traces", queue: "queues", message: "findings", docs: "findings" };
  function nav(page) {
    const root = document.getElementById("nav");
    const current = SECTION[page] || page;
    if (!root.childElementCount) {
      root.append(
        h("a", { class: "brand", href: "/" }, h("img", { src: "/assets/favicon.svg", alt: "" }), "Strayline"),
        ...ITEMS.map(([href, name, label]) => h("a", { class: "item", href, "data-name": name }, label)),
        h(
          "div",
          { class: "foot" },
          h("div", { id: "range-place" }),
          h(
            "button",
            { class: "button small", type: "button", id: "find", onclick: () => sl.palette() },
            "Find ",
            h("kbd", {}, /Mac/.test(navigator.platform) ? "⌘K" : "Ctrl K"),
          ),
          sl.takeMenu(),
          h("div", { class: "pair" }, themeChoice(), zoneChoice()),
          document.getElementById("shell").dataset.login
            ? h("button", { class: "button small", type: "button", onclick: logout }, "Log out")
            : null,
          h("div", { id: "connection", role: "status" }),
        ),
      );
      connection(null);
    }
    for (const item of root.querySelectorAll("a.item"))
      if (item.dataset.name === current) item.setAttribute("aria-current", "page");
      else item.removeAttribute("aria-current");
    const place = document.getElementById("range-place");
    place.replaceChildren(...(RANGED.has(page) ? [rangeChoice()] : []));
  }
  function logout() {
    const form = h("form", { method: "post", action: "/logout" });
    document.body.append(form);
    form.submit();
  }

  /* Whether the collector answers; null while nobody knows. What is on the screen stays. */
  const STATES = {
    here: "Connected",
    away: "Collector away, retrying",
    gone: "Dashboard away, retrying",
    locked: "Not logged in",
    refusing: "Nothing is accepted",
  };
  let state = null;
  function connection(next, why) {
    const before = state;
    state = next || state;
    const place = document.getElementById("connection");
    const said = STATES[state] || "Connecting";
    if (place)
      place.replaceChildren(
        h("span", { class: `dot ${state || ""}` }),
        why ? h("a", { href: "/settings", title: why }, said) : said,
      );
    const shell = document.getElementById("shell");
    if (shell) shell.dataset.connection = state || "";
    if (state === "here" && (before === "away" || before === "gone" || before === "locked")) {
      for (const run of returns.splice(0)) run();
      sl.refresh();
    }
  }
  sl.connection = connection;

  function failed(root, envelope) {
    sl.put(
      root,
      h(
        "div",
        { class: "empty" },
        h("h1", {}, envelope.away ? "The collector is away" : envelope.locked ? "Not logged in" : "Nothing to show"),
        h("p", { class: "quiet", role: "alert" }, envelope.error),
        envelope.away
          ? [h("p", { class: "quiet" }, "Start it; this page comes by itself."), h("pre", {}, "strayline up")]
          : envelope.locked
            ? h(
                "p",
                {},
                h(
                  "a",
                  {
                    class: "button",
                    href: "/login",
                    onclick: (event) => {
                      event.preventDefault();
                      location.assign(sl.url("/login", { next: location.pathname + location.search }));
                    },
                  },
                  "Log in",
                ),
              )
            : h("p", {}, h("a", { class: "button", href: "/" }, "Go to the overview")),
      ),
    );
  }

  sl.pages.missing = (root) =>
    sl.put(
      root,
      h(
        "div",
        { class: "empty" },
        h("h1", {}, "No such page"),
        h("p", {}, h("a", { class: "button", href: "/" }, "Go to the overview")),
      ),
    );

  /* Once, when the collector is back: for a page that asks it by itself. */
  sl.onReturn = (run) => returns.push(run);
  /* Called when what is drawn now goes: for observers, timers and streams of a page. */
  sl.onLeave = (run) => leaving.push(run);
  /* Whether the page that asks is still shown: an answer that comes after it was left draws nothing. */
  sl.here = () => {
    let shown = true;
    sl.onLeave(() => (shown = false));
    return () => shown;
  };
  function draw(root, envelope) {
    for (const run of leaving.splice(0)) run();
    returns = [];
    if (envelope.error) failed(root, envelope);
    else sl.pages[envelope.page](root, envelope.data, envelope.params, envelope);
    root.dataset.page = envelope.page;
  }
  function redraw() {
    if (shown) draw(document.getElementById("page"), shown);
  }
  sl.redraw = redraw;

  const NAMES = { sql: "SQL" };
  sl.show = (envelope) => {
    if (!envelope) return null;
    const root = document.getElementById("page");
    delete document.getElementById("shell").dataset.loading;
    nav(envelope.page);
    for (const name of envelope.services || []) sl.colour(name);
    if (envelope.away) connection("away");
    if (envelope.locked) connection("locked");
    const same = shown && shown.path === envelope.path && shown.search === envelope.search;
    /* what is on the screen stays while the collector is away */
    if (same && envelope.away && !shown.error) return null;
    const text = same || envelope.page !== "trace" ? JSON.stringify([envelope.data, envelope.error]) : null;
    if (same && text === drawnText) return null;
    shown = envelope;
    drawnText = text;
    document.title = `${NAMES[envelope.page] || envelope.page[0].toUpperCase() + envelope.page.slice(1)} · Strayline`;
    draw(root, envelope);
    if (sl.tour) sl.tour(envelope);
    return null;
  };
})();
