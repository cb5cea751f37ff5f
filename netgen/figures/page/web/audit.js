// The page of an audit: shows the claims that suit the filters.

const claims = data.audit.claims.map((claim) => ({ ...claim, text: data.texts[claim.id], node: byId(claim.id) }));
const parts = [...document.querySelectorAll(".part")].map((node) => ({ node, claims: [...node.querySelectorAll(".claim")] }));
const wanted = (name) => byId(`filter-${name}`).value;

function filter() {
  const words = wordsIn(byId("filter-words"));
  const [verdict, part, network] = ["verdict", "part", "network"].map(wanted);
  let count = 0;
  for (const claim of claims) {
    const suits =
      (!verdict || claim.verdict === verdict) &&
      (!part || claim.part === part) &&
      (!network || claim.networks.includes(network)) &&
      words.every((word) => claim.text.includes(word));
    claim.node.hidden = !suits;
    count += suits;
  }
  for (const { node, claims: inside } of parts) node.hidden = inside.every((claim) => claim.hidden);
  byId("claims-shown").textContent = `${count} claim${count === 1 ? "" : "s"}`;
}

// The verdicts of the summary lead to their claims.
const VERDICT = "verdict=";
for (const { firstElementChild: node, dataset } of document.querySelectorAll("#summary [data-verdict]")) {
  const link = make("a", { href: `#${VERDICT}${encodeURIComponent(dataset.verdict)}` });
  node.replaceWith(link);
  link.append(node);
}

// A link to a verdict shows its claims, and a link to a claim that the filters hide shows it.
function follow() {
  const target = addressed();
  if (target.startsWith(VERDICT)) {
    byId("filters").reset();
    byId("filter-verdict").value = target.slice(VERDICT.length);
    filter();
    byId("filter-verdict").focus({ preventScroll: true });
    byId("all-claims").scrollIntoView();
    return;
  }
  const claim = claims.find((each) => each.id === target);
  if (!claim || !claim.node.hidden) return;
  byId("filters").reset();
  filter();
  claim.node.scrollIntoView();
}

filterBy(byId("filters"), filter);
window.addEventListener("hashchange", follow);
follow();
