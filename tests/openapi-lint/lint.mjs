// Lints the OpenAPI document. Called by .ci/lint-openapi, which installs the tools:
//
//     .ci/lint-openapi [DOCUMENT...]
//
// 1. Spectral and the rules in ruleset.yaml. The documents in bad/ are linted in the same run: each must have exactly the
//    findings that `x-findings` lists, and every rule of ours must be among them. A rule that finds nothing proves nothing.
// 2. Redocly, with its strictest ruleset. It must find something in each document in bad/, too.
//
// Warnings and hints fail as errors do. There are no ignore files, and no rule is off.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const tools = process.env.OPENAPI_TOOLS;
const yaml = createRequire(path.join(tools, "package.json"))("js-yaml");
const here = path.dirname(fileURLToPath(import.meta.url));
const documents = (process.argv.length > 2 ? process.argv.slice(2) : ["openapi/openapi.yaml"]).map((file) =>
  path.resolve(file),
);
const bad = readdirSync(path.join(here, "bad")).map((file) => path.join(here, "bad", file));
const work = mkdtempSync(path.join(tmpdir(), "lint-openapi-"));
process.on("exit", () => rmSync(work, { recursive: true, force: true }));

for (const ignored of [".redocly.lint-ignore.yaml", "redocly.yaml", ".spectral.yaml", ".spectral.yml", ".spectral.json"])
  if (existsSync(ignored)) fail(`${ignored} would change what the linters report`);

function fail(message) {
  console.error(`lint-openapi: ${message}`);
  process.exit(1);
}

function run(tool, args) {
  const ran = spawnSync(process.execPath, [path.join(tools, "node_modules", tool), ...args], {
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  // 0: no findings, 1: findings. Anything else is a failure of the tool.
  if (ran.status !== 0 && ran.status !== 1) fail(`${tool} failed with status ${ran.status}:\n${ran.stdout}${ran.stderr}`);
  return ran;
}

function spectral() {
  const output = path.join(work, "spectral.json");
  const ran = run("@stoplight/spectral-cli/dist/index.js", [
    "lint",
    "--quiet",
    "--ruleset",
    path.join(here, "ruleset.yaml"),
    "--format=json",
    `--output=${output}`,
    "--fail-severity=hint",
    ...documents,
    ...bad,
  ]);
  if (!existsSync(output)) fail(`Spectral wrote no report:\n${ran.stdout}${ran.stderr}`);
  return JSON.parse(readFileSync(output, "utf8")).map(({ source, code, path: at, message, range }) => ({
    file: source,
    line: range.start.line + 1,
    text: `${code} ${at.join(".")}: ${message}`,
    code: String(code),
  }));
}

// One document a run: the reports of several are not one JSON value.
function redocly(document) {
  const config = path.join(here, "redocly.yaml");
  const ran = run("@redocly/cli/bin/cli.js", [
    "lint",
    `--config=${config}`,
    "--format=json",
    "--max-problems=1000",
    document,
  ]);
  let report;
  try {
    report = JSON.parse(ran.stdout);
  } catch {
    fail(`Redocly wrote no report:\n${ran.stdout}${ran.stderr}`);
  }
  if (report.totals.ignored !== 0) fail("Redocly ignored problems");
  return report.problems.map(({ ruleId, message, location: [place] }) => ({
    file: path.resolve(place.source?.ref ?? ""),
    text: `${ruleId} ${place.pointer ?? ""}: ${message.replaceAll("\n", " ")}`,
  }));
}

const own = Object.keys(yaml.load(readFileSync(path.join(here, "ruleset.yaml"), "utf8")).rules);
const found = spectral();
const unproven = new Set(own);
let failed = false;

for (const file of bad) {
  const expected = yaml.load(readFileSync(file, "utf8"))["x-findings"].toSorted();
  const actual = found.filter((finding) => finding.file === file).map(({ text }) => text).toSorted();
  for (const { file: at, code } of found) if (at === file) unproven.delete(code);
  for (const text of expected.filter((text) => !actual.includes(text))) {
    failed = true;
    console.error(`${path.relative(".", file)}: not found: ${text}`);
  }
  for (const text of actual.filter((text) => !expected.includes(text))) {
    failed = true;
    console.error(`${path.relative(".", file)}: not expected: ${text}`);
  }
  if (actual.length === 0) fail(`${file} has no findings`);
}
for (const rule of unproven) {
  failed = true;
  console.error(`No document in bad/ proves that ${rule} can fail`);
}

for (const document of documents) {
  const findings = found.filter(({ file }) => file === document);
  for (const { line, text } of findings) console.error(`${path.relative(".", document)}:${line} ${text}`);
  failed ||= findings.length > 0;
}
for (const document of documents)
  for (const { file, text } of redocly(document)) {
    failed = true;
    console.error(`${path.relative(".", file)} redocly: ${text}`);
  }
for (const file of bad) if (redocly(file).length === 0) fail(`Redocly finds nothing in ${file}`);

if (failed) fail("failed");
console.log(
  `lint-openapi: no findings in ${documents.map((file) => path.relative(".", file)).join(", ")}; ` +
    `${own.length} rules of our own, each proven by a bad document`,
);
