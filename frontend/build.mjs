// Builds src/, styles/ and the used icons into static/, each file named after its content, and writes
// static/manifest.json, by which the templates find them. Everything comes from the installed packages.
import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { build } from "esbuild";

const HERE = path.dirname(fileURLToPath(import.meta.url));
const STATIC = path.join(HERE, "static");
// Icons whose names the templates compute; all others are found by their use.
const COMPUTED_ICONS = ["check", "circle", "lock", "info", "triangle-alert", "octagon-alert", "loader-circle"];

async function bundle() {
  const modules = (await readdir(path.join(HERE, "src"))).filter((name) => name.endsWith(".ts") && !name.endsWith(".d.ts"));
  const shared = { bundle: true, minify: true, metafile: true, sourcemap: "linked", legalComments: "linked", write: false };
  const scripts = await build({
    ...shared,
    absWorkingDir: HERE,
    entryPoints: modules.map((name) => `src/${name}`),
    outdir: "static/js",
    format: "esm",
    splitting: true,
    target: "es2022",
    entryNames: "[name]-[hash]",
    chunkNames: "chunk-[hash]",
  });
  const styles = await build({
    ...shared,
    absWorkingDir: HERE,
    entryPoints: ["styles/main.css", "styles/datasets.css"],
    outdir: "static/css",
    entryNames: "[name]-[hash]",
    target: ["chrome123", "firefox120", "safari17.5"],
  });
  for (const output of [...scripts.outputFiles, ...styles.outputFiles]) await place(output.path, output.contents);
  return [scripts, styles].flatMap((result) => Object.entries(result.metafile.outputs));
}

/** What is text also stands there as it travels: compressed once, here, and not for each visitor. */
async function place(file, content) {
  await write(file, content);
  if (!/\.(js|css|svg)$/.test(file)) return;
  const bytes = Buffer.from(content);
  if (!(await readFile(`${file}.br`).catch(() => null))) {
    await write(`${file}.gz`, gzipSync(bytes, { level: 9 }));
    await write(`${file}.br`, brotliCompressSync(bytes));
  }
}

/** Write a file whole or not at all; one that is there already is left alone, because a server may be sending it. */
async function write(file, content) {
  const present = await readFile(file).catch(() => null);
  if (present && present.equals(Buffer.from(content))) return;
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(`${file}.${process.pid}`, content);
  await rename(`${file}.${process.pid}`, file);
}

function manifestOf(outputs) {
  const manifest = {};
  for (const [file, output] of outputs) {
    if (!output.entryPoint) continue;
    const kind = output.entryPoint.startsWith("src/") ? "js" : "css";
    const name = path.basename(output.entryPoint).replace(/\.ts$/, ".js");
    manifest[`${kind}/${name}`] = file.replace(/^static\//, "");
  }
  return manifest;
}

async function usedIcons() {
  const found = new Set(COMPUTED_ICONS);
  for (const folder of ["templates", "src"]) {
    const names = await readdir(path.join(HERE, folder), { recursive: true });
    for (const name of names.filter((name) => /\.(html|ts)$/.test(name))) {
      const text = await readFile(path.join(HERE, folder, name), "utf8");
      for (const use of text.matchAll(/icon\(["']([a-z0-9-]+)["']/g)) found.add(use[1]);
    }
  }
  return [...found].sort();
}

async function sprite() {
  const symbols = [];
  for (const name of await usedIcons()) {
    const svg = await readFile(path.join(HERE, "node_modules/lucide-static/icons", `${name}.svg`), "utf8");
    const shapes = svg.replace(/<!--.*?-->/gs, "").match(/<svg[^>]*>(.*)<\/svg>/s)[1].replace(/\s+/g, " ").trim();
    symbols.push(`<symbol id="${name}" viewBox="0 0 24 24">${shapes}</symbol>`);
  }
  return `<svg xmlns="http://www.w3.org/2000/svg">${symbols.join("")}</svg>\n`;
}

async function writeHashed(name, content) {
  const hash = createHash("sha256").update(content).digest("hex").slice(0, 8).toUpperCase();
  const { dir, name: stem, ext } = path.parse(name);
  const file = path.posix.join(dir, `${stem}-${hash}${ext}`);
  await place(path.join(STATIC, file), content);
  return file;
}

async function removeOutdated(kept) {
  for (const folder of ["js", "css", "."]) {
    for (const entry of await readdir(path.join(STATIC, folder), { withFileTypes: true })) {
      const file = path.posix.join(folder, entry.name);
      if (entry.isFile() && !kept.has(file.replace(/\.(br|gz)$/, ""))) await rm(path.join(STATIC, file), { force: true });
    }
  }
}

await mkdir(STATIC, { recursive: true });
const outputs = await bundle();
const manifest = manifestOf(outputs);
manifest["icons.svg"] = await writeHashed("icons.svg", await sprite());
manifest["favicon.svg"] = await writeHashed("favicon.svg", await readFile(path.join(HERE, "images/favicon.svg")));
// The manifest is replaced in one step and old files go last, so that a running server never misses one.
await place(path.join(STATIC, "manifest.json"), JSON.stringify(manifest, null, 1));
await removeOutdated(
  new Set([...outputs.map(([file]) => file.replace(/^static\//, "")), ...Object.values(manifest), "manifest.json"]),
);
console.log(`Built ${Object.keys(manifest).length} files into static/.`);
