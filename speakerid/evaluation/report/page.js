"use strict";
// What the page can do beyond being read: sort and filter its tables, and draw confusion matrices that are no table.
(() => {
  const make = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

  // ---- tables

  const valueOf = (row, column, isNumber) => {
    const cell = row.cells[column];
    const text = cell.dataset.value ?? cell.textContent.trim();
    if (!isNumber) return text;
    const value = text === "" ? NaN : Number(text.replaceAll(",", "").replace("−", "-"));
    return value;
  };

  function sortBy(table, header, column) {
    const isNumber = header.dataset.kind === "number";
    const before = header.getAttribute("aria-sort");
    // the first click on a number asks for the largest, on a name for the first
    const ascending = before === null ? !isNumber : before === "descending";
    for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const body = table.tBodies[0];
    const keyed = [...body.rows].map((row) => ({ row, key: valueOf(row, column, isNumber) }));
    keyed.sort((a, b) => {
      if (!isNumber) return (ascending ? 1 : -1) * collator.compare(a.key, b.key);
      // what is missing stays last either way
      if (Number.isNaN(a.key) || Number.isNaN(b.key)) return Number.isNaN(a.key) - Number.isNaN(b.key);
      return ascending ? a.key - b.key : b.key - a.key;
    });
    body.append(...keyed.map(({ row }) => row));
  }

  function filterable(table) {
    const rows = [...table.tBodies[0].rows];
    if (rows.length < 8) return;
    const input = make("input", { type: "search", placeholder: table.dataset.filter, autocomplete: "off" });
    input.setAttribute("aria-label", `${table.dataset.filter} in: ${table.caption.textContent}`);
    const told = make("output", { textContent: `${rows.length} rows` });
    input.addEventListener("input", () => {
      const wanted = input.value.trim().toLocaleLowerCase();
      let n = 0;
      for (const row of rows) {
        row.hidden = wanted !== "" && !row.textContent.toLocaleLowerCase().includes(wanted);
        n += !row.hidden;
      }
      told.textContent = wanted === "" ? `${rows.length} rows` : `${n} of ${rows.length} rows`;
    });
    table.closest(".scroll").before(make("div", { className: "filter" }, input, told));
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((header, column) => {
      if (header.dataset.kind === "none" || table.tBodies[0].rows.length < 2) return;
      const button = make("button", { type: "button" }, ...header.childNodes);
      header.append(button);
      button.addEventListener("click", () => sortBy(table, header, column));
    });
    if (table.dataset.filter) filterable(table);
  }

  // ---- large confusion matrices

  class Matrix {
    constructor(place) {
      Object.assign(this, JSON.parse(document.getElementById(place.dataset.island).textContent));
      this.counts = new Map(this.cells.map(([i, j, n]) => [i * this.labels.length + j, n]));
      this.orders = { enrolled: this.rows, recall: this.byRecall() };
      this.canvas = make("canvas", { tabIndex: 0 });
      this.canvas.setAttribute("role", "application");
      this.canvas.setAttribute(
        "aria-label",
        `Confusion matrix of ${this.rows.length} speakers. Arrow keys move, plus and minus zoom; the worst pairs are in the table below.`,
      );
      this.told = make("output");
      this.told.setAttribute("aria-live", "polite");
      this.around = make("div", { className: "around" });
      this.closer = make("button", { type: "button", textContent: "+", title: "Closer" });
      this.closer.setAttribute("aria-label", "Closer");
      this.farther = make("button", { type: "button", textContent: "−", title: "Farther" });
      this.farther.setAttribute("aria-label", "Farther");
      this.order = make(
        "select", {},
        make("option", { value: "enrolled", textContent: "as enrolled" }),
        make("option", { value: "recall", textContent: "worst first" }),
      );
      const tools = make("div", { className: "tools" }, make("label", {}, "Order: ", this.order), this.closer, this.farther);
      const hint = make("p", { className: "hint", textContent: "Double-click to come closer, drag to move." });
      place.append(make("div", { className: "beside" }, this.canvas, make("div", {}, tools, hint, this.told, this.around)));
      this.view = null;
      this.arrange();
      this.listen();
      new ResizeObserver(() => this.draw()).observe(this.canvas);
      for (const query of ["(prefers-color-scheme: dark)", "print"])
        matchMedia(query).addEventListener("change", () => this.draw());
    }

    byRecall() {
      // who is not enrolled, or was not asked, comes last
      const recall = (i) =>
        i < this.n_speakers && this.totals[i] ? (this.counts.get(i * this.labels.length + i) ?? 0) / this.totals[i] : 2;
      return [...this.rows].sort((a, b) => recall(a) - recall(b) || a - b);
    }

    // rows and columns in the chosen order; a label that is only a column comes last
    arrange() {
      const order = this.orders[this.order.value];
      this.down = order;
      const also = new Set(this.columns);
      this.across = [...order.filter((i) => also.has(i)), ...this.columns.filter((j) => !this.rows.includes(j))];
      this.size = Math.max(this.down.length, this.across.length);
      this.view = { x: 0, y: 0, span: this.size };
      this.at = null;
      this.tell();
      this.draw();
    }

    listen() {
      this.order.addEventListener("change", () => this.arrange());
      this.closer.addEventListener("click", () => this.zoom(0.5));
      this.farther.addEventListener("click", () => this.zoom(2));
      let from = null;
      this.canvas.addEventListener("pointerdown", (event) => {
        from = { x: event.offsetX, y: event.offsetY, view: { ...this.view } };
        this.point(event);
      });
      this.canvas.addEventListener("pointermove", (event) => {
        if (from && event.buttons && this.view.span < this.size) {
          const cell = this.canvas.clientWidth / this.view.span;
          this.move(from.view.x - (event.offsetX - from.x) / cell, from.view.y - (event.offsetY - from.y) / cell);
        }
        this.point(event);
      });
      for (const end of ["pointerup", "pointercancel", "pointerleave"])
        this.canvas.addEventListener(end, () => { from = null; });
      this.canvas.addEventListener("dblclick", (event) => { this.point(event); this.zoom(0.5); });
      this.canvas.addEventListener("keydown", (event) => {
        const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
        if (step) {
          const { x, y } = this.at ?? { x: 0, y: 0 };
          this.select(x + (this.at ? step[0] : 0), y + (this.at ? step[1] : 0));
          this.reveal();
        } else if (event.key === "+" || event.key === "=") this.zoom(0.5);
        else if (event.key === "-") this.zoom(2);
        else return;
        event.preventDefault();
      });
    }

    point(event) {
      const cell = this.canvas.clientWidth / this.view.span;
      this.select(Math.floor(this.view.x + event.offsetX / cell), Math.floor(this.view.y + event.offsetY / cell));
    }

    select(x, y) {
      const column = Math.min(Math.max(x, 0), this.across.length - 1);
      const row = Math.min(Math.max(y, 0), this.down.length - 1);
      if (this.at && this.at.x === column && this.at.y === row) return;
      this.at = { x: column, y: row };
      this.tell();
      this.draw();
    }

    reveal() {
      const { x, y, span } = this.view;
      const into = (value, low) => Math.min(Math.max(low, value - span + 1), value);
      this.move(into(this.at.x, x), into(this.at.y, y));
    }

    zoom(factor) {
      const span = Math.min(this.size, Math.max(Math.min(8, this.size), Math.round(this.view.span * factor)));
      const middle = this.at ?? { x: this.view.x + this.view.span / 2, y: this.view.y + this.view.span / 2 };
      this.view.span = span;
      this.move(middle.x + 0.5 - span / 2, middle.y + 0.5 - span / 2);
    }

    move(x, y) {
      const most = this.size - this.view.span;
      this.view.x = Math.min(Math.max(x, 0), most);
      this.view.y = Math.min(Math.max(y, 0), most);
      this.draw();
    }

    count(row, column) {
      return this.counts.get(this.down[row] * this.labels.length + this.across[column]) ?? 0;
    }

    tell() {
      if (!this.at) {
        this.told.textContent = "Point at a cell, or move with the arrow keys, to read who was taken for whom.";
        this.around.replaceChildren();
        return;
      }
      const truth = this.labels[this.down[this.at.y]];
      const decision = this.labels[this.across[this.at.x]];
      const n = this.count(this.at.y, this.at.x);
      const total = this.totals[this.down[this.at.y]];
      const name = (text) => make("b", {}, make("bdi", { textContent: text }));
      const parts = truth === decision ? [name(truth), " was recognised"] : [name(truth), " was taken for ", name(decision)];
      this.told.replaceChildren(...parts, ` in ${n} of ${total} recording${total === 1 ? "" : "s"}.`);
      this.list(this.down[this.at.y], this.across[this.at.x]);
    }

    // all that its speaker was taken for, and all who were taken for its answer
    list(i, j) {
      const most = 8;
      const part = (title, found) => {
        found.sort((a, b) => b.n - a.n || a.label - b.label);
        const items = found.slice(0, most).map(({ label, n }) => make("li", {}, make("bdi", { textContent: this.labels[label] }), ` ${n}`));
        if (found.length > most) items.push(make("li", { textContent: `and ${found.length - most} others` }));
        if (!found.length) items.push(make("li", { textContent: "nobody" }));
        return [make("h4", {}, ...title), make("ul", {}, ...items)];
      };
      const name = (label) => make("bdi", { textContent: this.labels[label] });
      const others = this.cells.filter(([row, column]) => row !== column);
      this.around.replaceChildren(
        ...part([name(i), " was taken for"], others.filter(([row]) => row === i).map(([, label, n]) => ({ label, n }))),
        ...part(["Taken for ", name(j)], others.filter(([, column]) => column === j).map(([label, , n]) => ({ label, n }))),
      );
    }

    draw() {
      const width = this.canvas.clientWidth;
      if (!width || !this.view) return;
      const scale = window.devicePixelRatio || 1;
      const side = Math.round(width * scale);
      if (this.canvas.width !== side) this.canvas.width = this.canvas.height = side;
      const style = getComputedStyle(document.documentElement);
      const colour = (name) => style.getPropertyValue(name).trim();
      const [hit, miss] = [colour("--hit"), colour("--miss")];
      const pen = this.canvas.getContext("2d");
      pen.setTransform(scale, 0, 0, scale, 0, 0);
      pen.fillStyle = colour("--surface");
      pen.fillRect(0, 0, width, width);
      const cell = width / this.view.span;
      // a single confusion must be seen in a matrix of any size
      const least = Math.max(cell, 3);
      if (cell >= 12) {
        pen.strokeStyle = colour("--rule");
        pen.lineWidth = 1;
        pen.beginPath();
        for (let i = 0; i <= this.view.span + 1; i++) {
          const x = (Math.floor(this.view.x) + i - this.view.x) * cell;
          const y = (Math.floor(this.view.y) + i - this.view.y) * cell;
          pen.moveTo(x, 0); pen.lineTo(x, width);
          pen.moveTo(0, y); pen.lineTo(width, y);
        }
        pen.stroke();
      }
      pen.textAlign = "center";
      pen.textBaseline = "middle";
      pen.font = `${Math.min(14, cell * 0.5)}px system-ui, sans-serif`;
      const across = new Map(this.across.map((label, x) => [label, x]));
      const down = new Map(this.down.map((label, y) => [label, y]));
      // the diagonal first, so that nothing hides beneath it
      for (const wanted of [true, false]) {
        for (const [i, j, n] of this.cells) {
          if ((i === j) !== wanted) continue;
          const x = (across.get(j) - this.view.x) * cell;
          const y = (down.get(i) - this.view.y) * cell;
          if (!(x > -cell && y > -cell && x < width && y < width)) continue;
          const share = n / this.totals[i];
          pen.fillStyle = i === j ? `rgba(${hit}, ${0.15 + 0.85 * share})` : `rgba(${miss}, ${0.6 + 0.4 * share})`;
          const outset = (least - cell) / 2;
          pen.fillRect(x - outset, y - outset, least, least);
          if (cell >= 18) {
            pen.fillStyle = colour("--ink");
            pen.fillText(n, x + cell / 2, y + cell / 2);
          }
        }
      }
      if (this.at) {
        const x = (this.at.x + 0.5 - this.view.x) * cell;
        const y = (this.at.y + 0.5 - this.view.y) * cell;
        pen.strokeStyle = colour("--muted");
        pen.lineWidth = 1;
        pen.globalAlpha = 0.6;
        pen.beginPath();
        pen.moveTo(x, 0); pen.lineTo(x, width);
        pen.moveTo(0, y); pen.lineTo(width, y);
        pen.stroke();
        pen.globalAlpha = 1;
        pen.strokeStyle = colour("--ink");
        pen.lineWidth = 1.5;
        const ring = Math.max(cell, 7);
        pen.strokeRect(x - ring / 2, y - ring / 2, ring, ring);
      }
      this.closer.disabled = this.view.span <= Math.min(8, this.size);
      this.farther.disabled = this.view.span >= this.size;
    }
  }

  for (const place of document.querySelectorAll(".drawn-matrix")) new Matrix(place);

  // what is folded is printed too, but for the numbers of the pictures
  addEventListener("beforeprint", () => {
    for (const each of document.querySelectorAll("details")) each.open ||= !each.closest(".plate");
  });
})();
