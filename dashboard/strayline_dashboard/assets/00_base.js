"use strict";
/* What every renderer shares: elements, formats, colours, navigation. Data from outside only ever
   becomes text nodes and attribute values, never markup. */
window.strayline = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const pages = {};

  function fill(node, attributes, children) {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (name === "style") Object.assign(node.style, value);
      else node.setAttribute(name, value === true ? "" : String(value));
    }
    for (const child of children.flat(4)) {
      if (child === null || child === undefined || child === false) continue;
      node.append(child instanceof Node ? child : String(child));
    }
    return node;
  }
  const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
  const s = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

  const put = (root, ...children) => { root.replaceChildren(); fill(root, {}, children); };

  /* Formats. Durations in ns; three significant figures, one unit. */
  function duration(ns) {
    if (ns === null || ns === undefined) return "–";
    for (const [unit, size] of [["s", 1e9], ["ms", 1e6], ["µs", 1e3]])
      if (Math.abs(ns) >= size) {
        const value = ns / size;
        return `${value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)} ${unit}`;
      }
    return `${Math.round(ns)} ns`;
  }
  const ms = (value) => (value === null || value === undefined ? "–" : duration(value * 1e6));
  const count = (value) => Number(value || 0).toLocaleString("en-US");
  const many = (n, one, more) => `${count(n)} ${n === 1 ? one : more || one + "s"}`;
  function rate(value) {
    return value >= 100 ? `${value.toFixed(0)}/s` : value >= 1 ? `${value.toFixed(1)}/s` : `${value.toFixed(2)}/s`;
  }
  function time(ns) {
    if (ns === null || ns === undefined) return "–";
    return new Date(Number(ns) / 1e6).toISOString().slice(11, 23);
  }
  function day(ns) {
    return new Date(Number(ns) / 1e6).toISOString().slice(0, 10);
  }

  /* A service keeps its colour wherever it appears: the name decides. */
  const HUES = ["#6478e8", "#12a594", "#e09a2f", "#9a6de0", "#4b8fb3", "#8db33f", "#d9689f", "#4aa8e0", "#c77b4a", "#5f9e6e", "#b35c6e", "#7f7fd0"];
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
    const kept = Object.entries(params || {}).filter(([, value]) => value !== null && value !== undefined && value !== "");
    const query = new URLSearchParams(kept).toString();
    return query ? `${path}?${query}` : path;
  }
  function go(target, replace) {
    if (target === location.pathname + location.search) return;
    history[replace ? "replaceState" : "pushState"]({}, "", target);
    window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
  }
  document.addEventListener("click", (event) => {
    const link = event.target.closest && event.target.closest("a[href^='/']");
    if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    go(link.getAttribute("href"));
  });

  function copy(text, button) {
    const done = () => {
      const before = button.textContent;
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = before), 1200);
    };
    if (navigator.clipboard) navigator.clipboard.writeText(text).then(done, () => {});
  }
  function save(name, value) {
    const link = h("a", { download: name, href: URL.createObjectURL(new Blob([JSON.stringify(value, null, 1)], { type: "application/json" })) });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }
  let acted = 0;
  function act(action) {
    window.dash_clientside.set_props("action", { data: { ...action, id: `${Date.now()}-${++acted}` } });
  }

  /* A polyline scaled into its box; `area` fills below it. */
  function spark(values, options) {
    const { width = 100, height = 26, area = false, error = false } = options || {};
    const top = Math.max(1e-9, ...values.map((v) => v || 0));
    const step = width / Math.max(1, values.length - 1);
    const line = values.map((v, i) => `${i ? "L" : "M"}${(i * step).toFixed(1)} ${(height - 1.5 - ((v || 0) / top) * (height - 3)).toFixed(1)}`).join("");
    return s("svg", { class: `spark${error ? " error" : ""}`, viewBox: `0 0 ${width} ${height}`, width, height, preserveAspectRatio: "none", "aria-hidden": true },
      area && s("path", { class: "area", d: `${line}L${width} ${height}L0 ${height}Z` }), s("path", { d: line }));
  }

  const badge = (severity, text) => h("span", { class: `badge ${severity}` }, text || severity);
  const figures = (pairs) => h("div", { class: "figures" }, pairs.filter(Boolean).map(([value, label, kind]) => h("div", {}, h("b", { class: kind }, value), h("span", {}, label))));
  const title = (text, ...rest) => h("div", { class: "grow" }, h("h1", { class: "clip", title: text }, text), ...rest);
  const message = (m) => (m.trace_id && m.producer_span_id ? `/message/${m.trace_id}-${m.producer_span_id}` : null);
  const trace = (traceId, spanId) => url(`/trace/${traceId}`, { span: spanId });

  /* A table whose rows are links. columns: [label, cell(row), {width, n}] */
  function table(columns, rows, href, attributes) {
    return h("table", attributes || {},
      h("colgroup", {}, columns.map(([, , o]) => h("col", { style: o && o.width ? { width: o.width } : {} }))),
      h("thead", {}, h("tr", {}, columns.map(([label, , o]) => h("th", { class: o && o.n ? "n" : null, scope: "col" }, label)))),
      h("tbody", {}, rows.map((row) => {
        const target = href && href(row);
        return h("tr", { class: target ? "link" : null, onclick: target && ((event) => { if (!event.target.closest("a,button")) go(target); }) },
          columns.map(([, cell, o], i) => h("td", { class: o && o.n ? "n" : null }, target && i === 0 ? h("a", { href: target }, cell(row)) : cell(row))));
      })));
  }

  return { pages, h, s, put, duration, ms, count, many, rate, time, day, colour, PROTOCOLS, chip, url, go, copy, save, act, spark, badge, figures, title, message, trace, table };
})();
