// Charts of a page: reads values under the pointer, hides lines.
// A line's point is [place, value], or [place, value, number of what is there], of which there may be several at a place,
// or [place, value, lowest, highest].

const AXIS = { left: 64, right: 948, width: 960 };

// Of each chart, by its name: the place that is read, and how to read at another.
const readings = new Map();

for (const chart of data.charts) {
  const section = byId(`chart-${chart.name}`);
  const plot = section.querySelector(".plot");
  const cursor = section.querySelector(".cursor");
  const curves = [...section.querySelectorAll(".curve")];
  const boxes = [...section.querySelectorAll("input[data-line]")];
  const places = [...new Set(chart.lines.flatMap((line) => line.points.map(([at]) => at)))].sort((a, b) => a - b);
  const name = chart.axis[0].toUpperCase() + chart.axis.slice(1);
  let place = -1;

  // The values at a place, and of each other line at its last one before.
  function read(wanted) {
    place = Math.min(places.length - 1, Math.max(0, wanted));
    const at = places[place];
    const x = AXIS.left + ((AXIS.right - AXIS.left) * at) / Math.max(chart.end, 1);
    cursor.setAttribute("d", `M${x},12V266`);
    cursor.removeAttribute("hidden");
    const values = chart.lines.flatMap((line, index) => {
      const points = boxes[index].checked ? before(line.points, at) : [];
      if (!points.length) return [];
      const where = points[0][0] === at ? "" : ` (at ${number(points[0][0])})`;
      return [`${line.label} ${points.map((point) => written(point, chart.numbered)).join(", ")}${where}`];
    });
    section.querySelector(".readout").textContent = `${name} ${number(at)}: ${values.join("; ")}`;
  }

  plot.addEventListener("pointermove", (event) => {
    const box = plot.querySelector("svg").getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * AXIS.width;
    read(nearest(places, ((x - AXIS.left) / (AXIS.right - AXIS.left)) * chart.end));
  });
  plot.addEventListener("keydown", (event) => {
    const steps = { ArrowRight: 1, ArrowLeft: -1, PageUp: 50, PageDown: -50, Home: -Infinity, End: Infinity };
    if (!(event.key in steps)) return;
    event.preventDefault();
    read(place + steps[event.key]);
  });
  function showTicked() {
    curves.forEach((curve, index) => curve.toggleAttribute("hidden", !boxes[index].checked));
    if (place >= 0) read(place);
  }
  for (const box of boxes) box.addEventListener("change", showTicked);
  nowAndWhenShown(showTicked);
  readings.set(chart.name, { at: () => places[place], read: (at) => read(nearest(places, at)) });
}

// The place of the value that is nearest, in a list that rises.
function nearest(values, wanted) {
  const after = values.findIndex((value) => value >= wanted);
  if (after < 1) return after === 0 ? 0 : values.length - 1;
  return wanted - values[after - 1] < values[after] - wanted ? after - 1 : after;
}

const rounded = (value) => Number(value.toPrecision(6));

function written([, value, ...more], numbered) {
  if (more.length > 1) return `${rounded(value)} (${more.map(rounded).join(" to ")})`;
  return more.length ? `${rounded(value)} (${numbered} ${number(more[0])})` : `${rounded(value)}`;
}

// The points at the last place up to an iteration, by halves.
function before(points, at) {
  let [low, high] = [0, points.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle][0] <= at) low = middle + 1;
    else high = middle;
  }
  let first = low - 1;
  while (first > 0 && points[first - 1][0] === points[low - 1][0]) first -= 1;
  return points.slice(Math.max(first, 0), low);
}
