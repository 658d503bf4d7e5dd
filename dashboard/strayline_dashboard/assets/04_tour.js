"use strict";
/* Four hints for a newcomer, once. Dismissed, they never come back. */
(() => {
  const sl = window.strayline;
  const { h } = sl;
  const KEPT = "strayline.tour";
  const HINTS = [
    [
      "#nav [data-name=findings]",
      "Start with the findings",
      "Each is one broken promise about messages, with the evidence: what was promised, what happened, and which messages show it.",
    ],
    [
      "#nav [data-name=queues]",
      "A queue's order at a glance",
      "Every queue shows who came late, by how many places, and which ways lead into it.",
    ],
    ["#find", "Go anywhere", "⌘K or Ctrl K finds pages, services, queues, findings, and any trace or message id."],
    [
      "#connection",
      "Everything is in the address",
      "Copy the address to share exactly what you see. ? lists the keys of each page.",
    ],
  ];
  let at = 0,
    card = null;

  function end() {
    localStorage.setItem(KEPT, "done");
    if (card) card.remove();
    card = null;
    mark(null);
  }
  function mark(selector) {
    for (const node of document.querySelectorAll(".hinted")) node.classList.remove("hinted");
    const node = selector && document.querySelector(selector);
    if (node) node.classList.add("hinted");
  }
  function draw() {
    const [selector, title, text] = HINTS[at];
    mark(selector);
    const more = at < HINTS.length - 1;
    const next = h(
      "button",
      {
        class: "button primary small",
        type: "button",
        onclick: () => {
          if (more) {
            at += 1;
            draw();
          } else end();
        },
      },
      more ? "Next" : "Done",
    );
    const body = [
      h("b", {}, title),
      h("p", { class: "quiet" }, text),
      h(
        "div",
        { class: "line" },
        h("span", { class: "quiet grow" }, `${at + 1} of ${HINTS.length}`),
        more ? h("button", { class: "button small", type: "button", onclick: end }, "Dismiss") : null,
        next,
      ),
    ];
    if (!card) document.body.append((card = h("aside", { class: "tour pane", "aria-label": "Hints" })));
    card.replaceChildren(...body);
  }
  /* Only where there is something to look at. */
  sl.tour = (envelope) => {
    const wanted =
      envelope.page === "overview" &&
      !envelope.error &&
      envelope.data &&
      envelope.data.status.spans &&
      localStorage.getItem(KEPT) !== "done";
    if (wanted && !card) draw();
    if (!wanted && card) {
      card.remove();
      card = null;
      mark(null);
    }
  };
})();
