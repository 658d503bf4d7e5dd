"use strict";
/* A page of the documentation: as much Markdown as it is written in, as elements, never as markup. */
(() => {
  const sl = window.strayline;
  const { h } = sl;

  /* Where a link of a page leads: other pages here, everything else as text. */
  function target(href, name) {
    if (/^(https?:|mailto:)/.test(href)) return null;
    const [path, anchor] = href.split("#");
    if (!path) return `#${anchor}`;
    const place = new URL(path, `http://docs/${name}`).pathname.slice(1);
    return place.endsWith(".md") ? `/docs/${place.slice(0, -3)}` : null;
  }
  const INLINE = /`([^`]+)`|\*\*([^*]+)\*\*|\*([^*\s][^*]*)\*|\[([^\]]+)\]\(([^)]+)\)/;
  function inline(text, name) {
    const parts = [];
    let rest = text;
    for (let m = INLINE.exec(rest); m; m = INLINE.exec(rest)) {
      parts.push(rest.slice(0, m.index));
      if (m[1]) parts.push(h("code", {}, m[1]));
      else if (m[2]) parts.push(h("b", {}, inline(m[2], name)));
      else if (m[3]) parts.push(h("em", {}, inline(m[3], name)));
      else {
        const to = target(m[5], name);
        parts.push(to ? h("a", { class: "link-text", href: to }, inline(m[4], name)) : inline(m[4], name));
      }
      rest = rest.slice(m.index + m[0].length);
    }
    return [...parts, rest];
  }
  const cells = (line) =>
    line
      .trim()
      .replace(/^\||\|$/g, "")
      .split(/(?<!\\)\|/)
      .map((c) => c.trim().replaceAll("\\|", "|"));
  const anchor = (text) =>
    text
      .toLowerCase()
      .replace(/[^\w\- ]/g, "")
      .trim()
      .replaceAll(" ", "-");

  function blocks(text, name) {
    const lines = text.split("\n"),
      found = [];
    const more = (test) => {
      const taken = [];
      while (lines.length && test(lines[0])) taken.push(lines.shift());
      return taken;
    };
    while (lines.length) {
      const line = lines[0];
      const head = /^(#{1,4}) (.*)/.exec(line);
      /* pictures are for the site: they would be of this very dashboard */
      if (!line.trim() || line.startsWith("![")) lines.shift();
      else if (head) {
        lines.shift();
        found.push(h(`h${head[1].length}`, { id: anchor(head[2]) }, inline(head[2], name)));
      } else if (line.startsWith("```")) {
        lines.shift();
        found.push(h("pre", {}, more((l) => !l.startsWith("```")).join("\n")));
        lines.shift();
      } else if (line.startsWith("    "))
        found.push(
          h(
            "pre",
            {},
            more((l) => l.startsWith("    ") || !l.trim())
              .map((l) => l.slice(4))
              .join("\n")
              .trimEnd(),
          ),
        );
      else if (line.startsWith("|")) {
        const [first, , ...rows] = more((l) => l.startsWith("|")).map(cells);
        found.push(
          h(
            "div",
            { class: "wide" },
            h(
              "table",
              {},
              h(
                "thead",
                {},
                h(
                  "tr",
                  {},
                  first.map((c) => h("th", {}, inline(c, name))),
                ),
              ),
              h(
                "tbody",
                {},
                rows.map((r) =>
                  h(
                    "tr",
                    {},
                    r.map((c) => h("td", {}, inline(c, name))),
                  ),
                ),
              ),
            ),
          ),
        );
      } else if (/^(- |\d+\. )/.test(line)) {
        const items = more((l) => /^(- |\d+\. |\s+\S)/.test(l))
          .join("\n")
          .split(/\n(?=- |\d+\. )/);
        found.push(
          h(
            /^\d/.test(line) ? "ol" : "ul",
            {},
            items.map((item) => h("li", {}, inline(item.replace(/^(- |\d+\. )/, "").replace(/\s*\n\s*/g, " "), name))),
          ),
        );
      } else
        found.push(h("p", {}, inline(more((l) => l.trim() && !/^(#{1,4} |```|\||- |\d+\. )/.test(l)).join(" "), name)));
    }
    return found;
  }

  sl.pages.docs = (root, data) => {
    sl.put(
      root,
      h("div", { class: "body scroll docs", tabindex: "0" }, h("article", {}, blocks(data.text, data.name))),
    );
  };
})();
