"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { agents, labels, who, kinds, trees, breaks, calls } = data;
  const total = (calls.index || []).length;
  const LINES = 100, CALLS = 100, MORE = 500, CHIPS = 14;
  const SAYS = {
    own: "read, sent before by the agent", across: "read, sent before by others only",
    written: "written", fresh: "sent anew", unreported: "unreported",
  };
  const state = { text: "", only: false, agents: new Set(), zoom: 1, calls: CALLS, lines: LINES, open: new Set() };
  for (const tree of trees) {
    tree.lines = tree.lines.map(([parent, at, passes, sharers, alike, like, nodes]) =>
      ({ parent, at, passes, sharers: who[sharers].slice(1), number: who[sharers][0], alike, like, nodes }));
  }

  // Elements, numbers and names.

  const $ = (id) => document.getElementById(id);

  function el(tag, props = {}, ...kids) {
    const made = document.createElement(tag);
    for (const [key, value] of Object.entries(props)) {
      if (typeof value === "function") made.addEventListener(key, value);
      else made.setAttribute(key, value);
    }
    made.append(...kids.filter(Boolean));
    return made;
  }

  function svg(tag, props = {}, ...kids) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [key, value] of Object.entries(props)) made.setAttribute(key, value);
    made.append(...kids);
    return made;
  }

  const whole = new Intl.NumberFormat("en");
  const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 2 });
  const count = (n) => (n < 0 ? "?" : whole.format(n));
  const many = (n, word) => `${count(n)} ${word}${n === 1 ? "" : "s"}`;
  const tokens = (n) => many(n, "token");
  const share = (part, of) => (part < 0 || of <= 0 ? "?" : `${((100 * part) / of).toFixed(1)} %`);
  const seconds = (ms) => `${(ms / 1000).toFixed(ms < 10000 ? 2 : 1)} s`;
  const scale = data.width * 1.015; // room for what stands at the right end
  const place = (at) => `${((100 * at) / scale).toFixed(3)}%`;
  const plain = (name) => `\u2068${name || "(no name)"}\u2069`; // isolated: it may run from right to left
  const named = (name) => el("bdi", { title: name }, name || "(no name)");
  const nothing = () => el("p", { class: "soft" }, total ? "Nothing matches." : "No calls yet.");

  function mark(agent) {
    return svg("svg", { class: `mark c${agent % 8}`, "aria-hidden": "true" }, svg("use", { href: `#s${agent % 5}` }));
  }

  // What is known of calls, nodes and lines.

  const breakOf = new Map(breaks.map((found) => [found.call, found]));
  const rowOf = new Map((calls.index || []).map((index, row) => [index, row]));
  const nodeStart = (tree, node) => (tree.parent[node] < 0 ? 0 : tree.end[tree.parent[node]]);
  const lineEnd = (tree, line) => tree.end[line.nodes[line.nodes.length - 1]];
  const lineOf = (r) => (calls.tree[r] < 0 || calls.node[r] < 0 ? -1 : trees[calls.tree[r]].line[calls.node[r]]);
  const hitOf = (r) => (calls.edges[r] ? calls.edges[r][1] : -1);

  function inputOf(r) {
    if (calls.input[r] >= 0) return calls.input[r];
    return calls.node[r] < 0 ? 0 : trees[calls.tree[r]].end[calls.node[r]];
  }

  /** The stretches of one call: [kind, from, to]. */
  function stretches(r) {
    const input = inputOf(r);
    if (!calls.edges[r]) return input ? [["unreported", 0, input]] : [];
    const cuts = [0, ...calls.edges[r].map((edge) => Math.min(edge, input)), input];
    return ["own", "across", "written", "fresh"].map((kind, n) => [kind, cuts[n], cuts[n + 1]])
      .filter(([, from, to]) => to > from);
  }

  /** The parts of a node: [from, to, calls by kind]. */
  function partsOf(tree, node) {
    const flat = tree.parts[node] || [], out = [];
    let from = nodeStart(tree, node);
    for (let n = 0; n < flat.length; n += kinds.length + 1) {
      out.push([from, flat[n], flat.slice(n + 1, n + 1 + kinds.length)]);
      from = flat[n];
    }
    return out;
  }

  /** Tokens by kind that all calls together sent along these nodes. */
  function sumsOf(tree, nodes) {
    const sums = kinds.map(() => 0);
    for (const node of nodes) {
      for (const [from, to, counts] of partsOf(tree, node)) counts.forEach((n, kind) => { sums[kind] += n * (to - from); });
    }
    return sums;
  }

  /** The keys of the lines that a call runs along. */
  function linesOf(r) {
    const out = new Set(), t = calls.tree[r];
    for (let line = lineOf(r); line >= 0; line = trees[t].lines[line].parent) out.add(`t${t}:${line}`).add(`t${t}:${trees[t].lines[line].like}`);
    return out;
  }

  /** For each tree a flag for each line: whether one of these calls runs along it. */
  function linesWith(rows) {
    const flags = trees.map((tree) => new Uint8Array(tree.lines.length));
    for (const r of rows) {
      const t = calls.tree[r];
      for (let line = lineOf(r); line >= 0 && !flags[t][line]; line = trees[t].lines[line].parent) {
        flags[t][line] = 1;
        if (trees[t].lines[line].like >= 0) flags[t][trees[t].lines[line].like] = 1; // it stands for this one
      }
    }
    return flags;
  }

  /** Breaks by the key of the line that they are pinned on. */
  const pinsOn = new Map();
  for (const found of breaks) {
    const t = calls.tree[found.call];
    if (t < 0) continue;
    let node = calls.node[found.call];
    while (node >= 0 && nodeStart(trees[t], node) > found.at) node = trees[t].parent[node];
    const key = `t${t}:${node < 0 ? -1 : trees[t].line[node]}`;
    if (!pinsOn.has(key)) pinsOn.set(key, []);
    pinsOn.get(key).push(found);
  }

  function matches() {
    const text = state.text.toLowerCase(), out = [];
    for (let r = 0; r < total; r += 1) {
      const found = breakOf.get(r);
      if ((state.only && !found) || (state.agents.size && !state.agents.has(calls.agent[r]))) continue;
      const words = text ? [agents[calls.agent[r]], labels[calls.model[r]], `#${calls.index[r]}`] : [];
      if (text && found) words.push(labels[found.kind], labels[found.path]);
      if (words.join(" ").toLowerCase().includes(text)) out.push(r);
    }
    return out;
  }

  // Words for rows, tips and screen readers.

  function namesOf(line) {
    const names = line.sharers.map((agent) => plain(agents[agent])).join(", ");
    return line.number > line.sharers.length ? `${names} and ${line.number - line.sharers.length} more` : names;
  }

  function callSays(r) {
    const found = breakOf.get(r), input = inputOf(r), error = labels[calls.error[r]];
    const out = [`#${calls.index[r]} ${plain(agents[calls.agent[r]])}`];
    if (error) return [...out, `failed: ${error}, after ${seconds(calls.took[r])}`];
    out.push(`${tokens(input)} sent${calls.input[r] < 0 ? " (estimated)" : ""}`);
    out.push(calls.edges[r] ? `hit rate ${share(hitOf(r), input)}, ceiling ${share(calls.ceiling[r], input)}` : "reads unreported");
    for (const [kind, from, to] of stretches(r)) out.push(`${count(to - from)} ${SAYS[kind]}`);
    out.push(`at +${seconds(calls.start[r])}, took ${seconds(calls.took[r])}`);
    if (found) out.push(`break: ${labels[found.kind]} in ${labels[found.path]}`);
    return out;
  }

  function nodeSays(tree, node) {
    const start = nodeStart(tree, node), sums = sumsOf(tree, [node]);
    const all = sums.reduce((a, b) => a + b, 0);
    return [labels[tree.label[node]], `${tokens(tree.end[node] - start)}, from ${count(start)} to ${count(tree.end[node])}`,
      `${many(tree.passes[node], "call")} went through`, ...kinds.map((kind, n) => sums[n] && `${share(sums[n], all)} ${SAYS[kind]}`).filter(Boolean)];
  }

  function lineSays(tree, key, line) {
    const pins = pinsOn.get(key) || [];
    const out = [line.number > 1 ? `shared by ${namesOf(line)}` : namesOf(line), many(line.passes, "call"),
      `from ${count(line.at)} to ${tokens(lineEnd(tree, line))}`, `${readShare(tree, line)} read`];
    if (pins.length) out.push(`${many(pins.length, "break")}: ${[...new Set(pins.map((found) => labels[found.kind]))].join(", ")}`);
    return out;
  }

  function readShare(tree, line) {
    const [own, across, written, fresh] = sumsOf(tree, line.nodes);
    return share(own + across, own + across + written + fresh);
  }

  function lineAt(key) {
    const [t, n] = key.slice(1).split(":").map(Number);
    return [trees[t], trees[t].lines[n]];
  }

  /** What a row says: of itself, or first of the part that the cursor is at. */
  function saysOf(key, cursor) {
    if (key[0] === "t") {
      const [tree, line] = lineAt(key), node = line.nodes[cursor];
      return node === undefined ? lineSays(tree, key, line) : nodeSays(tree, node);
    }
    const r = Number(key.slice(1)), [head, ...says] = callSays(r), part = stretches(r)[cursor];
    return part ? [head, `${tokens(part[2] - part[1])} ${SAYS[part[0]]}, from ${count(part[1])} to ${count(part[2])}`, ...says] : [head, ...says];
  }

  // Drawing.

  function ticks() {
    const rough = Math.max(1, scale / 6 / state.zoom), ten = 10 ** Math.floor(Math.log10(rough));
    return [1, 2, 5, 10].map((n) => n * ten).find((n) => n >= rough);
  }

  function axis(rate) {
    const lane = svg("svg", { "aria-hidden": "true" }), step = ticks();
    for (let at = 0; at <= scale; at += step) {
      const label = svg("text", { x: place(at), y: "15", "text-anchor": at === 0 ? "start" : at > scale * 0.97 ? "end" : "middle" });
      label.textContent = at === 0 ? "0 tokens" : (at < 1e4 ? whole : compact).format(at);
      lane.append(label);
    }
    return el("div", { class: "axis" }, el("span", { class: "who" }), el("span", { class: "lane" }, lane), el("span", { class: "rate" }, rate));
  }

  function sheet(name, rate, rows) {
    const made = el("div", { class: "sheet" }, axis(rate), el("ol", { class: "rows", "aria-label": name }, ...rows));
    made.style.setProperty("--zoom", state.zoom);
    made.style.setProperty("--step", place(ticks()));
    return el("div", { class: state.zoom > 1 ? "scroll zoomed" : "scroll" }, made);
  }

  function row(key, trunk, rate, label, lane) {
    const parts = [["who", label], ["lane", [lane]], ["rate", [rate]], ["sr", [`, ${saysOf(key, null).slice(trunk ? 0 : 1).join(", ")}`]]];
    return el("li", {}, el("button", { type: "button", class: trunk ? "row trunk" : "row", "data-key": key, tabindex: "-1" },
      ...parts.map(([name, kids]) => el("span", { class: name }, ...kids))));
  }

  function more(rest, word, grow) {
    const click = () => { grow(); draw(); };
    return rest > 0 && el("button", { type: "button", class: "quiet more", click }, `Show ${count(Math.min(rest, MORE))} more of ${many(rest, word)}`);
  }

  const rect = (kind, from, to, top, height) => svg("rect", { class: kind, x: place(from), width: place(Math.max(to - from, 0)), y: `${top}%`, height: `${height}%` });
  const upright = (kind, at, y1, y2) => svg("line", { class: kind, x1: place(at), x2: place(at), y1: `${y1}%`, y2: `${y2}%` });
  const at = (x, ...kids) => svg("svg", { x: place(x), overflow: "visible" }, ...kids);
  const pin = (x, y) => svg("svg", { class: "pin", x: place(x), y: `${y}%`, overflow: "visible" }, svg("path", { d: "M0-7 6 0 0 7-6 0z" }));

  function area(from, to, cursor) {
    const made = rect("hit", from, to, 0, 100);
    made.setAttribute("data-cursor", cursor);
    return made;
  }

  /** A node: each of its parts as a stack of what happened to the calls that went through. */
  function drawNode(lane, tree, node, top, height) {
    for (const [from, to, counts] of partsOf(tree, node)) {
      const tall = counts.map((n) => n && Math.max(n, 0.12 * tree.passes[node])); // few calls are seen too
      const sum = tall.reduce((a, b) => a + b, 0) || 1;
      let y = top;
      for (const kind of [1, 0, 2, 3, 4].filter((k) => tall[k])) {
        lane.append(rect(kinds[kind], from, to, y, (height * tall[kind]) / sum));
        y += (height * tall[kind]) / sum;
      }
    }
  }

  function nameSections(lane, tree, node) {
    let from = nodeStart(tree, node);
    for (const [name, to] of tree.sections[node] || []) {
      const text = svg("text", { class: "part", x: "2", y: "11" });
      text.textContent = name;
      if ((to - from) / scale > 0.06) lane.append(svg("svg", { x: place(from), width: place(to - from) }, text));
      from = to;
    }
  }

  // The tree.

  function drawTrees(rows) {
    const flags = linesWith(rows);
    const drawn = trees.map((tree, t) => drawTree(tree, t, flags[t])).filter(Boolean);
    $("trees").replaceChildren(...(drawn.length ? drawn : [nothing()]));
  }

  function drawTree(tree, t, flags) {
    const all = tree.lines.map((_, n) => n).filter((n) => flags[n] && isShown(tree, t, n));
    const drawn = all.slice(0, state.lines), y = new Map(drawn.map((n, i) => [n, i]));
    const limbs = drawn.map(() => new Map()); // one for each place that lines leave from
    for (const n of drawn) {
      const { parent, at: x } = tree.lines[n], begin = y.get(parent), end = y.get(n);
      for (let i = begin; i <= end; i += 1) limbs[i].set(`${parent}:${x}`, [n, i === begin, i === end]);
    }
    const items = [];
    drawn.forEach((n, i) => {
      items.push(drawLine(tree, t, n, [...limbs[i].values()]));
      const first = tree.lines[n].like < 0 ? n : tree.lines[n].like, next = drawn[i + 1];
      const last = next === undefined || tree.lines[next].like !== first;
      if (last && tree.lines[first].alike > 1) items.push(drawAlike(tree, t, first, [...(limbs[i + 1] || new Map()).values()]));
    });
    if (!items.length) return null;
    const title = el(trees.length > 1 ? "h3" : "p", {}, plain(tree.model), el("span", { class: "soft" }, ` · ${many(tree.calls, "call")} · ${tree.rule}`));
    const left = tree.left_out > 0 && el("p", { class: "soft" }, `${many(tree.left_out, "line")} more are not kept here; their calls are below.`);
    return el("div", {}, title, sheet(`${plain(tree.model)}, ${many(tree.calls, "call")}`, "read", items),
      more(all.length - drawn.length, "line", () => { state.lines += MORE; }), left);
  }

  /** Whether a line is drawn: neither it nor one that it leaves is stood for by another. */
  function isShown(tree, t, n) {
    for (let line = tree.lines[n]; line; line = tree.lines[line.parent]) {
      if (line.like >= 0 && !state.open.has(`${t}:${line.like}`)) return false;
    }
    return true;
  }

  const colourOf = (line) => (line.number === 1 ? ` c${line.sharers[0] % 8}` : "");

  function drawLimbs(lane, tree, limbs, bottom, middle) {
    for (const [n, begins, ends] of limbs) {
      const line = tree.lines[n], y1 = begins ? bottom : 0, y2 = ends ? middle : 100;
      const limb = svg("line", { class: `limb${colourOf(tree.lines[line.parent])}`, x1: "-4", x2: "-4", y1: `${y1}%`, y2: `${y2}%` });
      lane.append(at(line.at, limb));
    }
  }

  function drawLine(tree, t, n, limbs) {
    const key = `t${t}:${n}`, line = tree.lines[n], trunk = line.number > 1;
    const lane = svg("svg", { "aria-hidden": "true" }), [top, height] = trunk ? [40, 42] : [26, 48];
    let turn = -Infinity;
    line.nodes.forEach((node, cursor) => {
      const start = nodeStart(tree, node);
      drawNode(lane, tree, node, top, height);
      if (trunk) nameSections(lane, tree, node);
      if (cursor && (start - turn) / scale > 0.006 / state.zoom) lane.append(upright("turn", start, top, top + height));
      if ((start - turn) / scale > 0.006 / state.zoom) turn = start;
      lane.append(area(start, tree.end[node], cursor));
    });
    drawLimbs(lane, tree, limbs, top + height, top + height / 2);
    if (line.parent >= 0) lane.append(at(line.at, svg("circle", { class: `joint${colourOf(line)}`, cx: "-4", cy: `${top + height / 2}%`, r: "3.2" })));
    for (const x of new Set((pinsOn.get(key) || []).map((found) => found.at))) lane.append(pin(x, top + height / 2));
    let depth = 0;
    for (let up = line.parent; up >= 0 && depth < 2; up = tree.lines[up].parent) depth += 1;
    const label = [el("span", { class: ["", "twig", "twig2"][depth] }), ...(trunk ? [el("span", {}, `shared by ${line.number} agents`)]
      : [mark(line.sharers[0]), named(agents[line.sharers[0]])]), el("span", { class: "meta" }, many(line.passes, "call"))];
    return row(key, trunk, readShare(tree, line), label, lane);
  }

  function drawAlike(tree, t, first, limbs) {
    const key = `${t}:${first}`, open = state.open.has(key), others = tree.lines[first].alike - 1;
    const kept = open ? tree.lines.filter((line) => line.like === first).length : others;
    const click = () => {
      if (!state.open.delete(key)) state.open.add(key);
      draw(`t${key}`);
    };
    const text = open ? `fold ${count(others)} alike` : `and ${count(others)} more like this`;
    const lane = svg("svg", { "aria-hidden": "true" });
    drawLimbs(lane, tree, limbs.filter(([, begins]) => !begins).map(([n]) => [n, false, false]));
    return el("li", { class: "alike" }, el("span", { class: "who" }, el("button", { type: "button", class: "quiet more", "aria-expanded": open, click }, text)),
      el("span", { class: "lane" }, lane), el("span", { class: "rate" }, kept < others && `${count(kept + 1)} drawn`));
  }

  // The calls.

  function drawCalls(rows) {
    const drawn = rows.slice(0, state.calls).map(drawCall);
    const rest = more(rows.length - drawn.length, "call", () => { state.calls += MORE; });
    $("list").replaceChildren(drawn.length ? sheet("Calls", "hit / ceiling", drawn) : nothing(), rest || "");
  }

  function drawCall(r) {
    const lane = svg("svg", { "aria-hidden": "true" }), found = breakOf.get(r);
    const input = inputOf(r), ceiling = calls.ceiling[r], hit = hitOf(r);
    stretches(r).forEach(([kind, from, to], cursor) => lane.append(rect(kind, from, to, 26, 48), area(from, to, cursor)));
    if (hit >= 0 && ceiling > hit) lane.append(rect("missed", hit, ceiling, 80, 8));
    if (ceiling > 0 && input) lane.append(upright("ceiling", ceiling, 14, 86));
    if (found && found.at >= 0) lane.append(pin(found.at, 50));
    const label = [el("span", { class: "nth" }, `#${calls.index[r]}`), mark(calls.agent[r]), named(agents[calls.agent[r]]),
      el("span", { class: "meta" }, `+${seconds(calls.start[r])}`)];
    const rate = labels[calls.error[r]] ? "failed" : `${share(hit, input)} / ${share(ceiling, input)}`;
    return row(`c${r}`, false, rate, label, lane);
  }

  // Tips and details.

  function showTip(button, x, y, cursor) {
    const [head, ...lines] = saysOf(button.dataset.key, cursor), tip = $("tip");
    tip.replaceChildren(el("b", {}, head), ...lines.map((line) => el("div", {}, line)));
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(6, Math.min(x + 14, innerWidth - box.width - 8))}px`;
    tip.style.top = `${y + 18 + box.height > innerHeight ? Math.max(6, y - box.height - 12) : y + 18}px`;
    link(button.dataset.key);
  }

  let linked = null;

  /** Tint the rows that belong to this one: a call's lines, a line's calls. */
  function link(key) {
    if (key === linked) return;
    linked = key;
    document.querySelectorAll(".linked").forEach((item) => item.classList.remove("linked"));
    if (!key) return;
    const lines = key[0] === "c" && linesOf(Number(key.slice(1)));
    for (const button of document.querySelectorAll(lines ? "#trees .row" : "#list .row")) {
      const other = button.dataset.key;
      if (lines ? lines.has(other) : linesOf(Number(other.slice(1))).has(key)) button.parentNode.classList.add("linked");
    }
  }

  const hideTip = () => { $("tip").hidden = true; link(null); };
  const facts = (pairs) => el("dl", { class: "facts" }, ...pairs.filter(([, value]) => value).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));

  function breakBox(found) {
    const lost = found.lost > 0 ? ` About ${tokens(found.lost)} were not read.` : "";
    const said = labels[found.said] || `${labels[found.kind]} in ${labels[found.path]}.${lost}`;
    return el("div", { class: "alarm" }, el("p", {}, said), el("p", { class: "cure" }, el("b", {}, "Cure: "), labels[found.cure]));
  }

  function nodeTable(tree, nodes) {
    const cells = (tag, texts) => el("tr", {}, ...texts.map((text) => el(tag, {}, text)));
    const rows = nodes.slice(0, 200).map((node) => cells("td", [el("code", {}, labels[tree.label[node]]), count(tree.end[node] - nodeStart(tree, node)),
      count(tree.end[node]), count(tree.passes[node]), readShare(tree, { nodes: [node] })]));
    return el("table", {}, el("thead", {}, cells("th", ["blocks", "tokens", "ends at", "calls", "read"])), el("tbody", {}, ...rows));
  }

  function callDetails(r) {
    const input = inputOf(r), kin = rowOf.get(calls.kin[r]), found = breakOf.get(r), nodes = [];
    const other = kin !== undefined && el("button", { type: "button", class: "quiet", click: () => openDetails(`c${kin}`) }, callSays(kin)[0]);
    const first = calls.first[r] >= 0 ? `, first token after ${seconds(calls.first[r])}` : "";
    const waited = calls.waited[r] > 0 ? `, waited ${seconds(calls.waited[r])} at the gate` : "";
    const tree = trees[calls.tree[r]];
    for (let node = calls.node[r]; tree && node >= 0; node = tree.parent[node]) nodes.unshift(node);
    const list = facts([["Model", labels[calls.model[r]]], ["Failed", labels[calls.error[r]]],
      ["Sent", `${tokens(input)}${calls.input[r] < 0 ? " (estimated: the provider did not say)" : ""}`],
      ...stretches(r).map(([kind, from, to]) => ["", `${count(to - from)} ${SAYS[kind]}`]),
      ["Hit rate", calls.edges[r] && `${share(hitOf(r), input)}; ceiling ${share(calls.ceiling[r], input)}`],
      ["Answer", calls.output[r] >= 0 && tokens(calls.output[r])],
      ["Time", `+${seconds(calls.start[r])}, took ${seconds(calls.took[r])}${first}${waited}`],
      ["At the gate", labels[calls.place[r]]], ["Not forked", labels[calls.plain[r]]], ["Compared with", other]]);
    return [callSays(r)[0], list, found && breakBox(found), ...(nodes.length ? [el("h3", {}, "Its prompt"), nodeTable(tree, nodes)] : [])];
  }

  function lineDetails(key) {
    const [tree, line] = lineAt(key);
    const list = facts([["Agents", namesOf(line)], ["Calls", count(line.passes)], ["Leaves at", line.parent >= 0 && tokens(line.at)],
      ["Alike", line.alike > 1 && `${count(line.alike)} lines, of which this is the first`], ["Model", tree.model], ["Rule", tree.rule], ["Session", tree.session]]);
    return [line.number > 1 ? `Shared by ${line.number} agents` : namesOf(line), list,
      ...(pinsOn.get(key) || []).slice(0, 20).map(breakBox), el("h3", {}, "Its stretches"), nodeTable(tree, line.nodes)];
  }

  function openDetails(key) {
    const [title, ...body] = key[0] === "c" ? callDetails(Number(key.slice(1))) : lineDetails(key);
    const dialog = $("details");
    const shut = el("button", { type: "button", class: "quiet shut", "aria-label": "Close", click: () => dialog.close() }, "×");
    dialog.replaceChildren(el("div", { class: "inside" }, el("h2", { id: "details-h" }, title), ...body, shut));
    hideTip();
    if (!dialog.open) dialog.showModal();
    dialog.firstChild.scrollTop = 0;
    shut.focus();
  }

  // Keyboard and pointer.

  const say = (text) => { $("live").textContent = text; };
  const rowsIn = (section) => [...section.querySelectorAll(".row")];
  const rowAt = (event) => event.target.closest && event.target.closest(".row");
  const cursorOf = (button) => (button.dataset.cursor === undefined ? null : Number(button.dataset.cursor));

  /** Let one row of a view be reached by Tab: the one that was last at. */
  function roam(section, key) {
    const rows = rowsIn(section), one = rows.find((button) => button.dataset.key === key) || rows[0];
    rows.forEach((button) => { button.tabIndex = button === one ? 0 : -1; });
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
      button.querySelector(`.hit[data-cursor="${cursor}"]`).classList.add("at");
      say(saysOf(button.dataset.key, cursor).join(", "));
    }
    tipAt(button);
  }

  function tipAt(button) {
    const box = (button.querySelector(".hit.at") || button.querySelector(".lane")).getBoundingClientRect();
    showTip(button, Math.max(box.left, 0), box.bottom - 14, cursorOf(button));
  }

  function onRowKey(event, button) {
    const rows = rowsIn(button.closest("section")), at = rows.indexOf(button);
    const parts = button.querySelectorAll(".hit").length, cursor = cursorOf(button);
    const jump = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + 15, PageUp: at - 15, Home: 0, End: rows.length - 1 }[event.key];
    if (jump !== undefined) moveTo(rows[Math.max(0, Math.min(jump, rows.length - 1))]);
    else if (event.key === "ArrowRight" && parts) setCursor(button, cursor === null ? 0 : Math.min(cursor + 1, parts - 1));
    else if (event.key === "ArrowLeft" && parts) setCursor(button, cursor ? cursor - 1 : null);
    else if (event.key === "Escape") hideTip();
    else return;
    event.preventDefault();
  }

  function onKey(event) {
    if (event.key === "/" && !event.target.matches("input") && !$("details").open) {
      event.preventDefault();
      $("filter").focus();
      $("filter").select();
    } else if (event.key === "Escape" && event.target === $("filter")) {
      $("filter").value = state.text = "";
      draw();
    } else if (rowAt(event) && !event.ctrlKey && !event.metaKey && !event.altKey) onRowKey(event, rowAt(event));
  }

  function onClick(event) {
    const button = rowAt(event), ref = event.target.closest("[data-call]");
    if (button) openDetails(button.dataset.key);
    else if (ref) openDetails(`c${ref.dataset.call}`);
    else if (event.target === $("details")) $("details").close();
  }

  function onMove(event) {
    const button = rowAt(event), part = event.target.dataset && event.target.dataset.cursor;
    if (event.pointerType === "touch") return;
    if (button) showTip(button, event.clientX, event.clientY, part === undefined ? null : Number(part));
    else if (!document.activeElement.matches(".row:focus-visible")) hideTip();
  }

  function onFocus(event) {
    const button = rowAt(event);
    if (button && button.matches(":focus-visible")) tipAt(button);
    else hideTip();
  }

  /** Zoom and keep what stands in the middle there. */
  function zoom(factor) {
    const view = document.querySelector(".scroll"), half = view ? view.clientWidth / 2 : 0;
    const middle = view ? (view.scrollLeft + half) / view.scrollWidth : 0;
    state.zoom = Math.max(1, Math.min(64, state.zoom * factor));
    draw();
    document.querySelectorAll(".scroll").forEach((each) => { each.scrollLeft = middle * each.scrollWidth - half; });
    say(`Zoom ${state.zoom}`);
  }

  function onScroll(event) {
    if (!event.target.matches || !event.target.matches(".scroll")) return;
    document.querySelectorAll(".scroll").forEach((each) => { each.scrollLeft = event.target.scrollLeft; });
  }

  const dark = () => (document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";

  function paint(theme) {
    if (theme) document.documentElement.dataset.theme = theme;
    $("theme").textContent = dark() ? "light" : "dark";
    $("theme").setAttribute("aria-label", `Switch to ${$("theme").textContent} colours`);
  }

  const measure = () => document.documentElement.style.setProperty("--bar", `${$("tools").offsetHeight}px`);

  function listen() {
    const on = (target, ...pairs) => pairs.forEach(([name, act]) => target.addEventListener(name, act));
    on(document, ["keydown", onKey], ["click", onClick], ["pointermove", onMove], ["focusin", onFocus]);
    on($("filter"), ["input", () => { state.text = $("filter").value.trim(); draw(); }]);
    on($("only"), ["change", () => { state.only = $("only").checked; draw(); }]);
    on($("wider"), ["click", () => zoom(2)]);
    on($("narrower"), ["click", () => zoom(0.5)]);
    on($("theme"), ["click", () => paint(dark() ? "light" : "dark")]);
    on(matchMedia("(prefers-color-scheme: dark)"), ["change", () => paint()]);
    on(window, ["resize", measure]);
    document.addEventListener("scroll", onScroll, { capture: true, passive: true });
  }

  // The whole page.

  function chips() {
    const sums = agents.map(() => 0);
    for (let r = 0; r < total; r += 1) sums[calls.agent[r]] += inputOf(r);
    const most = agents.map((_, agent) => agent).sort((a, b) => sums[b] - sums[a]).slice(0, CHIPS).sort((a, b) => a - b);
    const chip = (agent) => el("button", { type: "button", class: "quiet", "aria-pressed": "false", click: (event) => {
      if (!state.agents.delete(agent)) state.agents.add(agent);
      event.currentTarget.setAttribute("aria-pressed", state.agents.has(agent));
      draw();
    } }, mark(agent), named(agents[agent]));
    const rest = agents.length - most.length;
    $("chips").replaceChildren(...most.map(chip), rest ? el("span", { class: "soft" }, `and ${count(rest)} more`) : "");
  }

  function draw(focus) {
    const rows = matches(), some = rows.length < total;
    hideTip();
    drawTrees(rows);
    drawCalls(rows);
    for (const section of [$("tree"), $("calls")]) roam(section, focus);
    const button = focus && document.querySelector(`[data-key="${focus}"]`);
    if (button) moveTo(button);
    const names = new Set(rows.map((r) => agents[calls.agent[r]]));
    document.querySelectorAll(".breaks > li").forEach((item) => { item.hidden = some && !names.has(item.dataset.agent); });
    say(some ? `${many(rows.length, "call")} of ${count(total)} shown, ${many(rows.filter((r) => breakOf.has(r)).length, "break")}` : "");
    $("narrower").setAttribute("aria-disabled", state.zoom <= 1);
    measure();
  }

  $("tools").hidden = false;
  paint();
  chips();
  listen();
  draw();
})();
