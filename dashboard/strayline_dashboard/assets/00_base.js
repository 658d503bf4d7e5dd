"use strict";
/* What every renderer shares: elements, formats, colours, navigation, questions to the API. Data from
   outside only ever becomes text nodes and attribute values, never markup. */
window.strayline = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const pages = {};

  /* Text from outside as it can be looked at: what would reverse or hide its neighbours is named, and
     no more is drawn than anybody reads. */
  const UNSEEN =
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/g;
  const MOST = 20000;
  function plain(text) {
    const cut =
      text.length > MOST ? `${text.slice(0, MOST)}… (${text.length.toLocaleString("en-US")} characters)` : text;
    return cut.replace(UNSEEN, (c) => `⟨U+${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
  }

  function fill(node, attributes, children) {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (name === "style") Object.assign(node.style, value);
      else
        node.setAttribute(
          name,
          value === true
            ? ""
            : name === "title" || name === "aria-label"
              ? plain(String(value).slice(0, 2000))
              : String(value),
        );
    }
    for (const child of children.flat(4)) {
      if (child === null || child === undefined || child === false) continue;
      node.append(child instanceof Node ? child : plain(String(child)));
    }
    return node;
  }
  const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
  const s = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

  const put = (root, ...children) => {
    root.replaceChildren();
    fill(root, {}, children);
  };

  /* Formats. Durations in ns; three significant figures, one unit; minutes from two of them on. */
  function duration(ns) {
    if (ns === null || ns === undefined) return "–";
    for (const [unit, size, from] of [
      ["d", 86400e9, 48 * 3600e9],
      ["h", 3600e9, 2 * 3600e9],
      ["min", 60e9, 120e9],
      ["s", 1e9, 1e9],
      ["ms", 1e6, 1e6],
      ["µs", 1e3, 1e3],
    ])
      if (Math.abs(ns) >= from) {
        const value = Math.abs(ns / size);
        return `${(ns / size).toFixed(value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2)} ${unit}`;
      }
    return `${Math.round(ns)} ns`;
  }
  const ms = (value) => (value === null || value === undefined ? "–" : duration(value * 1e6));
  const count = (value) => Number(value || 0).toLocaleString("en-US");
  const words = (name) => name.replaceAll("_", " ");
  const many = (n, one, more) => `${count(n)} ${n === 1 ? one : more || one + "s"}`;
  /* Of what went wrong: never 0.0 where something did. */
  function percent(part, whole) {
    const share = (100 * part) / Math.max(1, whole);
    return part && share < 0.1 ? "<0.1 %" : `${share.toFixed(1)} %`;
  }
  function rate(value) {
    return value >= 100 ? `${value.toFixed(0)}/s` : value >= 1 ? `${value.toFixed(1)}/s` : `${value.toFixed(2)}/s`;
  }

  /* Times in UTC, or in the reader's own zone when that was chosen. */
  const local = () => localStorage.getItem("strayline.zone") === "local";
  function shifted(ns) {
    const at = new Date(Number(ns) / 1e6);
    return local() ? new Date(at.getTime() - at.getTimezoneOffset() * 60000) : at;
  }
  const time = (ns) => (ns === null || ns === undefined ? "–" : shifted(ns).toISOString().slice(11, 23));
  const day = (ns) => shifted(ns).toISOString().slice(0, 10);
  /* RFC 3339, to unix ns as a number: exact to 256 ns, which no clock on a page needs. */
  const ns = (text) => Date.parse(text) * 1e6;
  const moment = (text) => (text ? `${day(ns(text))} ${time(ns(text)).slice(0, 8)}` : "–");
  function ago(text) {
    const s = Math.max(0, (Date.now() - Date.parse(text)) / 1000);
    return s < 60
      ? "just now"
      : s < 3600
        ? `${Math.floor(s / 60)} min ago`
        : s < 86400
          ? `${Math.floor(s / 3600)} h ago`
          : `${Math.floor(s / 86400)} d ago`;
  }
  const bytes = (n) => {
    for (const [unit, size] of [
      ["GiB", 2 ** 30],
      ["MiB", 2 ** 20],
      ["KiB", 2 ** 10],
    ])
      if (n >= size) return `${(n / size).toFixed(n >= 10 * size ? 0 : 1)} ${unit}`;
    return `${n} bytes`;
  };

  /* A service keeps its colour wherever it appears: its name decides, and of those whose names fall together
     the one that was heard of first (01_shell.js). */
  const HUES = [
    "#6478e8",
    "#12a594",
    "#e09a2f",
    "#9a6de0",
    "#4b8fb3",
    "#8db33f",
    "#d9689f",
    "#4aa8e0",
    "#c77b4a",
    "#5f9e6e",
    "#b35c6e",
    "#7f7fd0",
  ];
  const colours = new Map();
  function colour(service) {
    if (!colours.has(service)) {
      let sum = 0;
      for (const char of service) sum = (sum * 31 + char.codePointAt(0)) >>> 0;
      let pick = sum % HUES.length;
      const taken = new Set(colours.values());
      for (let i = 0; i < HUES.length && taken.has(HUES[pick]); i++) pick = (pick + 1) % HUES.length;
      colours.set(service, HUES[pick]);
    }
    return colours.get(service);
  }
  const PROTOCOLS = { http: "var(--http)", grpc: "var(--grpc)", amqp: "var(--amqp)", other: "var(--other)" };
  const chip = (service) => h("span", { class: "chip", style: { background: colour(service) } });

  /* All state is in the URL. */
  function url(path, params) {
    const kept = Object.entries(params || {}).filter(
      ([, value]) => value !== null && value !== undefined && value !== "",
    );
    const query = new URLSearchParams(kept).toString();
    return query ? `${path}?${query}` : path;
  }
  /* A chosen range of time goes along from page to page. */
  const RANGE = ["last", "start", "end"];
  const RANGED = new Set(["", "map", "traces", "queues", "queue"]);
  function ranged(target) {
    const to = new URL(target, location.origin),
      here = new URLSearchParams(location.search);
    if (RANGED.has(to.pathname.split("/")[1]) && !RANGE.some((name) => to.searchParams.has(name)))
      for (const name of RANGE) if (here.has(name)) to.searchParams.set(name, here.get(name));
    return to.pathname + to.search;
  }
  /* The range of the address as the API takes it. */
  function between() {
    const params = new URLSearchParams(location.search);
    const told = { start: params.get("start"), end: params.get("end") };
    if (params.get("last")) {
      const [, n, unit] = /^(\d+)([smhd])$/.exec(params.get("last")) || [null, 1, "h"];
      told.start = new Date(Date.now() - n * { s: 1e3, m: 6e4, h: 36e5, d: 864e5 }[unit]).toISOString();
    }
    return told;
  }
  function go(target, replace) {
    if (target === location.pathname + location.search) return;
    history[replace ? "replaceState" : "pushState"]({}, "", target);
    loading();
    window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
  }
  function loading() {
    const shell = document.getElementById("shell");
    if (shell) shell.dataset.loading = "true";
  }
  window.addEventListener("popstate", loading);
  document.addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest("a[href^='/']");
    if (
      !link ||
      event.defaultPrevented ||
      event.button ||
      event.metaKey ||
      event.ctrlKey ||
      event.shiftKey ||
      link.hasAttribute("download") ||
      link.getAttribute("href").startsWith("/api/")
    )
      return;
    event.preventDefault();
    go(ranged(link.getAttribute("href")));
  });

  function say(text) {
    let region = document.getElementById("said");
    if (!region) document.body.append((region = h("div", { id: "said", role: "status" })));
    region.textContent = text;
    region.dataset.shown = "true";
    clearTimeout(say.timer);
    say.timer = setTimeout(() => delete region.dataset.shown, 1800);
  }
  /* Questions to the API beside a page's own data: `ask("/queues", { limit: 5 })`. Fails with the
     API's own words. */
  async function ask(path, params, options) {
    const { method = "GET", body, signal } = options || {};
    let told;
    try {
      const answer = await fetch(url(`/data/api/v1${path}`, params), {
        method,
        signal,
        headers: body ? { "content-type": "application/json" } : {},
        body: body && JSON.stringify(body),
      });
      told = await answer.json();
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Error("The dashboard itself does not answer.");
    }
    if (told.status === 401) location.assign(url("/login", { next: location.pathname + location.search }));
    if (told.status < 200 || told.status > 299)
      throw Object.assign(new Error(told.body.detail || `HTTP ${told.status}`), {
        status: told.status,
        problem: told.body,
      });
    return told.body;
  }
  /* The page's data anew, without a step in the history. */
  let refreshed = 0;
  const refresh = () => window.dash_clientside.set_props("refresh", { data: ++refreshed });

  /* A polyline scaled into its box; `area` fills below it. */
  function spark(values, options) {
    const { width = 100, height = 26, area = false, error = false } = options || {};
    const top = Math.max(1e-9, ...values.map((v) => v || 0));
    const step = width / Math.max(1, values.length - 1);
    const line = values
      .map(
        (v, i) =>
          `${i ? "L" : "M"}${(i * step).toFixed(1)} ${(height - 1.5 - ((v || 0) / top) * (height - 3)).toFixed(1)}`,
      )
      .join("");
    return s(
      "svg",
      {
        class: `spark${error ? " error" : ""}`,
        viewBox: `0 0 ${width} ${height}`,
        width,
        height,
        preserveAspectRatio: "none",
        "aria-hidden": true,
      },
      area && s("path", { class: "area", d: `${line}L${width} ${height}L0 ${height}Z` }),
      s("path", { d: line }),
    );
  }

  /* Names that are told apart by how they end, where there is no room for all of one. */
  const END = 12;
  const middle = (text) =>
    text.length <= END + 4
      ? h("span", { class: "clip", title: text }, text)
      : h(
          "span",
          { class: "middle", title: text },
          h("span", { class: "clip" }, text.slice(0, -END)),
          h("span", {}, text.slice(-END)),
        );
  const badge = (severity, text) => h("span", { class: `badge ${severity}` }, text || severity);
  const figures = (pairs) =>
    h(
      "div",
      { class: "figures" },
      pairs
        .filter(Boolean)
        .map(([value, label, kind]) => h("div", {}, h("b", { class: kind }, value), h("span", {}, label))),
    );
  const title = (text, ...rest) => h("div", { class: "grow" }, h("h1", { class: "clip", title: text }, text), ...rest);
  /* Whether the broker gave it back; a reply that is asked for directly is returned and arrives. */
  const givenBack = (m) =>
    m.outcome === "nacked" || (m.outcome === "returned" && !(m.routing_key || "").startsWith("amq.rabbitmq.reply-to"));
  const message = (m) => (m.trace_id && m.producer_span_id ? `/message/${m.trace_id}-${m.producer_span_id}` : null);
  const trace = (traceId, spanId) => url(`/trace/${traceId}`, { span: spanId });

  /* A table whose rows are links. columns: [label, cell(row), {width, n, wide, mark}]: a `wide` one is left out
     of a narrow pane, a `mark` shrinks to a dot there. */
  const kinds = (o) => ["n", "wide", "mark"].filter((name) => o && o[name]).join(" ") || null;
  function table(columns, rows, href, attributes) {
    return h(
      "table",
      attributes || {},
      h(
        "colgroup",
        {},
        columns.map(([, , o]) => h("col", { class: kinds(o), style: o && o.width ? { width: o.width } : {} })),
      ),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          columns.map(([label, , o]) => h("th", { class: kinds(o), scope: "col" }, label)),
        ),
      ),
      h(
        "tbody",
        {},
        rows.map((row) => {
          const target = href && href(row);
          return h(
            "tr",
            {
              class: target ? "link" : null,
              onclick:
                target &&
                ((event) => {
                  if (!event.target.closest("a,button")) go(ranged(target));
                }),
            },
            columns.map(([, cell, o], i) =>
              h(
                "td",
                { class: kinds(o) },
                target && i === 0 ? h("a", { href: target }, cell(row)) : cell(row),
              ),
            ),
          );
        }),
      ),
    );
  }

  return {
    pages,
    h,
    s,
    put,
    plain,
    duration,
    ms,
    count,
    many,
    words,
    rate,
    percent,
    time,
    day,
    ns,
    moment,
    ago,
    bytes,
    local,
    colour,
    PROTOCOLS,
    chip,
    RANGE,
    ranged,
    between,
    url,
    go,
    say,
    ask,
    refresh,
    spark,
    middle,
    badge,
    figures,
    title,
    givenBack,
    message,
    trace,
    table,
  };
})();
