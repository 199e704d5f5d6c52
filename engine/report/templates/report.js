// The table of exemplars: sorts, searches and filters in memory, and puts no more rows on the page than are asked for.
// Texts come from language models, so they reach the page through textContent only.
(() => {
  "use strict";

  const ROWS_A_PAGE = 100;
  const FOLDED_TEXT = 700;
  const { run, removable: removeCommand, traits, reasons, names, rows } = JSON.parse(document.getElementById("exemplar-data").textContent);
  const controls = document.getElementById("controls");
  const count = document.getElementById("count");
  const nothing = document.getElementById("nothing");
  const more = document.getElementById("more");
  const body = document.querySelector("table.rows tbody");
  const headers = [...document.querySelectorAll("table.rows th")];
  const collator = new Intl.Collator(undefined, { numeric: true });
  const number = new Intl.NumberFormat("en");

  const nameTrait = (row) => (traits[row.trait] ? traits[row.trait].name : row.trait);
  const namePole = (row) => (traits[row.trait] ? traits[row.trait][row.pole] : row.pole);
  const nameStatus = (row) => (row.reason === null ? "kept" : names[row.reason] || row.reason);
  const isRejected = (row) => row.reason !== null && row.reason !== "surplus";
  // Kept before rejected, then by reason.
  const values = {
    status: (row) => (row.reason === null ? (row.wrong_side ? "0" : "") : nameStatus(row)),
    trait: nameTrait,
    pole: namePole,
    text: (row) => row.text || "",
    subject: (row) => row.subject,
    round: (row) => row.round,
    words: (row) => row.words,
  };

  let sorting = { key: null, down: false };
  let matching = rows;
  let haystacks = null;

  function start() {
    for (const [key, trait] of Object.entries(traits)) addOption(controls.trait, key, trait.name);
    const found = new Map();
    for (const row of rows) if (row.reason !== null) found.set(row.reason, (found.get(row.reason) || 0) + 1);
    const doubtful = rows.filter((row) => row.wrong_side).length;
    if (doubtful) addOption(controls.status, "wrong_side", `reads like the other pole (${number.format(doubtful)})`);
    for (const [reason, times] of [...found].sort((a, b) => b[1] - a[1])) {
      const name = names[reason] || reason;
      addOption(controls.status, reason, `${reason === "surplus" ? "" : "rejected: "}${name} (${number.format(times)})`);
    }
    controls.addEventListener("submit", (event) => event.preventDefault());
    controls.addEventListener("input", refresh);
    controls.addEventListener("reset", () => setTimeout(refresh));
    more.addEventListener("click", listMore);
    for (const header of headers) header.firstElementChild.addEventListener("click", () => sortBy(header.dataset.key));
    for (const bar of document.querySelectorAll("a[data-status]")) {
      bar.addEventListener("click", () => showOnly(bar.dataset.status, bar.dataset.trait || ""));
    }
    document.getElementById("explorer").hidden = false;
    refresh();
  }

  function addOption(select, value, label) {
    select.append(new Option(label, value));
  }

  function showOnly(status, trait) {
    controls.reset();
    controls.trait.value = trait;
    controls.status.value = status;
    if (controls.status.selectedIndex < 0) controls.status.value = "rejected";
    refresh();
  }

  function sortBy(key) {
    sorting = { key, down: sorting.key === key && !sorting.down };
    for (const header of headers) {
      if (header.dataset.key === key) header.setAttribute("aria-sort", sorting.down ? "descending" : "ascending");
      else header.removeAttribute("aria-sort");
    }
    refresh();
  }

  function refresh() {
    matching = sorted(rows.filter(makeFilter()));
    body.replaceChildren();
    nothing.hidden = matching.length > 0;
    nothing.textContent = rows.length ? "No exemplar matches all of that." : "This run brought back no exemplars.";
    listMore();
  }

  function makeFilter() {
    const words = fold(controls.search.value).split(/\s+/).filter(Boolean);
    const [status, trait, pole] = [controls.status.value, controls.trait.value, controls.pole.value];
    if (words.length && !haystacks) haystacks = new Map(rows.map((row) => [row, makeHaystack(row)]));
    return (row) =>
      (!trait || row.trait === trait) &&
      (!pole || row.pole === pole) &&
      (!status ||
        status === (row.reason || "kept") ||
        (status === "rejected" && isRejected(row)) ||
        (status === "wrong_side" && row.wrong_side)) &&
      words.every((word) => haystacks.get(row).includes(word));
  }

  function makeHaystack(row) {
    const parts = [row.text || "", row.subject, row.audience, row.form, row.length, nameTrait(row), namePole(row)];
    return fold([...parts, nameStatus(row), row.reason || "", row.id].join("\n"));
  }

  // Accents and case do not matter in a search.
  function fold(text) {
    return text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  }

  function sorted(some) {
    if (!sorting.key) return some;
    const value = values[sorting.key];
    const sign = sorting.down ? -1 : 1;
    return some.sort((a, b) => {
      const [left, right] = [value(a), value(b)];
      return sign * (typeof left === "number" ? left - right : collator.compare(left, right));
    });
  }

  function listMore() {
    const from = body.rows.length;
    body.append(...matching.slice(from, from + ROWS_A_PAGE).map(makeRow));
    const [listed, found, all] = [body.rows.length, matching.length, rows.length];
    const left = found - listed;
    more.hidden = left === 0;
    more.textContent = `Show ${number.format(Math.min(left, ROWS_A_PAGE))} more (${number.format(left)} left)`;
    count.textContent =
      left === 0
        ? `showing ${number.format(found)} of ${number.format(all)}`
        : `showing ${number.format(listed)} of ${number.format(found)}` +
          (found < all ? ` that match, of ${number.format(all)} in all` : "");
    // The button is gone after the last page; the keyboard goes on from the first row that it brought.
    if (from > 0 && left === 0) body.rows[from].querySelector(".subject summary").focus({ preventScroll: true });
  }

  function makeRow(row) {
    const line = make("tr", `${row.reason === null ? "kept" : "rejected"}${row.wrong_side ? " doubtful" : ""}`);
    line.setAttribute("role", "row");
    line.append(
      makeStatus(row),
      makeCell("trait", "", nameTrait(row)),
      makePole(row),
      makeText(row),
      makeSubject(row),
      makeCell("round", "round", String(row.round)),
      makeCell("words", "words", number.format(row.words)),
    );
    return line;
  }

  function makeStatus(row) {
    const cell = makeCell("status", "", "");
    cell.append(icon(row.reason === null ? "✓" : isRejected(row) ? "✕" : "○"), nameStatus(row));
    cell.title = row.reason === null ? "" : reasons[row.reason] || "";
    if (row.wrong_side) cell.append(make("span", "doubt", "! reads like the other pole"));
    return cell;
  }

  function makePole(row) {
    const cell = makeCell("pole", "", "");
    const glyph = make("span", `shape ${row.pole}`);
    glyph.setAttribute("aria-hidden", "true");
    cell.append(glyph, namePole(row));
    return cell;
  }

  function makeText(row) {
    const cell = makeCell("text", "", "");
    const text = make("div", "sample");
    text.dir = "auto";
    if (row.text === null) {
      text.append(make("i", "", "no text came back"));
    } else if (row.text.length <= FOLDED_TEXT) {
      text.textContent = row.text;
    } else {
      const cut = row.text.lastIndexOf(" ", FOLDED_TEXT / 2) + 1 || FOLDED_TEXT / 2;
      const folded = make("details", "fold");
      folded.append(make("summary", "", row.text.slice(0, cut)), make("div", "", row.text.slice(cut)));
      text.append(folded);
    }
    cell.append(text);
    if (removeCommand && row.wrong_side && row.reason === null) cell.append(make("code", "", `${removeCommand} ${row.id}`));
    return cell;
  }

  function makeSubject(row) {
    const cell = makeCell("subject", "", "");
    const scenario = make("details");
    const list = make("dl");
    const facts = { audience: row.audience, form: row.form, length: row.length };
    if (row.lean !== null) facts["lies at"] = row.lean.toFixed(2);
    if (row.detail) facts.found = row.detail;
    facts.id = String(row.id);
    // A first look keeps nothing, so no command finds its texts.
    if (removeCommand) facts["comes from"] = `exemplars show ${row.id} --run ${run}`;
    if (removeCommand && row.reason === null) facts["remove with"] = `${removeCommand} ${row.id}`;
    for (const [name, value] of Object.entries(facts)) {
      const line = make("div");
      line.append(make("dt", "", name), " ", make("dd", "", value));
      if (value) list.append(line);
    }
    scenario.append(make("summary", "", row.subject || "no subject"), list);
    cell.append(scenario);
    return cell;
  }

  function makeCell(name, label, text) {
    const cell = make("td", name, text);
    cell.setAttribute("role", "cell");
    if (label) cell.dataset.label = label;
    return cell;
  }

  function icon(sign) {
    const element = make("span", "icon", sign);
    element.setAttribute("aria-hidden", "true");
    return element;
  }

  function make(tag, className = "", text = "") {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text) element.textContent = text;
    return element;
  }

  start();
})();
