// The address after `#` says what is shown: `/?q=TEXT&tag=TAG` for the table, `/formula/NAME` for a formula.

const overview = document.getElementById("overview");
const view = document.getElementById("formula");
const filters = document.getElementById("filters");
const title = document.title;
const fields = ["q", "outcome", "tag", "reason", "signer", "signed"];

let listed = null;
let scrolled = 0;
let timer = 0;

const table = new Table(document.getElementById("viewport"), (name) => {
  const { sort, dir } = wanted();
  change({ sort: name, dir: sort === name && dir !== "desc" ? "desc" : "asc" });
});

function parameters() {
  const { hash } = window.location;
  // A place in the page leaves the table as it is.
  const address = hash.startsWith("#/") ? hash : listed ?? "";
  return new URLSearchParams(address.startsWith("#/?") ? address.slice(3) : "");
}

function wanted() {
  return Object.fromEntries(parameters());
}

function addressOf(values) {
  const known = new URLSearchParams();
  for (const name of [...fields, "sort", "dir"]) if (values[name]) known.set(name, values[name]);
  return `#/?${known}`;
}

function change(values) {
  const address = addressOf({ ...wanted(), ...values });
  // In place: a key that was pressed in a field is nothing to go back to.
  if (address !== window.location.hash) window.location.replace(address);
}

function typed() {
  return Object.fromEntries(fields.map((name) => [name, filters.elements[name].value]));
}

function options(name, all, choices) {
  filters.elements[name].replaceChildren(
    element("option", { value: "" }, all),
    ...choices.map(([value, text]) => element("option", { value }, text)),
  );
}

function fillFilters() {
  const { bottles, attestations } = data;
  const seen = new Set(bottles.state.texts);
  const states = Object.entries(data.states).filter(([state]) => seen.has(state));
  const plain = (texts) => texts.map((text) => [text, text]);
  const codes = [...new Set(bottles.codes.texts.flatMap((text) => text.split(",")))].filter(Boolean).sort();
  const months = [...new Set(attestations.signed.texts.map((text) => text.slice(0, 7)))];
  options("outcome", "any", states.map(([state, [label]]) => [state, label]));
  options("tag", "any", plain(bottles.tag.texts));
  options("reason", "any", plain(codes));
  options("signer", "any", attestations.signer.texts.map((text) => [text, shortSigner(text)]));
  options("signed", "any time", plain(months.filter((month) => /^\d{4}-\d\d$/.test(month)).reverse()));
}

// A choice that is in the address and not in the list, as a year of the figure, is added to it.
function setFilters(values) {
  for (const name of fields) {
    const field = filters.elements[name];
    const value = values[name] ?? "";
    if (field === document.activeElement && name === "q") continue;
    if (field.options && ![...field.options].some((option) => option.value === value)) {
      field.append(element("option", { value }, value));
    }
    field.value = value;
  }
}

function showTable() {
  view.hidden = true;
  overview.hidden = false;
  document.title = title;
  const values = wanted();
  const address = addressOf(values);
  if (listed !== address) {
    const rows = filtered(values);
    listed = address;
    setFilters(values);
    table.show(sorted(rows, values.sort, values.dir === "desc"), values.sort, values.dir === "desc");
    const [found, all] = [rows.length, data.count].map((count) => number.format(count));
    document.getElementById("count").textContent =
      rows.length === data.count ? `${all} bottles` : `${found} of ${all} bottles`;
  } else table.draw(true);
}

function showFormula(name) {
  if (!overview.hidden) scrolled = window.scrollY;
  view.replaceChildren(...formulaView(name, listed ?? "#/"));
  overview.hidden = true;
  view.hidden = false;
  document.title = `${name} \u2013 ${title}`;
  window.scrollTo(0, 0);
  document.getElementById("formula-name").focus({ preventScroll: true });
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function route(event) {
  const { hash } = window.location;
  if (hash.startsWith("#/formula/")) {
    showFormula(decoded(hash.slice("#/formula/".length)));
    return;
  }
  const wasFormula = !view.hidden;
  if (hash !== "" && !hash.startsWith("#/")) {
    if (wasFormula) {
      showTable();
      document.getElementById(hash.slice(1))?.scrollIntoView();
    }
    return;
  }
  const before = listed;
  showTable();
  if (wasFormula && before === listed) {
    window.scrollTo(0, scrolled);
    table.focus();
  } else if (event && event.type === "hashchange" && !filters.contains(document.activeElement)
      && !table.viewport.contains(document.activeElement) && parameters().size) {
    // From a figure.
    const heading = document.getElementById("bottles");
    heading.scrollIntoView();
    heading.focus({ preventScroll: true });
  }
}

filters.addEventListener("submit", (event) => event.preventDefault());
filters.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(() => change(typed()), 200);
});
filters.addEventListener("reset", (event) => {
  event.preventDefault();
  clearTimeout(timer);
  for (const name of fields) filters.elements[name].value = "";
  change(typed());
});
window.addEventListener("hashchange", route);

document.getElementById("scriptless").hidden = true;
document.getElementById("listing").hidden = false;
fillFilters();
route();
