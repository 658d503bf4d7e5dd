"use strict";
/* What happens, as it happens: one stream while the page can be seen. A hidden page holds none, since
   a browser opens only six connections to one host. */
(() => {
  const sl = window.strayline;
  const NAMES = ["rates", "finding.new", "finding.updated", "finding.retracted"];
  const listeners = new Set();
  let source = null,
    lastId = "",
    retry = null;

  /* `live({ rates(data) {…}, "finding.new"(data) {…} })` until the page is left. */
  sl.live = (handlers) => {
    listeners.add(handlers);
    sl.onLeave(() => listeners.delete(handlers));
  };
  function tell(name, event) {
    if (event.lastEventId) lastId = event.lastEventId;
    const data = JSON.parse(event.data);
    if (name === "rates") sl.connection(data.problem ? "refusing" : "here", data.problem);
    for (const handlers of [...listeners]) if (handlers[name]) handlers[name](data);
  }
  function open() {
    clearTimeout(retry);
    if (source || document.hidden) return;
    source = new EventSource("/live");
    for (const name of ["here", "away", "locked"]) source.addEventListener(name, () => sl.connection(name));
    source.addEventListener("full", () => sl.connection("here"));
    for (const name of NAMES) source.addEventListener(name, (event) => tell(name, event));
    source.addEventListener("error", () => {
      sl.connection("gone");
      if (source && source.readyState === EventSource.CLOSED) {
        close();
        retry = setTimeout(open, 2000);
      }
    });
  }
  function close() {
    if (source) source.close();
    source = null;
  }
  document.addEventListener("visibilitychange", () =>
    document.hidden ? close() : (open(), listeners.size && sl.refresh()),
  );
  window.addEventListener("pagehide", close);
  open();
})();
