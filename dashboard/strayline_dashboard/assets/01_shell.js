"use strict";
/* Navigation, theme, connection, and which renderer draws what arrived. */
(() => {
  const sl = window.strayline;
  const { h } = sl;
  let shown = null;

  function theme(choice) {
    const wanted = choice || localStorage.getItem("strayline.theme") || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    document.documentElement.dataset.theme = wanted;
    if (choice) localStorage.setItem("strayline.theme", choice);
  }
  theme();

  const SECTION = { trace: "traces", queue: "queues", message: "findings" };
  function nav(envelope) {
    const root = document.getElementById("nav");
    const current = SECTION[envelope.page] || envelope.page;
    if (!root.childElementCount) {
      const items = [["/", "overview", "Overview"], ["/map", "map", "Map"], ["/traces", "traces", "Traces"], ["/findings", "findings", "Findings"], ["/queues", "queues", "Queues"]];
      root.append(
        h("a", { class: "brand", href: "/" }, h("img", { src: "/assets/favicon.svg", alt: "" }), "Strayline"),
        ...items.map(([href, name, label]) => h("a", { class: "item", href, "data-name": name }, label)),
        h("div", { class: "foot" },
          h("div", { id: "connection", role: "status" }),
          h("button", { class: "button", id: "theme", onclick: () => theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark") }, "Light or dark")));
    }
    for (const item of root.querySelectorAll("a.item"))
      if (item.dataset.name === current) item.setAttribute("aria-current", "page");
      else item.removeAttribute("aria-current");
    const state = document.getElementById("connection");
    const text = envelope.away ? "Collector away, retrying" : "Connected";
    if (state.dataset.text !== text) {
      state.dataset.text = text;
      state.replaceChildren(h("span", { class: `dot${envelope.away ? " away" : ""}` }), text);
    }
  }

  function failed(root, envelope) {
    sl.put(root, h("div", { class: "empty" }, h("h1", {}, envelope.away ? "The collector is away" : "Nothing to show"), h("p", { class: "quiet", role: "alert" }, envelope.error),
      envelope.away ? h("pre", {}, "strayline up") : h("p", {}, h("a", { class: "button", href: "/" }, "Go to the overview"))));
  }

  sl.pages.missing = (root) => sl.put(root, h("div", { class: "empty" }, h("h1", {}, "No such page"), h("p", {}, h("a", { class: "button", href: "/" }, "Go to the overview"))));

  sl.show = (envelope) => {
    if (!envelope) return null;
    nav(envelope);
    const root = document.getElementById("page");
    const text = JSON.stringify([envelope.page, envelope.path, envelope.search, envelope.data, envelope.error]);
    if (text === shown) return null;
    shown = text;
    document.title = `${envelope.page[0].toUpperCase()}${envelope.page.slice(1)} · Strayline`;
    if (envelope.error) failed(root, envelope);
    else sl.pages[envelope.page](root, envelope.data, envelope.params, envelope);
    root.dataset.page = envelope.page;
    return null;
  };

  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input, textarea, select") || event.metaKey || event.ctrlKey || event.altKey) return;
    if (event.key === "/") {
      const field = document.querySelector("#page input[type=search]");
      if (field) { event.preventDefault(); field.focus(); }
    }
  });
})();
