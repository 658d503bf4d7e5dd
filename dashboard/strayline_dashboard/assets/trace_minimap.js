"use strict";
/* The whole trace in 48 pixels: drag over a part to zoom to it, double-click for all of it. */
(() => {
  const sl = window.strayline;
  const { h } = sl;
  const HEIGHT = 48,
    LEAST_PX = 4;

  sl.minimap = ({ model, zoom, setZoom }) => {
    const canvas = h("canvas", {
      class: "mini",
      role: "img",
      "aria-label": "Overview of the trace: drag to zoom, double-click for all of it",
    });
    const before = h("i", { class: "mini-off" }),
      after = h("i", { class: "mini-off" }),
      brush = h("i", { class: "mini-brush", hidden: true });
    const node = h(
      "div",
      { class: "mini-box", title: "Drag to zoom, double-click for all" },
      canvas,
      before,
      after,
      brush,
    );

    function paint() {
      const width = node.clientWidth || 800,
        ratio = window.devicePixelRatio || 1;
      canvas.width = width * ratio;
      canvas.height = HEIGHT * ratio;
      const pen = canvas.getContext("2d");
      pen.scale(ratio, ratio);
      const tall = Math.max(1, Math.min(3, (HEIGHT - 6) / model.n));
      const error = getComputedStyle(node).getPropertyValue("--error");
      const colours = model.outline.services.map((name) => sl.colour(name));
      /* of spans that fall on the same pixels one is drawn: 100,000 look like 10,000 */
      const taken = new Set();
      for (let i = 0; i < model.n; i++) {
        const x = (model.start[i] / model.total) * width,
          wide = Math.max(1.5, (model.length[i] / model.total) * width);
        const y = 3 + (i / model.n) * (HEIGHT - 6);
        const key = (Math.round(y) * 8192 + Math.round(x)) * 8192 + Math.round(wide);
        if (taken.has(key) && !model.failed(i)) continue;
        taken.add(key);
        pen.fillStyle = model.failed(i) ? error : colours[model.serviceAt(i)];
        pen.fillRect(x, y, wide, tall);
      }
    }

    function frame() {
      const [from, to] = zoom();
      before.style.width = `${(from / model.total) * 100}%`;
      after.style.width = `${(1 - to / model.total) * 100}%`;
      after.style.left = `${(to / model.total) * 100}%`;
    }

    node.addEventListener("pointerdown", (down) => {
      if (down.button) return;
      const box = node.getBoundingClientRect();
      const place = (event) => Math.min(box.width, Math.max(0, event.clientX - box.left));
      const begin = place(down);
      node.setPointerCapture(down.pointerId);
      const move = (event) => {
        const here = place(event);
        brush.hidden = Math.abs(here - begin) < LEAST_PX;
        brush.style.left = `${Math.min(begin, here)}px`;
        brush.style.width = `${Math.abs(here - begin)}px`;
      };
      const end = (event) => {
        node.removeEventListener("pointermove", move);
        brush.hidden = true;
        const here = place(event);
        if (event.type === "pointerup" && Math.abs(here - begin) >= LEAST_PX)
          setZoom((Math.min(begin, here) / box.width) * model.total, (Math.max(begin, here) / box.width) * model.total);
      };
      node.addEventListener("pointermove", move);
      node.addEventListener("pointerup", end, { once: true });
      node.addEventListener("pointercancel", end, { once: true });
    });
    node.addEventListener("dblclick", () => setZoom(0, model.total));
    let width = 0;
    new ResizeObserver(() => {
      if (node.clientWidth !== width) {
        width = node.clientWidth;
        paint();
      }
    }).observe(node);
    return { node, paint, frame };
  };
})();
