"use strict";
/* Services, exchanges and queues as cards, edges coloured by protocol, and what changed since. */
(() => {
  const sl = window.strayline;
  const { h, s } = sl;
  const { WIDTH, HEIGHT, FOOT } = (sl.mapCard = { WIDTH: 184, HEIGHT: 54, FOOT: 20 });
  const AGAINST = [
    ["", "Compare with …"],
    ["before", "The time before"],
    ["day", "A day ago"],
    ["week", "A week ago"],
  ];
  let current = null;

  const short = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
  function icon(node) {
    const colour =
      node.kind === "service" ? sl.colour(node.name) : node.kind === "external" ? "var(--faint)" : "var(--amqp)";
    if (node.kind === "exchange")
      return s("path", { d: "M15 11l6 6-6 6-6-6z", fill: "none", stroke: colour, "stroke-width": 1.8 });
    if (node.kind === "queue")
      return s(
        "g",
        { fill: colour },
        [0, 5, 10].map((x) => s("rect", { x: 9 + x, y: 12, width: 3.4, height: 10, rx: 1 })),
      );
    if (node.kind === "external")
      return s("rect", {
        x: 10,
        y: 12,
        width: 10,
        height: 10,
        rx: 5,
        fill: "none",
        stroke: colour,
        "stroke-width": 1.8,
      });
    return s("rect", { x: 10, y: 12, width: 10, height: 10, rx: 2.5, fill: colour });
  }

  function card(node, at, change) {
    const alarming = node.worst_severity === "error" || node.worst_severity === "warning";
    const height = HEIGHT + (node.findings ? FOOT : 0),
      gone = change && change.change === "gone";
    const failing = node.errors ? `${((100 * node.errors) / Math.max(1, node.calls)).toFixed(1)}%` : null;
    const sub = gone
      ? "not seen now"
      : [sl.rate(node.rate_per_s), node.p95_ms === null ? null : `p95 ${sl.ms(node.p95_ms)}`]
          .filter(Boolean)
          .join(" · ");
    const line = node.sparkline.some((n) => n)
      ? sl.spark(node.sparkline, { width: 40, height: 14, error: node.errors > 0 })
      : null;
    if (line) {
      line.setAttribute("x", WIDTH - 48);
      line.setAttribute("y", 33);
    }
    const marked = change && change.change !== "same";
    const aside = marked ? [change.change, change.change] : failing ? [`${failing} err`, "bad"] : null;
    const named = short(node.name, aside ? 14 : 21),
      flow = short(sub, 22),
      found = node.findings ? `● ${sl.many(node.findings, "finding")}` : "";
    // read aloud is what is seen, after the kind and the whole name
    return s(
      "g",
      {
        class: `node ${alarming ? node.worst_severity : ""}${gone ? " gone" : ""}`,
        "data-id": node.id,
        tabindex: 0,
        role: "button",
        transform: `translate(${at.x - WIDTH / 2} ${at.y - height / 2})`,
      },
      s("title", {}, `${node.kind} ${node.name}`),
      s("rect", { class: "box", width: WIDTH, height, rx: 7 }),
      node.findings
        ? s("path", {
            d: `M.5 ${HEIGHT}h${WIDTH - 1}v${FOOT - 8}a7 7 0 0 1-7 7h-${WIDTH - 15}a7 7 0 0 1-7-7z`,
            fill: alarming ? `var(--${node.worst_severity}-soft)` : "var(--info-soft)",
          })
        : null,
      icon(node),
      s("text", { class: "name", x: 29, y: 22 }, named),
      aside ? s("text", { class: `mark ${aside[1]}`, x: WIDTH - 9, y: 21 }, aside[0]) : null,
      line,
      s("text", { class: "sub", x: 10, y: 42 }, flow),
      node.findings
        ? s(
            "text",
            {
              x: 10,
              y: HEIGHT + 14,
              style: {
                fill: alarming ? `var(--${node.worst_severity})` : "var(--info)",
                fontSize: "11px",
                fontWeight: 600,
              },
            },
            found,
          )
        : null,
    );
  }

  const labelOf = (edge) =>
    edge.change === "gone"
      ? "gone"
      : [
          edge.change && edge.change !== "same" ? edge.change : null,
          sl.count(edge.calls),
          edge.errors ? `${((100 * edge.errors) / Math.max(1, edge.calls)).toFixed(1)}% err` : null,
          edge.p95_ms === null || edge.target.startsWith("exchange:") ? null : sl.ms(edge.p95_ms),
        ]
          .filter(Boolean)
          .join(" · ");

  function edgeView(edge, at) {
    const colour = edge.change === "gone" ? "var(--faint)" : edge.errors ? "var(--error)" : sl.PROTOCOLS[edge.protocol];
    const wait = edge.queue_wait_p95_ms === null ? "" : `, queue wait p95 ${sl.ms(edge.queue_wait_p95_ms)}`;
    const before =
      edge.change && edge.change !== "same"
        ? `\n${edge.change}: p95 ${sl.ms(edge.before_p95_ms)} → ${sl.ms(edge.p95_ms)}, calls ${sl.count(edge.before_calls)} → ${sl.count(edge.calls)}`
        : "";
    return s(
      "g",
      { class: `edge ${edge.change || ""}`, "data-source": edge.source, "data-target": edge.target },
      s("title", {}, `${sl.count(edge.calls)} calls by ${edge.protocol}${wait}${before}`),
      s("path", {
        class: "line",
        d: sl.mapCurve(at.points),
        stroke: colour,
        "stroke-dasharray": edge.change === "gone" ? "2 4" : edge.protocol === "amqp" ? "5 3" : null,
        "marker-end": `url(#arrow-${edge.change === "gone" ? "other" : edge.errors ? "error" : edge.protocol})`,
      }),
      s("text", { class: "label", x: at.x, y: at.y + 4 }, labelOf(edge)),
    );
  }

  const markers = () =>
    s(
      "defs",
      {},
      Object.entries({ ...sl.PROTOCOLS, error: "var(--error)" }).map(([name, colour]) =>
        s(
          "marker",
          {
            id: `arrow-${name}`,
            viewBox: "0 0 8 8",
            refX: 7,
            refY: 4,
            markerWidth: 7,
            markerHeight: 7,
            orient: "auto-start-reverse",
            markerUnits: "userSpaceOnUse",
          },
          s("path", { d: "M0 .8L7 4 0 7.2z", fill: colour }),
        ),
      ),
    );

  /* The range's own graph, with what is gone since the other one, and each change where it belongs. */
  function joined(graph) {
    if (!graph.compared) return { nodes: graph.nodes, edges: graph.edges, changes: new Map() };
    const changes = new Map(graph.compared.nodes.map((node) => [node.id, node]));
    const key = (edge) => `${edge.source}\n${edge.target}\n${edge.protocol}`;
    const own = new Map(graph.edges.map((edge) => [key(edge), edge]));
    return {
      nodes: [
        ...graph.nodes,
        ...graph.compared.nodes
          .filter((node) => node.change === "gone")
          .map((node) => ({
            ...node,
            broker: null,
            vhost: null,
            rate_per_s: 0,
            findings: 0,
            worst_severity: null,
            sparkline: [],
          })),
      ],
      edges: graph.compared.edges.map((change) => ({ ...change, findings: 0, ...own.get(key(change)) })),
      changes,
    };
  }

  function head(graph, params, parts, find, saver) {
    const level = params.level === "service" ? "service" : "messaging";
    const ranged = params.last || params.start;
    const go = (more) =>
      sl.go(sl.url("/map", { ...Object.fromEntries(new URLSearchParams(location.search)), node: "", ...more }));
    const against = h(
      "select",
      {
        class: "field small",
        id: "against",
        "aria-label": "Compare with another range",
        disabled: !ranged,
        title: ranged ? "Compare with another range" : "Choose a range of time first",
        onchange: () => go({ against: against.value }),
      },
      AGAINST.map(([value, label]) =>
        h(
          "option",
          { value, selected: value === (params.against || "") },
          value === "" && params.against ? "Compare no more" : label,
        ),
      ),
    );
    const tally = new Map();
    for (const part of graph.compared ? [...graph.compared.nodes, ...graph.compared.edges] : [])
      if (part.change !== "same") tally.set(part.change, (tally.get(part.change) || 0) + 1);
    return [
      h(
        "div",
        { class: "head map-head" },
        h("h1", {}, "Map"),
        h(
          "div",
          { class: "tabs", role: "group", "aria-label": "Level" },
          [
            ["messaging", "With queues"],
            ["service", "Services"],
          ].map(([value, label]) =>
            h(
              "button",
              {
                type: "button",
                "data-level": value,
                "aria-pressed": String(level === value),
                onclick: () => go({ level: value }),
              },
              label,
            ),
          ),
        ),
        h(
          "div",
          {},
          [
            ["http", "REST"],
            ["grpc", "gRPC"],
            ["amqp", "AMQP"],
          ].map(([name, label]) =>
            h(
              "span",
              { class: "key" },
              h("i", { class: name === "amqp" ? "dashed" : null, style: { borderColor: sl.PROTOCOLS[name] } }),
              label,
            ),
          ),
        ),
        h("span", { class: "grow" }),
        tally.size || graph.compared
          ? h(
              "span",
              { class: "quiet", id: "changes" },
              tally.size
                ? [...tally].map(([change, n]) => [
                    h("span", { class: `change ${change}` }, `${sl.count(n)} ${change}`),
                    " ",
                  ])
                : "Nothing changed.",
            )
          : null,
        parts.length ? find : null,
        against,
        parts.length ? saver : null,
      ),
    ];
  }

  sl.pages.map = (root, graph, params) => {
    const { nodes: all, edges, changes } = joined(graph);
    const find = h("input", {
      type: "search",
      class: "field small",
      id: "find-node",
      placeholder: "Find a node",
      "aria-label": "Find a node",
      autocomplete: "off",
      spellcheck: "false",
    });
    const saver = sl.pictureMenu(
      () => svg,
      () => "map",
    );
    const tops = head(graph, params, all, find, saver);
    let svg = null;
    current = null;
    if (!all.length) {
      const filtered = params.last || params.start || params.end;
      return sl.put(
        root,
        tops,
        h(
          "div",
          { class: "empty" },
          h("h2", {}, filtered ? "No calls in this range" : "No calls yet"),
          h(
            "p",
            { class: "quiet" },
            filtered ? "Choose a wider range of time." : "Services appear here as soon as their first spans arrive.",
          ),
          filtered
            ? h("p", {}, h("a", { class: "button", href: "/map?last=" }, "Show all time"))
            : h("pre", {}, "pip install strayline\nimport strayline.auto          # first line of your service"),
        ),
      );
    }
    const shown = { nodes: all, edges };
    const byId = new Map(all.map((node) => [node.id, node])),
      names = new Map(all.map((node) => [node.id, node.name]));
    const pane = h("div", { class: "pane map" }),
      body = h("div", { class: "body" }, pane);
    sl.put(root, tops, body);
    const frame = pane.getBoundingClientRect();
    const layout = sl.mapLayout(shown, labelOf, frame);
    const cards = new Map(all.map((node) => [node.id, card(node, layout.node(node.id), changes.get(node.id))]));
    const lines = layout.edges.map(([edge, at]) => edgeView(edge, at));
    svg = s(
      "svg",
      { role: "group", "aria-label": "Who calls whom", preserveAspectRatio: "xMidYMid meet" },
      markers(),
      lines,
      [...cards.values()],
    );
    pane.append(svg);
    /* never larger than life: a small graph stays small in the middle */
    const moving = sl.movable(svg, () => {
      const now = pane.getBoundingClientRect();
      const scale = Math.max(layout.width / now.width, layout.height / now.height, 0.85);
      const w = now.width * scale,
        ht = now.height * scale;
      return { x: (layout.width - w) / 2, y: (layout.height - ht) / 2, w, h: ht };
    });

    let open = null;
    const keepOnly = (keep) => {
      for (const [id, view] of cards) view.classList.toggle("dim", keep !== null && !keep.has(id));
      for (const view of lines)
        view.classList.toggle(
          "dim",
          keep !== null && !(keep.has(view.dataset.source) && keep.has(view.dataset.target)),
        );
    };
    const found = () => {
      const needle = find.value.trim().toLowerCase();
      return needle
        ? new Set(all.filter((node) => node.name.toLowerCase().includes(needle)).map((node) => node.id))
        : null;
    };
    const rest = () => keepOnly(found() || (open ? sl.mapRelated(shown, open) : null));
    function draw(id) {
      open = byId.has(id) ? id : null;
      const before = document.getElementById("drawer");
      if (before) before.remove();
      for (const [other, view] of cards) view.classList.toggle("open", other === open);
      if (open)
        body.append(
          sl.mapDrawer({
            graph: shown,
            node: byId.get(open),
            change: changes.get(open) || null,
            names,
            open: show,
            close: () => show(null),
          }),
        );
      rest();
    }
    /* an opened node is a place to come back from; Dash hears of it only when one comes back */
    function show(id) {
      const target = sl.url(location.pathname, {
        ...Object.fromEntries(new URLSearchParams(location.search)),
        node: id || "",
      });
      if (target !== location.pathname + location.search) history.pushState(history.state, "", target);
      draw(id);
    }
    for (const [id, view] of cards) {
      view.addEventListener("pointerenter", () => keepOnly(sl.mapRelated(shown, id)));
      view.addEventListener("pointerleave", rest);
      view.addEventListener("focus", () => keepOnly(sl.mapRelated(shown, id)));
      view.addEventListener("blur", rest);
      view.addEventListener("click", () => show(id));
      view.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") {
          event.preventDefault();
          event.stopPropagation();
          show(id);
        }
      });
    }
    find.addEventListener("input", rest);
    find.addEventListener("keydown", (event) => {
      const [first] = found() || [];
      if (event.key === "Enter" && first) {
        const at = layout.node(first);
        moving.center(at.x, at.y);
        show(first);
      }
      if (event.key === "Escape") {
        find.value = "";
        rest();
      }
    });
    current = { root, moving, close: () => show(null), draw };
    draw(params.node);
  };
  window.addEventListener("popstate", () => {
    if (location.pathname !== "/map" || !current || !current.root.querySelector(".map")) return;
    delete document.getElementById("shell").dataset.loading;
    current.draw(new URLSearchParams(location.search).get("node"));
  });
  const on = (run) => () => {
    if (current) run(current);
  };
  const press = (selector) => () => {
    const node = document.querySelector(selector);
    if (node) node.click();
  };
  sl.keys.page("map", [
    ["+ or =", "Zoom in", on((map) => map.moving.zoom(0.8))],
    ["-", "Zoom out", on((map) => map.moving.zoom(1.25))],
    ["0", "The whole map", on((map) => map.moving.fit())],
    ["l", "Other level", press("[data-level][aria-pressed=false]")],
    ["Tab", "Next node"],
    ["Enter", "Open the node"],
    ["Escape", "Close it", on((map) => map.close())],
  ]);
})();
