"use strict";
/* One trace: asked for, put together from find, the view that was chosen and the pane of the selected span; its keys. */
(() => {
  const sl = window.strayline;
  const { h } = sl;
  const VIEWS = [
    ["waterfall", "Waterfall"],
    ["flame", "Flame"],
    ["sequence", "Sequence"],
    ["table", "Table"],
    ["messages", "Messages"],
  ];
  const AGAIN_MS = 3000;
  let current = null;

  const idOf = (path) => (/^\/trace\/([0-9a-f]{32})\/?$/i.exec(path) || [])[1];
  const asked = () => {
    const params = new URLSearchParams(location.search);
    return {
      stitch: params.get("stitch") === "false" ? "false" : "true",
      clock: params.get("clock") === "corrected" ? "corrected" : null,
    };
  };
  const question = (id, { stitch, clock }) => sl.url(`/traces/${id.toLowerCase()}/outline`, { stitch, clock });

  /* On a first visit the trace is asked for while the page's frame is still being made. */
  let early = null;
  if (idOf(location.pathname)) {
    const path = question(idOf(location.pathname), asked());
    early = { path, answer: sl.ask(path) };
    early.answer.catch(() => {});
  }
  function ask(path) {
    const first = early && early.path === path ? early.answer : sl.ask(path);
    early = null;
    return first;
  }

  const views = (sl.traceViews = sl.traceViews || {});

  function build(root, model, state) {
    const { outline } = model;
    const folds = sl.traceFolds(model, state);
    let selected = -1,
      view = null,
      panel = null,
      drawn = "",
      critical = localStorage.getItem("strayline.critical") !== "off";
    const stage = h("div", { class: "stage-box" });
    const tabs = h("div", { class: "tabs", role: "group", "aria-label": "View" });
    const grip = h("div", {
      class: "grip between",
      role: "separator",
      "aria-orientation": "vertical",
      "aria-label": "Width of the span pane",
      title: "Drag to resize",
    });
    const name = () => (views[state.view] ? state.view : "waterfall");

    const look = {
      model,
      state,
      folds,
      zoom: () => state.zoomed(model.total),
      setZoom(from, to, push) {
        state.setZoom(from, to, model.total, push);
        view.redraw();
      },
      needle: () => find.needle(),
      isHit: (i) => find.isHit(i),
      selected: () => selected,
      critical: () => critical,
      /* how: click | key | find | jump | url. A jump is a place to come back from. */
      pick(i, how) {
        if (i < 0) return close();
        const moved = i !== selected;
        selected = i;
        if (how !== "url") state.set({ span: model.id(i) }, how === "jump" && moved);
        if (moved || !panel) side();
        if (view.reveal) view.reveal(i, how !== "key" && how !== "click");
        find.tell();
      },
      move(by) {
        if (name() === "waterfall") look.pick(view.beside(selected, by), "key");
        else look.pick(Math.min(model.n - 1, Math.max(0, selected + by)), "key");
      },
      show(next) {
        state.set({ view: next === "waterfall" ? null : next }, true);
        change();
      },
    };
    function close() {
      selected = -1;
      state.set({ span: null });
      side();
      view.redraw();
      find.tell();
    }
    function side() {
      if (panel) {
        panel.drop();
        panel.node.remove();
      }
      panel = sl.tracePane(model, selected, look.pick, close);
      frame.append(panel.node);
    }
    function change() {
      for (const button of tabs.children) button.setAttribute("aria-pressed", String(button.dataset.view === name()));
      drawn = name();
      view = views[drawn](look);
      stage.replaceChildren(view.node);
      view.layout();
      if (selected >= 0 && view.reveal) view.reveal(selected, true);
      saver.hidden = !view.picture;
    }
    const find = sl.findInTrace({
      model,
      state,
      changed: () => view && view.redraw(),
      pick: look.pick,
      selected: () => selected,
      leave: () => view.focus && view.focus(),
    });
    tabs.append(
      ...VIEWS.map(([value, label]) =>
        h(
          "button",
          { type: "button", "data-view": value, "aria-pressed": "false", onclick: () => look.show(value) },
          label,
        ),
      ),
    );
    const frame = h("div", { class: "body trace" }, stage, grip);
    sl.resizable(grip, frame, "--side", {
      pane: () => panel.node,
      least: 240,
      most: 760,
      from: -1,
      kept: "strayline.side",
    });

    const saver = sl.pictureMenu(
      () => view.picture && view.picture(),
      () => `trace-${outline.trace_id.slice(0, 8)}-${name()}`,
    );
    const check = h("input", {
      type: "checkbox",
      id: "critical",
      checked: critical,
      onchange: () => {
        critical = check.checked;
        localStorage.setItem("strayline.critical", critical ? "on" : "off");
        view.redraw();
      },
    });
    sl.put(
      root,
      sl.traceHead({ model, state, saver, nextError }),
      h(
        "div",
        { class: "bar" },
        find.node,
        tabs,
        h("label", { class: "quiet check" }, check, " Critical path"),
        sl.clockButton(outline, reask),
        h("span", { class: "grow" }),
        sl.linkedButton(outline, state, reask),
      ),
      frame,
    );

    function nextError() {
      for (let step = 1; step <= model.n; step++) {
        const i = (Math.max(-1, selected) + step) % model.n;
        if (model.failed(i)) return look.pick(i, "find");
      }
    }
    function reask(change) {
      state.set(change, true);
      load(root, outline.trace_id);
    }

    function restore() {
      state.reread();
      folds.readIn();
      const at = state.span ? model.find(state.span) : -1;
      if (view && drawn === name()) view.layout();
      else change();
      find.restore();
      if (at >= 0) look.pick(at, "url");
      else if (selected >= 0 || !panel) {
        selected = -1;
        side();
        view.redraw();
      }
    }
    side();
    change();
    restore();
    if (view.focus) view.focus();
    return {
      root,
      look,
      restore,
      close,
      view: () => view,
      find,
      fold(run) {
        run(folds);
        view.layout();
        if (selected >= 0 && view.beside && !folds.folded(selected)) view.redraw();
      },
      pan(part) {
        const [from, to] = look.zoom(),
          wide = to - from,
          by = Math.max(-from, Math.min(model.total - to, part * wide));
        look.setZoom(from + by, to + by);
      },
      scale(factor) {
        const [from, to] = look.zoom(),
          wide = Math.min(model.total, Math.max(1, (to - from) * factor));
        const middle =
          selected >= 0 && factor < 1
            ? Math.min(to, Math.max(from, model.start[selected] + model.length[selected] / 2))
            : (from + to) / 2;
        const begin = Math.max(0, Math.min(model.total - wide, middle - wide / 2));
        look.setZoom(begin, begin + wide);
      },
      nextError,
    };
  }

  function problem(root, title, words, ...more) {
    sl.put(
      root,
      h("div", { class: "empty" }, h("h1", {}, title), h("p", { class: "quiet wrap", role: "alert" }, words), ...more),
    );
  }
  function load(root, id) {
    const want = asked(),
      key = `${id} ${want.stitch} ${want.clock}`;
    current = { key, root };
    const mine = current,
      here = sl.here();
    root.setAttribute("aria-busy", "true");
    if (!root.querySelector(".trace, .empty"))
      sl.put(root, h("div", { class: "pad quiet", id: "loading" }, "Reading the trace…"));
    return ask(question(id, want))
      .then(
        (outline) => {
          if (current !== mine || !here()) return;
          Object.assign(mine, build(root, sl.traceModel(outline), sl.traceState()));
          document.title = `${outline.services[0] || "Trace"} ${outline.names[0] || ""} · Strayline`.slice(0, 200);
        },
        (error) => {
          if (current !== mine || !here()) return;
          current = null;
          if (error.status === 404)
            problem(
              root,
              "No such trace",
              `Nothing stored bears the id ${id}. It may be older than what is kept, or its spans may not have come yet.`,
              h("p", {}, h("a", { class: "button", href: "/traces" }, "Search traces")),
            );
          else
            problem(
              root,
              error.status ? "The trace cannot be shown" : "The collector is away",
              error.message,
              error.status ? null : h("p", { class: "quiet" }, "This page comes by itself when it is back."),
            );
          if (error.status && error.status !== 404) return;
          const timer = setTimeout(() => load(root, id), AGAIN_MS);
          sl.onLeave(() => clearTimeout(timer));
        },
      )
      .finally(() => root.removeAttribute("aria-busy"));
  }

  sl.pages.trace = (root) => {
    const id = idOf(location.pathname);
    if (!id)
      return problem(
        root,
        "No such trace",
        "A trace's id is 32 hexadecimal digits.",
        h("p", {}, h("a", { class: "button", href: "/traces" }, "Search traces")),
      );
    const want = asked();
    if (
      current &&
      current.restore &&
      current.root.querySelector(".body.trace") &&
      current.key === `${id} ${want.stitch} ${want.clock}`
    )
      return current.restore();
    load(root, id);
  };
  /* Dash does not hear of what only this page looks at, so it hears nothing when one comes back. */
  window.addEventListener("popstate", () => {
    const id = idOf(location.pathname);
    if (!id || !current || !current.root.querySelector(".body.trace")) return;
    delete document.getElementById("shell").dataset.loading;
    const want = asked();
    if (current.key === `${id} ${want.stitch} ${want.clock}`) current.restore && current.restore();
    else if (current.key.startsWith(id)) load(current.root, id);
  });

  const on = (run) => () => {
    if (current && current.restore) run(current);
  };
  const inFall = (run) =>
    on((page) => {
      if (page.look.state.view === null || page.look.state.view === "waterfall") run(page);
    });
  sl.keys.page("trace", [
    ["j", "Next span", on((page) => page.look.move(1))],
    ["k", "Previous span", on((page) => page.look.move(-1))],
    ["f", "Half a page down", inFall((page) => page.view().page(0.5))],
    ["b", "Half a page up", inFall((page) => page.view().page(-0.5))],
    ["s", "A page down", inFall((page) => page.view().page(1))],
    ["w", "A page up", inFall((page) => page.view().page(-1))],
    ["a", "Pan left", on((page) => page.pan(-0.2))],
    ["d", "Pan right", on((page) => page.pan(0.2))],
    ["+ or =", "Zoom in", on((page) => page.scale(0.5))],
    ["-", "Zoom out", on((page) => page.scale(2))],
    ["0", "The whole trace", on((page) => page.look.setZoom(0, page.look.model.total, true))],
    ["[", "Unfold all", inFall((page) => page.fold((folds) => folds.all(true)))],
    ["]", "Fold all", inFall((page) => page.fold((folds) => folds.all(false)))],
    ["o", "Unfold one level", inFall((page) => page.fold((folds) => folds.step(1)))],
    ["p", "Fold one level", inFall((page) => page.fold((folds) => folds.step(-1)))],
    ["e", "Next error", on((page) => page.nextError())],
    ["n", "Next match", on((page) => page.find.step(1))],
    ["N", "Previous match", on((page) => page.find.step(-1))],
    ...VIEWS.map(([value, label], i) => [String(i + 1), label, on((page) => page.look.show(value))]),
    ["Enter", "Fold or unfold the span"],
    [
      "Escape",
      "Clear find, then the selection",
      on((page) => {
        if (!page.find.clear()) page.close();
      }),
    ],
  ]);
})();
