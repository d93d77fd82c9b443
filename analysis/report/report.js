const table = document.querySelector("table.trials"), [body] = table.tBodies;
const value = (row, column) => {
  const text = row.cells[column].textContent, number = parseFloat(text);
  return Number.isNaN(number) ? text : number;
};
const compare = (a, b) => typeof a === "string" ? a.localeCompare(b) : a - b;
[...table.tHead.rows[0].cells].forEach((head, column) => {
  const button = document.createElement("button");
  button.append(...head.childNodes);
  head.append(button);
  button.addEventListener("click", () => {
    const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
    const rows = [...body.rows].map((row) => [value(row, column), row]);
    rows.sort(([a], [b]) => {
      // Texts, such as the dash of a missing number, come after all numbers.
      const texts = (typeof a === "string") - (typeof b === "string");
      return texts || sign * compare(a, b);
    });
    body.append(...rows.map(([, row]) => row));
  });
});
