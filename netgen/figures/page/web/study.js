// The page of a study: filters its sentences, chooses places, and tells of each seed.

const places = [...document.querySelectorAll(".grid-place")];
const findings = [...document.querySelectorAll(".finding")].map((node) => ({
  node,
  place: node.closest(".grid-place"),
  text: [...node.querySelectorAll(":is(h3, h4), .printed")].map((part) => part.textContent.toLowerCase()).join(" "),
}));
const signs = [...document.querySelectorAll(".map .sign")];

function filter() {
  const verdict = byId("filter-verdict").value;
  const words = wordsIn(byId("filter-words"));
  let count = 0;
  for (const { node, place, text } of findings) {
    node.hidden = !((!verdict || node.dataset.verdict === verdict) && words.every((word) => text.includes(word)));
    count += !node.hidden && !place.hidden;
  }
  for (const sign of signs) sign.classList.toggle("faint", Boolean(verdict) && !sign.classList.contains(verdict.replaceAll(" ", "-")));
  byId("findings-shown").textContent = `${count} sentence${count === 1 ? "" : "s"}`;
}

// Shows a place, where there are too many to be shown together, and marks it in the maps.
function choose(place) {
  if (data.oneByOne) {
    for (const each of places) each.hidden = each !== place;
    byId("choose-place").value = place.id;
  }
  for (const sign of signs) {
    if (sign.getAttribute("href") !== `#${place.id}`) sign.removeAttribute("aria-current");
    else sign.setAttribute("aria-current", "true");
  }
  filter();
}

// A link to a place, or to a sentence, shows it, whatever the filters leave out.
function follow() {
  const target = byId(addressed());
  const place = target?.closest(".grid-place");
  if (!place) return;
  const here = findings.filter((each) => each.place === place);
  if (target.hidden || here.every(({ node }) => node.hidden)) byId("filters").reset();
  choose(place);
  target.querySelector(".where")?.focus({ preventScroll: true });
  target.scrollIntoView();
}

// The arrow keys move through a map, which is one stop of the Tab key.
function roam(map) {
  const rows = [...map.tBodies[0].rows].map((row) => [...row.cells].slice(1).map((cell) => cell.querySelector(".sign")));
  const inside = rows.flat().filter(Boolean);
  const stop = (at) => inside.forEach((sign) => (sign.tabIndex = sign === at ? 0 : -1));
  const steps = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] };
  if (inside.length) stop(inside[0]);
  map.addEventListener("focusin", (event) => stop(event.target));
  map.addEventListener("keydown", (event) => {
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    let row = rows.findIndex((signs) => signs.includes(event.target));
    let column = rows[row].indexOf(event.target);
    do {
      row += step[0];
      column += step[1];
    } while (rows[row] && column in rows[row] && !rows[row][column]);
    rows[row]?.[column]?.focus();
  });
}

// Tells of the seed whose dot is pointed at, or reached with the arrow keys; a click keeps it.
function tell(forest) {
  const rows = data.findings[forest.dataset.finding];
  const dots = [...forest.querySelectorAll("tbody tr")].map((row) => [...row.querySelectorAll("circle")]);
  const told = forest.parentNode.querySelector(".told-seed");
  let [row, dot, kept] = [-1, 0, false];

  function read(wantedRow, wantedDot) {
    row = Math.min(rows.length - 1, Math.max(0, wantedRow));
    dot = Math.min(dots[row].length - 1, Math.max(0, wantedDot));
    for (const each of dots.flat()) each.classList.toggle("pointed", each === dots[row][dot]);
    const [seed, value, cells] = rows[row].seeds[dot];
    const items = cells.flatMap((number) => item(data.cells[number], rows[row].tasks));
    told.replaceChildren(make("p", {}, make("b", {}, make("bdi", {}, rows[row].what), `, seed ${seed}: ${value}`)), make("ul", {}, ...items));
  }

  // The dot of a row that is nearest to the pointer.
  function pointed(event) {
    const strip = event.target.closest?.("tbody .strip");
    if (!strip) return false;
    const at = strip.parentNode.sectionRowIndex;
    const away = dots[at].map((each) => {
      const box = each.getBoundingClientRect();
      return Math.hypot(box.x + box.width / 2 - event.clientX, box.y + box.height / 2 - event.clientY);
    });
    read(at, away.indexOf(Math.min(...away)));
    return true;
  }

  forest.addEventListener("pointermove", (event) => kept || pointed(event));
  forest.addEventListener("click", (event) => (kept = pointed(event)));
  forest.addEventListener("keydown", (event) => {
    const steps = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0], Home: [0, -Infinity], End: [0, Infinity] };
    if (event.key === "Escape") kept = false;
    if (!(event.key in steps)) return;
    event.preventDefault();
    kept = true;
    if (row < 0) read(0, 0);
    else read(row + steps[event.key][0], dot + steps[event.key][1]);
  });
}

// What is told of a cell: its accuracies of these tasks, or its cross weights; nothing of one without.
function item(cell, tasks) {
  const has = tasks.filter((task) => Object.hasOwn(cell.tasks, task));
  const texts = tasks.length ? has.map((task) => `${task} ${cell.tasks[task]}`) : cell.cross ? [cell.cross] : [];
  return texts.length ? [make("li", {}, make("b", {}, cell.name), ": ", make("bdi", {}, texts.join("; ")), make("br"), make("code", {}, cell.command))] : [];
}

document.querySelectorAll(".map").forEach(roam);
document.querySelectorAll(".forest").forEach(tell);
if (data.oneByOne) {
  byId("choose-place").addEventListener("input", (event) => {
    location.hash = encodeURIComponent(event.target.value);
  });
  nowAndWhenShown(() => choose(byId(byId("choose-place").value)));
}
filterBy(byId("filters"), filter);
window.addEventListener("hashchange", follow);
follow();
