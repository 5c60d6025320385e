// The table: whatever the number of bottles, only the rows that can be seen are in the document.

const spare = 10;
const columns = [
  { name: "formula", title: "Formula", rank: (row) => data.bottles.formula.rows[row] },
  { name: "version", title: "Version", rank: ranked(data.bottles.version) },
  { name: "tag", title: "Tag", rank: (row) => data.bottles.tag.rows[row] },
  { name: "state", title: "Outcome", rank: ranked(data.bottles.state, Object.keys(data.states)) },
  { name: "codes", title: "Findings", rank: (row) => data.bottles.codes.rows[row] },
  { name: "signer", title: "Signer", rank: attested("signer") },
  { name: "signed", title: "Signed, UTC", rank: attested("signed") },
];

// The order of a column's texts: a given one, or that of people, who count 2 before 10.
function ranked(column, order) {
  let ranks = null;
  return (row) => {
    if (ranks === null) {
      const compare = order
        ? (one, other) => order.indexOf(one) - order.indexOf(other)
        : new Intl.Collator("en", { numeric: true }).compare;
      const places = [...column.texts.keys()];
      places.sort((one, other) => compare(column.texts[one], column.texts[other]) || one - other);
      ranks = new Int32Array(places.length);
      places.forEach((place, rank) => { ranks[place] = rank; });
    }
    return column.rows[row] < 0 ? -1 : ranks[column.rows[row]];
  };
}

function attested(name) {
  return (row) => (data.attestation[row] < 0 ? -1 : data.attestations[name].rows[data.attestation[row]]);
}

function sorted(rows, name, descending) {
  const rank = columns.find((column) => column.name === name)?.rank;
  if (!rank) return rows;
  const ranks = new Int32Array(data.count);
  for (const row of rows) ranks[row] = rank(row);
  const sign = descending ? -1 : 1;
  // Rows of the same rank stay in the order of the tap.
  return rows.sort((one, other) => sign * (ranks[one] - ranks[other]) || one - other);
}

// For each text of a column, whether it passes: asked once a text, not once a bottle.
function passing(column, test) {
  return Uint8Array.from(column.texts, (text) => (test(text) ? 1 : 0));
}

let fileNames = null;
let digests = null;

// For each bottle, whether `word` is in something that it is known by.
function matching(word) {
  fileNames ??= Array.from({ length: data.count }, (_, row) =>
    `${data.fileName(row) ?? ""} ${data.of("formula", row)} ${data.of("tag", row)}`.toLowerCase());
  const has = (text) => text.toLowerCase().includes(word);
  const codes = passing(data.bottles.codes, has);
  const claims = ["signer", "source", "commit", "run", "logIndex", "formula_commit", "builder", "build_run"]
    .map((name) => [data.attestations[name].rows, passing(data.attestations[name], has)]);
  const isHexadecimal = /^[0-9a-f]{4,64}$/.test(word);
  if (isHexadecimal) digests ??= Array.from({ length: data.count }, (_, row) => data.sha256(row));
  return (row) => {
    if (fileNames[row].includes(word) || codes[data.bottles.codes.rows[row]]) return true;
    if (isHexadecimal && digests[row].includes(word)) return true;
    const at = data.attestation[row];
    return at >= 0 && claims.some(([rows, passes]) => rows[at] >= 0 && passes[rows[at]]);
  };
}

function filtered(wanted) {
  const tests = [];
  const exactly = (column, value) => {
    const passes = passing(column, (text) => text === value);
    tests.push((row) => passes[column.rows[row]] === 1);
  };
  const claimed = (column, test) => {
    const passes = passing(column, test);
    tests.push((row) => data.attestation[row] >= 0 && passes[column.rows[data.attestation[row]]] === 1);
  };
  if (wanted.outcome) exactly(data.bottles.state, wanted.outcome);
  if (wanted.tag) exactly(data.bottles.tag, wanted.tag);
  if (wanted.reason) {
    const passes = passing(data.bottles.codes, (text) => text.split(",").includes(wanted.reason));
    tests.push((row) => passes[data.bottles.codes.rows[row]] === 1);
  }
  if (wanted.signer) claimed(data.attestations.signer, (text) => text === wanted.signer);
  if (wanted.signed) claimed(data.attestations.signed, (text) => text.startsWith(`${wanted.signed}-`));
  for (const word of (wanted.q ?? "").toLowerCase().split(/\s+/).filter(Boolean)) tests.push(matching(word));
  const rows = [];
  for (let row = 0; row < data.count; row += 1) if (tests.every((test) => test(row))) rows.push(row);
  return Uint32Array.from(rows);
}

class Table {
  constructor(viewport, onSort) {
    this.viewport = viewport;
    this.table = viewport.querySelector("table");
    this.body = this.table.tBodies[0];
    this.rows = new Uint32Array(0);
    this.active = 0;
    this.height = 40;
    this.drawn = "";
    const header = this.table.tHead.rows[0];
    header.setAttribute("aria-rowindex", 1);
    for (const { name, title } of columns) {
      const button = element("button", { type: "button" }, title);
      button.addEventListener("click", () => onSort(name));
      header.append(element("th", { scope: "col", class: name, "data-name": name }, button));
    }
    viewport.addEventListener("scroll", () => this.draw(), { passive: true });
    window.addEventListener("resize", () => this.draw(true));
    this.body.addEventListener("keydown", (event) => this.onKey(event));
    this.body.addEventListener("focusin", (event) => this.onFocus(event));
  }

  show(rows, sort, descending) {
    this.rows = rows;
    this.active = 0;
    this.table.setAttribute("aria-rowcount", rows.length + 1);
    for (const header of this.table.tHead.rows[0].cells) {
      const isSorted = header.dataset.name === sort;
      header.setAttribute("aria-sort", isSorted ? (descending ? "descending" : "ascending") : "none");
    }
    this.viewport.scrollTop = 0;
    this.draw(true);
  }

  // Draws the rows that can be seen, and a few before and after.
  draw(anew = false) {
    if (!this.viewport.offsetParent) return;
    const sample = this.body.querySelector("tr:not(.space)");
    if (sample && anew) this.height = sample.getBoundingClientRect().height || this.height;
    const first = Math.max(0, Math.floor(this.viewport.scrollTop / this.height) - spare);
    const seen = Math.ceil(this.viewport.clientHeight / this.height);
    const last = Math.min(this.rows.length, first + seen + 2 * spare);
    if (this.active < first || this.active >= last) this.active = Math.min(first + spare, Math.max(0, last - 1));
    const drawn = `${first} ${last} ${this.height}`;
    if (!anew && drawn === this.drawn) return;
    this.drawn = drawn;
    const hadFocus = this.body.contains(document.activeElement);
    const rows = [this.space(first)];
    for (let place = first; place < last; place += 1) rows.push(this.row(place));
    rows.push(this.space(this.rows.length - last));
    this.body.replaceChildren(...rows);
    if (hadFocus) this.focus();
  }

  space(count) {
    const cell = element("td", { colspan: columns.length });
    const row = element("tr", { class: "space", "aria-hidden": "true" }, cell);
    cell.style.height = `${count * this.height}px`;
    row.hidden = count === 0;
    return row;
  }

  row(place) {
    const at = this.rows[place];
    const name = data.of("formula", at);
    const to = element("a", { href: formulaAddress(name), tabindex: place === this.active ? 0 : -1 }, name);
    const signer = data.claim("signer", at);
    const codes = data.of("codes", at).replaceAll(",", ", ");
    const cells = [
      element("th", { scope: "row", class: "formula", title: data.fileName(at) ?? name }, to),
      element("td", { class: "version" }, data.of("version", at) ?? "?"),
      element("td", { class: "tag" }, data.of("tag", at)),
      element("td", { class: "state" }, badge(data.of("state", at))),
      element("td", { class: "codes", title: codes }, codes),
      element("td", { class: "signer", title: signer ?? "" }, shortSigner(signer) ?? ""),
      element("td", { class: "signed" }, moment(data.claim("signed", at)) ?? ""),
    ];
    return element("tr", { "aria-rowindex": place + 2, "data-place": place }, ...cells);
  }

  focus() {
    this.body.querySelector(`tr[data-place="${this.active}"] a`)?.focus({ preventScroll: true });
  }

  onFocus(event) {
    const place = event.target.closest("tr")?.dataset.place;
    if (place === undefined || Number(place) === this.active) return;
    this.body.querySelector('a[tabindex="0"]')?.setAttribute("tabindex", -1);
    event.target.setAttribute("tabindex", 0);
    this.active = Number(place);
  }

  onKey(event) {
    const page = Math.max(1, Math.floor(this.viewport.clientHeight / this.height) - 2);
    const last = this.rows.length - 1;
    const to = {
      ArrowDown: this.active + 1, ArrowUp: this.active - 1, PageDown: this.active + page,
      PageUp: this.active - page, Home: 0, End: last,
    }[event.key];
    if (to === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    this.go(Math.min(last, Math.max(0, to)));
    this.focus();
  }

  // Makes a row the one that the keyboard is at, and brings it into sight.
  go(place) {
    this.active = place;
    const head = this.table.tHead.offsetHeight;
    const top = place * this.height;
    const bottom = top + head + this.height - this.viewport.clientHeight;
    if (this.viewport.scrollTop > top) this.viewport.scrollTop = top;
    else if (this.viewport.scrollTop < bottom) this.viewport.scrollTop = bottom;
    this.draw(true);
  }
}
