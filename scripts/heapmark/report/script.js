"use strict";
// Sorting and filtering of tables, and unfolding for print. Without it the page is whole but still.

function cellValue(row, column, kind) {
  const cell = row.cells[column];
  if (kind === "t") return cell.textContent.trim();
  const text = cell.dataset.v !== undefined ? cell.dataset.v : cell.textContent;
  return parseFloat(text);
}

// What has no figure stands last, whichever way the others go.
function compare(one, other, kind, sign) {
  if (kind === "t") return sign * one.localeCompare(other, "en", { numeric: true });
  if (isNaN(one) || isNaN(other)) return isNaN(one) - isNaN(other);
  return sign * (one === other ? 0 : one < other ? -1 : 1);
}

function sortBy(header) {
  const table = header.closest("table");
  const ascending = header.getAttribute("aria-sort") !== "ascending";
  const column = header.cellIndex;
  const kind = header.dataset.sort;
  const rows = Array.from(table.tBodies[0].rows, (row) => [cellValue(row, column, kind), row]);
  rows.sort((a, b) => compare(a[0], b[0], kind, ascending ? 1 : -1));
  for (const other of table.tHead.querySelectorAll("[aria-sort]")) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  table.tBodies[0].append(...rows.map(([, row]) => row));
}

function filter(form) {
  const table = document.getElementById(form.dataset.for);
  const words = form.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean);
  const label = form.elements.label.value;
  const verdict = form.elements.verdict.value;
  let shown = 0;
  for (const row of table.tBodies[0].rows) {
    const text = (row.cells[0].textContent + " " + row.cells[1].textContent).toLowerCase();
    row.hidden = !(
      words.every((word) => text.includes(word)) &&
      (!label || row.dataset.label === label) &&
      (!verdict || row.dataset.verdict === verdict)
    );
    shown += !row.hidden;
  }
  form.querySelector("output").textContent = shown + " of " + table.tBodies[0].rows.length + " rows";
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("th[data-sort] button");
  if (button) sortBy(button.parentElement);
});
for (const form of document.querySelectorAll("form.filters")) {
  form.addEventListener("input", () => filter(form));
  form.addEventListener("submit", (event) => event.preventDefault());
}
// A link to a folded workload unfolds it; paper cannot be unfolded.
let folded = [];
window.addEventListener("beforeprint", () => {
  folded = Array.from(document.querySelectorAll("details:not([open])"));
  for (const one of folded) one.open = true;
});
window.addEventListener("afterprint", () => {
  for (const one of folded) one.open = false;
});
