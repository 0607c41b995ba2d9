// Bundles the dashboard: node build.mjs FOLDER. FOLDER/node_modules has the packages of package-lock.json; the bundle is
// written to FOLDER/bundle, its larger files also compressed. All names but index.html and icon.svg contain a hash.

import { copyFileSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const here = path.dirname(fileURLToPath(import.meta.url));
const folder = path.resolve(process.argv[2]);
const out = path.join(folder, 'bundle');
const { build } = createRequire(path.join(folder, 'package.json'))('esbuild');

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });

// Bundles one entry, and returns the names of the files that it became: {js, css}.
async function bundle(name, entry, define = {}) {
  const { metafile } = await build({
    entryPoints: { [name]: path.join(here, entry) },
    outdir: out,
    entryNames: '[name]-[hash]',
    bundle: true,
    minify: true,
    format: 'esm',
    target: ['chrome123', 'firefox120', 'safari17.5'], // these know light-dark() and nested rules
    jsx: 'automatic',
    jsxImportSource: 'preact',
    nodePaths: [path.join(folder, 'node_modules')],
    absWorkingDir: here,
    legalComments: 'none',
    metafile: true,
    logLevel: 'warning',
    define,
  });
  const names = Object.keys(metafile.outputs).map((file) => path.basename(file));
  return { js: names.find((file) => file.endsWith('.js')), css: names.find((file) => file.endsWith('.css')) };
}

const worker = await bundle('worker', 'worker/main.js');
const app = await bundle('app', 'main.jsx', { WORKER_FILE: JSON.stringify(worker.js) });
const index = readFileSync(path.join(here, 'index.html'), 'utf8');
writeFileSync(path.join(out, 'index.html'), index.replaceAll('APP_JS', app.js).replaceAll('APP_CSS', app.css));
copyFileSync(path.join(here, '../icon.svg'), path.join(out, 'icon.svg'));

for (const name of readdirSync(out)) {
  const bytes = readFileSync(path.join(out, name));
  if (bytes.length > 1000) writeFileSync(path.join(out, `${name}.gz`), gzipSync(bytes, { level: 9 }));
}
