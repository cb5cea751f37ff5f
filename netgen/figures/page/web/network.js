// The page of a network: points at layers, searches, folds and unfolds boxes, zooms, colours.

const LEVELS = 5;
const ROW = { height: 16, width: 250, head: 4, letters: 40 };
const NOT_LIT = ["sends", "gets"];
const drawing = byId("drawing");
const view = byId("view");
const told = byId("told");
const elements = data.elements.map((element, index) => {
  const node = byId(`e${index}`);
  return { ...element, node, button: node.querySelector(".head") || node };
});
// Rows of the table are where a layer's link leads without this program; with it, to the layer in the picture.
const rowsOfTables = data.networks.map((network, n) =>
  network.layers.map((_, index) => {
    const row = byId(`layer-${n}-${index}`);
    row.id = `row-${n}-${index}`;
    return row;
  }),
);
const holders = data.networks.map(() => new Map()); // network -> layer -> the element that holds it
const unfolded = new Map(); // element -> its rows
let measure = "";
let scale = 1;

for (const element of elements) {
  for (const layer of element.layers || []) {
    if (!holders[element.network].has(layer)) holders[element.network].set(layer, element);
  }
}
const layersOf = (element) => element.layers.map((index) => data.networks[element.network].layers[index]);
const sum = (layers, field) => layers.reduce((total, layer) => total + layer[field], 0);
const shapeText = (shape) => (shape === null ? "unknown" : shape.join(" × ") || "scalar");
const short = (text) => (text.length <= ROW.letters ? text : `${text.slice(0, ROW.letters - 1)}…`);

// ---- what is told of a layer ---------------------------------------------------------------------

let pointed = [];

function point(element, layer, node) {
  for (const old of pointed) old.classList.remove("pointed");
  pointed = [node || element.button];
  for (const now of pointed) now.classList.add("pointed");
  const only = layer === undefined && element.layers.length === 1 ? element.layers[0] : layer;
  tell(...(only === undefined ? tellBox(element) : tellLayer(element.network, only)));
  light(element);
}

function tell(...nodes) {
  told.replaceChildren(...nodes);
  told.classList.remove("nothing");
  told.tabIndex = 0;
}

// Tells of nothing any more. In a narrow window, what is told lies over the picture.
function tellNothing() {
  if (told.contains(document.activeElement)) view.focus({ preventScroll: true });
  for (const old of pointed) old.classList.remove("pointed");
  pointed = [];
  light({});
  told.replaceChildren(make("p", {}, "Nothing is pointed at."));
  told.classList.add("nothing");
  told.tabIndex = -1;
}

// Moves the page where what is told lies over a node of the picture, as far as its top stays in sight.
function uncover(node) {
  const [below, above] = [node, told].map((each) => each.getBoundingClientRect());
  const isBeside = above.left >= view.getBoundingClientRect().right;
  if (!isBeside && below.bottom > above.top) window.scrollBy(0, Math.max(0, Math.min(below.bottom - above.top + 8, below.top - 8)));
}

function tellLayer(network, index) {
  const layer = data.networks[network].layers[index];
  const readers = layer.readers.map((name) => goTo(network, name));
  const rows = [
    ["type", layer.type],
    ...blobRows("reads", layer.bottoms),
    ...blobRows("makes", layer.tops),
    ["parameters", layer.known ? parametersText(layer) : "unknown"],
    ["multiply-adds", layer.known ? number(layer.multiply_adds) : "unknown"],
    ["memory", layer.known ? bytes(layer.memory_bytes) : "unknown"],
    ["– of its output", bytes(layer.activation_bytes)],
    ["– of its buffers", bytes(layer.buffer_bytes)],
    ["read by", readers.length ? listed(readers) : "no layer"],
  ];
  return [
    make("h3", {}, make("bdi", {}, layer.name)),
    ...differencesOf(network, [index]),
    definitions(rows),
    make("pre", {}, layer.prototxt),
  ];
}

function tellBox(element) {
  const layers = layersOf(element);
  const items = element.layers.map((index, place) =>
    make("li", {}, goTo(element.network, index, layers[place].name), ` ${layers[place].type}: ${costText(layers[place])}`),
  );
  const rows = [
    ["parameters", number(sum(layers, "parameters"))],
    ["multiply-adds", number(sum(layers, "multiply_adds"))],
    ["memory", bytes(sum(layers, "memory_bytes"))],
  ];
  return [
    make("h3", {}, `${layers.length} layers: `, make("bdi", {}, layers[0].name), " …"),
    ...differencesOf(element.network, element.layers),
    definitions(rows),
    make("ul", {}, ...items),
  ];
}

function costText(layer) {
  const parts = [layer.parameters && `${number(layer.parameters)} parameters`, layer.multiply_adds && `${number(layer.multiply_adds)} multiply-adds`];
  return parts.filter(Boolean).join(", ") || "no parameters";
}

function parametersText(layer) {
  const blobs = layer.blobs.map(shapeText).join("; ");
  return `${number(layer.parameters)}, ${number(layer.trainable)} trained${blobs ? ` (${blobs})` : ""}`;
}

const blobRows = (what, blobs) => blobs.map((blob, index) => [index ? "" : what, `${blob.name}: ${shapeText(blob.shape)}`]);

function definitions(rows) {
  return make("dl", {}, ...rows.flatMap(([what, value]) => [make("dt", {}, what), make("dd", {}, value)]));
}

function listed(nodes) {
  return make("span", {}, ...nodes.flatMap((node, index) => (index ? [", ", node] : [node])));
}

function differencesOf(network, layers) {
  const found = layers.flatMap((layer) => (data.differs[network] || {})[layer] || []);
  if (!found.length) return [];
  const items = [...new Set(found)].map((index) => make("li", {}, byId(`difference-${index}`).lastElementChild.textContent));
  return [make("p", { class: "differing" }, make("strong", {}, "≠ differs:")), make("ul", {}, ...items)];
}

// A button that shows a layer in the picture: by its number, or the first of a name.
function goTo(network, layer, name) {
  const index = typeof layer === "number" ? layer : data.networks[network].layers.findIndex((each) => each.name === layer);
  return make("button", { type: "button", class: "as-link", onclick: () => show(network, index) }, make("bdi", {}, name ?? layer));
}

// Shows a layer in the picture. While somebody searches, the focus stays in the field.
function show(network, layer, isSearch) {
  const element = holders[network]?.get(layer);
  if (!element) return;
  if (element.kind === "box" && element.layers.length > 1 && !unfolded.has(element)) unfold(element);
  const rows = unfolded.get(element);
  const node = rows ? rows[element.layers.indexOf(layer)] : element.button;
  if (!isSearch) node.focus({ preventScroll: true });
  node.scrollIntoView({ block: "center", inline: "center" });
  point(element, layer, node);
  uncover(node);
}

// ---- cross-residual wires: those from and to a task light up -------------------------------------

function light(element) {
  const crossing = elements.filter((each) => each.cross);
  const task = element.task;
  for (const wire of crossing) {
    const own = wire.network === element.network;
    const asked = element.cross ? wire === element : own && task;
    wire.node.classList.toggle("sends", Boolean(asked && (element.cross || wire.source === task)));
    wire.node.classList.toggle("gets", Boolean(asked && !element.cross && wire.target === task));
  }
  const lit = crossing.some((wire) => NOT_LIT.some((name) => wire.node.classList.contains(name)));
  drawing.classList.toggle("some-lit", lit);
  for (const box of elements.filter((each) => each.kind === "box")) {
    const ends = element.cross && box.network === element.network && [element.source, element.target].includes(box.task);
    box.node.classList.toggle("end", Boolean(ends));
  }
}

// ---- folding: an unfolded box makes its row and its column larger ----------------------------------

// Many are folded before anything is placed: each placing moves the whole picture.
function unfold(...these) {
  for (const element of these) {
    const rows = element.layers.map((index, place) => rowOf(element, index, place));
    unfolded.set(element, rows);
    element.button.setAttribute("aria-expanded", "true");
    element.node.append(...rows);
  }
  colour();
}

function fold(...these) {
  for (const element of these) {
    for (const row of unfolded.get(element)) row.remove();
    unfolded.delete(element);
    element.button.setAttribute("aria-expanded", "false");
  }
  colour();
}

function rowOf(element, index, place) {
  const layer = data.networks[element.network].layers[index];
  const row = makeSvg("g", { class: "row", tabindex: "0", role: "button", "aria-label": `${short(layer.name)}, ${short(layer.type)}` });
  row.append(
    makeSvg("rect", { width: ROW.width - 8, height: ROW.height - 2, rx: 2 }),
    makeSvg("text", { x: 5, y: (ROW.height - 2) / 2 }, `${short(layer.name)} · ${short(layer.type)}`),
  );
  if ((data.differs[element.network] || {})[index]) row.classList.add("differs");
  row.dataset.layer = index;
  return row;
}

// Where a coordinate goes when the unfolded boxes have the room that they need.
function stretches() {
  const boxes = [...unfolded.keys()];
  const across = boxes.map((each) => ({ start: each.x - each.width / 2, size: each.width, wanted: ROW.width }));
  const down = boxes.map((each) => ({ start: each.y - each.height / 2, size: each.height, wanted: ROW.head + ROW.height * each.layers.length }));
  return [stretched(across), stretched(down)];
}

// The narrowest get their room first, so that whatever reaches around them has it too. Many elements share their edges:
// in the end, each place is computed once.
function stretched(ranges) {
  const given = [];
  const at = (value) => given.reduce((sum, { start, size, more }) => sum + more * (part(value, start, size) + part(value, start + 0.75 * size, size)), value);
  for (const { start, size, wanted } of ranges.sort((one, other) => one.size - other.size)) {
    const more = wanted - (at(start + size) - at(start));
    if (more > 0) given.push({ start, size, more });
  }
  const known = new Map();
  return (value) => {
    if (!known.has(value)) known.set(value, at(value));
    return known.get(value);
  };
}

// Half of the room goes to each side: what ends near the middle, as wires at a sum, stays there.
const part = (value, start, size) => Math.min(1, Math.max(0, (value - start) / (size / 4))) / 2;

function place() {
  const [across, down] = stretches();
  for (const element of elements) PLACE[element.kind](element, across, down);
  drawing.setAttribute("viewBox", `0 0 ${across(data.size[0])} ${down(data.size[1])}`);
  zoom(scale);
}

const PLACE = {
  band(element, across, down) {
    element.node.setAttribute("y", down(element.top));
    element.node.setAttribute("height", down(element.bottom) - down(element.top));
  },
  wire(element, across, down) {
    const points = element.points.map(([x, y]) => [across(x), down(y)]);
    for (const line of element.node.querySelectorAll(".line, .reach")) line.setAttribute("d", pathOf(points, element.bend));
    const arrow = element.node.querySelector(".arrow");
    if (arrow) arrow.setAttribute("d", arrowOf(points));
  },
  sum(element, across, down) {
    element.node.setAttribute("transform", `translate(${across(element.x)},${down(element.y)})`);
  },
  label(element, across, down) {
    const text = element.node.querySelector("text");
    text.setAttribute("x", across(element.x));
    text.setAttribute("y", down(element.y));
  },
  box(element, across, down) {
    const [left, right] = [-0.5, 0.5].map((half) => across(element.x + half * element.width));
    const [top, bottom] = [-0.5, 0.5].map((half) => down(element.y + half * element.height));
    const rect = element.node.querySelector("rect");
    for (const [name, value] of Object.entries({ x: left, y: top, width: right - left, height: bottom - top })) rect.setAttribute(name, value);
    const lines = element.node.querySelectorAll(".text");
    const rows = unfolded.get(element);
    lines.forEach((line, index) => {
      line.setAttribute("x", (left + right) / 2);
      line.setAttribute("y", (top + bottom) / 2 + 13.5 * (index - (lines.length - 1) / 2));
      line.setAttribute("visibility", rows ? "hidden" : "visible");
    });
    (rows || []).forEach((row, index) => row.setAttribute("transform", `translate(${left + 4},${top + 3 + ROW.height * index})`));
    for (const extra of element.node.querySelectorAll(":scope > .share, :scope > .mark")) {
      extra.setAttribute("x", extra.classList.contains("mark") ? left + 2 : right - 3);
      extra.setAttribute("y", extra.classList.contains("mark") ? top - 7 : bottom + 6);
    }
  },
};

function towards(start, goal, length) {
  const share = Math.min(length / (Math.hypot(goal[0] - start[0], goal[1] - start[1]) || 1), 0.5);
  return [start[0] + share * (goal[0] - start[0]), start[1] + share * (goal[1] - start[1])];
}

function pathOf(points, bend) {
  let path = `M${points[0]}`;
  for (let index = 1; index + 1 < points.length; index++) {
    const [before, corner, after] = points.slice(index - 1, index + 2);
    path += `L${towards(corner, before, bend)}Q${corner} ${towards(corner, after, bend)}`;
  }
  return `${path}L${points[points.length - 1]}`;
}

function arrowOf(points) {
  const tip = points[points.length - 1];
  const before = [...points].reverse().find((each) => each[0] !== tip[0] || each[1] !== tip[1]);
  const share = 5.5 / Math.hypot(before[0] - tip[0], before[1] - tip[1]);
  const [x, y] = [0, 1].map((axis) => tip[axis] + share * (before[axis] - tip[axis]));
  const [dx, dy] = [(x - tip[0]) * 0.42, (y - tip[1]) * 0.42];
  return `M${tip}L${[x - dy, y + dx]}L${[x + dy, y - dx]}Z`;
}

// ---- colour, search, zoom ------------------------------------------------------------------------

function colour() {
  const boxes = elements.filter((element) => element.kind === "box" && element.layers);
  const costs = new Map(boxes.map((element) => [element, measure ? sum(layersOf(element), measure) : 0]));
  const most = Math.max(...costs.values(), 1);
  for (const [element, cost] of costs) {
    paint(element.node, cost, most);
    let share = element.node.querySelector(":scope > .share");
    if (!share) element.node.append((share = makeSvg("text", { class: "share" })));
    share.textContent = measure ? percent(cost, element.network) : "";
    for (const row of unfolded.get(element) || []) paint(row, measure ? data.networks[element.network].layers[row.dataset.layer][measure] : 0, most);
  }
  const step = (level) => (level / LEVELS) ** 2 * most;
  byId("scale").hidden = !measure;
  byId("scale").replaceChildren(
    `${data.measures[measure] || ""}, and each box's share of the network's:`,
    ...[1, 2, 3, 4, 5].flatMap((level) => [make("span", { class: `scale-step level-${level}` }), `up to ${number(Math.round(step(level)))}`]),
  );
  place();
}

const percent = (cost, network) => `${((100 * cost) / (sum(data.networks[network].layers, measure) || 1)).toFixed(1)} %`;

// By the square root, so that small costs differ too.
function paint(node, cost, most) {
  for (let level = 0; level <= LEVELS; level++) node.classList.toggle(`level-${level}`, Boolean(measure) && level === Math.ceil(LEVELS * Math.sqrt(cost / most)));
}

const layersText = (count) => `${count} layer${count === 1 ? "" : "s"}`;
let hits = [];
let hit = -1;

function search() {
  const wanted = byId("search").value.trim().toLowerCase();
  hits = [];
  hit = -1;
  data.networks.forEach((network, n) =>
    network.layers.forEach((layer, index) => {
      const found = layer.name.toLowerCase().includes(wanted);
      if (wanted && found) hits.push([n, index]);
      rowsOfTables[n][index].hidden = !found;
    }),
  );
  const holding = new Set(hits.map(([network, layer]) => holders[network].get(layer)));
  for (const element of elements) element.node.classList.toggle("hit", holding.has(element));
  byId("found").textContent = wanted ? `${layersText(hits.length)}${hits.length ? "; Enter goes to the next" : ""}` : "";
}

function zoom(wanted) {
  scale = Math.min(4, Math.max(0.02, wanted));
  const [width, height] = drawing.getAttribute("viewBox").split(" ").slice(2).map(Number);
  drawing.setAttribute("width", width * scale);
  drawing.setAttribute("height", height * scale);
}

// The whole picture in the room that there is; a small one stays as it is.
function fit() {
  const [width, height] = drawing.getAttribute("viewBox").split(" ").slice(2).map(Number);
  zoom(Math.min(1, (view.clientWidth - 2) / width, (parseFloat(getComputedStyle(view).maxHeight) - 2) / height));
}

// ---- what the user does --------------------------------------------------------------------------

// The element that an event is about, if it can tell of layers.
function elementOf(event) {
  const group = event.target.closest("#drawing > g");
  const element = group && elements[Number(group.id.slice(1))];
  return element && element.layers ? element : null;
}

function pointAt(event) {
  const element = elementOf(event);
  const row = event.target.closest(".row");
  if (element && row) point(element, Number(row.dataset.layer), row);
  else if (element) point(element);
}

function toggle(event) {
  const element = elementOf(event);
  if (!element || element.kind !== "box" || event.target.closest(".row")) return;
  if (unfolded.has(element)) fold(element);
  else unfold(element);
  uncover(element.button);
}

// On the view: an SVG that listens to the focus could be focused itself.
view.addEventListener("mouseover", pointAt);
view.addEventListener("focusin", (event) => {
  pointAt(event);
  if (elementOf(event) && event.target.matches(":focus-visible")) uncover(event.target);
});
view.addEventListener("click", toggle);
view.addEventListener("keydown", (event) => {
  if (elementOf(event) && (event.key === "Enter" || event.key === " ")) {
    event.preventDefault();
    toggle(event);
  }
});
view.addEventListener("keydown", (event) => {
  if (event.key === "+" || event.key === "=") zoom(scale * 1.25);
  if (event.key === "-") zoom(scale / 1.25);
});
view.addEventListener("wheel", (event) => {
  if (!event.ctrlKey) return;
  event.preventDefault();
  zoom(scale * (event.deltaY < 0 ? 1.1 : 1 / 1.1));
}, { passive: false });
view.parentNode.addEventListener("keydown", (event) => {
  if (event.key === "Escape") tellNothing();
});
byId("larger").addEventListener("click", () => zoom(scale * 1.25));
byId("smaller").addEventListener("click", () => zoom(scale / 1.25));
byId("fit").addEventListener("click", fit);
byId("unfold").addEventListener("click", () => unfold(...elements.filter((each) => each.kind === "box" && each.layers && !unfolded.has(each))));
byId("fold").addEventListener("click", () => fold(...unfolded.keys()));
byId("search").addEventListener("input", search);
byId("tools").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!hits.length) return;
  hit = (hit + 1) % hits.length;
  byId("found").textContent = `${hit + 1} of ${layersText(hits.length)}; Enter goes to the next`;
  show(...hits[hit], true);
});
function takeMeasure() {
  const { value } = document.querySelector("[name=measure]:checked");
  if (value === measure) return;
  measure = value;
  colour();
}
for (const choice of document.getElementsByName("measure")) choice.addEventListener("change", takeMeasure);

function followLink() {
  const [, network, layer] = location.hash.match(/^#layer-(\d+)-(\d+)$/) || [];
  if (network) show(Number(network), Number(layer));
}
window.addEventListener("hashchange", followLink);

// ---- the beginning -------------------------------------------------------------------------------

for (const element of elements) {
  if (!element.layers || !element.layers.some((layer) => (data.differs[element.network] || {})[layer])) continue;
  element.node.classList.add("differs");
  if (element.kind === "box") element.node.append(makeSvg("text", { class: "mark" }, "≠"));
}
place();
nowAndWhenShown(takeMeasure);
nowAndWhenShown(search);
if (view.clientWidth < data.size[0]) zoom(Math.max(0.6, (view.clientWidth - 2) / data.size[0]));
followLink();
