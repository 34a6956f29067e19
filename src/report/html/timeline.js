// What was done when, and the chain that the whole run had to wait for.
function operations() {
  const open = new Map();
  const all = [];
  for (const event of data.events) {
    const key = `${event.operation} ${event.address}`;
    const at = Date.parse(event.at) / 1000;
    if (event.event === "started") {
      const one = { address: event.address, operation: event.operation, start: at, end: null, state: "open" };
      open.set(key, one);
      all.push(one);
    } else if ((event.event === "finished" || event.event === "failed") && open.has(key)) {
      const one = open.get(key);
      one.end = Math.max(at, one.start);
      one.state = event.event;
      open.delete(key);
    }
  }
  const end = Math.max(...data.events.map((event) => Date.parse(event.at) / 1000));
  all.forEach((one) => { if (one.end === null) one.end = end; });
  return all;
}

// From what ended last backwards: of all that an operation had to wait for, what ended last before it began.
function critical(all) {
  const neighbours = new Map();
  const join = (one, other) => { if (!neighbours.has(one)) neighbours.set(one, new Set([one])); neighbours.get(one).add(other); };
  for (const plan of data.plans) {
    for (const change of plan.changes) {
      for (const address of [...change.needs, ...(change.uses || [])]) { join(change.address, address); join(address, change.address); }
    }
  }
  const path = [];
  let at = all.reduce((latest, one) => (!latest || one.end > latest.end ? one : latest), null);
  while (at && !path.includes(at)) {
    path.unshift(at);
    const near = neighbours.get(at.address) || new Set([at.address]);
    const before = all.filter((one) => one !== at && near.has(one.address) && one.end <= at.start + 0.01 && one.start < at.start);
    at = before.reduce((latest, one) => (!latest || one.end > latest.end ? one : latest), null);
  }
  return path;
}

function timeline() {
  const all = operations();
  if (!all.length) return;
  addTab("timeline", `Timeline (${all.length})`);
  const from = Math.min(...all.map((one) => one.start));
  const total = Math.max(0.001, Math.max(...all.map((one) => one.end)) - from);
  const path = critical(all);
  const busy = path.reduce((sum, one) => sum + one.end - one.start, 0);
  const only = el("input", { type: "checkbox", id: "only" });
  const rows = el("div", { class: "bars" });
  const home = $("tab-timeline");
  home.append(
    el("p", {}, `${all.length} operations in ${clock(total)}. The critical path: ${path.length} of them, one after the other, ${clock(busy)} of work. The run is as long as it is because of these.`),
    el("p", {}, el("label", {}, only, " only the critical path")), rows);
  all.sort((a, b) => a.start - b.start || a.end - b.end);
  for (const one of all) {
    const on = path.includes(one);
    const name = el("span", { class: "name", title: `${one.operation} ${one.address}` }, `${SIGNS[one.operation]} ${one.address}`);
    name.addEventListener("click", () => { if (byAddress.has(one.address)) show(byAddress.get(one.address)); });
    const fill = el("span", { class: "fill" });
    fill.style.left = `${(100 * (one.start - from)) / total}%`;
    fill.style.width = `${(100 * (one.end - one.start)) / total}%`;
    const state = one.state === "failed" ? "failed" : one.state === "open" ? "not ended" : "";
    rows.append(el("div", { class: `bar ${one.operation} ${on ? "critical" : ""} ${one.state}`, title: `${one.operation} ${one.address}: from ${clock(one.start - from)} to ${clock(one.end - from)} ${state}` },
      name, el("span", { class: "track" }, fill), el("span", { class: "time" }, state || clock(one.end - one.start))));
  }
  only.addEventListener("change", () => rows.querySelectorAll(".bar").forEach((row) => { row.hidden = only.checked && !row.classList.contains("critical"); }));
}
