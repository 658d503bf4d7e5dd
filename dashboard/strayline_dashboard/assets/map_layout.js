"use strict";
/* Where cards and edges of the map lie: dagre's layers, from where requests come in; from left to right,
   or from top to bottom where that leaves the cards larger. */
(() => {
  const sl = window.strayline;
  const { WIDTH, HEIGHT, FOOT } = sl.mapCard;
  const FEW = 60,
    GAP = 24,
    MOST_GAP = 96;

  /* Edges that lead back to a node on the way (an answer, a callback) are laid out reversed, or one of
     them would turn the picture round. */
  function backEdges(graph) {
    const into = new Map(),
      out = new Map();
    for (const edge of graph.edges) {
      into.set(edge.target, (into.get(edge.target) || 0) + edge.calls);
      if (!out.has(edge.source)) out.set(edge.source, []);
      out.get(edge.source).push(edge);
    }
    const uncaused = (node) => (node.kind === "service" ? node.calls - (into.get(node.id) || 0) : -1);
    /* Of those that do about as much unasked (answers to requests by message are that too), first who is
       called by nobody that is called itself: a worker's callback is no beginning. */
    const called = new Set(graph.edges.filter((edge) => edge.protocol !== "amqp").map((edge) => edge.target));
    const front = new Map();
    for (const edge of graph.edges)
      if (edge.protocol !== "amqp" && called.has(edge.source))
        front.set(edge.target, (front.get(edge.target) || 0) + edge.calls);
    const most = Math.max(0, ...graph.nodes.map(uncaused));
    const rank = (node) => (most && uncaused(node) >= most / 2 ? 0 : 1);
    const starts = [...graph.nodes].sort(
      (a, b) =>
        rank(a) - rank(b) ||
        (rank(a) ? 0 : (front.get(a.id) || 0) - (front.get(b.id) || 0)) ||
        uncaused(b) - uncaused(a) ||
        (into.get(a.id) || 0) - (into.get(b.id) || 0),
    );
    const done = new Set(),
      path = new Set(),
      back = new Set();
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

  function run(graph, back, label, rankdir, nodesep) {
    const g = new window.dagre.graphlib.Graph({ multigraph: true });
    g.setGraph({ rankdir, nodesep, ranksep: rankdir === "LR" ? 34 : 26, edgesep: 14, marginx: 16, marginy: 16 });
    for (const node of graph.nodes) g.setNode(node.id, { width: WIDTH, height: HEIGHT + (node.findings ? FOOT : 0) });
    const drawn = [];
    for (const edge of graph.edges) {
      if (!g.hasNode(edge.source) || !g.hasNode(edge.target)) continue;
      const turned = back.has(edge),
        name = `${edge.protocol}${turned}`;
      const ends = turned ? [edge.target, edge.source] : [edge.source, edge.target];
      g.setEdge(...ends, { width: 14 + 6 * label(edge).length, height: 14, labelpos: "c" }, name);
      drawn.push([edge, ends, name, turned]);
    }
    window.dagre.layout(g);
    return { g, drawn };
  }

  /* → {width, height, node(id) → {x, y}, edges: [[edge, {x, y, points}]]}. A small graph that leaves
     the pane empty on two sides is given more room between its cards. */
  sl.mapLayout = (graph, label, pane) => {
    const back = backEdges(graph),
      few = graph.nodes.length <= FEW;
    const scale = ({ g }) => Math.max(g.graph().width / pane.width, g.graph().height / pane.height);
    let best = run(graph, back, label, "LR", GAP),
      direction = "LR";
    if (few && scale(best) > 1) {
      const down = run(graph, back, label, "TB", GAP);
      if (scale(down) < scale(best)) [best, direction] = [down, "TB"];
    }
    if (few) {
      const across = direction === "LR" ? "height" : "width",
        along = direction === "LR" ? "x" : "y";
      const spare = 0.85 * pane[across] * Math.max(1, scale(best)) - best.g.graph()[across];
      const layers = new Map();
      for (const node of graph.nodes) {
        const at = Math.round(best.g.node(node.id)[along]);
        layers.set(at, (layers.get(at) || 0) + 1);
      }
      const most = Math.max(...layers.values());
      if (most > 1 && spare > 40) {
        const airy = run(graph, back, label, direction, Math.min(MOST_GAP, GAP + spare / most));
        if (scale(airy) <= Math.max(1, scale(best)) * 1.01) best = airy;
      }
    }
    return {
      width: best.g.graph().width,
      height: best.g.graph().height,
      node: (id) => best.g.node(id),
      edges: best.drawn.map(([edge, ends, name, turned]) => {
        const at = best.g.edge(...ends, name);
        return [edge, turned ? { ...at, points: [...at.points].reverse() } : at];
      }),
    };
  };

  sl.mapCurve = (points) => {
    if (points.length < 3) return points.map((p, i) => `${i ? "L" : "M"}${p.x} ${p.y}`).join("");
    let path = `M${points[0].x} ${points[0].y}`;
    for (let i = 1; i < points.length - 1; i++) {
      const end =
        i === points.length - 2
          ? points[i + 1]
          : { x: (points[i].x + points[i + 1].x) / 2, y: (points[i].y + points[i + 1].y) / 2 };
      path += `Q${points[i].x} ${points[i].y} ${end.x} ${end.y}`;
    }
    return path;
  };

  /* Everything upstream or downstream of a node. */
  sl.mapRelated = (graph, id) => {
    const found = new Set([id]);
    for (const [from, to] of [
      ["source", "target"],
      ["target", "source"],
    ]) {
      const next = new Map();
      for (const edge of graph.edges) {
        if (!next.has(edge[from])) next.set(edge[from], []);
        next.get(edge[from]).push(edge[to]);
      }
      const work = [id],
        seen = new Set([id]);
      while (work.length)
        for (const other of next.get(work.pop()) || [])
          if (!seen.has(other)) {
            seen.add(other);
            found.add(other);
            work.push(other);
          }
    }
    return found;
  };

  /* Wheel zooms at the pointer, dragging pans. `whole()` is the view of everything, taken again with a
     new size of the pane until somebody moves. `at`: where somebody looked before, as `keep` was told it
     (left~top~width; null: at everything). */
  sl.movable = (svg, whole, { at, keep }) => {
    const view = { ...whole() };
    const [x, y, w] = (at || "").split("~").map(Number);
    let moved = [x, y].every(Number.isFinite) && w > 0,
      telling = null;
    if (moved) Object.assign(view, { x, y, w, h: (w * view.h) / view.w });
    const set = () => svg.setAttribute("viewBox", `${view.x} ${view.y} ${view.w} ${view.h}`);
    function apply() {
      set();
      clearTimeout(telling);
      const told = moved ? [view.x, view.y, view.w].map(Math.round).join("~") : null;
      telling = setTimeout(() => svg.isConnected && keep(told), 150);
    }
    const scale = (factor, px, py) => {
      moved = true;
      view.x = px - (px - view.x) * factor;
      view.y = py - (py - view.y) * factor;
      view.w *= factor;
      view.h *= factor;
      apply();
    };
    const fit = () => {
      Object.assign(view, whole());
      moved = false;
      apply();
    };
    svg.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        const frame = svg.getBoundingClientRect();
        scale(
          Math.exp(event.deltaY * 0.0012),
          view.x + ((event.clientX - frame.left) / frame.width) * view.w,
          view.y + ((event.clientY - frame.top) / frame.height) * view.h,
        );
      },
      { passive: false },
    );
    svg.addEventListener("pointerdown", (event) => {
      if (event.button || event.target.closest(".node")) return;
      const frame = svg.getBoundingClientRect();
      const unit = Math.max(view.w / frame.width, view.h / frame.height);
      let last = event;
      svg.setPointerCapture(event.pointerId);
      const move = (to) => {
        moved = true;
        view.x -= (to.clientX - last.clientX) * unit;
        view.y -= (to.clientY - last.clientY) * unit;
        last = to;
        apply();
      };
      svg.addEventListener("pointermove", move);
      svg.addEventListener("pointerup", () => svg.removeEventListener("pointermove", move), { once: true });
    });
    /* also told of once the map is taken away, with no size at all */
    new ResizeObserver(() => {
      if (!moved && svg.isConnected) fit();
    }).observe(svg);
    set();
    return {
      zoom: (factor) => scale(factor, view.x + view.w / 2, view.y + view.h / 2),
      fit /* life-size, so that what was looked for can be read */,
      center(x, y) {
        moved = true;
        const now = svg.getBoundingClientRect();
        view.w = now.width;
        view.h = now.height;
        view.x = x - view.w / 2;
        view.y = y - view.h / 2;
        apply();
      },
    };
  };
})();
