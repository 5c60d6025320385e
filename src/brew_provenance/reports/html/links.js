// Where an address leads is decided by its shape: another one stays text.

const repository = "https://github\\.com/[A-Za-z0-9][\\w.-]*/[A-Za-z0-9][\\w.-]*";
const shapes = [
  repository,
  `${repository}/commit/[0-9a-f]{40}`,
  `${repository}/actions/runs/\\d{1,20}(/attempts/\\d{1,9})?`,
  `${repository}/blob/(HEAD|[0-9a-f]{40})(/[\\w@+~%-][\\w.@+~%-]*)+(#L\\d{1,9})?`,
  "https://search\\.sigstore\\.dev/\\?logIndex=\\d{1,20}",
].map((shape) => new RegExp(`^${shape}$`));

// Sigstore's public-good Rekor, which is what its search looks into.
const publicLog = "c0d23d6ad406973f9559f3ba2d1ca01f84147d8ffc5b8445c224f98b9591801d";

function link(text, address) {
  if (text === null) return null;
  if (address === null || !shapes.some((shape) => shape.test(address))) return text;
  return element("a", { href: address, rel: "noopener noreferrer" }, text);
}

function fileLink(text, commit, path, line) {
  if (text === null || path === null) return text;
  const place = path.split("/").map(encodeURIComponent).join("/");
  return link(text, `${data.repository}/blob/${commit}/${place}${line === null ? "" : `#L${line}`}`);
}

function logLink(index, log) {
  return link(index, log === publicLog ? `https://search.sigstore.dev/?logIndex=${index}` : null);
}

function formulaAddress(name) {
  return `#/formula/${encodeURIComponent(name)}`;
}

// Of `https://github.com/OWNER/REPO/.github/workflows/FILE@REF` what tells it from others.
function shortSigner(text) {
  const parts = /^https:\/\/github\.com\/([^/]+\/[^/]+)\/\.github\/workflows\/([^/@]+)@/.exec(text ?? "");
  return parts ? `${parts[2]} (${parts[1]})` : text;
}
