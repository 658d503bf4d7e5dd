"use strict";
/* The first view of a trace: waterfall (waterfall.js) and minimap together, and the arrow keys in it. */
(() => {
  const sl = window.strayline;
  const { h } = sl;

  (sl.traceViews = sl.traceViews || {}).waterfall = (look) => {
    const fall = sl.waterfall(look);
    const mini = sl.minimap({
      model: look.model,
      zoom: look.zoom,
      setZoom: (from, to) => look.setZoom(from, to, true),
    });
    fall.list.addEventListener("keydown", (event) => {
      const i = look.selected(),
        { folds, model } = look;
      const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 20, PageUp: -20, Home: -Infinity, End: Infinity };
      if (event.metaKey || event.ctrlKey || event.altKey) return;
      if (event.key in steps)
        look.move(Number.isFinite(steps[event.key]) ? steps[event.key] : Math.sign(steps[event.key]) * 1e9);
      else if (event.key === "ArrowLeft" && i >= 0) {
        if (model.kids[i] && !folds.folded(i)) fall.toggle(i);
        else if (model.parent[i] >= 0) look.pick(model.parent[i], "key");
      } else if (event.key === "ArrowRight" && i >= 0) {
        if (folds.folded(i)) fall.toggle(i);
        else if (model.kids[i]) look.pick(i + 1, "key");
      } else if (event.key === "Enter" && i >= 0 && model.kids[i]) fall.toggle(i);
      else return;
      event.preventDefault();
    });
    return {
      ...fall,
      node: h("div", { class: "pane stage" }, mini.node, fall.node),
      layout() {
        fall.layout();
        mini.frame();
      },
      redraw() {
        fall.redraw();
        mini.frame();
      },
      picture: () => sl.waterfallPicture(look, fall.rows(), fall.range()[0]),
    };
  };
})();
