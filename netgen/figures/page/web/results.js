// The page of results: filters and sorts its tables, and shows two networks side by side.

for (const part of document.querySelectorAll(".searched")) search(part);
document.querySelectorAll(".classes").forEach((section, index) => compare(section, data.classes[index]));

// Shows the rows of a table with all of the words, and of the kind; sorts them by the column whose head is pressed.
function search(part) {
  const form = part.querySelector("form");
  const body = part.querySelector("tbody");
  const rows = [...body.rows].map((node) => ({ node, text: node.textContent.toLowerCase() }));
  const kind = form.querySelector(".kind"); // in the third column

  function filter() {
    const words = wordsIn(form.querySelector(".words"));
    let count = 0;
    for (const { node, text } of rows) {
      const suits = !kind?.value || node.cells[2].textContent === kind.value;
      node.hidden = !(suits && words.every((word) => text.includes(word)));
      count += !node.hidden;
    }
    form.querySelector(".shown").textContent = `${number(count)} row${count === 1 ? "" : "s"}`;
  }
  filterBy(form, filter);

  for (const head of part.querySelectorAll("thead th")) {
    head.replaceChildren(make("button", { type: "button", class: "sort", onclick: () => sort(body, head) }, ...head.childNodes));
  }
}

// Numbers fall first, words rise first; rows without a number come last. Equal rows keep their order.
function sort(body, head) {
  const falls = head.getAttribute("aria-sort") ? head.getAttribute("aria-sort") === "ascending" : head.classList.contains("n");
  for (const each of head.parentNode.cells) each.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", falls ? "descending" : "ascending");
  const way = falls ? -1 : 1;
  const value = (row) => row.cells[head.cellIndex].textContent.trim();
  const measure = (row) => parseFloat(value(row).replaceAll(",", "").replace("−", "-"));
  const rows = [...body.rows].map((row) => ({ row, value: head.classList.contains("n") ? measure(row) : value(row) }));
  rows.sort((a, b) => {
    if (typeof a.value === "string") return way * a.value.localeCompare(b.value, "en", { numeric: true });
    if (Number.isNaN(a.value) || Number.isNaN(b.value)) return Number.isNaN(a.value) - Number.isNaN(b.value);
    return way * (a.value - b.value);
  });
  body.append(...rows.map(({ row }) => row));
}

// Shows two networks of a table of classes, and by how many points the second is better.
function compare(section, counts) {
  const choices = [...section.querySelectorAll("select")];
  if (!choices.length) return;
  const table = section.querySelector("table");
  const rows = [...table.tBodies[0].rows]; // in the order of the labels, however they are sorted later

  function show() {
    const [first, second] = choices.map((choice) => Number(choice.value));
    rows.forEach((row, label) => {
      const points = (100 * (counts.top1[second][label] - counts.top1[first][label])) / counts.total[label];
      row.cells[row.cells.length - 1].textContent = counts.total[label] ? signed(points) : "–";
    });
    for (const row of table.rows) {
      [...row.cells].slice(2, -1).forEach((cell, place) => {
        cell.hidden = ![first, second].includes(place >> 1);
      });
    }
  }
  section.querySelector("form").addEventListener("change", show);
  section.querySelector("form").addEventListener("reset", () => setTimeout(show));
  show();
}

function signed(points) {
  return `${points < 0 ? "−" : "+"}${Math.abs(points).toFixed(2)}`;
}
