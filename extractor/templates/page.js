"use strict";
const $ = (selector) => document.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
document.documentElement.classList.add("js");

/* Sorting */
for (const table of all("table.sortable")) {
  const body = table.tBodies[0];
  for (const head of all("thead th", table)) {
    const column = head.cellIndex;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.onclick = () => {
      const keys = new Map([...body.rows].map((row) => [row, row.cells[column].dataset.sort]));
      const numeric = [...keys.values()].every((key) => key !== "" && !isNaN(key));
      const down = head.hasAttribute("aria-sort") ? head.getAttribute("aria-sort") === "ascending" : numeric;
      const order = (a, b) => (numeric ? keys.get(a) - keys.get(b) : keys.get(a).localeCompare(keys.get(b)));
      body.append(...[...body.rows].sort((a, b) => (down ? order(b, a) : order(a, b))));
      for (const other of all("[aria-sort]", table)) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
    };
  }
}
