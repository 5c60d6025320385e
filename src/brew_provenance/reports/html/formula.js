// A view of one formula: its bottles, what was found of them, and what their attestations say.

const most = 200;

function rowsOf(name) {
  const place = data.bottles.formula.texts.indexOf(name);
  const rows = [];
  if (place >= 0) data.bottles.formula.rows.forEach((at, row) => { if (at === place) rows.push(row); });
  return rows;
}

function formulaView(name, back) {
  const rows = rowsOf(name);
  const heading = element("h2", { id: "formula-name", tabindex: -1 }, name);
  const parts = [element("a", { class: "back", href: back }, "\u2190 All bottles"), heading];
  if (rows.length === 0) return [...parts, element("p", {}, "This audit has no bottle of such a formula.")];
  const shown = rows.slice(0, most);
  const first = rows[0];
  const file = fileLink(data.of("path", first), "HEAD", data.of("path", first), null);
  const counts = Object.keys(data.states)
    .map((state) => [state, rows.filter((row) => data.of("state", row) === state).length])
    .filter(([, count]) => count > 0)
    .map(([state, count]) => `${number.format(count)} ${data.states[state][0]}`);
  parts.push(element("p", {}, `Bottles of ${data.tap}: ${counts.join(", ")}`, ...(file ? [". Formula: ", file] : [])));
  if (rows.length > most) {
    parts.push(element("p", {}, `The first ${most} of ${number.format(rows.length)} bottles are shown.`));
  }
  const versions = new Set(rows.map((row) => data.of("version", row)));
  // A tap's history has a tag once for each version.
  const called = (row) =>
    data.of("tag", row) + (versions.size > 1 ? ` (${data.of("version", row) ?? "?"})` : "");
  return [...parts, bottleTable(shown), ...findingCards(shown, called), ...attestationCards(shown, called)];
}

function bottleTable(rows) {
  const titles = ["Tag", "Outcome", "Version", "File name and sha256", "Attestations", "In the formula"];
  const head = element("tr", {}, ...titles.map((title) => element("th", { scope: "col" }, title)));
  const lines = rows.map((row) => {
    const line = data.of("line", row);
    const name = element("span", { class: "mono" }, data.fileName(row) ?? "name not known");
    const digest = element("span", { class: "mono quiet" }, data.sha256(row));
    return element(
      "tr", {},
      element("th", { scope: "row" }, data.of("tag", row)),
      element("td", {}, badge(data.of("state", row))),
      element("td", {}, data.of("version", row) ?? "?"),
      element("td", {}, name, element("br"), digest),
      element("td", {}, data.of("attestations", row) ?? "?"),
      element("td", {}, fileLink(line === null ? "" : `line ${line}`, "HEAD", data.of("path", row), line)),
    );
  });
  const table = element("table", { class: "bottles" }, element("thead", {}, head), element("tbody", {}, ...lines));
  return element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Bottles" }, table);
}

// Puts rows with the same key together, in the order of the first of each.
function grouped(pairs) {
  const groups = new Map();
  for (const [key, value] of pairs) {
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(value);
  }
  return groups;
}

function forBottles(rows, called) {
  return element("p", { class: "quiet" }, `For ${rows.map(called).join(", ")}`);
}

function isVerified(row) {
  return ["build-provenance", "notarisation"].includes(data.of("state", row));
}

function findingCards(rows, called) {
  // What is wrong comes before what is not proved.
  const ordered = [...rows].sort((one, other) => isVerified(one) - isVerified(other) || one - other);
  const found = ordered.flatMap((row) => data.findings(row).map((finding) => [JSON.stringify(finding), row]));
  const cards = [...grouped(found)].map(([key, of]) => {
    const [code, detail] = JSON.parse(key);
    const [means, advice, isLimit] = Object.hasOwn(data.reasons, code) ? data.reasons[code] : ["", "", false];
    const verified = isVerified(of[0]);
    return element(
      "section", { class: "card" },
      element("h4", {}, element("code", {}, code), isLimit ? " not proved" : verified ? " note" : ""),
      element("p", {}, means),
      detail ? element("p", { class: "mono" }, detail) : null,
      advice && !verified ? element("p", {}, `Next: ${advice}`) : null,
      forBottles(of, called),
    );
  });
  return cards.length ? [element("h3", {}, "Findings"), ...cards] : [];
}

const claims = [
  ["signer", "Signer"], ["source", "Source repository"], ["ref", "Ref"], ["commit", "Commit"],
  ["run", "Run"], ["trigger", "Trigger"], ["runner", "Runner"], ["formula_commit", "Formula commit"],
  ["formula_path", "Formula file"], ["builder", "Built by"], ["build_run", "Build run"],
  ["build_runner", "Build machine"], ["signed", "Signed"], ["logIndex", "Log entry"], ["log", "Log"],
  ["bundle", "Bundle"], ["other", "Other"],
];

function claimValue(name, row) {
  const value = data.claim(name, row);
  switch (name) {
    case "source":
    case "run":
    case "build_run":
      return link(value, value);
    case "commit":
      return link(value, `${data.claim("source", row)}/commit/${value}`);
    case "formula_commit":
      return link(value, `${data.repository}/commit/${value}`);
    case "formula_path":
      return fileLink(value, data.claim("formula_commit", row), value, null);
    case "logIndex":
      return logLink(value, data.claim("log", row));
    case "signed":
      return value && `${value.replace("T", " ").replace("+00:00", "")} UTC`;
    default:
      return value;
  }
}

function fact(name, ...values) {
  return element("div", {}, element("dt", {}, name), element("dd", {}, ...values));
}

function attestationCards(rows, called) {
  const attested = rows.filter((row) => data.attestation[row] >= 0);
  const groups = grouped(attested.map((row) => [data.attestation[row], row]));
  const cards = [...groups.values()].map((of) => {
    const facts = claims.map(([name, title]) => [title, claimValue(name, of[0])]);
    const subjects = [...new Set(of.map((row) => data.subject(row)))].filter((name) => name !== null);
    const signer = shortSigner(data.claim("signer", of[0])) ?? "Signer not recorded";
    const signed = moment(data.claim("signed", of[0]));
    return element(
      "section", { class: "card" },
      element("h4", {}, signed === null ? signer : `${signer}, ${signed} UTC`),
      forBottles(of, called),
      element(
        "dl", { class: "facts" },
        ...facts.filter(([, value]) => value).map(([name, value]) => fact(name, value)),
        subjects.length ? fact("Subjects", ...subjects.map((name) => element("div", { class: "mono" }, name))) : null,
      ),
    );
  });
  const lead = "What each says, once its signature was verified; whether it was accepted is the outcome above.";
  return cards.length ? [element("h3", {}, "Attestations"), element("p", { class: "quiet" }, lead), ...cards] : [];
}
