"use strict";
/* Panes whose width is dragged: the width is a CSS variable of their frame and is remembered. */
(() => {
  const sl = window.strayline;

  /* `pane()` is what is as wide as the variable says; from: 1 where it lies left of its grip, else -1. */
  sl.resizable = (grip, frame, variable, { pane, least, most, from, kept }) => {
    const stored = Number(localStorage.getItem(kept));
    const set = (px) => {
      const width = Math.round(Math.min(most, Math.max(least, px)));
      frame.style.setProperty(variable, `${width}px`);
      grip.setAttribute("aria-valuenow", width);
      return width;
    };
    grip.setAttribute("aria-valuenow", stored || least);
    if (stored) set(stored);
    grip.tabIndex = 0;
    grip.setAttribute("aria-valuemin", least);
    grip.setAttribute("aria-valuemax", most);
    grip.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -16, ArrowRight: 16 }[event.key];
      if (!by) return;
      event.preventDefault();
      event.stopPropagation();
      localStorage.setItem(kept, set(pane().getBoundingClientRect().width + from * by));
    });
    grip.addEventListener("pointerdown", (down) => {
      down.preventDefault();
      down.stopPropagation();
      grip.setPointerCapture(down.pointerId);
      const before = pane().getBoundingClientRect().width;
      let width = before;
      const move = (event) => {
        width = set(before + from * (event.clientX - down.clientX));
      };
      grip.addEventListener("pointermove", move);
      grip.addEventListener(
        "pointerup",
        () => {
          grip.removeEventListener("pointermove", move);
          localStorage.setItem(kept, width);
        },
        { once: true },
      );
    });
  };
})();
