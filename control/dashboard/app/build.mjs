// Bundles the dashboard: node build.mjs FOLDER. FOLDER/node_modules has the packages of package-lock.json; the bundle is
// written to FOLDER/bundle, its larger files also compressed. All names but index.html and icon.svg contain a hash.

import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const kMostBytes = 400 * 1024;
const here = path.dirname(fileURLToPath(import.meta.url));
const folder = path.resolve(process.argv[2]);
const out = path.join(folder, 'bundle');
const { build } = createRequire(path.join(folder, 'package.json'))('esbuild');

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });

// Bundles one entry, and returns the names of the files that it became: {js, css}. esbuild's own hashes depend on the path of
// the build folder; these do not.
async function bundle(name, entry, define = {}) {
  const { outputFiles } = await build({
    entryPoints: { [name]: path.join(here, entry) },
    outdir: out,
    bundle: true,
    minify: true,
    format: 'esm',
    target: ['chrome123', 'firefox120', 'safari17.5'], // these know light-dark() and nested rules
    jsx: 'automatic',
    jsxImportSource: 'preact',
    nodePaths: [path.join(folder, 'node_modules')],
    absWorkingDir: here,
    legalComments: 'none',
    write: false,
    logLevel: 'warning',
    define,
  });
  const names = {};
  for (const { path: file, contents } of outputFiles) {
    const hash = createHash('sha256').update(contents).digest('hex').slice(0, 8).toUpperCase();
    const { name: base, ext } = path.parse(file);
    names[ext.slice(1)] = `${base}-${hash}${ext}`;
    writeFileSync(path.join(out, `${base}-${hash}${ext}`), contents);
  }
  return names;
}

const worker = await bundle('worker', 'worker/main.js');
const app = await bundle('app', 'main.jsx', { WORKER_FILE: JSON.stringify(worker.js) });
const index = readFileSync(path.join(here, 'index.html'), 'utf8');
writeFileSync(path.join(out, 'index.html'), index.replaceAll('APP_JS', app.js).replaceAll('APP_CSS', app.css));
copyFileSync(path.join(here, '../icon.svg'), path.join(out, 'icon.svg'));

let total = 0; // bytes that a browser fetches
for (const name of readdirSync(out)) {
  const bytes = readFileSync(path.join(out, name));
  const compressed = gzipSync(bytes, { level: 9 });
  if (bytes.length > 1000) writeFileSync(path.join(out, `${name}.gz`), compressed);
  total += bytes.length > 1000 ? compressed.length : bytes.length;
}
if (total > kMostBytes) throw new Error(`the bundle has ${total} bytes compressed, and ${kMostBytes} are allowed`);
