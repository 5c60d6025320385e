"use strict";

// The data: columns of texts, as the program that wrote the page describes them.

function readColumn({ values, rows }, count) {
  const texts = [];
  let before = "";
  for (let at = 0; at < values.length; at += 2) {
    before = before.slice(0, values[at]) + values[at + 1];
    texts.push(before);
  }
  return { texts, rows: Array.isArray(rows) ? Int32Array.from(rows) : new Int32Array(count).fill(rows) };
}

function readColumns(columns, count) {
  return Object.fromEntries(Object.entries(columns).map(([name, column]) => [name, readColumn(column, count)]));
}

function readData() {
  const written = JSON.parse(document.getElementById("data").textContent);
  const digests = Uint8Array.from(atob(written.sha256), (character) => character.charCodeAt(0));
  const attestation = Int32Array.from(written.attestation);
  const count = attestation.length;
  const bottles = readColumns(written.bottles, count);
  const attestations = readColumns(written.attestations, attestation.reduce((most, at) => Math.max(most, at + 1), 0));

  const text = (column, row) => (column.rows[row] < 0 ? null : column.texts[column.rows[row]]);
  const of = (name, row) => text(bottles[name], row);
  const claim = (name, row) => (attestation[row] < 0 ? null : text(attestations[name], attestation[row]));

  function fileName(row) {
    const own = of("fileName", row);
    if (own !== null) return own || null;
    const rebuild = of("rebuild", row);
    const name = `${of("formula", row)}--${of("version", row) ?? ""}.${of("tag", row)}.bottle`;
    return `${name}${rebuild === "0" ? "" : `.${rebuild}`}.tar.gz`;
  }

  // The name that is attested; the file name where that is the same.
  function subject(row) {
    if (attestation[row] < 0) return null;
    const own = of("subject", row);
    return own === null ? fileName(row) : own || null;
  }

  function sha256(row) {
    const bytes = digests.subarray(32 * row, 32 * row + 32);
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  const findings = (row) => JSON.parse(of("findings", row));

  return {
    tap: written.tap, repository: written.repository, states: written.states, reasons: written.reasons,
    count, bottles, attestations, attestation, of, claim, fileName, subject, sha256, findings,
  };
}

const data = readData();
const number = new Intl.NumberFormat("en");

// What others wrote becomes text, never markup.
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

function badge(state) {
  return element("span", { class: `badge ${state}`, title: data.states[state][1] }, data.states[state][0]);
}

function moment(text) {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(text ?? "") ? text.slice(0, 16).replace("T", " ") : text;
}
