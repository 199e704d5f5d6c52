"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const decisions = new Map(Object.entries(data.decisions));
// The corrected texts, by sample id.
const texts = new Map(Object.entries(data.corrections));
const byId = new Map(data.rows.map((row) => [row.id, row]));
const pairs = new Map();
for (const row of data.rows) if (row.pair) pairs.set(row.pair, [...(pairs.get(row.pair) || []), row]);
const WORDS = {accept: "accepted", refuse: "refused", other_pole: "other pole"};
const BUTTONS = [["accept", "Accept"], ["refuse", "Refuse"], ["other_pole", "Other pole"]];
const at = (id) => document.getElementById(id);
const undone = [];
// The decisions that the HTTP API has stored; and those that it refused, with the reason.
const kept = new Map(decisions);
const unkept = new Map();
let shown = [];
let place = 0;
let sending = Promise.resolve();
let over = false;

function make(tag, fields = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(fields)) {
    if (name === "text") element.textContent = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null) element.setAttribute(name, value);
  }
  element.append(...children.filter(Boolean));
  return element;
}

function say(text, bad = false) {
  at("said").textContent = text;
  at("said").classList.toggle("bad", bad);
}

const label = (row, pole = row.pole) => data.traits[row.trait][pole];
const other = (row) => (row.pole === "positive" ? "negative" : "positive");
const textOf = (row) => texts.get(row.id) ?? row.text;
const partner = (row) => (pairs.get(row.pair) || []).find((one) => one.id !== row.id);

function filter(keep) {
  const [trait, pole, show, order] = ["trait", "pole", "show", "order"].map((id) => at(id).value);
  shown = data.rows.filter((row) => (!trait || row.trait === trait) && (!pole || row.pole === pole) &&
    (show === "all" || (show === "open" ? !decisions.has(row.id) : show === "unkept" ? unkept.has(row.id) : decisions.get(row.id) === show)));
  if (order === "doubt") shown.sort((one, two) => (one.side ?? Infinity) - (two.side ?? Infinity));
  place = Math.max(0, keep ? shown.findIndex((row) => row.id === keep) : shown.findIndex((row) => !decisions.has(row.id)));
  draw();
}

function count() {
  const counts = {accept: 0, correct: 0, refuse: 0, other_pole: 0};
  for (const [id, said] of decisions) counts[said === "accept" && texts.has(id) ? "correct" : said] += 1;
  const left = data.rows.length - decisions.size;
  at("counts").textContent = `${left} left; ${counts.accept} accepted, ${counts.correct} corrected, ${counts.refuse} refused, ${counts.other_pole} of the other pole`;
  at("meter").setAttribute("aria-valuenow", decisions.size);
  at("meter").firstElementChild.style.width = `${100 * decisions.size / Math.max(data.rows.length, 1)}%`;
  const remaining = data.rows.length - counts.refuse - counts.other_pole;
  at("sum").textContent = `${remaining} of ${data.rows.length} remain` + (left ? `, ${left} of them without a decision` : "") +
    (counts.refuse ? `; ${counts.refuse} are left out, and others are generated to replace them` : "") +
    (counts.other_pole ? `; ${counts.other_pole} move to the other pole if it has room` : "") + ".";
}

function drawAxis(row) {
  if (row.position === null) return null;
  const pair = partner(row);
  const mark = (one, kind) => one && one.position !== null &&
    make("i", {class: kind, style: `left:${(100 * one.position).toFixed(1)}%`});
  return make("div", {},
    make("div", {class: "axis", role: "img", "aria-label": `Lies at ${Math.round(100 * row.position)} of 100 from ${label(row, "negative")} to ${label(row, "positive")}`}, mark(pair, "pair"), mark(row, "")),
    make("div", {class: "ends"}, make("span", {text: label(row, "negative")}), pair && make("span", {text: "● this text, ○ its pair"}), make("span", {text: label(row, "positive")})));
}

function drawButtons(row) {
  return BUTTONS.map(([said, words]) => make("button", {type: "button", class: said, text: words,
    "aria-pressed": String(decisions.get(row.id) === said), onclick: () => decide(row, said)}));
}

function drawMark(row) {
  const said = decisions.get(row.id);
  return make("span", {class: `mark ${said || ""}`, text: said ? WORDS[said] : "not decided"});
}

function drawOne() {
  const row = shown[place];
  if (!row) return make("p", {class: "muted", text: "No text matches the filters. Change them above."});
  const pair = partner(row);
  const near = row.nearest && byId.get(row.nearest[0]);
  return make("article", {class: `card ${row.pole}`, "aria-label": `Text ${place + 1} of ${shown.length}`},
    make("h2", {}, make("span", {}, make("span", {class: "pole", text: label(row)}), ` · ${data.traits[row.trait].name} · ${place + 1} of ${shown.length}`), drawMark(row)),
    make("p", {class: "text", text: textOf(row)}),
    texts.has(row.id) && make("p", {class: "muted", text: `Corrected. The proposed text was: ${row.text}`}),
    make("p", {class: "muted", text: `About ${row.subject}. Id ${row.id}`}),
    drawAxis(row),
    make("div", {class: "row"}, ...drawButtons(row),
      make("button", {type: "button", text: "Correct", onclick: edit}),
      make("button", {type: "button", text: "Undo", onclick: undo}),
      make("button", {type: "button", text: "Back", onclick: () => move(-1)}),
      make("button", {type: "button", text: "Next", onclick: () => move(1)})),
    make("div", {class: "beside"},
      pair && make("section", {class: pair.pole}, make("h3", {}, "Its pair: ", make("span", {class: "pole", text: label(pair)})), make("p", {text: textOf(pair)})),
      near && make("section", {}, make("h3", {text: `Most like it (${row.nearest[1].toFixed(2)})`}), make("p", {text: textOf(near)}))));
}

function drawTable() {
  const body = make("tbody");
  for (const row of shown) body.append(drawLine(row));
  return make("table", {}, make("caption", {text: `${shown.length} texts`}),
    make("thead", {}, make("tr", {}, ...["Pole", "Text", "Decision"].map((text) => make("th", {scope: "col", text})))), body);
}

function drawLine(row) {
  return make("tr", {class: row.pole, id: `row-${row.id}`}, make("td", {}, make("span", {class: "pole", text: label(row)})),
    make("td", {text: textOf(row)}), make("td", {}, drawMark(row), make("div", {class: "row"}, ...drawButtons(row))));
}

function draw() {
  count();
  at("stage").replaceChildren(at("view").value === "table" ? drawTable() : drawOne());
}

function move(step) {
  place = Math.min(Math.max(place + step, 0), Math.max(shown.length - 1, 0));
  draw();
}

function nextPair() {
  const pair = shown[place] && shown[place].pair;
  const after = shown.findIndex((row, index) => index > place && (!pair || row.pair !== pair));
  if (after >= 0) place = after;
  draw();
}

async function send(path, body) {
  const response = await fetch(`/v1/runs/${data.run}/review${path}`, {method: "POST", credentials: "same-origin",
    headers: {"Content-Type": "application/json"}, body: JSON.stringify(body), signal: AbortSignal.timeout(60000)});
  // A proxy may answer with its own page, even with status 200.
  const answer = await response.json().catch(() => null);
  if (!response.ok || !answer) throw new Error(answer?.error?.message || `the answer (${response.status}) is not the HTTP API's.`);
  return answer;
}

function set(row, said) {
  if (!said || said === "undecided") decisions.delete(row.id); else decisions.set(row.id, said === "correct" ? "accept" : said);
}

function keep(row, said, text) {
  set(row, said);
  sending = sending.then(() => send("/decisions", {sample_id: row.id, said, text})).then(() => {
    kept.set(row.id, said);
    unkept.delete(row.id);
  }, (error) => {
    unkept.set(row.id, error.message);
    set(row, kept.get(row.id));
    draw();
  }).then(tellUnkept);
}

function tellUnkept() {
  const texts = unkept.size === 1 ? "one text" : `${unkept.size} texts`;
  at("unkept").hidden = !unkept.size;
  at("unkept").textContent = unkept.size &&
    `Not kept: what you decided on ${texts} (Show: not kept). Decide again before you attach. ${[...new Set(unkept.values())].join(" ")}`;
}

function decide(row, said) {
  if (over) return;
  undone.push([row, decisions.get(row.id) || "undecided", texts.get(row.id)]);
  keep(row, said);
  say(`${WORDS[said][0].toUpperCase()}${WORDS[said].slice(1)}${said === "other_pole" ? `: ${label(row, other(row))}` : ""}.`);
  if (at("view").value === "table") {
    count();
    const line = at(`row-${row.id}`);
    const index = [...line.querySelectorAll("button")].findIndex((button) => button === document.activeElement);
    line.replaceWith(drawLine(row));
    if (index >= 0) at(`row-${row.id}`).querySelectorAll("button")[index].focus();
  } else move(1);
}

// Replaces a text that is nearly right: the HTTP API checks the new one; until it accepts, the new one stays here.
function edit() {
  const row = shown[place];
  if (!row || over) return;
  const area = make("textarea", {rows: 6, "aria-label": "The corrected text"});
  area.value = textOf(row);
  at("stage").querySelector(".text").replaceWith(area);
  area.after(make("div", {class: "row"}, make("button", {type: "button", class: "accept", text: "Keep this text", onclick: () => correct(row, area)}),
    make("button", {type: "button", text: "Leave it as it was", onclick: draw})));
  area.focus();
}

async function correct(row, area) {
  const text = area.value.trim();
  const before = [row, decisions.get(row.id) || "undecided", texts.get(row.id)];
  const answered = sending.then(() => send("/decisions", {sample_id: row.id, said: "correct", text}));
  sending = answered.catch(() => null);
  try {
    await answered;
  } catch (error) {
    return say(error.message, true);
  }
  undone.push(before);
  texts.set(row.id, text);
  set(row, "correct");
  kept.set(row.id, "accept");
  unkept.delete(row.id);
  tellUnkept();
  draw();
  say("Corrected, and accepted. Rules of your own are checked when the set is attached.");
}

function undo() {
  const last = undone.pop();
  if (!last || over) return say("There is nothing to undo.");
  const [row, said, text] = last;
  if (text !== texts.get(row.id)) {
    keep(row, "undecided");
    if (text) keep(row, "correct", text);
    if (text) texts.set(row.id, text); else texts.delete(row.id);
  }
  keep(row, said);
  place = Math.max(0, shown.findIndex((one) => one.id === row.id));
  draw();
  say("Taken back.");
}

const KEYS = {a: () => shown[place] && decide(shown[place], "accept"), r: () => shown[place] && decide(shown[place], "refuse"),
  o: () => shown[place] && decide(shown[place], "other_pole"), e: edit, u: undo, b: () => move(-1), n: nextPair,
  ArrowLeft: () => move(-1), ArrowRight: () => move(1)};
document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("select, textarea, input:not([type=checkbox])");
  const act = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!act || typing || event.ctrlKey || event.metaKey || event.altKey || at("view").value === "table") return;
  event.preventDefault();
  act();
});

async function finish(decision, fill = false) {
  const buttons = [at("attach"), at("fill"), at("reject")];
  for (const button of buttons) button.disabled = true;
  over = true;
  say("Waiting until what you decided is kept.");
  await sending;
  try {
    if (decision === "attach" && unkept.size) throw new Error("something that you decided was not kept.");
    const answer = await send("", {decision, why: at("why").value, fill});
    say(answer.message);
    // The page of that run has the same address with another id.
    if (data.run_page) at("links").prepend(make("a", {href: data.run_page.replace(data.run, answer.run_id), text: "The run that finishes the set"}), " · ");
  } catch (error) {
    over = false;
    // An error of fetch: the request may have arrived, but not its answer.
    say(error.name === "Error" ? `Not done: ${error.message}` : `No answer arrived (${error.message}). The run's page shows whether the review has started.`, true);
    for (const button of buttons) button.disabled = false;
  }
  at("said").scrollIntoView({block: "center"});
}
at("end").addEventListener("submit", (event) => { event.preventDefault(); finish("attach"); });
at("fill").addEventListener("click", () => finish("attach", true));
at("reject").addEventListener("click", () => { if (confirm("Reject the whole set? Later runs still know its texts as refused.")) finish("reject"); });

at("trait").append(make("option", {value: "", text: "all"}),
  ...Object.entries(data.traits).map(([key, trait]) => make("option", {value: key, text: trait.name})));
at("pole").append(make("option", {value: "positive", text: "positive"}), make("option", {value: "negative", text: "negative"}));
at("filters").addEventListener("change", () => filter(at("view").value === "one" && shown[place] ? shown[place].id : null));
at("filters").addEventListener("submit", (event) => event.preventDefault());
filter(null);
