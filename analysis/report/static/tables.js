// Tables whose columns sort, and long ones that filter.
"use strict";

const tables = (() => {
  const LONG = 8; // rows from which a table has a filter field
  const UNITS = { h: 3600, min: 60, s: 1, ms: 1e-3, us: 1e-6 };
  const DURATION = /^([\d.,]+) (h|min|s|ms|us)(?: (\d+) (min|s))?(?![\w/])/;
  const NUMBER = /^[+-]?[\d,]*\.?\d+(?:e[+-]?\d+)?/;

  // The number that a cell begins with, durations in seconds; NaN where it begins with none.
  function numberOf(text) {
    const time = DURATION.exec(text);
    if (time) {
      const plain = (digits) => Number(digits.replaceAll(",", ""));
      return plain(time[1]) * UNITS[time[2]] + (time[3] ? plain(time[3]) * UNITS[time[4]] : 0);
    }
    const found = NUMBER.exec(text);
    return found ? Number(found[0].replaceAll(",", "")) : NaN;
  }

  function compared(one, two, numeric) {
    if (!numeric) {
      return one.localeCompare(two, "en", { numeric: true });
    }
    const [first, second] = [numberOf(one), numberOf(two)];
    return first - second;
  }

  // Cells without a value stand last, whichever way the others are ordered.
  function sorted(rows, column, direction) {
    const texts = new Map(rows.map((row) => [row, row.cells[column] ? row.cells[column].textContent.trim() : ""]));
    const given = rows.map((row) => texts.get(row)).filter(Boolean);
    const numeric = given.length > 0 && given.filter((text) => !Number.isNaN(numberOf(text))).length * 2 > given.length;
    const empty = (row) => !texts.get(row) || (numeric && Number.isNaN(numberOf(texts.get(row))));
    return [...rows].sort((one, two) => empty(one) - empty(two)
      || (empty(one) ? 0 : direction * compared(texts.get(one), texts.get(two), numeric)));
  }

  function sortable(table) {
    const body = table.tBodies[0];
    const original = [...body.rows];
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const now = head.getAttribute("aria-sort");
        const next = now === "ascending" ? "descending" : now === "descending" ? "" : "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        if (next) {
          head.setAttribute("aria-sort", next);
        }
        body.append(...next ? sorted(original, column, next === "ascending" ? 1 : -1) : original);
      });
    });
  }

  // Rows that hold every word that was typed.
  function filterable(table) {
    const rows = [...table.tBodies[0].rows];
    const label = document.createElement("label");
    const count = document.createElement("span");
    const field = document.createElement("input");
    label.className = "filter";
    field.type = "search";
    count.setAttribute("role", "status");
    label.append("Filter ", field, " ", count);
    field.addEventListener("input", () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      const kept = rows.filter((row) => {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        return !row.hidden;
      });
      count.textContent = words.length ? `${kept.length} of ${rows.length} rows` : "";
    });
    table.closest(".scroll").before(label);
  }

  function begin(root) {
    root.querySelectorAll(".scroll > table").forEach((table) => {
      if (!table.tHead || table.tBodies[0].rows.length < 2) {
        return;
      }
      sortable(table);
      if (table.tBodies[0].rows.length >= LONG) {
        filterable(table);
      }
    });
  }

  return { begin, numberOf, sorted };
})();
