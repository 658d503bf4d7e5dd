"use strict";
/* Findings: the list, its filters, and beside it the evidence of one (finding_evidence.js). */
(() => {
  const sl = window.strayline;
  const { h, words } = sl;

  /* The list and its filters. */
  const FILTERS = [
    ["severity", "Severity", ["error", "warning", "info"]],
    ["status", "Status", ["open", "provisional", "retracted"]],
    ["triage", "Triage", ["new", "acknowledged", "muted"]],
    ["confidence", "Confidence", ["proven", "inferred"]],
  ];
  function filters(data, params) {
    const set = (name) => (event) => sl.go(sl.url("/findings", { ...params, cursor: "", [name]: event.target.value }));
    const select = (name, label, options) =>
      h(
        "select",
        {
          class: `field small${params[name] ? " set" : ""}`,
          id: `filter-${name}`,
          "aria-label": label,
          onchange: set(name),
        },
        h("option", { value: "" }, label),
        options.map(([value, text]) => h("option", { value, selected: params[name] === value }, text)),
      );
    const counted = (tally, chosen) =>
      Object.entries(chosen && !(chosen in tally) ? { ...tally, [chosen]: 0 } : tally).map(([name, n]) => [
        name,
        `${words(name)} (${n})`,
      ]);
    return [
      select("kind", "Kind", counted(data.kinds, params.kind)),
      ...FILTERS.map(([name, label, options]) =>
        select(
          name,
          label,
          options.map((o) => [o, o]),
        ),
      ),
      select(
        "queue",
        "Queue",
        Object.entries(
          params.queue && !(params.queue in data.queues) ? { ...data.queues, [params.queue]: 0 } : data.queues,
        ).map(([name, n]) => [name, `${name} (${n})`]),
      ),
      ["kind", "severity", "status", "triage", "confidence", "queue"].some((name) => params[name])
        ? h("a", { class: "button small", href: "/findings", id: "clear" }, "Clear")
        : null,
    ];
  }

  function entry(f, current, params, apart) {
    const line = sl.findingLine(f, apart);
    return h(
      "a",
      {
        href: sl.url(`/findings/${f.id}`, params),
        "aria-current": current ? "true" : null,
        "data-finding": f.id,
        class: f.triage === "new" ? null : "seen",
      },
      h("span", { class: "title" }, f.title),
      sl.badge(f.severity),
      h("span", { class: "quiet clip whole", title: line }, line),
      h(
        "span",
        { class: "quiet whole ends" },
        h("span", { title: `last seen ${sl.moment(f.last_seen)}` }, sl.moment(f.last_seen).slice(5)),
        h(
          "span",
          {},
          [f.triage === "new" ? "" : f.triage, f.status === "open" ? "" : f.status, sl.many(f.count, "message")]
            .filter(Boolean)
            .join(" · "),
        ),
      ),
    );
  }

  let fresh = 0;
  sl.pages.findings = (root, data, params) => {
    fresh = 0;
    const before = { list: document.querySelector("#list"), evidence: document.querySelector("#evidence") };
    const kept = {
      list: before.list ? before.list.scrollTop : 0,
      evidence:
        before.evidence && data.selected && before.evidence.dataset.finding === data.selected.id
          ? before.evidence.scrollTop
          : 0,
    };
    const focus = document.activeElement && document.activeElement.id;
    const news = h("button", {
      class: "button small",
      type: "button",
      id: "fresh",
      hidden: true,
      onclick: () => sl.refresh(),
    });
    const head = h(
      "div",
      { class: "head" },
      sl.title("Findings"),
      news,
      h(
        "span",
        { class: "quiet" },
        data.next_cursor ? `the first ${data.items.length}` : sl.many(data.items.length, "finding"),
      ),
    );
    const bar = h("div", { class: "bar" }, filters(data, params));
    const filtered = bar.querySelector("#clear");
    const empty = h(
      "div",
      { class: "empty" },
      h("h2", {}, filtered ? "Nothing matches" : data.silent ? "Nothing is judged yet" : "Nothing is off"),
      h(
        "p",
        { class: "quiet" },
        filtered
          ? "No finding is like that."
          : data.silent
            ? "No message was seen so far, so there is nothing to be wrong."
            : "Every message judged so far went where it should, in order.",
      ),
      filtered
        ? h("p", {}, h("a", { class: "button", href: "/findings" }, "Show all findings"))
        : h(
            "p",
            {},
            h(
              "a",
              { class: "link-text", href: "/queues" },
              "What is judged, and what cannot be, is told of each queue.",
            ),
          ),
    );
    const apart = sl.findingsApart(data.items);
    const list = h(
      "nav",
      { class: "pane scroll list", id: "list", "aria-label": "Findings" },
      data.items.map((f) => entry(f, data.selected && f.id === data.selected.id, params, apart)),
      data.next_cursor || params.cursor
        ? h(
            "p",
            { class: "line pad" },
            params.cursor
              ? h("a", { class: "button small", href: sl.url("/findings", { ...params, cursor: "" }) }, "First page")
              : null,
            data.next_cursor
              ? h(
                  "a",
                  { class: "button small", href: sl.url("/findings", { ...params, cursor: data.next_cursor }) },
                  "Next page",
                )
              : null,
          )
        : null,
    );
    sl.put(
      root,
      head,
      bar,
      h(
        "div",
        { class: "body inbox" },
        data.items.length || data.named ? [list, data.selected ? sl.findingEvidence(data.selected) : null] : empty,
      ),
    );
    list.scrollTop = kept.list;
    const shown = document.querySelector("#evidence");
    if (shown) shown.scrollTop = kept.evidence;
    if (focus && root.querySelector(`#${CSS.escape(focus)}`)) root.querySelector(`#${CSS.escape(focus)}`).focus();
    const chosen = list.querySelector("[aria-current]");
    if (chosen) chosen.scrollIntoView({ block: "nearest" });
    /* new ones are told, not pushed in: nothing moves under the cursor */
    const tell = () => {
      fresh += 1;
      news.hidden = false;
      news.textContent = `${fresh} changed · show`;
    };
    sl.live({ "finding.new": tell, "finding.retracted": tell });
    sl.pages.findings.data = data;
  };

  const step = (by) => () => {
    const links = [...document.querySelectorAll("#list a[data-finding]")];
    const at = links.findIndex((a) => a.hasAttribute("aria-current"));
    const next = links[Math.max(0, Math.min(links.length - 1, at + by))];
    if (next) sl.go(next.getAttribute("href"), true);
  };
  const selected = (run) => () => {
    const f = sl.pages.findings.data && sl.pages.findings.data.selected;
    if (f && !f.problem) run(f);
  };
  sl.keys.page("findings", [
    ["j", "Next finding", step(1)],
    ["k", "Previous finding", step(-1)],
    ["a", "Acknowledge, or not", selected((f) => sl.triage.acknowledge(f))],
    [
      "m",
      "Mute for a day, or unmute",
      selected((f) => (f.triage === "muted" ? sl.triage.unmute(f) : sl.triage.mute(f, "1d"))),
    ],
    ["n", "Write a note", selected(() => document.querySelector("#note").focus())],
    [
      "Enter",
      "The first message",
      selected((f) => f.messages[0] && sl.message(f.messages[0]) && sl.go(sl.message(f.messages[0]))),
    ],
    ["e", "Explain this kind", selected((f) => sl.go(sl.findingDocs(f)))],
    ["x", "Open its SQL", selected((f) => sl.go(sl.url("/sql", { q: f.sql })))],
    ["c", "Copy its link", selected((f) => sl.copy(`${location.origin}/findings/${f.id}`))],
  ]);
})();
