"use strict";
// Everything that is shown is put in as text: what an author or a provider wrote is never read as HTML.
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const SIGNS = { create: "+", update: "~", replace: "-/+", delete: "-", none: ".", orphan: "." };
const ACTIONS = ["delete", "replace", "update", "create", "orphan", "none"];
const WORDS = { create: "create", update: "update", replace: "replace", delete: "delete", orphan: "kept, not declared", none: "unchanged" };

function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== false && value !== undefined) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== undefined && child !== null && child !== ""));
  return node;
}

// A later stage tells anew of all resources: what it changes is what counts, and what an earlier one did stays told.
function merged(plans) {
  const byKey = new Map();
  plans.forEach((plan, stage) => plan.changes.forEach((change) => {
    const key = change.address + "\n" + (change.reason === "deposed" ? change.id : "");
    const before = byKey.get(key);
    if (!before || change.action !== "none" || before.action === "none") byKey.set(key, { ...change, stage });
  }));
  return [...byKey.values()];
}

const changes = merged(data.plans);
changes.forEach((change, index) => {
  change.index = index;
  change.phaseName = change.phase.join(" › ");
  change.place = change.site ? (change.site.line ? `${change.site.file}:${change.site.line}` : change.site.file) : "";
  const text = change.lines.map((line) => line[1]).join("\n");
  change.text = [change.address, change.id || "", change.phaseName, change.place, change.why.join(" "), text].join("\n").toLowerCase();
});
const byAddress = new Map();
changes.forEach((change) => { if (!byAddress.has(change.address)) byAddress.set(change.address, change); });
const last = data.plans[data.plans.length - 1];
const started = data.events.find((event) => event.event === "run_started") || {};
const finished = data.events.filter((event) => event.event === "run_finished").pop();
const applied = data.events.some((event) => event.event === "apply_started");

const wanted = { actions: new Set(ACTIONS.filter((action) => action !== "none")), text: "", phase: "*", kind: "*" };
if (!changes.some((change) => change.action !== "none")) wanted.actions.add("none");
const matches = (change) =>
  wanted.actions.has(change.action) &&
  (wanted.phase === "*" || change.phaseName === wanted.phase) &&
  (wanted.kind === "*" || change.kind === wanted.kind) &&
  wanted.text.split(/\s+/).every((word) => change.text.includes(word));

function clock(seconds) {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const two = (n) => String(n).padStart(2, "0");
  if (whole < 3600) return `${Math.floor(whole / 60)} m ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${two(Math.floor(whole / 60) % 60)} m`;
}

function header() {
  const stack = last ? last.stack : started.stack || "";
  document.title = `${stack}: ${applied ? "run" : "plan"} of runner`;
  $("stack").textContent = stack;
  const command = started.command === "destroy" ? "destroy " : "";
  const when = started.at ? new Date(started.at).toLocaleString() : "";
  const stages = data.plans.length > 1 ? `${data.plans.length} stages` : "";
  $("from").textContent = [`runner ${command}${started.playbook || ""}`, when, stages, `runner ${data.version}`].filter(Boolean).join(" · ");
  const outcome = outcomeOf();
  if (outcome) {
    $("outcome").hidden = false;
    $("outcome").textContent = outcome[0];
    $("outcome").classList.add(outcome[1]);
  }
  for (const action of ACTIONS) {
    const number = changes.filter((change) => change.action === action).length;
    if (!number) continue;
    const chip = el("button", { class: `chip ${action}`, "data-action": action, "aria-pressed": String(wanted.actions.has(action)) },
      el("b", {}, `${SIGNS[action]} ${number}`), ` ${WORDS[action]}`);
    chip.addEventListener("click", () => {
      const on = !wanted.actions.has(action);
      if (on) wanted.actions.add(action); else wanted.actions.delete(action);
      chip.setAttribute("aria-pressed", String(on));
      update();
    });
    $("chips").append(chip);
  }
}

function outcomeOf() {
  if (!applied) return data.plans.length && last.empty && !last.stop ? ["nothing to do", "good"] : data.plans.length ? ["plan", "half"] : ["no plan", "bad"];
  if (!finished) return ["running when this was written", "half"];
  const seconds = data.events.filter((event) => event.event === "applied").reduce((sum, event) => sum + event.seconds, 0);
  const word = finished.exit === 0 ? ["done", "good"] : finished.exit === 130 ? ["interrupted", "bad"] : ["failed", "bad"];
  return [`${word[0]} in ${clock(seconds)}`, word[1]];
}

// A name that leads to its change.
function link(address) {
  const change = byAddress.get(address);
  if (!change) return el("span", { class: "mono" }, address);
  return el("a", { href: `#change-${change.index}`, onclick: (event) => { event.preventDefault(); show(change); } }, address);
}

function findings() {
  const failed = data.events.filter((event) => event.event === "failed");
  const told = data.events.filter((event) => event.event === "told");
  const skipped = data.events.filter((event) => event.event === "skipped");
  const card = (title, diagnostic, address) => el("div", { class: "card danger finding" },
    el("h2", {}, title), address ? el("p", {}, link(address)) : "",
    (diagnostic.causes || []).map((cause) => el("p", {}, `caused by: ${cause}`)),
    (diagnostic.places || []).map((place) => el("p", { class: "mono dim" }, `${place.site.file}:${place.site.line} ${place.label}`)),
    diagnostic.hint ? el("p", {}, `hint: ${diagnostic.hint}`) : "");
  failed.forEach((event) => $("findings").append(card(event.diagnostic.summary, event.diagnostic, event.address)));
  told.forEach((event) => $("findings").append(card(event.diagnostic.summary, event.diagnostic)));
  if (skipped.length) {
    $("findings").append(el("div", { class: "card" }, el("h2", {}, `${skipped.length} left out because of it`),
      el("ul", {}, skipped.map((event) => el("li", {}, link(event.address), ` because of ${event.because}`)))));
  }
  // Where nothing ran, nobody has told them.
  if (last && !data.events.length) {
    last.policies.forEach((said) => $("findings").append(card(`${said.denies ? "denied: " : ""}${said.text}`, { hint: said.hint, places: [{ site: said.site, label: "" }] }, said.address)));
  }
  if (last && last.left_out.length) {
    $("findings").append(el("div", { class: "card" }, el("h2", {}, "Left out of this plan"),
      el("ul", {}, last.left_out.map((one) => el("li", {}, `${one.address}: ${one.why} (${one.site.file}:${one.site.line})`)))));
  }
  if (last && last.stop) {
    $("findings").append(el("div", { class: "card" }, el("h2", {}, "This is a stage"),
      el("p", {}, `The rest follows once ${last.stop.references.join(", ")} is known (${last.stop.site.file}:${last.stop.site.line}).`)));
  }
}

function danger() {
  const gone = changes.filter((change) => change.action === "delete" || change.action === "replace");
  if (!gone.length) return;
  const one = (change) => {
    const names = (title, taken) => (taken.length
      ? [` ${title}: `, ...taken.slice(0, 6).flatMap((other, index) => [index ? ", " : "", link(other.address)]), taken.length > 6 ? ` and ${taken.length - 6} more` : ""]
      : []);
    const taken = change.reason === "destroyed" ? [] : change.takes_down || [];
    return el("li", {}, el("b", { class: `sign ${change.action}` }, `${change.action} `), link(change.address),
      change.id ? ` (${change.id})` : "", change.why.length ? ` ${change.why.join(", ")}` : "",
      names("takes with it", taken.filter((other) => other.action !== "update")),
      names("changed for it", taken.filter((other) => other.action === "update")));
  };
  $("danger").append(el("div", { class: "card danger" }, el("h2", {}, `Destroys ${gone.length} resource${gone.length > 1 ? "s" : ""}`), el("ul", {}, gone.map(one))));
}

const CLASSES = { "+": "added", "-": "removed", "!": "note", " ": "same" };

function diff(lines, single) {
  return el("pre", {}, lines.map(([sign, text]) => {
    const line = el("span", { class: single && sign !== "!" ? "same" : CLASSES[sign] });
    // What is not known yet, and what is said beside the matter, is said quietly.
    const parts = text.split(/(\(known after apply[^)]*\)|\(sensitive\)|\s\s# .*$)/);
    line.append(single ? "" : `${sign} `, ...parts.map((part, index) => (index % 2 ? el("i", {}, part) : part)));
    return line;
  }));
}

function links(title, addresses) {
  return addresses && addresses.length ? el("div", { class: "links" }, el("span", { class: "dim" }, `${title} `), addresses.map(link)) : "";
}

function inner(change) {
  const single = ["create", "delete", "orphan", "none"].includes(change.action);
  return el("div", { class: "inner" }, change.lines.length ? diff(change.lines, single) : el("p", { class: "dim" }, "No field to show."),
    links("takes down", (change.takes_down || []).map((other) => other.address)),
    links("because of", (change.because || []).map((other) => other.address)),
    links("needs", change.needs),
    links("needed by", (dependants.get(change.address) || [])));
}

const dependants = new Map();
changes.forEach((change) => change.needs.forEach((address) => {
  if (!dependants.has(address)) dependants.set(address, []);
  dependants.get(address).push(change.address);
}));

function entry(change) {
  const [kind, name] = [change.kind, change.name];
  const node = el("details", { class: `change ${change.action}`, id: `change-${change.index}`, "data-address": change.address },
    el("summary", {}, el("span", { class: "sign" }, SIGNS[change.action]),
      el("span", { class: "name" }, `${kind}.`, el("b", {}, name), change.id ? el("span", { class: "dim" }, `  ${change.id}`) : ""),
      change.why.map((why) => el("span", { class: "why" }, why)),
      change.place ? el("span", { class: "site dim mono" }, change.place) : ""));
  // Made when it is first opened: a large plan has many lines.
  node.addEventListener("toggle", () => { if (node.open && !node.querySelector(".inner")) node.append(inner(change)); });
  return node;
}

const entries = [];
function list() {
  const rank = (change) => ACTIONS.indexOf(change.action);
  const danger = (change) => (rank(change) < 2 ? 0 : 1);
  const phases = [...new Set(changes.map((change) => change.phaseName))];
  const groups = phases.map((phase) => [phase, changes.filter((change) => change.phaseName === phase).sort((a, b) => rank(a) - rank(b) || a.index - b.index)]);
  groups.sort((a, b) => Math.min(...a[1].map(danger)) - Math.min(...b[1].map(danger)));
  for (const [phase, members] of groups) {
    const head = el("div", { class: "phase" }, phase || "(no phase)");
    $("changes").append(head);
    const group = { head, members: [] };
    members.forEach((change) => {
      const node = entry(change);
      change.node = node;
      $("changes").append(node);
      group.members.push(change);
    });
    entries.push(group);
  }
  if (!changes.length) $("changes").append(el("p", { class: "empty" }, data.plans.length ? "The stack has no resources." : "There is no plan."));
}

function update() {
  let number = 0;
  for (const group of entries) {
    let any = false;
    for (const change of group.members) {
      const fits = matches(change);
      change.node.hidden = !fits;
      any = any || fits;
      number += fits;
    }
    group.head.hidden = !any;
  }
  $("shown").textContent = number === changes.length ? "" : `${number} of ${changes.length} resources shown`;
  if (typeof graphFilter === "function") graphFilter();
}

function show(change) {
  tab("changes");
  if (!matches(change)) {
    Object.assign(wanted, { text: "", phase: "*", kind: "*" });
    wanted.actions.add(change.action);
    $("search").value = ""; $("phase").value = "*"; $("kind").value = "*";
    document.querySelectorAll(".chip").forEach((chip) => chip.setAttribute("aria-pressed", String(wanted.actions.has(chip.dataset.action))));
    update();
  }
  document.querySelectorAll(".struck").forEach((node) => node.classList.remove("struck"));
  change.node.open = true;
  change.node.classList.add("struck");
  change.node.scrollIntoView({ block: "center" });
}

function choices(id, all, names) {
  const options = [...new Set(names)];
  $(id).append(el("option", { value: "*" }, `${all} (${options.length})`), ...options.map((name) => el("option", { value: name }, name || "(no phase)")));
  $(id).addEventListener("change", () => { wanted[id] = $(id).value; update(); });
}

const tabs = [];
function tab(name) {
  for (const [other, button] of tabs) {
    const on = other === name;
    button.setAttribute("aria-selected", String(on));
    $(`tab-${other}`).hidden = !on;
  }
  if (name === "graph") drawGraph();
}

function addTab(name, title) {
  const button = el("button", { role: "tab", "data-tab": name, onclick: () => tab(name) }, title);
  tabs.push([name, button]);
  $("tabs").append(button);
}

function outputs() {
  if (!last || !last.outputs.length) return;
  addTab("outputs", `Outputs (${last.outputs.length})`);
  last.outputs.forEach((output) => $("tab-outputs").append(
    el("div", { class: "card" }, el("h2", {}, output.name), el("pre", {}, output.value.split("\n").map((line) => el("span", {}, line))))));
}
