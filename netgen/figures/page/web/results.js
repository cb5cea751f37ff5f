// The page of results: shows two networks side by side.

document.querySelectorAll(".classes").forEach((section, index) => compare(section, data.classes[index]));

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
    const difference = table.tHead.rows[0].lastElementChild;
    if (difference.hasAttribute("aria-sort")) order(table.tBodies[0], difference);
  }
  filterBy(section.querySelector("form"), show);
}

function signed(points) {
  return `${points < 0 ? "−" : "+"}${Math.abs(points).toFixed(2)}`;
}
