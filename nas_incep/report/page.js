"use strict";
// Sorts and filters the leaderboard. Without scripts the page shows all rows, by rank.
(() => {
  // Rows that are shown until more are asked for; on a phone each is a card.
  const first = matchMedia("(max-width: 46rem)").matches ? 10 : 25;
  const form = document.querySelector("form.controls");
  if (!form) return;
  const table = document.querySelector("#leaderboard table");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const headers = [...table.tHead.rows[0].cells];
  const filters = [...form.querySelectorAll("[data-filter]")];
  const sorter = document.getElementById("sort");
  const more = document.getElementById("more");
  let all = rows.length <= first;

  const show = () => {
    const matching = rows.filter((row) =>
      filters.every((filter) => !filter.value || row.dataset[filter.dataset.filter] === filter.value));
    const shown = new Set(all ? matching : matching.slice(0, first));
    for (const row of rows) row.classList.toggle("hidden", !shown.has(row));
    form.querySelector("output").value = `${shown.size} of ${rows.length} network${rows.length === 1 ? "" : "s"}`;
    more.hidden = shown.size === matching.length;
    more.textContent = `Show all ${matching.length}`;
  };

  const compare = (a, b, isNumber) => {
    if (a === "" || b === "") return (a === "") - (b === "");
    return isNumber ? a - b : a.localeCompare(b);
  };

  const sort = (column, descending) => {
    const isNumber = headers[column].classList.contains("number");
    const value = (row) => row.cells[column].dataset.value;
    rows.sort((a, b) => {
      const order = compare(value(a), value(b), isNumber);
      const isEmpty = value(a) === "" || value(b) === "";
      return descending && !isEmpty ? -order : order;
    });
    body.append(...rows);
    headers.forEach((header, index) => {
      if (index === column) header.setAttribute("aria-sort", descending ? "descending" : "ascending");
      else header.removeAttribute("aria-sort");
    });
    sorter.value = String(column);
    show();
  };

  for (const filter of filters) {
    const values = new Set(rows.map((row) => row.dataset[filter.dataset.filter]));
    for (const value of values) filter.add(new Option(value, value));
    filter.addEventListener("change", show);
  }
  const falls = (index) => "falls" in headers[index].dataset;
  headers.forEach((header, index) => {
    header.firstElementChild.addEventListener("click", () => {
      const order = header.getAttribute("aria-sort");
      sort(index, order ? order === "ascending" : falls(index));
    });
  });
  sorter.addEventListener("change", () => sort(Number(sorter.value), falls(sorter.value)));
  more.addEventListener("click", () => { all = true; show(); });
  form.hidden = false;
  sort(0, false);
})();
