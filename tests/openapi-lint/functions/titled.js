// Where a schema holds others: alone, in a list, or by name.
const ONE = ["items", "additionalProperties", "not", "contains", "propertyNames", "if", "then", "else"];
const LISTS = ["oneOf", "anyOf", "allOf", "prefixItems"];
const MAPS = ["properties", "patternProperties", "$defs"];

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);

// Generators make a type of each object with properties, of each enum and of each choice. An enum of one value is a constant.
function needsTitle(schema) {
  return isObject(schema.properties) || schema.enum?.length > 1 || Array.isArray(schema.oneOf);
}

export default function titled(document) {
  const findings = [];
  function visit(schema, path, named) {
    if (!isObject(schema)) return;
    const { title } = schema;
    const empty = typeof title !== "string" || title.trim() === "";
    if (schema.$ref === undefined && (named || needsTitle(schema)) && empty)
      findings.push({ message: "schema has no title", path });
    for (const key of ONE) visit(schema[key], [...path, key], false);
    for (const key of LISTS)
      if (Array.isArray(schema[key])) schema[key].forEach((part, at) => visit(part, [...path, key, at], false));
    for (const key of MAPS)
      for (const [name, part] of Object.entries(schema[key] ?? {})) visit(part, [...path, key, name], false);
  }
  function search(value, path) {
    if (value === null || typeof value !== "object") return;
    for (const [key, part] of Object.entries(value)) {
      const at = [...path, key];
      if (key === "example" || key === "examples") continue;
      if (key === "schema") visit(part, at, false);
      else if (key === "schemas" && path.length === 1 && path[0] === "components")
        for (const [name, schema] of Object.entries(part)) visit(schema, [...at, name], true);
      else search(part, at);
    }
  }
  search(document, []);
  return findings;
}
