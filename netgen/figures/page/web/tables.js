// Tables of a page: filters their rows, and sorts them.

for (const part of document.querySelectorAll(".searched")) search(part);

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

// Numbers fall first, words rise first.
function sort(body, head) {
  const falls = head.getAttribute("aria-sort") ? head.getAttribute("aria-sort") === "ascending" : head.classList.contains("n");
  for (const each of head.parentNode.cells) each.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", falls ? "descending" : "ascending");
  order(body, head);
}

// Puts the rows into the order that the column's head tells. Rows without a number come last, equal rows keep their order.
function order(body, head) {
  const way = head.getAttribute("aria-sort") === "descending" ? -1 : 1;
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
