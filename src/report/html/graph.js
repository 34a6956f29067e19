// What rests on what, from top to bottom: each band is one step further from what rests on nothing.
let graph = null;
const NODE = { width: 208, height: 38, gap: 14, row: 10, band: 46, margin: 16 };

// The changes that are drawn, with what each comes after; what is said already by a longer way is left out.
function edges() {
  const drawn = changes.filter((change) => change.action !== "none" || wanted.actions.has("none"));
  const nodes = drawn.map((change) => ({ change, before: new Set(), after: new Set(), depth: 0 }));
  const at = new Map();
  nodes.forEach((node) => { if (!at.has(node.change.address)) at.set(node.change.address, node); });
  for (const node of nodes) {
    for (const address of [...node.change.needs, ...(node.change.uses || [])]) {
      const other = at.get(address);
      if (other && other !== node && !other.before.has(node)) node.before.add(other);
    }
  }
  // In the order in which each comes after all that it rests on; a circle would be cut where it closes.
  const order = [];
  const state = new Map();
  const visit = (start) => {
    const open = [[start, [...start.before]]];
    state.set(start, 1);
    while (open.length) {
      const [node, rest] = open[open.length - 1];
      const next = rest.pop();
      if (!next) { state.set(node, 2); order.push(node); open.pop(); continue; }
      if (state.get(next) === 1) node.before.delete(next);
      else if (!state.has(next)) { state.set(next, 1); open.push([next, [...next.before]]); }
    }
  };
  nodes.forEach((node) => { if (!state.has(node)) visit(node); });
  for (const node of order) {
    node.up = new Set();
    for (const other of node.before) { node.up.add(other); other.up.forEach((further) => node.up.add(further)); }
    for (const other of [...node.before]) {
      if ([...node.before].some((between) => between !== other && between.up.has(other))) node.before.delete(other);
    }
    node.depth = Math.max(-1, ...[...node.before].map((other) => other.depth)) + 1;
    node.before.forEach((other) => other.after.add(node));
  }
  for (const node of [...order].reverse()) {
    node.down = new Set();
    for (const other of node.after) { node.down.add(other); other.down.forEach((further) => node.down.add(further)); }
  }
  return nodes;
}

// Each band in the order in which its nodes' neighbours stand, so that lines cross little; as many rows as it takes.
function place(nodes, width) {
  const columns = Math.max(1, Math.floor((width - 2 * NODE.margin + NODE.gap) / (NODE.width + NODE.gap)));
  const bands = [];
  nodes.forEach((node, index) => { node.order = index; (bands[node.depth] = bands[node.depth] || []).push(node); });
  const mean = (others, otherwise) => {
    const all = [...others];
    return all.length ? all.reduce((sum, other) => sum + other.share, 0) / all.length : otherwise;
  };
  const spread = (band) => band.forEach((node, index) => { node.share = (index + 0.5) / band.length; });
  bands.forEach(spread);
  for (let sweep = 0; sweep < 6; sweep += 1) {
    const down = sweep % 2 === 0;
    for (const band of down ? bands : [...bands].reverse()) {
      const key = new Map(band.map((node) => [node, mean(down ? node.before : node.after, node.share)]));
      band.sort((a, b) => key.get(a) - key.get(b) || a.order - b.order);
      spread(band);
    }
  }
  let y = NODE.margin;
  const tops = [];
  for (const band of bands) {
    tops.push(y);
    y += 16;
    const rows = Math.ceil(band.length / columns);
    const perRow = Math.ceil(band.length / rows);
    band.forEach((node, index) => {
      const row = Math.floor(index / perRow);
      const inRow = Math.min(perRow, band.length - row * perRow);
      const used = inRow * (NODE.width + NODE.gap) - NODE.gap;
      node.x = (Math.max(width, NODE.width + 2 * NODE.margin) - used) / 2 + (index - row * perRow) * (NODE.width + NODE.gap);
      node.y = y + row * (NODE.height + NODE.row);
    });
    y += rows * (NODE.height + NODE.row) - NODE.row + NODE.band;
  }
  return { tops, height: y - NODE.band + NODE.margin, width: Math.max(width, NODE.width + 2 * NODE.margin) };
}

function svg(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

const short = (text, most) => (text.length > most ? `${text.slice(0, Math.ceil(most / 2) - 1)}…${text.slice(text.length - Math.floor(most / 2))}` : text);

function drawGraph() {
  const home = $("tab-graph");
  const legend = el("p", { class: "dim" }, "What stands above comes first. Point at a resource: ", el("span", { class: "key" }, "what it rests on"), " and ",
    el("span", { class: "key down" }, "what rests on it"), ". A click leads to its change.");
  const frame = el("div", { class: "graph" });
  home.replaceChildren(legend, frame);
  const nodes = edges();
  if (!nodes.length) { frame.append(el("p", { class: "empty" }, "Nothing changes.")); return; }
  // On a small screen two beside each other.
  const small = frame.clientWidth < 560;
  NODE.width = small ? 160 : 208;
  const { tops, height, width } = place(nodes, frame.clientWidth || 800);
  const picture = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "What rests on what" });
  tops.forEach((top, index) => picture.append(svg("text", { class: "layer", x: 8, y: top + 4 }, index === 0 ? "first" : `step ${index + 1}`)));
  const lines = svg("g", {});
  for (const node of nodes) {
    for (const other of node.before) {
      const [x1, y1, x2, y2] = [other.x + NODE.width / 2, other.y + NODE.height, node.x + NODE.width / 2, node.y];
      const bend = Math.max(24, (y2 - y1) / 2);
      const line = svg("path", { class: "edge", d: `M${x1},${y1} C${x1},${y1 + bend} ${x2},${y2 - bend} ${x2},${y2}` });
      line.ends = [other, node];
      lines.append(line);
    }
  }
  picture.append(lines);
  for (const node of nodes) {
    const { change } = node;
    const box = svg("g", { class: `node ${change.action}`, transform: `translate(${node.x},${node.y})`, tabindex: "0", role: "link", "data-address": change.address },
      svg("title", {}, `${change.address}: ${WORDS[change.action]}`),
      svg("rect", { class: "box", width: NODE.width, height: NODE.height, rx: 5 }),
      svg("rect", { class: "stripe", width: 5, height: NODE.height, rx: 2 }),
      svg("text", { class: "kind", x: 13, y: 14 }, `${SIGNS[change.action]} ${short(change.kind, small ? 20 : 28)}`),
      svg("text", { class: "title", x: 13, y: 30 }, short(change.name, small ? 19 : 25)));
    box.addEventListener("click", () => show(change));
    box.addEventListener("keydown", (event) => { if (event.key === "Enter") show(change); });
    box.addEventListener("mouseenter", () => light(node));
    box.addEventListener("mouseleave", () => light(null));
    box.addEventListener("focus", () => light(node));
    box.addEventListener("blur", () => light(null));
    node.box = box;
    picture.append(box);
  }
  frame.append(picture);
  graph = { nodes, picture, lines };
  graphFilter();
}

function light(node) {
  graph.picture.classList.toggle("lit", Boolean(node));
  for (const other of graph.nodes) {
    other.box.classList.toggle("self", other === node);
    other.box.classList.toggle("up", Boolean(node) && node.up.has(other));
    other.box.classList.toggle("down", Boolean(node) && node.down.has(other));
  }
  for (const line of graph.lines.children) {
    const [from, to] = line.ends;
    line.classList.toggle("up", Boolean(node) && (to === node || node.up.has(to)) && node.up.has(from));
    line.classList.toggle("down", Boolean(node) && (from === node || node.down.has(from)) && node.down.has(to));
  }
}

function graphFilter() {
  if (graph) graph.nodes.forEach((node) => node.box.classList.toggle("faded", !matches(node.change)));
}
