// Filters the images of a test set by which networks are right at a task, and tells how many there are in all.
// A link to an image opens it.

document.querySelectorAll(".pictures").forEach((section, index) => filterPictures(section, data.images[index]));

function filterPictures(section, images) {
  const form = section.querySelector("form");
  const cards = [...section.querySelectorAll(".card")];
  const choices = [...form.querySelectorAll(".network")];

  function filter() {
    const { networks, counts, shown } = images.tasks[form.querySelector(".task").value];
    choices.forEach((choice, place) => (choice.disabled = !networks.includes(place)));
    const wanted = networks.map((place) => choices[place].value);
    // A pattern has a bit for each network that solves the task: whether it is right.
    const suits = (pattern) => wanted.every((right, bit) => !right || Number(right) === (Math.floor(pattern / 2 ** bit) & 1));
    let here = 0;
    cards.forEach((card, place) => {
      card.hidden = !suits(shown[place]);
      here += !card.hidden;
    });
    let all = 0;
    for (const [pattern, count] of Object.entries(counts)) all += suits(Number(pattern)) ? count : 0;
    const share = ((100 * all) / images.total).toFixed(1);
    form.querySelector(".shown").textContent = `${number(all)} of the test set's images (${share}%), ${number(here)} of them here`;
  }

  function follow() {
    const card = cards.find((each) => each.id === addressed());
    if (!card) return;
    if (card.hidden) {
      form.reset();
      filter();
    }
    card.open = true;
    card.scrollIntoView();
  }

  filterBy(form, filter);
  window.addEventListener("hashchange", follow);
  follow();
}
