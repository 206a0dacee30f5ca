$("#controls").hidden = false;

/* Long descriptions */
for (const text of all(".description")) {
  if (text.textContent.length < 700) continue;
  text.classList.add("long");
  const more = document.createElement("button");
  more.type = "button";
  more.className = "more";
  more.textContent = "Show all";
  more.setAttribute("aria-expanded", "false");
  more.onclick = () => {
    const open = text.classList.toggle("open");
    more.setAttribute("aria-expanded", open);
    more.textContent = open ? "Show less" : "Show all";
  };
  text.after(more);
}

/* Filters */
const cards = all("article").map((card) => ({
  card,
  text: card.textContent.toLowerCase(),
  category: card.dataset.category,
  reasons: all("[data-reason]", card).map((row) => row.dataset.reason),
  marks: all("mark", card).map((mark) => ({ mark, values: mark.dataset.values.split(" ").map(Number) })),
  values: all("[data-attribute]", card).map((chip) => ({
    chip, attribute: chip.dataset.attribute, confidence: Number(chip.dataset.confidence),
  })),
}));
const [search, category, attribute, reason, least, most] =
  ["#search", "#category", "#attribute", "#reason", "#least", "#most"].map($);

function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const from = Number(least.value), to = Number(most.value);
  const picky = attribute.value !== "" || from > 0 || to < 1;
  const wanted = (value) => (!attribute.value || value.attribute === attribute.value)
    && value.confidence >= from && value.confidence <= to;
  let shown = 0;
  for (const { card, text, category: path, reasons, marks, values } of cards) {
    const fits = values.map(wanted);
    card.hidden = !(words.every((word) => text.includes(word))
      && (!category.value || path === category.value)
      && (!reason.value || reasons.includes(reason.value))
      && (!picky || fits.includes(true)));
    shown += !card.hidden;
    values.forEach(({ chip }, index) => chip.classList.toggle("faint", !fits[index]));
    for (const { mark, values: covered } of marks) mark.classList.toggle("faint", !covered.some((i) => fits[i]));
  }
  for (const range of [least, most]) range.nextElementSibling.value = Number(range.value).toFixed(2);
  $("#status").textContent = `${shown} of ${cards.length} listings`;
  $("#none").hidden = shown > 0;
}

function reset() {
  for (const field of [search, category, attribute, reason]) field.value = "";
  least.value = 0;
  most.value = 1;
  filter();
}

let pause;
search.oninput = () => { clearTimeout(pause); pause = setTimeout(filter, 120); };
for (const field of [category, attribute, reason, least, most]) field.oninput = filter;
for (const button of all("#reset, [data-reset]")) button.onclick = reset;
for (const button of all("[data-pick]")) button.onclick = () => {
  attribute.value = button.dataset.pick;
  filter();
  $("#listings").scrollIntoView();
  attribute.focus({ preventScroll: true });
};
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || /INPUT|SELECT/.test(event.target.tagName)) return;
  event.preventDefault();
  search.focus();
});
reset();

/* A value and its words light up together */
const tip = $("#tip");
function light(card, lit) {
  for (const { chip } of card.values) chip.classList.remove("lit");
  for (const { mark, values } of card.marks) mark.classList.toggle("lit", values.some((index) => lit.includes(index)));
  for (const index of lit) card.values[index].chip.classList.add("lit");
}
function say(mark, lines) {
  tip.textContent = lines.join("\n");
  tip.hidden = false;
  const box = mark.getClientRects()[0], own = tip.getBoundingClientRect();
  tip.style.left = `${scrollX + Math.max(4, Math.min(box.left, innerWidth - own.width - 12))}px`;
  tip.style.top = `${scrollY + box.top - own.height - 6}px`;
}
function quiet(card) {
  tip.hidden = true;
  light(card, []);
}
for (const card of cards) {
  card.values.forEach(({ chip }, index) => {
    chip.onmouseenter = chip.onfocus = () => light(card, [index]);
    chip.onmouseleave = chip.onblur = () => quiet(card);
  });
  for (const { mark, values } of card.marks) {
    mark.onmouseenter = () => {
      light(card, values);
      say(mark, values.map((i) => `${card.values[i].attribute}  ${card.values[i].confidence.toFixed(2)}`));
    };
    mark.onmouseleave = () => quiet(card);
  }
}
