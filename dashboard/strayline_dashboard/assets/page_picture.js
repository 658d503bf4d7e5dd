"use strict";
/* Any page taken along: its link, its picture as it is seen, or on paper. A picture holds the page's own
   elements, with the styles and fonts that they are drawn with. */
(() => {
  const sl = window.strayline;
  const { h, s } = sl;

  async function dataAddress(address) {
    const blob = await (await fetch(address)).blob();
    return new Promise((done) => {
      const reader = new FileReader();
      reader.onload = () => done(reader.result);
      reader.readAsDataURL(blob);
    });
  }
  /* Every rule that holds here and now: a file has another width and no font beside it. */
  async function styles() {
    const told = [];
    async function add(rules, base) {
      for (const rule of rules)
        if (rule instanceof CSSMediaRule) {
          if (matchMedia(rule.conditionText).matches) await add(rule.cssRules, base);
        } else if (rule instanceof CSSFontFaceRule) {
          const [whole, address] = /url\("?([^")]+)"?\)/.exec(rule.cssText);
          told.push(rule.cssText.replace(whole, `url("${await dataAddress(new URL(address, base))}")`));
        } else told.push(rule.cssText);
    }
    for (const sheet of document.styleSheets) await add(sheet.cssRules, sheet.href || location.href);
    told.push("* { scrollbar-width: none; }");
    return told.join("\n");
  }
  /* A copy shows what was typed, chosen, painted and scrolled to, which elements alone do not say. */
  function alike(from, to) {
    if (from instanceof HTMLCanvasElement) {
      const { width, height } = from.getBoundingClientRect();
      return to.replaceWith(h("img", { src: from.toDataURL(), width, height, alt: "" }));
    }
    if (from instanceof HTMLInputElement) {
      to.setAttribute("value", from.value);
      to.toggleAttribute("checked", from.checked);
    }
    if (from instanceof HTMLTextAreaElement) to.textContent = from.value;
    if (from instanceof HTMLOptionElement) to.toggleAttribute("selected", from.selected);
    const inner = [...from.children],
      twins = [...to.children];
    inner.forEach((node, i) => alike(node, twins[i]));
    if (from.scrollTop && to.firstElementChild) to.firstElementChild.style.marginTop = `-${from.scrollTop}px`;
    if (from.scrollLeft && to.firstElementChild) to.firstElementChild.style.marginLeft = `-${from.scrollLeft}px`;
  }
  async function picture() {
    const page = document.getElementById("page"),
      { width, height } = page.getBoundingClientRect();
    const twin = page.cloneNode(true);
    alike(page, twin);
    const svg = s(
      "svg",
      { width, height, viewBox: `0 0 ${width} ${height}`, "data-theme": document.documentElement.dataset.theme },
      s("style", {}),
      s("foreignObject", { width, height }, h("body", {}, twin)),
    );
    svg.firstChild.textContent = await styles();
    return [sl.svgText(svg), { width, height }];
  }
  const name = () => `strayline-${document.getElementById("page").dataset.page}`;
  async function save(how) {
    try {
      const [text, size] = await picture();
      await how(text, name(), size);
    } catch (error) {
      sl.say(`The picture could not be made: ${error.message}`);
    }
  }
  /* Paper is light. */
  let before = null;
  window.addEventListener("beforeprint", () => {
    before = document.documentElement.dataset.theme;
    document.documentElement.dataset.theme = "light";
  });
  window.addEventListener("afterprint", () => (document.documentElement.dataset.theme = before));

  sl.TAKE = [
    ["Copy link", () => sl.copy(location.href)],
    ["Save as SVG", () => save(sl.saveSvgText)],
    ["Save as PNG", () => save(sl.savePngText)],
    ["Print", () => window.print()],
  ];
  sl.takeMenu = () => sl.menu("Share", "This page: its link, its picture, on paper", sl.TAKE, { id: "take" });
})();
