// Searches and filters the models, which are all on the page: without this script they can be read all the same.
(() => {
  "use strict";

  const controls = document.getElementById("controls");
  if (!controls) return;
  const count = document.getElementById("count");
  const nothing = document.getElementById("nothing");
  const number = new Intl.NumberFormat("en");
  const models = [...document.querySelectorAll("details.model")].map((element) => ({
    element,
    kinds: new Set(element.dataset.kinds.split(" ")),
    text: null,
  }));

  function start() {
    controls.hidden = false;
    controls.addEventListener("submit", (event) => event.preventDefault());
    controls.addEventListener("input", refresh);
    controls.addEventListener("reset", () => setTimeout(refresh));
    for (const link of document.querySelectorAll("a[data-kind]")) {
      link.addEventListener("click", () => {
        controls.reset();
        controls.kind.value = link.dataset.kind;
        refresh();
      });
    }
    refresh();
  }

  function refresh() {
    const words = fold(controls.search.value).split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const model of models) {
      const fits = (!controls.kind.value || model.kinds.has(controls.kind.value)) && matches(model, words);
      model.element.hidden = !fits;
      shown += fits;
    }
    nothing.hidden = shown > 0;
    count.textContent = `showing ${number.format(shown)} of ${number.format(models.length)}`;
  }

  function matches(model, words) {
    if (!words.length) return true;
    model.text ??= fold(model.element.textContent);
    return words.every((word) => model.text.includes(word));
  }

  // Accents and case do not matter in a search.
  function fold(text) {
    return text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  }

  start();
})();
