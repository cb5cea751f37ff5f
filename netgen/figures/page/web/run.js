// The page of trainings that go on: reads itself again, and leaves its reader where he was. To ask whether there is
// anything new would be a request, and is forbidden. The browser itself keeps how far the page was scrolled.

const KEPT = `netgen page run ${location.pathname}`;
const FOCUSABLE = "a, button, input, summary, [tabindex]";
const section = (chart) => byId(`chart-${chart.name}`);
const ticks = (chart) => [...section(chart).querySelectorAll("input[data-line]")];
const nameOf = (details) => details.closest("section").ariaLabel;

function keep() {
  const charts = data.charts.map((chart) => ({
    name: chart.name,
    hidden: chart.lines.filter((_, index) => !ticks(chart)[index].checked).map(({ label }) => label),
    at: readings.get(chart.name).at(),
    across: section(chart).querySelector(".plot").scrollLeft,
  }));
  const open = [...document.querySelectorAll("details[open]")].map(nameOf);
  try {
    sessionStorage.setItem(KEPT, JSON.stringify({ charts, open, focus: placeOfFocus() }));
  } catch {
    // A browser that keeps nothing begins anew.
  }
}

function kept() {
  try {
    const text = sessionStorage.getItem(KEPT);
    sessionStorage.removeItem(KEPT);
    return JSON.parse(text);
  } catch {
    return null;
  }
}

// The part of the page that has the focus, and the number of the place within it.
function placeOfFocus() {
  const part = document.activeElement.closest("section[id]");
  return [part ? part.id : "", [...(part || document).querySelectorAll(FOCUSABLE)].indexOf(document.activeElement)];
}

function takeUp({ charts, open, focus: [part, place] }) {
  for (const chart of data.charts) {
    const before = charts.find(({ name }) => name === chart.name);
    if (!before) continue;
    ticks(chart).forEach((tick, index) => {
      tick.checked = !before.hidden.includes(chart.lines[index].label);
      tick.dispatchEvent(new Event("change"));
    });
    if (before.at !== undefined) readings.get(chart.name).read(before.at);
    section(chart).querySelector(".plot").scrollLeft = before.across;
  }
  for (const details of document.querySelectorAll("details")) details.open = open.includes(nameOf(details));
  (byId(part) || document).querySelectorAll(FOCUSABLE)[place]?.focus({ preventScroll: true });
}

const state = kept();
if (state) takeUp(state);
if (data.refresh) {
  let isPaused = false;
  byId("pause").addEventListener("click", () => {
    isPaused = !isPaused;
    byId("pause").textContent = isPaused ? "Go on" : "Pause";
  });
  setInterval(() => {
    if (isPaused || !getSelection().isCollapsed) return; // nor while somebody marks a text
    keep();
    location.reload();
  }, 1000 * data.refresh);
}
