/* Unchanged lines of a prompt */
for (const button of all(".folded button")) {
  const rows = button.closest("tbody").nextElementSibling;
  button.hidden = false;
  button.onclick = () => button.setAttribute("aria-expanded", rows.classList.toggle("open"));
}

/* A line and its words light up together */
for (const card of all("article")) {
  const marks = all("mark", card);
  for (const row of all("[data-line]", card)) {
    const light = (on) => {
      for (const mark of marks) mark.classList.toggle("lit", on && mark.dataset.lines.split(" ").includes(row.dataset.line));
    };
    row.onmouseenter = () => light(true);
    row.onmouseleave = () => light(false);
  }
}

/* Filters */
const controls = $("#controls");
if (controls) {
  const [category, attribute] = [$("#category"), $("#attribute")];
  const cards = all("article").map((card) => ({ card, rows: all("[data-attribute]", card) }));
  const filter = () => {
    let shown = 0;
    for (const { card, rows } of cards) {
      const fits = rows.map((row) => !attribute.value || row.dataset.attribute === attribute.value);
      card.hidden = !fits.includes(true) || Boolean(category.value && card.dataset.category !== category.value);
      rows.forEach((row, index) => row.classList.toggle("faint", !fits[index]));
      shown += !card.hidden;
    }
    $("#status").textContent = `${shown} of ${cards.length} listings`;
  };
  const reset = () => {
    category.value = attribute.value = "";
    filter();
  };
  category.oninput = attribute.oninput = filter;
  $("#reset").onclick = reset;
  for (const button of all("[data-pick]")) button.onclick = () => {
    reset();
    $(`#${button.dataset.pick}`).value = button.dataset.name;
    filter();
    $(`#${button.dataset.to}`).scrollIntoView();
  };
  controls.hidden = false;
  reset();
}
