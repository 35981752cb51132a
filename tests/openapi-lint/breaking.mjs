// Finds changes that break clients. Called by .ci/check-breaking-changes, which installs the tool:
//
//     .ci/check-breaking-changes [RELEASED DOCUMENT CHANGELOG]
//     .ci/check-breaking-changes --self-test
//
// The tool is `redocly diff` with all of its rules. Every change that it rates as major must be named in CHANGELOG.md: in a
// `### Breaking` section of the versions above the released one (`info.version` of the released document), in backticks,
// by the name of the changed component, or of the operation if the change is in no component. Changes that only extend the
// API pass.
//
// The self-test runs first, always: it applies each case in breaking/cases.yaml to breaking/released.yaml and compares the
// names with those the case expects. It shows that the check can fail, and these gaps of the tool, which a reviewer must
// notice:
//
// - A schema that is only renamed. Generated clients rename its type.
// - A required body on an operation that took none.
// - `additionalProperties: false` on a schema that allowed others.
// - `security` of an operation removed where the document has one of its own. Ours states it on each operation, where a
//   change is found.
// - A change of a schema that several operations share is reported once, with the name of the schema.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const tools = process.env.OPENAPI_TOOLS;
const yaml = createRequire(path.join(tools, "package.json"))("js-yaml");
const here = path.dirname(fileURLToPath(import.meta.url));
const work = mkdtempSync(path.join(tmpdir(), "breaking-changes-"));
process.on("exit", () => rmSync(work, { recursive: true, force: true }));

function fail(message) {
  console.error(`check-breaking-changes: ${message}`);
  process.exit(1);
}

const read = (file) => yaml.load(readFileSync(file, "utf8"));
const keys = (pointer) => pointer.slice(2).split("/").map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));
const at = (value, path) => path.reduce((inner, key) => inner?.[key], value);

async function diff(released, document) {
  const args = ["diff", released, document, `--config=${path.join(here, "redocly-diff.yaml")}`, "--format=json"];
  const tool = spawn(process.execPath, [path.join(tools, "node_modules/@redocly/cli/bin/cli.js"), ...args]);
  const output = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"]) tool[stream].setEncoding("utf8").on("data", (text) => (output[stream] += text));
  const status = await new Promise((done) => tool.on("close", done));
  let report;
  try {
    report = JSON.parse(output.stdout);
  } catch {
    fail(`the tool wrote no report:\n${output.stdout}${output.stderr}`);
  }
  const changes = report.changes.filter(({ impact }) => impact === "major");
  if (status !== (changes.length > 0 ? 1 : 0) || changes.length !== report.summary.major)
    fail(`the tool contradicts itself, with status ${status}:\n${output.stderr}`);
  return changes;
}

// The name of the changed component, else of the operation, or of all operations of a path, else of the webhook or the
// part of the document.
function names(change, released, document) {
  const place = keys((change.base ?? change.revision).pointer);
  if (place[0] === "components") return [place[2]];
  const [part, item, method] = keys(change.path);
  if (part !== "paths") return [item && part === "webhooks" ? item : part];
  const operations = [released, document].map((side) => side.paths[item] ?? {});
  const methods = method === undefined || method === "parameters" ? Object.keys(operations[0]) : [method];
  const ids = methods.map((key) => operations.map((side) => side[key]?.operationId).find(Boolean)).filter(Boolean);
  return ids.length > 0 ? ids : [item];
}

async function breaking(released, document) {
  const [before, after] = [read(released), read(document)];
  return (await diff(released, document)).flatMap((change) =>
    names(change, before, after).flatMap((name) =>
      change.verdicts.map(({ ruleId, message }) => ({ name, ruleId, message, path: change.path })),
    ),
  );
}

// Names in backticks below `### Breaking`, in the sections above that of `version`.
function announced(changelog, version) {
  const names = new Set();
  let [inBreaking, ended] = [false, false];
  for (const line of readFileSync(changelog, "utf8").split("\n")) {
    const section = /^## \[?([^\]\s]+)/.exec(line)?.[1];
    ended ||= section === version;
    if (ended) break;
    if (/^#{1,3} /.test(line)) inBreaking = line.trim() === "### Breaking";
    else if (inBreaking) for (const [, name] of line.matchAll(/`([^`]+)`/g)) names.add(name);
  }
  if (!ended) fail(`${changelog} has no section of version ${version}`);
  return names;
}

function unannounced(found, changelog, version) {
  const names = announced(changelog, version);
  return found.filter(({ name }) => !names.has(name));
}

// The operations of JSON Patch (RFC 6902) that the cases use.
function apply(document, { op, path: pointer, from, value }) {
  const split = (pointer) => {
    const path = keys(`#${pointer}`);
    return [at(document, path.slice(0, -1)), path.at(-1)];
  };
  const take = (pointer) => {
    const [parent, key] = split(pointer);
    if (!(key in parent)) fail(`${pointer} does not exist`);
    const value = parent[key];
    if (Array.isArray(parent)) parent.splice(Number(key), 1);
    else delete parent[key];
    return value;
  };
  if (op === "move") value = take(from);
  if (op === "remove" || op === "replace") take(pointer);
  if (op === "remove") return;
  const [parent, key] = split(pointer);
  if (Array.isArray(parent)) parent.splice(Number(key), 0, value);
  else parent[key] = value;
}

async function selfTest() {
  const released = path.join(here, "breaking/released.yaml");
  const cases = read(path.join(here, "breaking/cases.yaml"));
  let failures = 0;
  const check = async (test, number) => {
    const changed = read(released);
    for (const change of test.patch) apply(changed, change);
    const file = path.join(work, `${number}.json`);
    writeFileSync(file, JSON.stringify(changed));
    const found = await breaking(released, file);
    const actual = [...new Set(found.map(({ name, ruleId }) => `${name} ${ruleId}`))].toSorted();
    const expected = test.breaks.toSorted();
    if (JSON.stringify(actual) === JSON.stringify(expected)) return;
    failures += 1;
    console.error(`self-test: ${test.name}: expected ${JSON.stringify(expected)}, found ${JSON.stringify(actual)}`);
  };
  const waiting = [...cases.entries()];
  const worker = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) await check(next[1], next[0]);
  };
  await Promise.all([worker(), worker()]);

  // The rule for the changelog.
  const changelog = path.join(here, "breaking/CHANGELOG.md");
  const names = [...announced(changelog, "1.0.0")].toSorted();
  const wanted = ["Status", "createTask"];
  if (unannounced([{ name: "Status" }, { name: "deleteTask" }], changelog, "1.0.0").length !== 1) {
    failures += 1;
    console.error("self-test: deleteTask alone should be missing in the changelog");
  }
  if (JSON.stringify(names) !== JSON.stringify(wanted)) {
    failures += 1;
    console.error(`self-test: ${changelog} announces ${JSON.stringify(names)}, expected ${JSON.stringify(wanted)}`);
  }

  const breaks = cases.filter(({ breaks }) => breaks.length > 0).length;
  if (failures > 0) fail(`${failures} of ${cases.length} cases of the self-test failed`);
  console.log(`check-breaking-changes: ${cases.length} cases of the self-test passed, ${breaks} of them break clients`);
}

async function compare(released, document, changelog) {
  for (const file of [released, document, changelog]) if (!existsSync(file)) fail(`${file} is missing`);
  const { version } = read(released).info;
  const found = await breaking(released, document);
  const missing = unannounced(found, changelog, version);
  for (const { name, ruleId, message, path } of missing) console.error(`\`${name}\`: ${message} (${ruleId}, ${path})`);
  if (missing.length > 0)
    fail(
      `clients of ${version} break. Undo the changes, or name them below "### Breaking" in ${changelog}: ` +
        [...new Set(missing.map(({ name }) => `\`${name}\``))].join(", "),
    );
  console.log(`check-breaking-changes: ${found.length} changes since ${version} break clients; ${changelog} names them all`);
}

const args = process.argv.slice(2);
await selfTest();
if (args[0] !== "--self-test")
  await compare(...(args.length === 3 ? args : ["openapi/released.yaml", "openapi/openapi.yaml", "CHANGELOG.md"]));
