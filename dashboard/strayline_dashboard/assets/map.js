"use strict";
/* Services, exchanges and queues as cards, laid out by dagre, edges coloured by protocol. */
(() => {
  const sl = window.strayline;
  const { h, s } = sl;
  const WIDTH = 180, HEIGHT = 54, FOOT = 20;

  /* The layout runs from where requests come in. Edges that lead back to a node on the way (an
     answer, a callback) are laid out reversed, or one of them would turn the picture round. */
  function backEdges(graph) {
    const into = new Map(), out = new Map();
    for (const edge of graph.edges) {
      into.set(edge.target, (into.get(edge.target) || 0) + edge.calls);
      out.set(edge.source, [...(out.get(edge.source) || []), edge]);
    }
    const uncaused = (node) => (node.kind === "service" ? node.calls - (into.get(node.id) || 0) : -1);
    const starts = [...graph.nodes].sort((a, b) => uncaused(b) - uncaused(a) || (into.get(a.id) || 0) - (into.get(b.id) || 0));
    const done = new Set(), path = new Set(), back = new Set();
    const visit = (id) => {
      done.add(id);
      path.add(id);
      for (const edge of out.get(id) || [])
        if (path.has(edge.target)) back.add(edge);
        else if (!done.has(edge.target)) visit(edge.target);
      path.delete(id);
    };
    for (const node of starts) if (!done.has(node.id)) visit(node.id);
    return back;
  }

  function layout(graph) {
    const g = new window.dagre.graphlib.Graph({ multigraph: true });
    g.setGraph({ rankdir: "LR", nodesep: 24, ranksep: 34, edgesep: 14, marginx: 16, marginy: 16 });
    for (const node of graph.nodes) g.setNode(node.id, { width: WIDTH, height: HEIGHT + (node.findings ? FOOT : 0) });
    const back = backEdges(graph);
    const drawn = [];
    for (const edge of graph.edges) {
      if (!g.hasNode(edge.source) || !g.hasNode(edge.target)) continue;
      const ends = back.has(edge) ? [edge.target, edge.source] : [edge.source, edge.target];
      g.setEdge(...ends, { width: 14 + 6 * labelOf(edge).length, height: 14, labelpos: "c" }, `${edge.protocol}${back.has(edge)}`);
      drawn.push([edge, () => {
        const at = g.edge(...ends, `${edge.protocol}${back.has(edge)}`);
        return back.has(edge) ? { ...at, points: [...at.points].reverse() } : at;
      }]);
    }
    window.dagre.layout(g);
    return [g, drawn.map(([edge, at]) => edgeView(edge, at()))];
  }

  function curve(points) {
    if (points.length < 3) return points.map((p, i) => `${i ? "L" : "M"}${p.x} ${p.y}`).join("");
    let path = `M${points[0].x} ${points[0].y}`;
    for (let i = 1; i < points.length - 1; i++) {
      const end = i === points.length - 2 ? points[i + 1] : { x: (points[i].x + points[i + 1].x) / 2, y: (points[i].y + points[i + 1].y) / 2 };
      path += `Q${points[i].x} ${points[i].y} ${end.x} ${end.y}`;
    }
    return path;
  }

  function icon(node) {
    const colour = node.kind === "service" ? sl.colour(node.name) : node.kind === "external" ? "var(--faint)" : "var(--amqp)";
    if (node.kind === "exchange") return s("path", { d: "M15 11l6 6-6 6-6-6z", fill: "none", stroke: colour, "stroke-width": 1.8 });
    if (node.kind === "queue") return s("g", { fill: colour }, [0, 5, 10].map((x) => s("rect", { x: 9 + x, y: 12, width: 3.4, height: 10, rx: 1 })));
    return s("rect", { x: 10, y: 12, width: 10, height: 10, rx: 2.5, fill: colour });
  }
  const short = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

  function card(node, at) {
    const alarming = node.worst_severity === "error" || node.worst_severity === "warning";
    const height = HEIGHT + (node.findings ? FOOT : 0);
    const sub = [sl.rate(node.rate_per_s), node.p95_ms === null ? null : `p95 ${sl.ms(node.p95_ms)}`].filter(Boolean).join(" · ");
    const line = sl.spark(node.sparkline, { width: 40, height: 14, error: node.errors > 0 });
    line.setAttribute("x", WIDTH - 48);
    line.setAttribute("y", 33);
    return s("g", { class: `node ${alarming ? node.worst_severity : ""}`, "data-id": node.id, tabindex: 0, role: "button", "aria-label": `${node.kind} ${node.name}`, transform: `translate(${at.x - WIDTH / 2} ${at.y - height / 2})` },
      s("title", {}, `${node.kind} ${node.name}`),
      s("rect", { class: "box", width: WIDTH, height, rx: 7 }),
      node.findings ? s("path", { d: `M.5 ${HEIGHT}h${WIDTH - 1}v${FOOT - 8}a7 7 0 0 1-7 7h-${WIDTH - 15}a7 7 0 0 1-7-7z`, fill: alarming ? `var(--${node.worst_severity}-soft)` : "var(--info-soft)" }) : null,
      icon(node),
      s("text", { class: "name", x: 29, y: 22 }, short(node.name, 20)),
      line,
      s("text", { class: "sub", x: 10, y: 42 }, sub),
      node.findings ? s("text", { x: 10, y: HEIGHT + 14, style: { fill: alarming ? `var(--${node.worst_severity})` : "var(--info)", fontSize: "11px", fontWeight: 600 } }, `● ${sl.many(node.findings, "finding")}`) : null);
  }

  const labelOf = (edge) => [sl.count(edge.calls), edge.errors ? `${((100 * edge.errors) / edge.calls).toFixed(1)}% err` : null, edge.p95_ms === null || edge.target.startsWith("exchange:") ? null : sl.ms(edge.p95_ms)].filter(Boolean).join(" · ");

  function edgeView(edge, at) {
    const colour = edge.errors ? "var(--error)" : sl.PROTOCOLS[edge.protocol];
    const wait = edge.queue_wait_p95_ms === null ? "" : `, queue wait p95 ${sl.ms(edge.queue_wait_p95_ms)}`;
    return s("g", { class: "edge", "data-source": edge.source, "data-target": edge.target },
      s("title", {}, `${sl.count(edge.calls)} calls by ${edge.protocol}${wait}`),
      s("path", { class: "line", d: curve(at.points), stroke: colour, "stroke-dasharray": edge.protocol === "amqp" ? "5 3" : null, "marker-end": `url(#arrow-${edge.errors ? "error" : edge.protocol})` }),
      s("text", { class: "label", x: at.x, y: at.y + 4 }, labelOf(edge)));
  }

  function markers() {
    return s("defs", {}, Object.entries({ ...sl.PROTOCOLS, error: "var(--error)" }).map(([name, colour]) =>
      s("marker", { id: `arrow-${name}`, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto-start-reverse", markerUnits: "userSpaceOnUse" }, s("path", { d: "M0 .8L7 4 0 7.2z", fill: colour }))));
  }

  /* Everything up- and downstream of a node. */
  function related(graph, id) {
    const found = new Set([id]);
    for (const [from, to] of [["source", "target"], ["target", "source"]]) {
      let wave = [id];
      while (wave.length) {
        const next = [];
        for (const edge of graph.edges)
          if (wave.includes(edge[from]) && !found.has(edge[to])) { found.add(edge[to]); next.push(edge[to]); }
        wave = next;
      }
    }
    return found;
  }

  function drawer(node, close) {
    const links = {
      service: [[sl.url("/traces", { service: node.name }), "Its traces"]],
      external: [],
      queue: [[sl.url("/queue", { name: node.name, broker: node.broker, vhost: node.vhost }), "Order of its messages"], [sl.url("/traces", { q: `queue="${node.name}"` }), "Traces through it"], [sl.url("/findings", { queue: node.name }), "Its findings"]],
      exchange: [[sl.url("/traces", { q: `exchange="${node.name === "(default)" ? "" : node.name}"` }), "Traces through it"]],
    }[node.kind];
    const facts = [["kind", node.kind], ["broker", node.broker], ["vhost", node.vhost], ["calls", sl.count(node.calls)], ["errors", sl.count(node.errors)], ["p95", sl.ms(node.p95_ms)], ["findings", sl.count(node.findings)]];
    return h("aside", { class: "pane drawer", id: "drawer", "aria-label": node.name },
      h("header", { style: { display: "flex", justifyContent: "space-between", gap: "8px" } }, h("h2", { class: "clip", title: node.name }, node.name), h("button", { class: "button", onclick: close, "aria-label": "Close" }, "Close")),
      h("dl", {}, facts.filter(([, v]) => v !== null).map(([k, v]) => [h("dt", {}, k), h("dd", {}, v)])),
      h("div", {}, links.map(([href, label]) => h("a", { class: "go", href }, `${label} →`))));
  }

  /* Wheel zooms at the pointer, dragging pans. */
  function movable(svg, box) {
    const view = { ...box };
    const apply = () => svg.setAttribute("viewBox", `${view.x} ${view.y} ${view.w} ${view.h}`);
    svg.addEventListener("wheel", (event) => {
      event.preventDefault();
      const frame = svg.getBoundingClientRect();
      const factor = Math.exp(event.deltaY * 0.0012);
      const px = view.x + ((event.clientX - frame.left) / frame.width) * view.w;
      const py = view.y + ((event.clientY - frame.top) / frame.height) * view.h;
      view.x = px - (px - view.x) * factor; view.y = py - (py - view.y) * factor;
      view.w *= factor; view.h *= factor;
      apply();
    }, { passive: false });
    svg.addEventListener("pointerdown", (event) => {
      if (event.target.closest(".node")) return;
      const frame = svg.getBoundingClientRect();
      const scale = Math.max(view.w / frame.width, view.h / frame.height);
      let last = event;
      svg.setPointerCapture(event.pointerId);
      const move = (to) => { view.x -= (to.clientX - last.clientX) * scale; view.y -= (to.clientY - last.clientY) * scale; last = to; apply(); };
      svg.addEventListener("pointermove", move);
      svg.addEventListener("pointerup", () => svg.removeEventListener("pointermove", move), { once: true });
    });
    apply();
  }

  sl.pages.map = (root, graph, params) => {
    const level = params.level === "service" ? "service" : "messaging";
    const head = h("div", { class: "head", style: { alignItems: "center" } }, h("h1", {}, "Map"),
      h("div", { class: "tabs", role: "group", "aria-label": "Level" }, [["messaging", "With queues"], ["service", "Services"]].map(([value, label]) => h("button", { "aria-pressed": String(level === value), onclick: () => sl.go(sl.url("/map", { level: value })) }, label))),
      h("div", {}, [["http", "REST"], ["grpc", "gRPC"], ["amqp", "AMQP"]].map(([name, label]) => h("span", { class: "key" }, h("i", { class: name === "amqp" ? "dashed" : null, style: { borderColor: sl.PROTOCOLS[name] } }), label))));
    if (!graph.nodes.length) return sl.put(root, head, h("div", { class: "empty" }, h("h2", {}, "No calls yet"), h("p", { class: "quiet" }, "Services appear here as soon as their first spans arrive.")));
    const [g, edges] = layout(graph);
    const nodes = new Map(graph.nodes.map((node) => [node.id, card(node, g.node(node.id))]));
    const size = g.graph();
    const svg = s("svg", { role: "group", "aria-label": "Call graph", preserveAspectRatio: "xMidYMid meet" }, markers(), edges, [...nodes.values()]);
    const pane = h("div", { class: "pane map" }, svg);
    const body = h("div", { class: "body" }, pane);
    const close = () => { const open = document.getElementById("drawer"); if (open) open.remove(); };
    for (const node of graph.nodes) {
      const view = nodes.get(node.id);
      const light = () => {
        const keep = related(graph, node.id);
        for (const [id, other] of nodes) other.classList.toggle("dim", !keep.has(id));
        for (const edge of edges) edge.classList.toggle("dim", !(keep.has(edge.dataset.source) && keep.has(edge.dataset.target)));
      };
      const dark = () => [...nodes.values(), ...edges].forEach((v) => v.classList.remove("dim"));
      const open = () => { close(); body.append(drawer(node, close)); };
      view.addEventListener("pointerenter", light);
      view.addEventListener("pointerleave", dark);
      view.addEventListener("click", open);
      view.addEventListener("keydown", (event) => { if (event.key === "Enter") open(); });
    }
    sl.put(root, head, body);
    /* never larger than life: a small graph stays small in the middle */
    const frame = pane.getBoundingClientRect();
    const scale = Math.max(size.width / frame.width, size.height / frame.height, 0.85);
    const w = frame.width * scale, ht = frame.height * scale;
    movable(svg, { x: (size.width - w) / 2, y: (size.height - ht) / 2, w, h: ht });
  };
})();
