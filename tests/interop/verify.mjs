// Verifies bundles with sigstore-js. Reads {"root": …, "bundles": […], "identity": …, "thresholds": …} from
// standard input, and prints a list with null for each bundle that it accepts, and its error's words for
// each other one.
import { readFileSync } from "node:fs";
import { bundleFromJSON } from "@sigstore/bundle";
import { TrustedRoot } from "@sigstore/protobuf-specs";
import { toSignedEntity, toTrustMaterial, Verifier } from "@sigstore/verify";

const { root, bundles, identity, thresholds } = JSON.parse(readFileSync(0, "utf8"));
const verifier = new Verifier(toTrustMaterial(TrustedRoot.fromJSON(root)), thresholds);
const results = bundles.map((bundle) => {
  try {
    verifier.verify(toSignedEntity(bundleFromJSON(bundle)), {
      subjectAlternativeName: identity.name,
      extensions: { issuer: identity.issuer },
    });
    return null;
  } catch (error) {
    return String(error.code ?? error.message ?? error);
  }
});
process.stdout.write(JSON.stringify(results));
