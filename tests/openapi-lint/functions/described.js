function target(document, reference) {
  if (typeof reference !== "string" || !reference.startsWith("#/")) return undefined;
  return reference
    .slice(2)
    .split("/")
    .map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"))
    .reduce((value, key) => value?.[key], document);
}

export default function described(property, _, { document, path }) {
  // `properties` of an example is data.
  if (path.includes("example") || path.includes("examples") || !property || typeof property !== "object") return [];
  const seen = new Set();
  for (let schema = property; schema && !seen.has(schema); schema = target(document.data, schema.$ref)) {
    if (typeof schema.description === "string" && schema.description.trim() !== "") return [];
    seen.add(schema);
  }
  return [{ message: `property ${path.at(-1)} has no description` }];
}
