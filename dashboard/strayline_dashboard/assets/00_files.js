"use strict";
/* What leaves the page: copies, downloads, drawings as files. */
(() => {
  const sl = window.strayline;
  const { h } = sl;

  function copy(text, button) {
    const done = () => {
      if (!button) return sl.say("Copied");
      const before = button.textContent;
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = before), 1200);
    };
    if (navigator.clipboard)
      return navigator.clipboard.writeText(text).then(done, () => sl.say("The browser does not let pages copy here"));
    /* a page without TLS on another host has no clipboard; a selection can still be copied */
    const area = h("textarea", { class: "offscreen", "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    return Promise.resolve(done());
  }
  const copyButton = (text, label) =>
    h(
      "button",
      {
        class: "button small",
        type: "button",
        onclick: (event) => {
          event.stopPropagation();
          copy(typeof text === "function" ? text() : text, event.currentTarget);
        },
      },
      label || "Copy",
    );
  function download(name, blob) {
    const link = h("a", { download: name, href: URL.createObjectURL(blob) });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }
  const save = (name, value) =>
    download(name, new Blob([JSON.stringify(value, null, 1)], { type: "application/json" }));
  /* A drawing as a file of its own: the styles that make it are written into it. */
  const DRAWN = [
    "fill",
    "stroke",
    "stroke-width",
    "stroke-dasharray",
    "opacity",
    "font-size",
    "font-weight",
    "font-family",
    "text-anchor",
  ];
  function alone(svg) {
    const twin = svg.cloneNode(true);
    const from = [svg, ...svg.querySelectorAll("*")],
      to = [twin, ...twin.querySelectorAll("*")];
    from.forEach((node, i) => {
      const style = getComputedStyle(node);
      for (const name of DRAWN) to[i].style.setProperty(name, style.getPropertyValue(name));
    });
    const { width, height } = svg.getBoundingClientRect();
    twin.setAttribute("xmlns", svg.namespaceURI);
    twin.setAttribute("width", Math.round(width));
    twin.setAttribute("height", Math.round(height));
    twin.style.background = getComputedStyle(document.documentElement).getPropertyValue("--pane");
    return svgText(twin);
  }
  /* What XML cannot hold is left out: one such character would make the whole file unreadable. */
  const svgText = (svg) =>
    new XMLSerializer().serializeToString(svg).replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "");
  const saveSvgText = (text, name) => download(`${name}.svg`, new Blob([text], { type: "image/svg+xml" }));
  /* As large as it is seen, twice as fine. A data address, since a canvas that was painted from another
     one with elements in it cannot be read. */
  async function savePngText(text, name, { width, height }) {
    const image = new Image();
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
    await image.decode();
    const canvas = h("canvas", { width: Math.round(width * 2), height: Math.round(height * 2) });
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    canvas.toBlob((blob) => download(`${name}.png`, blob));
  }
  const saveSvg = (svg, name) => saveSvgText(alone(svg), name);
  const savePng = (svg, name) => savePngText(alone(svg), name, svg.getBoundingClientRect());

  Object.assign(sl, { copy, copyButton, download, save, saveSvg, savePng, svgText, saveSvgText, savePngText });
})();
