// A table that is sorted and shortened here, and brought up to date without being made again:
// rows stay where they are, and only what changed is written.

import { count, plain } from "/format.js";

const STEP = 100;

export class Table {
  // `columns`: {name, value: (row) => what is sorted by, text: (row) => what is shown, kind, open}.
  // `kind` is "num", "short", "strong" or "wide"; `peer` marks what a peer chose.
  constructor(place, { caption, columns, key, sort, descending = false, empty, noun, shown = STEP }) {
    Object.assign(this, { columns, key, sort, descending, empty, noun, shown, rows: [], made: new Map() });
    this.scroll = document.createElement("div");
    this.scroll.className = "scroll";
    const table = document.createElement("table");
    table.setAttribute("role", "table");
    const title = document.createElement("caption");
    title.textContent = caption;
    this.body = document.createElement("tbody");
    this.body.setAttribute("role", "rowgroup");
    table.append(title, this.head(), this.body);
    this.scroll.append(table);
    this.none = document.createElement("p");
    this.none.className = "empty";
    this.after = document.createElement("div");
    this.after.className = "after";
    this.said = document.createElement("p");
    this.said.className = "quiet";
    this.said.setAttribute("role", "status");
    this.more = this.button("Show 100 more", () => this.show(this.shown + STEP));
    this.all = this.button("Show all", () => this.show(Infinity));
    this.after.append(this.said, this.more, this.all);
    place.append(this.none, this.scroll, this.after);
  }

  button(text, act) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = text;
    button.addEventListener("click", act);
    return button;
  }

  head() {
    const head = document.createElement("thead");
    head.setAttribute("role", "rowgroup");
    const row = head.insertRow();
    row.setAttribute("role", "row");
    this.heads = this.columns.map((column) => {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.setAttribute("role", "columnheader");
      if (column.kind === "num") cell.className = "num";
      if (column.value) cell.append(this.button(column.name, () => this.order(column)));
      else cell.textContent = column.name;
      row.append(cell);
      return cell;
    });
    return head;
  }

  order(column) {
    const name = column.name;
    this.descending = this.sort === name ? !this.descending : column.kind === "num";
    this.sort = name;
    this.draw();
  }

  show(most) {
    this.shown = most;
    this.draw();
  }

  // `total` says how many there are when `rows` were filtered.
  update(rows, total = rows.length) {
    this.rows = rows;
    this.total = total;
    this.draw();
  }

  sorted() {
    const column = this.columns.find((one) => one.name === this.sort);
    const sign = this.descending ? -1 : 1;
    const keyed = this.rows.map((row) => ({ row, value: column.value(row), key: this.key(row) }));
    const order = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
    keyed.sort((a, b) => {
      // Rows without a value come last, whichever way.
      const empty = (a.value === null || a.value === "") - (b.value === null || b.value === "");
      return empty || sign * order(a.value, b.value) || order(a.key, b.key);
    });
    return keyed;
  }

  draw() {
    this.columns.forEach((column, index) => {
      const head = this.heads[index];
      if (column.name === this.sort) head.setAttribute("aria-sort", this.descending ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    const kept = new Set();
    let before = null;
    for (const { row, key } of this.sorted().slice(0, this.shown)) {
      const element = this.made.get(key) ?? this.make(key);
      kept.add(key);
      this.fill(element, row);
      const at = before ? before.nextSibling : this.body.firstChild;
      if (element !== at) this.body.insertBefore(element, at);
      before = element;
    }
    for (const [key, element] of this.made) {
      if (kept.has(key)) continue;
      element.remove();
      this.made.delete(key);
    }
    this.tell();
  }

  make(key) {
    const element = document.createElement("tr");
    element.setAttribute("role", "row");
    for (const column of this.columns) {
      const cell = element.insertCell();
      cell.setAttribute("role", "cell");
      cell.dataset.name = column.name;
      cell.className = column.kind ?? "";
      const text = document.createElement("span");
      text.className = "text";
      cell.append(text);
    }
    this.made.set(key, element);
    return element;
  }

  fill(element, row) {
    this.columns.forEach((column, index) => {
      const text = element.cells[index].firstChild;
      const value = column.text(row);
      const said = value === null || value === "" ? "–" : plain(value);
      if (text.textContent === said) return;
      text.textContent = said;
      text.classList.toggle("none", said === "–");
    });
  }

  tell() {
    const shown = Math.min(this.shown, this.rows.length);
    const some = this.rows.length > 0;
    this.scroll.hidden = !some;
    this.none.hidden = some;
    const none = this.total > 0 ? `None of ${count(this.total)} fits.` : this.empty;
    if (this.none.textContent !== none) this.none.textContent = none;
    const of = this.rows.length < this.total ? ` that fit, of ${count(this.total)}` : "";
    const said = some ? `${count(shown)} of ${count(this.rows.length)} ${this.noun}${of}` : "";
    if (this.said.textContent !== said) this.said.textContent = said;
    this.more.hidden = this.all.hidden = shown >= this.rows.length;
    this.after.hidden = !some || (this.more.hidden && this.rows.length === this.total && shown < 10);
  }
}
