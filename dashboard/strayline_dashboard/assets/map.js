"use strict";
/* The map: its head, what is lit up, found and opened, and what changed since. */
(() => {
  const sl = window.strayline;
  const { h, s } = sl;
  const AGAINST = [
    ["", "Compare with …"],
    ["before", "The time before"],
    ["day", "A day ago"],
    ["week", "A week ago"],
  ];
  let current = null;

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

  const inUrl = () => Object.fromEntries(new URLSearchParams(location.search));

  function head(graph, params, parts, find, saver) {
    const level = params.level === "service" ? "service" : "messaging";
    const ranged = params.last || params.start;
    const go = (more) =>
      sl.go(sl.url("/map", { ...inUrl(), node: "", at: "", ...more }));
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
    const alone =
      graph.compared && graph.compared.nodes.length && graph.compared.nodes.every((node) => !node.before_calls);
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
          { class: "line" },
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
          h("span", { class: "key of-edges" }, "on edges: calls · p95"),
        ),
        h("span", { class: "grow" }),
        tally.size || graph.compared
          ? h(
              "span",
              { class: "quiet", id: "changes" },
              alone
                ? "Nothing is stored of the other range."
                : tally.size
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

  /* What is looked at and looked for changes the address without a step; Dash hears of it only when one
     comes back, so the address and not its parameters say what to draw. */
  function keep(more) {
    const target = sl.url(location.pathname, { ...inUrl(), ...more });
    if (target !== location.pathname + location.search) history.replaceState(history.state, "", target);
  }

  sl.pages.map = (root, graph) => {
    const params = inUrl();
    const { nodes: all, edges, changes } = joined(graph);
    const find = h("input", {
      type: "search",
      class: "field small",
      id: "find-node",
      placeholder: "Find a node",
      value: params.find || "",
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
    const layout = sl.mapLayout(shown, sl.mapLabel, frame);
    const cards = new Map(all.map((node) => [node.id, sl.mapNode(node, layout.node(node.id), changes.get(node.id))]));
    const lines = layout.edges.map(([edge, at]) => sl.mapEdge(edge, at));
    svg = s(
      "svg",
      { role: "group", "aria-label": "Who calls whom", preserveAspectRatio: "xMidYMid meet" },
      sl.mapMarkers(),
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
    }, { at: params.at, keep: (at) => keep({ at }) });

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
    /* an opened node is a place to come back from */
    function show(id) {
      const target = sl.url(location.pathname, { ...inUrl(), node: id || "" });
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
    find.addEventListener("input", () => {
      keep({ find: find.value.trim() });
      rest();
    });
    find.addEventListener("keydown", (event) => {
      const [first] = found() || [];
      if (event.key === "Enter" && first) {
        const at = layout.node(first);
        moving.center(at.x, at.y);
        show(first);
      }
      if (event.key === "Escape") {
        find.value = "";
        keep({ find: "" });
        rest();
      }
    });
    current = { root, moving, close: () => show(null), draw };
    draw(params.node);
  };
  window.addEventListener("popstate", () => {
    if (location.pathname !== "/map" || !current || !current.root.querySelector(".map")) return;
    delete document.getElementById("shell").dataset.loading;
    current.draw(inUrl().node);
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
