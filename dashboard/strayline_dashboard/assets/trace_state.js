"use strict";
/* What is looked at in a trace, kept in the URL: span, view, zoom, folds, find, clocks. */
(() => {
  const sl = window.strayline;
  const NAMES = ["span", "view", "zoom", "level", "fold", "find", "clock", "stitch", "path", "sort", "from", "frame"];
  const KEPT_FOLDS = 60;

  const read = () => {
    const params = new URLSearchParams(location.search);
    return Object.fromEntries(NAMES.map((name) => [name, params.get(name)]));
  };

  /* `push`: a place to come back to; otherwise the current one changes. Dash hears of neither, so
     nothing is asked again; it does hear when one comes back. */
  sl.traceState = () => {
    const state = {
      ...read(),
      set(change, push) {
        Object.assign(state, change);
        const target = sl.url(location.pathname, Object.fromEntries(NAMES.map((name) => [name, state[name]])));
        if (target === location.pathname + location.search) return;
        history[push ? "pushState" : "replaceState"](history.state, "", target);
      },
      reread: () => Object.assign(state, read()),
      zoomed(total) {
        const [from, to] = (state.zoom || "").split("-").map(Number);
        return Number.isFinite(from) && Number.isFinite(to) && from >= 0 && to > from && from < total
          ? [from, Math.min(to, total)]
          : [0, total];
      },
      setZoom(from, to, total, push) {
        const least = Math.max(0, Math.floor(from)),
          most = Math.min(total, Math.ceil(to));
        state.set({ zoom: least <= 0 && most >= total ? null : `${least}-${Math.max(least + 1, most)}` }, push);
      },
    };
    return state;
  };

  /* Folds are a level below which all is folded, and the spans that differ from it. */
  sl.traceFolds = (model, state) => {
    let level = Infinity,
      differs = new Set();
    const readIn = () => {
      level = state.level && Number(state.level) >= 1 ? Number(state.level) : Infinity;
      differs = new Set(
        (state.fold || "")
          .split(",")
          .filter(Boolean)
          .map((id) => model.find(id))
          .filter((at) => at >= 0),
      );
    };
    const write = () =>
      state.set({
        level: level === Infinity ? null : level,
        fold: [...differs].slice(-KEPT_FOLDS).map(model.id).join(",") || null,
      });
    const folded = (i) => model.kids[i] > 0 && model.depth[i] >= level - 1 !== differs.has(i);
    readIn();
    return {
      folded,
      readIn,
      toggle(i) {
        if (!differs.delete(i)) differs.add(i);
        write();
      },
      /* opens whatever hides a span */
      reveal(i) {
        let changed = false;
        for (let up = model.parent[i]; up >= 0; up = model.parent[up])
          if (folded(up)) {
            if (!differs.delete(up)) differs.add(up);
            changed = true;
          }
        if (changed) write();
        return changed;
      },
      all(open) {
        level = open ? Infinity : 1;
        differs.clear();
        write();
      },
      step(by) {
        level = Math.max(1, Math.min(level, model.deepest + 1) + by);
        if (level > model.deepest) level = Infinity;
        differs.clear();
        write();
      },
    };
  };
})();
