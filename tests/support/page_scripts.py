"""What tests run in a page's browser, as JavaScript."""

# Unfolds all, points at every layer as the keyboard does, and reads what is told: layer -> terms.
# A label of several layers, such as the image's, names them as buttons.
TOLD = """() => {
  const told = {};
  const texts = (tag) => [...document.querySelectorAll("#told " + tag)].map((x) => x.textContent);
  const read = () => {
    const terms = {};
    const values = texts("dd");
    texts("dt").forEach((term, index) => {
      terms[term] = term in terms ? terms[term] + " | " + values[index] : values[index];
    });
    told[texts("h3")[0]] = terms;
  };
  document.getElementById("unfold").click();
  for (const node of document.querySelectorAll("#drawing [tabindex]")) {
    if (node.matches('.head[aria-expanded="true"]')) continue;
    node.focus();
    const buttons = [...document.querySelectorAll("#told ul button")];
    if (!buttons.length) read();
    for (const button of buttons) {
      button.click();
      read();
    }
  }
  return told;
}"""
OVERLAPPING = """() => {
  const rects = [...document.querySelectorAll(".head > rect")].map((each) => each.getBBox());
  const apart = (a, b) => a + 0.1 >= b;
  return rects.flatMap((a, index) => rects.slice(index + 1).filter((b) => !(
    apart(a.x, b.x + b.width) || apart(b.x, a.x + a.width) ||
    apart(a.y, b.y + b.height) || apart(b.y, a.y + a.height))));
}"""
# How often a button has the picture placed anew.
PLACED = """async (button) => {
  const seen = [];
  const watch = new MutationObserver((changes) => seen.push(...changes));
  watch.observe(document.getElementById("drawing"), { attributeFilter: ["viewBox"] });
  document.getElementById(button).click();
  await Promise.resolve();
  watch.disconnect();
  return seen.length;
}"""
# How far a sum is from the nearest end of a wire, for each sum: its radius, where wires reach it.
GAPS = """() => {
  const ends = [...document.querySelectorAll(".wire .line")].map((line) => {
    return line.getPointAtLength(line.getTotalLength());
  });
  return [...document.querySelectorAll(".sum")].map((sum) => {
    const [x, y] = sum.getAttribute("transform").match(/[-\\d.]+/g).map(Number);
    const near = ends.map((end) => Math.hypot(end.x - x, end.y - y)).sort((a, b) => a - b);
    return near.slice(0, 2);
  });
}"""
# Each box's share as it is written, and the step of its colour.
COLOURS = """() => [...document.querySelectorAll(".box:has(.head[tabindex])")].map((box) => [
  parseFloat(box.querySelector(".share").textContent),
  Number([...box.classList].find((name) => name.startsWith("level-")).slice(6)),
])"""
# What of the layer that is pointed at is in sight.
IN_SIGHT = """() => ["#told", ".pointed"].filter((each) => {
  const { top, bottom } = document.querySelector(each).getBoundingClientRect();
  return top < innerHeight && bottom > 0;
})"""
# How much of what has the focus lies under what is told, or out of sight.
COVERED = """() => {
  const [focused, told] = [document.activeElement, document.getElementById("told")].map(
    (each) => each.getBoundingClientRect());
  return Math.round(Math.max(0, focused.bottom - Math.min(told.top, innerHeight), -focused.top));
}"""
# The scale of a picture, and how far it reaches beyond its view.
FITTED = """() => {
  const view = document.getElementById("view");
  const drawing = document.getElementById("drawing");
  return [drawing.width.baseVal.value / drawing.viewBox.baseVal.width,
    view.scrollWidth - view.clientWidth, view.scrollHeight - view.clientHeight];
}"""
OPACITIES = "(all) => all.map((each) => Number(getComputedStyle(each).opacity))"
REFUSED = """() => new Promise((resolve) => {
  document.addEventListener("securitypolicyviolation", (event) => {
    resolve(event.effectiveDirective);
  });
  fetch("http://127.0.0.1:9/").catch(() => 0);
})"""
WIDTHS = "(rects) => rects.map((rect) => rect.width.baseVal.value)"
