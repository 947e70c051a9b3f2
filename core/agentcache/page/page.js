"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { agents, labels, who, kinds, trees, breaks } = data;
  const calls = data.calls;
  const total = (calls.index || []).length;
  const LINES = 120, CALLS = 100;
  const SVG = "http://www.w3.org/2000/svg";
  const NAMES = {
    own: "read, sent before by the agent", across: "read, sent before by others only",
    written: "written", fresh: "sent anew", unreported: "unreported",
  };
  const state = { text: "", only: false, agents: new Set(), zoom: 1, shown: CALLS, open: new Set(), lines: new Map() };
  const $ = (id) => document.getElementById(id);

  // --- small tools ---------------------------------------------------------------------------

  function el(tag, props = {}, ...kids) {
    const made = document.createElement(tag);
    for (const [key, value] of Object.entries(props)) {
      if (value === undefined || value === null) continue;
      if (key === "class") made.className = value;
      else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
      else made.setAttribute(key, value);
    }
    made.append(...kids.filter((kid) => kid !== null && kid !== undefined));
    return made;
  }

  function svg(tag, props = {}, ...kids) {
    const made = document.createElementNS(SVG, tag);
    for (const [key, value] of Object.entries(props)) made.setAttribute(key, value);
    made.append(...kids);
    return made;
  }

  const whole = new Intl.NumberFormat("en");
  const count = (n) => (n < 0 ? "?" : whole.format(n));
  const tokens = (n) => `${count(n)} token${n === 1 ? "" : "s"}`;
  const many = (n, word) => `${count(n)} ${word}${n === 1 ? "" : "s"}`;
  const share = (part, of) => (part < 0 || of <= 0 ? "?" : `${((100 * part) / of).toFixed(1)} %`);
  const seconds = (ms) => (ms < 0 ? "?" : `${(ms / 1000).toFixed(ms < 10000 ? 2 : 1)} s`);
  const scale = data.width * 1.015; // room for what stands at the right end
  const place = (at) => `${((100 * at) / scale).toFixed(3)}%`;
  const ISOLATE = ["\u2068", "\u2069"];
  const plain = (name) => ISOLATE.join(name || "(no name)");
  const named = (name) => el("bdi", { title: name }, name || "(no name)");

  function mark(agent) {
    const use = svg("use", { href: `#s${agent % 5}` });
    return svg("svg", { class: `mark c${agent % 8}`, "aria-hidden": "true" }, use);
  }

  // --- what is known of calls and nodes --------------------------------------------------------

  const breakOf = new Map(breaks.map((found) => [found.call, found]));
  const rowOfIndex = new Map((calls.index || []).map((index, row) => [index, row]));
  const edges = (row) => calls.edges[row] || null;
  const nodeStart = (tree, node) => (tree.parent[node] < 0 ? 0 : tree.end[tree.parent[node]]);
  const LINE = { parent: 0, at: 1, calls: 2, who: 3, alike: 4, like: 5, nodes: 6 };

  function inputOf(row) {
    if (calls.input[row] >= 0) return calls.input[row];
    return calls.node[row] < 0 ? 0 : trees[calls.tree[row]].end[calls.node[row]];
  }

  function hitOf(row) {
    const found = edges(row);
    return found ? found[1] : -1;
  }

  function rates(row) {
    if (labels[calls.error[row]]) return "failed";
    const input = inputOf(row);
    return `${share(hitOf(row), input)} / ${share(calls.ceiling[row], input)}`;
  }

  function readOf(tree, line) {
    const [own, across, written, fresh] = sumsOf(tree, line[LINE.nodes]);
    const said = own + across + written + fresh;
    return said ? share(own + across, said) : "?";
  }

  /** The stretches of one call: [kind, from, to]. */
  function stretches(row) {
    const input = inputOf(row), found = edges(row);
    if (!found) return input ? [["unreported", 0, input]] : [];
    const cuts = [0, ...found.map((edge) => Math.min(edge, input)), input];
    return ["own", "across", "written", "fresh"]
      .map((kind, n) => [kind, cuts[n], cuts[n + 1]])
      .filter(([, from, to]) => to > from);
  }

  /** The nodes of a call, from the beginning of its prompt. */
  function pathOf(row) {
    const out = [];
    if (calls.tree[row] < 0) return out;
    const tree = trees[calls.tree[row]];
    for (let node = calls.node[row]; node >= 0; node = tree.parent[node]) out.push(node);
    return out.reverse();
  }

  /** The lines that a call runs along, as keys. */
  function linesOf(row) {
    const out = new Set(), t = calls.tree[row];
    if (t < 0 || calls.node[row] < 0) return out;
    let line = trees[t].line[calls.node[row]];
    for (; line >= 0; line = trees[t].lines[line][LINE.parent]) out.add(`${t}:${line}`);
    return out;
  }

  /** The line on which a break is pinned. */
  function pinnedOn(found) {
    const t = calls.tree[found.call];
    if (t < 0) return null;
    const tree = trees[t];
    let node = calls.node[found.call];
    while (node >= 0 && nodeStart(tree, node) > found.at) node = tree.parent[node];
    return node < 0 ? null : `${t}:${tree.line[node]}`;
  }

  function matches() {
    const text = state.text.toLowerCase();
    const out = [];
    for (let row = 0; row < total; row += 1) {
      const found = breakOf.get(row);
      if (state.only && !found) continue;
      if (state.agents.size && !state.agents.has(calls.agent[row])) continue;
      if (text && !textOf(row, found).includes(text)) continue;
      out.push(row);
    }
    return out;
  }

  function textOf(row, found) {
    const words = [agents[calls.agent[row]], labels[calls.model[row]], `#${calls.index[row]}`];
    if (found) words.push(labels[found.kind], labels[found.path]);
    return words.join(" ").toLowerCase();
  }

  // --- drawing ---------------------------------------------------------------------------------

  function ticks() {
    const rough = scale / 6 / state.zoom;
    const ten = 10 ** Math.floor(Math.log10(Math.max(rough, 1)));
    return Math.max(1, [1, 2, 5, 10].map((n) => n * ten).find((n) => n >= rough));
  }

  function short(n) {
    if (n >= 1e6) return `${+(n / 1e6).toFixed(2)}M`;
    return n >= 1e4 ? `${+(n / 1e3).toFixed(1)}k` : whole.format(n);
  }

  function axis(rate) {
    const lane = svg("svg", { "aria-hidden": "true" });
    const step = ticks();
    for (let at = 0; at <= scale; at += step) {
      const anchor = at === 0 ? "start" : at > scale * 0.97 ? "end" : "middle";
      const label = svg("text", { x: place(at), y: "15", "text-anchor": anchor });
      label.textContent = at === 0 ? "0 tokens" : short(at);
      lane.append(label);
    }
    return el("div", { class: "axis" }, el("span", { class: "who" }), el("span", { class: "lane" }, lane), el("span", { class: "rate" }, rate));
  }

  function sheet(name, rows, rate) {
    const list = el("ol", { class: "rows", "aria-label": name }, ...rows);
    const made = el("div", { class: "sheet" }, axis(rate), list);
    made.style.setProperty("--zoom", state.zoom);
    made.style.setProperty("--step", place(ticks()));
    return el("div", { class: state.zoom > 1 ? "scroll zoomed" : "scroll" }, made);
  }

  function bar(lane, kind, from, to, top, height) {
    const width = Math.max(to - from, 0);
    lane.append(svg("rect", { class: kind, x: place(from), width: place(width), y: `${top}%`, height: `${height}%` }));
  }

  function pin(lane, at, y) {
    const diamond = svg("path", { d: "M0-7 6 0 0 7-6 0z" });
    lane.append(svg("svg", { class: "pin", x: place(at), y, overflow: "visible" }, diamond));
  }

  /** One node: each of its parts as a stack of what happened to the calls that went through. */
  function drawNode(lane, tree, node, top, height) {
    const parts = tree.parts[node] || [];
    let from = nodeStart(tree, node);
    for (let n = 0; n < parts.length; n += kinds.length + 1) {
      const to = parts[n];
      const counts = kinds.map((_, kind) => parts[n + 1 + kind]);
      const shown = counts.map((c) => (c ? Math.max(c, 0.12 * tree.passes[node]) : 0));
      const sum = shown.reduce((a, b) => a + b, 0) || 1;
      let y = top;
      for (const kind of [1, 0, 2, 3, 4]) {
        if (!shown[kind]) continue;
        bar(lane, kinds[kind], from, to, y, (height * shown[kind]) / sum);
        y += (height * shown[kind]) / sum;
      }
      from = to;
    }
  }

  function hitArea(lane, from, to, cursor) {
    lane.append(svg("rect", { class: "hit", x: place(from), width: place(to - from), y: "0", height: "100%", "data-cursor": cursor }));
  }

  function sectionNames(lane, tree, node) {
    let from = nodeStart(tree, node);
    for (const [name, to] of tree.sections[node] || []) {
      if ((to - from) / scale > 0.05) {
        const text = svg("text", { class: "part", x: "2", y: "11" });
        text.textContent = name;
        lane.append(svg("svg", { x: place(from), width: place(to - from) }, text));
      }
      from = to;
    }
  }

  function row(key, props, label, lane) {
    const parts = [["who", label], ["lane", [lane]], ["rate", [props.rate]]];
    return el("li", {}, el("button", { type: "button", class: props.class, "data-key": key, tabindex: -1, "aria-label": props.says },
      ...parts.map(([name, kids]) => el("span", { class: name }, ...kids))));
  }

  // --- the tree --------------------------------------------------------------------------------

  function drawTrees(rows) {
    const wanted = new Set();
    for (const each of rows) for (const key of linesOf(each)) wanted.add(key);
    const pins = new Map();
    for (const found of breaks) {
      const key = pinnedOn(found);
      if (key) pins.set(key, [...(pins.get(key) || []), found]);
    }
    const active = rows.length < total;
    $("trees").replaceChildren(...trees.map((tree, t) => drawTree(tree, t, active ? wanted : null, pins)).filter(Boolean));
    if (!$("trees").children.length) $("trees").append(el("p", { class: "soft" }, total ? "Nothing matches." : "No calls yet."));
  }

  function drawTree(tree, t, wanted, pins) {
    const lines = tree.lines.map((line, n) => ({ line, n }))
      .filter(({ line, n }) => (!wanted || wanted.has(`${t}:${n}`)) && shownOf(tree, t, line));
    if (!lines.length) return null;
    const limit = state.lines.get(t) || LINES;
    const drawn = lines.slice(0, limit);
    const at = new Map(drawn.map(({ n }, y) => [n, y]));
    const limbs = drawn.map(() => []);
    for (const { line, n } of drawn) {
      if (line[LINE.parent] < 0) continue;
      for (let y = at.get(line[LINE.parent]); y <= at.get(n); y += 1) limbs[y].push([line, n]);
    }
    const items = [];
    drawn.forEach(({ line, n }, y) => {
      items.push(lineRow(tree, t, line, n, limbs[y], pins.get(`${t}:${n}`) || []));
      const next = drawn[y + 1];
      const rep = line[LINE.like] < 0 ? n : line[LINE.like];
      const more = tree.lines[rep][LINE.alike] - 1;
      if (more > 0 && (!next || next.line[LINE.like] !== rep)) items.push(alikeRow(tree, t, rep, more));
    });
    const name = `${tree.model}: ${many(tree.calls, "call")}`;
    const title = trees.length > 1
      ? el("h3", {}, plain(tree.model), el("span", { class: "soft" }, ` · ${many(tree.calls, "call")} · ${tree.rule}`))
      : el("p", { class: "soft" }, `${plain(tree.model)} · ${tree.rule}`);
    const rest = lines.length - drawn.length;
    const button = rest > 0 && el("button", { type: "button", class: "quiet more", onclick: () => {
      state.lines.set(t, limit + 5 * LINES);
      draw();
    } }, `Show ${count(Math.min(rest, 5 * LINES))} more of ${many(rest, "line")}`);
    return el("div", {}, title, sheet(name, items, "read"), button || null);
  }

  /** Whether a line is drawn: it, or each it leaves, stands for others alike or was asked for. */
  function shownOf(tree, t, line) {
    for (let at = line; ; at = tree.lines[at[LINE.parent]]) {
      if (at[LINE.like] >= 0 && !state.open.has(`${t}:${at[LINE.like]}`)) return false;
      if (at[LINE.parent] < 0) return true;
    }
  }

  function alikeRow(tree, t, rep, more) {
    const key = `${t}:${rep}`, open = state.open.has(key);
    const kept = tree.lines.filter((line) => line[LINE.like] === rep).length;
    const text = open ? `Show one of ${count(more + 1)} alike` : `and ${count(more)} more like this`;
    const note = open && kept < more ? ` (${count(kept + 1)} are drawn; all are in the calls below)` : "";
    const toggle = () => {
      if (open) state.open.delete(key); else state.open.add(key);
      draw(`t${key}`);
    };
    return el("li", {}, el("button", { type: "button", class: "quiet more", "aria-expanded": open, onclick: toggle }, text + note));
  }

  function colourOf(line) {
    const sharers = line ? who[line[LINE.who]] : [0];
    return sharers[0] === 1 ? ` c${sharers[1] % 8}` : "";
  }

  function sharersOf(line) {
    const [number, ...some] = who[line[LINE.who]];
    const names = some.map((agent) => plain(agents[agent]));
    return number > names.length ? `${names.join(", ")} and ${number - names.length} more` : names.join(", ");
  }

  function depthOf(tree, line) {
    let depth = 0;
    for (let at = line; at[LINE.parent] >= 0; at = tree.lines[at[LINE.parent]]) depth += 1;
    return depth;
  }

  function lineRow(tree, t, line, n, limbs, pins) {
    const sharers = who[line[LINE.who]], trunk = sharers[0] > 1;
    const lane = svg("svg", { "aria-hidden": "true" });
    const [top, height] = trunk ? [40, 42] : [26, 48];
    const middle = `${top + height / 2}%`;
    for (const [other, m] of limbs) {
      const x = place(other[LINE.at]);
      const y1 = other[LINE.parent] === n ? middle : "0", y2 = m === n ? middle : "100%";
      lane.append(svg("line", { class: `limb${colourOf(tree.lines[other[LINE.parent]])}`, x1: x, x2: x, y1, y2 }));
    }
    for (const node of line[LINE.nodes]) {
      drawNode(lane, tree, node, top, height);
      if (trunk) sectionNames(lane, tree, node);
    }
    line[LINE.nodes].forEach((node, k) => {
      const x = place(nodeStart(tree, node));
      if (k) lane.append(svg("line", { class: "turn", x1: x, x2: x, y1: `${top}%`, y2: `${top + height}%` }));
      hitArea(lane, nodeStart(tree, node), tree.end[node], k);
    });
    if (line[LINE.parent] >= 0) lane.append(svg("circle", { class: `joint${colourOf(line)}`, cx: place(line[LINE.at]), cy: middle, r: "3.2" }));
    for (const at of new Set(pins.map((found) => found.at))) pin(lane, at, middle);
    const end = tree.end[line[LINE.nodes].at(-1)];
    const text = trunk ? `shared by ${sharers[0]} agents` : agents[sharers[1]];
    const depth = Math.min(depthOf(tree, line), 2);
    const label = [el("span", { class: ["", "twig", "twig2"][depth] }), trunk ? null : mark(sharers[1]),
      trunk ? el("span", {}, text) : named(text), el("span", { class: "meta" }, many(line[LINE.calls], "call"))];
    const says = `${trunk ? `Shared by ${sharersOf(line)}` : plain(text)}: ${many(line[LINE.calls], "call")}, from ${count(line[LINE.at])} to ${tokens(end)}`
      + (pins.length ? `, ${many(pins.length, "break")}: ${[...new Set(pins.map((found) => labels[found.kind]))].join(", ")}` : "");
    return row(`t${t}:${n}`, { class: trunk ? "row trunk" : "row", rate: readOf(tree, line), says }, label, lane);
  }

  // --- the calls -------------------------------------------------------------------------------

  function drawCalls(rows) {
    const drawn = rows.slice(0, state.shown);
    const rest = rows.length - drawn.length;
    const more = rest > 0 && el("button", { type: "button", class: "quiet more", onclick: () => {
      state.shown += 5 * CALLS;
      draw();
    } }, `Show ${count(Math.min(rest, 5 * CALLS))} more of ${many(rest, "call")}`);
    $("list").replaceChildren(...(drawn.length ? [sheet("Calls", drawn.map(callRow), "hit / ceiling")] : [el("p", { class: "soft" }, total ? "Nothing matches." : "No calls yet.")]), ...(more ? [more] : []));
  }

  function callRow(r) {
    const lane = svg("svg", { "aria-hidden": "true" });
    const found = breakOf.get(r), input = inputOf(r);
    stretches(r).forEach(([kind, from, to], k) => {
      bar(lane, kind, from, to, 26, 48);
      hitArea(lane, from, to, k);
    });
    const ceiling = calls.ceiling[r], hit = hitOf(r);
    if (ceiling > 0 && input) {
      if (hit >= 0 && ceiling > hit) bar(lane, "missed", hit, ceiling, 80, 8);
      lane.append(svg("line", { class: "ceiling", x1: place(ceiling), x2: place(ceiling), y1: "14%", y2: "86%" }));
    }
    if (found && found.at >= 0) pin(lane, found.at, "50%");
    const label = [el("span", { class: "nth" }, `#${calls.index[r]}`), mark(calls.agent[r]), named(agents[calls.agent[r]]),
      el("span", { class: "meta" }, `+${seconds(calls.start[r])}`)];
    return row(`c${r}`, { class: "row", rate: rates(r), says: callSays(r).join(", ") }, label, lane);
  }

  function callSays(r) {
    const found = breakOf.get(r), input = inputOf(r), error = labels[calls.error[r]];
    const out = [`${plain(agents[calls.agent[r]])}, call ${calls.index[r]}`];
    if (error) return [...out, `failed: ${error}`, `after ${seconds(calls.took[r])}`];
    out.push(`${tokens(input)} sent${calls.input[r] < 0 ? " (estimated)" : ""}`);
    if (edges(r)) {
      out.push(`${count(hitOf(r))} read (${share(hitOf(r), input)}), ceiling ${share(calls.ceiling[r], input)}`);
      if (calls.write[r] > 0) out.push(`${count(calls.write[r])} written`);
    } else out.push("reads unreported");
    out.push(`at +${seconds(calls.start[r])}, took ${seconds(calls.took[r])}`);
    if (found) out.push(`break: ${labels[found.kind]} in ${labels[found.path]}`);
    return out;
  }

  // --- tips and details ------------------------------------------------------------------------

  /** Tokens by kind that all calls sent along these nodes. */
  function sumsOf(tree, nodes) {
    const sums = kinds.map(() => 0);
    for (const node of nodes) {
      const parts = tree.parts[node] || [];
      let from = nodeStart(tree, node);
      for (let n = 0; n < parts.length; n += kinds.length + 1) {
        kinds.forEach((_, kind) => { sums[kind] += parts[n + 1 + kind] * (parts[n] - from); });
        from = parts[n];
      }
    }
    return sums;
  }

  function nodeSays(tree, node) {
    const start = nodeStart(tree, node), sums = sumsOf(tree, [node]);
    const all = sums.reduce((a, b) => a + b, 0);
    return [labels[tree.label[node]],
      `${tokens(tree.end[node] - start)}, from ${count(start)} to ${count(tree.end[node])}; ${many(tree.passes[node], "call")} went through`,
      ...kinds.map((kind, n) => (sums[n] ? `${share(sums[n], all)} ${NAMES[kind]}` : "")).filter(Boolean)];
  }

  /** What a row says: of itself, or of the part that the cursor is at. */
  function saysOf(key, cursor) {
    if (key[0] === "c") {
      const r = Number(key.slice(1)), parts = stretches(r);
      const says = callSays(r);
      if (cursor === null || !parts[cursor]) return says;
      const [kind, from, to] = parts[cursor];
      return [says[0], `${tokens(to - from)} ${NAMES[kind]}, from ${count(from)} to ${count(to)}`, ...says.slice(1)];
    }
    const [t, n] = key.slice(1).split(":").map(Number), tree = trees[t], line = tree.lines[n];
    if (cursor !== null && line[LINE.nodes][cursor] !== undefined) return nodeSays(tree, line[LINE.nodes][cursor]);
    return [sharersOf(line), many(line[LINE.calls], "call"), `leaves at ${tokens(line[LINE.at])}, ends at ${count(tree.end[line[LINE.nodes].at(-1)])}`];
  }

  const cursorOf = (button) => (button.dataset.cursor ? Number(button.dataset.cursor) : null);

  function showTip(button, x, y, cursor) {
    const [head, ...lines] = saysOf(button.dataset.key, cursor);
    const tip = $("tip");
    tip.replaceChildren(el("b", {}, head), ...lines.map((line) => el("div", {}, line)));
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(6, Math.min(x + 14, innerWidth - box.width - 8))}px`;
    tip.style.top = `${y + 18 + box.height > innerHeight ? Math.max(6, y - box.height - 12) : y + 18}px`;
    link(button.dataset.key);
  }

  function hideTip() {
    $("tip").hidden = true;
    link(null);
  }

  /** Tint the rows that belong to this one: a call's lines, a line's calls. */
  function link(key) {
    document.querySelectorAll(".linked").forEach((item) => item.classList.remove("linked"));
    if (!key) return;
    const lines = key[0] === "c" ? linesOf(Number(key.slice(1))) : null;
    for (const button of document.querySelectorAll(key[0] === "c" ? "#trees .row" : "#list .row")) {
      const other = button.dataset.key.slice(1);
      const linked = lines ? lines.has(other) : linesOf(Number(other)).has(key.slice(1));
      button.parentNode.classList.toggle("linked", linked);
    }
  }

  function fact(list, name, value) {
    if (value) list.append(el("dt", {}, name), el("dd", {}, value));
  }

  function breakBox(found) {
    const said = labels[found.said] || `${labels[found.kind]} in ${labels[found.path]}.${found.lost > 0 ? ` About ${tokens(found.lost)} were not read.` : ""}`;
    return el("div", { class: "alarm" }, el("p", {}, said), el("p", { class: "cure" }, el("b", {}, "Cure: "), labels[found.cure]));
  }

  function pathTable(tree, nodes) {
    const head = el("tr", {}, ...["blocks", "tokens", "ends at", "calls"].map((name) => el("th", { scope: "col" }, name)));
    const rows = nodes.map((node) => el("tr", {}, el("td", {}, el("code", {}, labels[tree.label[node]])),
      el("td", {}, count(tree.end[node] - nodeStart(tree, node))), el("td", {}, count(tree.end[node])), el("td", {}, count(tree.passes[node]))));
    return el("table", {}, el("thead", {}, head), el("tbody", {}, ...rows));
  }

  function callDetails(r) {
    const list = el("dl", { class: "facts" }), input = inputOf(r), found = breakOf.get(r);
    fact(list, "Model", labels[calls.model[r]]);
    fact(list, "Failed", labels[calls.error[r]]);
    fact(list, "Sent", `${tokens(input)}${calls.input[r] < 0 ? " (estimated: the provider did not say)" : ""}`);
    for (const [kind, from, to] of stretches(r)) fact(list, "", `${count(to - from)} ${NAMES[kind]}`);
    fact(list, "Hit rate", edges(r) && `${share(hitOf(r), input)}; ceiling ${share(calls.ceiling[r], input)}`);
    fact(list, "Answer", calls.output[r] >= 0 && tokens(calls.output[r]));
    fact(list, "Time", `+${seconds(calls.start[r])}, took ${seconds(calls.took[r])}`
      + (calls.first[r] >= 0 ? `, first token after ${seconds(calls.first[r])}` : "") + (calls.waited[r] > 0 ? `, waited ${seconds(calls.waited[r])} at the gate` : ""));
    fact(list, "At the gate", labels[calls.place[r]]);
    fact(list, "Not forked", labels[calls.plain[r]]);
    const kin = rowOfIndex.get(calls.kin[r]);
    if (kin !== undefined) fact(list, "Compared with", el("button", { type: "button", class: "quiet", onclick: () => openDetails(`c${kin}`) }, `#${calls.kin[r]} ${plain(agents[calls.agent[kin]])}`));
    const out = [list];
    if (found) out.push(breakBox(found));
    if (calls.tree[r] >= 0) out.push(el("h3", {}, "Its prompt"), pathTable(trees[calls.tree[r]], pathOf(r)));
    return [`#${calls.index[r]} ${plain(agents[calls.agent[r]])}`, out];
  }

  function lineDetails(key) {
    const [t, n] = key.split(":").map(Number), tree = trees[t], line = tree.lines[n];
    const list = el("dl", { class: "facts" });
    fact(list, "Agents", sharersOf(line));
    fact(list, "Calls", count(line[LINE.calls]));
    fact(list, "Leaves at", line[LINE.parent] < 0 ? "" : tokens(line[LINE.at]));
    fact(list, "Alike", line[LINE.alike] > 1 && `${count(line[LINE.alike])} lines, of which this is the first`);
    fact(list, "Model", tree.model);
    fact(list, "Rule", tree.rule);
    fact(list, "Session", tree.session);
    const pinned = breaks.filter((found) => pinnedOn(found) === key);
    const out = [list, ...pinned.slice(0, 20).map(breakBox), el("h3", {}, "Its stretches")];
    for (const node of line[LINE.nodes].slice(0, 60)) {
      const [head, ...says] = nodeSays(tree, node);
      out.push(el("p", {}, el("code", {}, head), ` ${says.join(" · ")}`));
    }
    const [number] = who[line[LINE.who]];
    return [number > 1 ? `Shared by ${number} agents` : sharersOf(line), out];
  }

  function openDetails(key) {
    const [title, body] = key[0] === "c" ? callDetails(Number(key.slice(1))) : lineDetails(key.slice(1));
    const dialog = $("details");
    const shut = el("button", { type: "button", class: "quiet shut", "aria-label": "Close", onclick: () => dialog.close() }, "×");
    dialog.replaceChildren(el("div", { class: "inside" }, el("h2", { id: "details-h" }, title), ...body, shut));
    hideTip();
    if (!dialog.open) dialog.showModal();
    dialog.firstChild.scrollTop = 0;
    shut.focus();
  }

  // --- keyboard and pointer --------------------------------------------------------------------

  const rowsIn = (section) => [...section.querySelectorAll(".row")];

  /** Let one row of each view be reached by Tab: the one that was last at. */
  function roam(section, key) {
    const rows = rowsIn(section);
    const one = rows.find((button) => button.dataset.key === key) || rows[0];
    rows.forEach((button) => { button.tabIndex = button === one ? 0 : -1; });
    return one;
  }

  function moveTo(button) {
    roam(button.closest("section"), button.dataset.key);
    button.focus();
  }

  function setCursor(button, cursor) {
    button.querySelectorAll(".hit.at").forEach((hit) => hit.classList.remove("at"));
    if (cursor === null) delete button.dataset.cursor;
    else {
      button.dataset.cursor = cursor;
      const hit = button.querySelector(`.hit[data-cursor="${cursor}"]`);
      if (hit) hit.classList.add("at");
      say(saysOf(button.dataset.key, cursor).join(", "));
    }
    tipAtFocus(button);
  }

  function tipAtFocus(button) {
    const hit = button.querySelector(".hit.at");
    const box = (hit || button.querySelector(".lane")).getBoundingClientRect();
    showTip(button, Math.max(box.left, 0), box.bottom - 14, cursorOf(button));
  }

  function onRowKey(event, button) {
    const rows = rowsIn(button.closest("section")), at = rows.indexOf(button);
    const parts = button.querySelectorAll(".hit").length, cursor = cursorOf(button);
    const jump = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + 15, PageUp: at - 15, Home: 0, End: rows.length - 1 }[event.key];
    if (jump !== undefined) moveTo(rows[Math.max(0, Math.min(jump, rows.length - 1))]);
    else if (event.key === "ArrowRight" && parts) setCursor(button, cursor === null ? 0 : Math.min(cursor + 1, parts - 1));
    else if (event.key === "ArrowLeft" && parts) setCursor(button, cursor === null || cursor === 0 ? null : cursor - 1);
    else if (event.key === "Escape") hideTip();
    else return;
    event.preventDefault();
  }

  function say(text) {
    $("live").textContent = text;
  }

  const rowAt = (event) => (event.target.closest ? event.target.closest(".row") : null);

  function listen() {
    document.addEventListener("keydown", (event) => {
      const typing = event.target.matches("input, textarea");
      if (event.key === "/" && !typing && !$("details").open) {
        event.preventDefault();
        $("filter").focus();
        $("filter").select();
      } else if (event.key === "Escape" && event.target === $("filter")) {
        $("filter").value = state.text = "";
        draw();
      } else if (rowAt(event)) onRowKey(event, rowAt(event));
    });
    document.addEventListener("click", (event) => {
      const button = rowAt(event), ref = event.target.closest("[data-call]");
      if (button) openDetails(button.dataset.key);
      else if (ref && !ref.closest("dialog")) openDetails(`c${ref.dataset.call}`);
      else if (event.target === $("details")) $("details").close();
    });
    document.addEventListener("focusin", (event) => {
      const button = rowAt(event);
      if (button && button.matches(":focus-visible")) tipAtFocus(button);
      else hideTip();
    });
    document.addEventListener("pointermove", (event) => {
      if (event.pointerType === "touch") return;
      const button = rowAt(event);
      if (!button) { if (!document.activeElement.matches(".row:focus-visible")) hideTip(); return; }
      const cursor = event.target.dataset && event.target.dataset.cursor;
      showTip(button, event.clientX, event.clientY, cursor === undefined ? null : Number(cursor));
    });
    addEventListener("scroll", () => { if (!document.activeElement.matches(".row")) hideTip(); }, { passive: true });
    $("filter").addEventListener("input", () => { state.text = $("filter").value.trim(); draw(); });
    $("only").addEventListener("change", () => { state.only = $("only").checked; draw(); });
    $("wider").addEventListener("click", () => zoom(2));
    $("narrower").addEventListener("click", () => zoom(0.5));
    $("theme").addEventListener("click", () => paint(dark() ? "light" : "dark"));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => paint());
  }

  function zoom(factor) {
    state.zoom = Math.max(1, Math.min(64, state.zoom * factor));
    draw();
    say(`Zoom ${state.zoom}`);
  }

  function dark() {
    return (document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  }

  function paint(theme) {
    if (theme) document.documentElement.dataset.theme = theme;
    $("theme").textContent = dark() ? "light" : "dark";
    $("theme").setAttribute("aria-label", `Switch to ${$("theme").textContent} colours`);
  }

  // --- the whole page --------------------------------------------------------------------------

  function chips() {
    const sums = agents.map(() => 0);
    for (let r = 0; r < total; r += 1) sums[calls.agent[r]] += inputOf(r);
    const most = agents.map((_, agent) => agent).sort((a, b) => sums[b] - sums[a]).slice(0, 24).sort((a, b) => a - b);
    $("chips").replaceChildren(...most.map((agent) => el("button", { type: "button", class: "quiet", "aria-pressed": "false", onclick: (event) => {
      if (!state.agents.delete(agent)) state.agents.add(agent);
      event.currentTarget.setAttribute("aria-pressed", state.agents.has(agent));
      draw();
    } }, mark(agent), named(agents[agent]))));
    if (agents.length > most.length) $("chips").append(el("span", { class: "soft" }, `and ${agents.length - most.length} more: use the filter`));
  }

  function draw(focus) {
    const rows = matches();
    hideTip();
    drawTrees(rows);
    drawCalls(rows);
    for (const section of [$("tree"), $("calls")]) roam(section, focus);
    if (focus) { const button = document.querySelector(`[data-key="${focus}"]`); if (button) moveTo(button); }
    const names = new Set(rows.map((r) => agents[calls.agent[r]]));
    document.querySelectorAll(".breaks > li").forEach((item) => {
      item.hidden = rows.length < total && !names.has(item.dataset.agent);
    });
    if (rows.length < total || state.text) say(`${many(rows.length, "call")} of ${count(total)} shown, ${many(rows.filter((r) => breakOf.has(r)).length, "break")}`);
    $("narrower").disabled = state.zoom <= 1;
  }

  $("tools").hidden = false;
  paint();
  chips();
  listen();
  draw();
})();
