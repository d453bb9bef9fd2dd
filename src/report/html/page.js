"use strict";
(() => {
  const running = "running" in document.body.dataset, kept = "finetune_tune " + location.pathname;
  if (running) setTimeout(() => location.reload(), 60000);
  const table = document.getElementById("all"), tip = document.getElementById("tip");
  const rows = table ? [...table.tBodies[0].rows] : [];
  const names = table ? [...table.tHead.rows[0].cells].map((cell) => cell.textContent) : [];
  const marks = new Map();  // trial -> everything that shows it
  for (const mark of document.querySelectorAll("[data-t]")) {
    const list = marks.get(mark.dataset.t);
    if (list) list.push(mark); else marks.set(mark.dataset.t, [mark]);
  }
  const rowOf = new Map(rows.map((row) => [row.dataset.t, row]));

  // One trial at a time stands out, in every picture and in the table.
  let shown = null;
  function show(trial) {
    if (trial === shown) return;
    for (const mark of marks.get(shown) || []) mark.classList.remove("on");
    shown = trial;
    for (const mark of marks.get(trial) || []) mark.classList.add("on");
  }

  // What the table says of it.
  function fillTip(trial) {
    const row = rowOf.get(trial), list = document.createElement("dl");
    if (!row) return false;
    names.slice(0, 16).forEach((name, i) => {
      const text = row.cells[i].textContent.trim();
      if (!text) return;
      list.append(Object.assign(document.createElement("dt"), {textContent: name}),
                  Object.assign(document.createElement("dd"), {textContent: text}));
    });
    tip.replaceChildren(list);
    return true;
  }
  function placeTip(x, y) {
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    tip.style.left = Math.max(4, x + 16 + box.width < innerWidth ? x + 16 : x - 16 - box.width) + "px";
    tip.style.top = Math.max(4, Math.min(y + 16, innerHeight - box.height - 4)) + "px";
  }

  // Curves are thin: whatever is a few pixels away counts.
  const around = [[0, 0], [0, 4], [0, -4], [4, 0], [-4, 0], [0, 8], [0, -8], [6, 6], [-6, -6], [6, -6], [-6, 6]];
  function markNear(x, y) {
    for (const [dx, dy] of around) {
      const found = document.elementFromPoint(x + dx, y + dy);
      const mark = found && found.closest("svg [data-t]");
      if (mark) return mark;
    }
    return null;
  }
  function point(event) {
    const mark = event.target.closest(".area") && markNear(event.clientX, event.clientY);
    const row = event.target.closest("tr[data-t]");
    if (mark && fillTip(mark.dataset.t)) placeTip(event.clientX, event.clientY); else tip.hidden = true;
    show(mark ? mark.dataset.t : row ? row.dataset.t : null);
  }
  document.addEventListener("pointermove", point, {passive: true});
  document.addEventListener("pointerdown", point, {passive: true});
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { tip.hidden = true; show(null); }
  });
  document.addEventListener("scroll", () => { tip.hidden = true; }, {passive: true});
  if (!table) return;

  // Sorting: numbers as numbers, what is empty last.
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  function order(column, down) {
    const key = new Map(rows.map((row) => {
      const text = row.cells[column].textContent.trim(), number = Number(text);
      return [row, text === "" ? null : Number.isNaN(number) ? text : number];
    }));
    const sign = down ? -1 : 1;
    rows.sort((a, b) => {
      const x = key.get(a), y = key.get(b);
      if (x === null || y === null) return (x === null) - (y === null);
      if (typeof x === typeof y) return sign * (typeof x === "number" ? x - y : x.localeCompare(y));
      return typeof x === "number" ? -1 : 1;
    });
    body.append(...rows);
    heads.forEach((head, i) => {
      if (i === column) head.setAttribute("aria-sort", down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    remember({column, down});
  }
  heads.forEach((head, i) => head.querySelector("button").addEventListener("click", () =>
    order(i, head.getAttribute("aria-sort") === "ascending")));

  // Filtering.
  const form = document.querySelector(".controls"), count = form.querySelector("output");
  function filter() {
    const text = form.elements.text.value.trim().toLowerCase(), state = form.elements.state.value;
    let left = 0;
    for (const row of rows) {
      const fits = (!state || row.cells[1].textContent.trim() === state) &&
                   (!text || row.textContent.toLowerCase().includes(text));
      row.hidden = !fits;
      left += fits ? 1 : 0;
    }
    count.textContent = left + " of " + rows.length + " trials";
    if (current.hidden) reach(rows.find((row) => !row.hidden) || current);
    remember({text: form.elements.text.value, state});
  }
  form.hidden = false;
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());

  // Arrow keys go from row to row, of which one can be reached by Tab.
  let current = rows[0];
  function reach(row) {
    current.tabIndex = -1;
    current = row;
    row.tabIndex = 0;
  }
  reach(current);
  body.addEventListener("focusin", (event) => {
    const row = event.target.closest("tr");
    if (!row) return;
    reach(row);
    show(row.dataset.t);
  });
  body.addEventListener("keydown", (event) => {
    const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
    if (!step) return;
    const seen = rows.filter((row) => !row.hidden), next = seen[seen.indexOf(current) + step];
    if (next) { event.preventDefault(); reach(next); next.focus(); }
  });

  // While the study runs the page loads itself again, and stays as it was looked at.
  function remember(what) {
    if (!running) return;
    try { sessionStorage.setItem(kept, JSON.stringify({...recall(), ...what})); } catch { /* not kept then */ }
  }
  function recall() {
    try { return JSON.parse(sessionStorage.getItem(kept)) || {}; } catch { return {}; }
  }
  const before = running ? recall() : {};
  if (before.text) form.elements.text.value = before.text;
  if (before.state) form.elements.state.value = before.state;
  if (Number.isInteger(before.column) && heads[before.column]) order(before.column, before.down === true);
  filter();
})();
