// Builds what a browser needs into `<target>/site`: the console's wasm with its JavaScript, that of
// the Markdown renderer, the editor of files, the CSS, and the static files, each with a brotli sibling. A part whose
// inputs did not change comes from `<target>/bundle`, so a second call only asks cargo. The site
// directory is always replaced as a whole: a compressed file can not be older than what it was made
// from. At the end it says how large each file is, and how much of its budget a first page takes.
//
//   node app/frontend/bundle.mjs [--dev]
//
// --dev builds without size optimisation, for working on the console.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync,
  statSync, writeFileSync,
} from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants } from 'node:zlib';

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, '../..');
const target = resolve(root, process.env.CARGO_TARGET_DIR ?? 'target');
const cache = join(target, 'bundle');
const site = join(target, 'site');
const dev = process.argv.includes('--dev');
const profile = dev ? 'dev' : 'wasm-release';

// What rustc turns on for wasm32-unknown-unknown; wasm-opt refuses code it was not told about.
const WASM_FEATURES = [
  'bulk-memory', 'bulk-memory-opt', 'call-indirect-overlong', 'multivalue', 'mutable-globals',
  'nontrapping-float-to-int', 'reference-types', 'sign-ext',
].map((name) => `--enable-${name}`);

// What the wasm, JavaScript and CSS of a first page may come to, in kB after brotli.
const FIRST_PAGE_KB = 350;

const browsers = ['chrome111', 'firefox115', 'safari16.4'];

function fail(message) {
  console.error(`bundle: ${message}`);
  process.exit(1);
}

function run(command, args) {
  const done = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
  if (done.error) fail(`${command} could not be started: ${done.error.message}`);
  if (done.status !== 0) fail(`${command} ended with status ${done.status ?? done.signal}`);
}

function files(dir) {
  return readdirSync(dir, { withFileTypes: true })
    .flatMap((entry) => (entry.isDirectory() ? files(join(dir, entry.name)) : [join(dir, entry.name)]))
    .sort();
}

/** A short digest of the names and contents of some files, and of some words beside them. */
function digest(paths, words = []) {
  const hash = createHash('sha256');
  for (const word of words) hash.update(`${word}\0`);
  for (const path of paths) hash.update(`${relative(root, path)}\0`).update(readFileSync(path));
  return hash.digest('hex').slice(0, 20);
}

/** Makes a part in an empty directory, unless the same inputs have already made it. */
async function part(name, key, make) {
  const done = join(cache, `${name}-${key}`);
  if (existsSync(done)) return { dir: done, fresh: false };
  const work = join(cache, `${name}.work`);
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  await make(work);
  files(work).forEach(compress);
  for (const old of readdirSync(cache)) {
    if (old.startsWith(`${name}-`)) rmSync(join(cache, old), { recursive: true, force: true });
  }
  renameSync(work, done);
  return { dir: done, fresh: true };
}

function compress(path) {
  const raw = readFileSync(path);
  const packed = brotliCompressSync(raw, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: dev ? 4 : 11,
      [constants.BROTLI_PARAM_LGWIN]: 24,
      [constants.BROTLI_PARAM_SIZE_HINT]: raw.length,
    },
  });
  writeFileSync(`${path}.br`, packed);
}

/** The CLI and the crate must be the same version, or the page fails at start. */
function checkWasmBindgen() {
  const wanted = /name = "wasm-bindgen"\nversion = "([^"]+)"/.exec(
    readFileSync(join(root, 'Cargo.lock'), 'utf8'),
  )?.[1];
  const asked = spawnSync('wasm-bindgen', ['--version'], { encoding: 'utf8' });
  const found = /(\d+\.\d+\.\d+)/.exec(asked.stdout ?? '')?.[1];
  if (found !== wanted) {
    fail(`wasm-bindgen ${wanted} is needed, ${found ?? 'none'} is on PATH: `
      + `cargo install wasm-bindgen-cli --version ${wanted}`);
  }
  return wanted;
}

async function loadEsbuild() {
  try {
    return await import('esbuild');
  } catch {
    return fail('the npm packages are missing: npm ci --prefix app/frontend');
  }
}

const esbuild = await loadEsbuild();
const bindgen = checkWasmBindgen();
const tools = [profile, digest([join(here, 'bundle.mjs'), join(here, 'package-lock.json')])];

/** Has cargo build a crate for browsers, and says where its wasm is. */
function compile(command, crate, ...args) {
  const platform = 'wasm32-unknown-unknown';
  run('cargo', [command, '--package', crate, '--target', platform, '--profile', profile, ...args]);
  return join(target, platform, dev ? 'debug' : profile, `${crate.replace('-', '_')}.wasm`);
}

/** Makes a module that a page can import, `<name>.js` and `<name>_bg.wasm`, of what cargo built. */
function wasmPart(name, built) {
  return part(name, digest([built], [...tools, bindgen]), (work) => {
    run('wasm-bindgen', [
      '--target', 'web', '--no-typescript', '--out-dir', work, '--out-name', name, built,
    ]);
    const script = join(work, `${name}.js`);
    const code = readFileSync(script, 'utf8');
    writeFileSync(script, esbuild.transformSync(code, { minify: true, format: 'esm' }).code);
    if (dev) return;
    const module = join(work, `${name}_bg.wasm`);
    const optimised = join(work, 'optimised.wasm');
    run(join(here, 'node_modules/.bin/wasm-opt'), ['-Oz', ...WASM_FEATURES, module, '-o', optimised]);
    renameSync(optimised, module);
  });
}

mkdirSync(cache, { recursive: true });
const wasm = await wasmPart('membrane', compile('build', 'membrane-frontend'));
// The console's crate with its default features is also the renderer of Markdown.
const markdown = await wasmPart(
  'markdown', compile('rustc', 'membrane-app', '--lib', '--crate-type', 'cdylib'),
);

const style = await part('style', digest(files(join(root, 'style')), tools), async (work) => {
  await esbuild.build({
    entryPoints: [join(root, 'style/main.css')],
    outfile: join(work, 'membrane.css'),
    bundle: true,
    minify: true,
    logLevel: 'warning',
    target: browsers,
  });
});

const editor = await part('editor', digest(files(join(here, 'editor')), tools), async (work) => {
  await esbuild.build({
    entryPoints: { editor: join(here, 'editor/main.mjs') },
    outdir: join(work, 'editor'),
    chunkNames: '[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    minify: true,
    legalComments: 'none',
    logLevel: 'warning',
    target: browsers,
  });
});

const statics = await part('public', digest(files(join(here, 'public')), tools), (work) => {
  for (const path of files(join(here, 'public'))) {
    const place = join(work, relative(join(here, 'public'), path));
    mkdirSync(dirname(place), { recursive: true });
    if (path.endsWith('.js')) {
      const code = readFileSync(path, 'utf8');
      writeFileSync(place, esbuild.transformSync(code, { minify: true }).code);
    } else {
      copyFileSync(path, place);
    }
  }
});

const parts = [wasm, markdown, editor, style, statics];
if (parts.some(({ fresh }) => fresh) || !existsSync(site)) {
  const next = join(target, 'site.next');
  rmSync(next, { recursive: true, force: true });
  cpSync(statics.dir, next, { recursive: true });
  for (const { dir } of [wasm, markdown, editor, style]) cpSync(dir, join(next, 'pkg'), { recursive: true });
  rmSync(site, { recursive: true, force: true });
  renameSync(next, site);
}

const kB = (bytes) => (bytes / 1000).toFixed(1);

function print(name, raw, packed, remark = '') {
  console.log(`${name.padEnd(24)} ${kB(raw).padStart(8)} kB ${kB(packed).padStart(7)} kB br${remark}`);
}

/** A script and all that it imports before it runs. */
function closure(path, found = new Set()) {
  if (found.has(path)) return found;
  found.add(path);
  for (const [, next] of readFileSync(path, 'utf8').matchAll(/(?:from|import)"(\.\/[^"]+)"/g)) {
    closure(join(dirname(path), next), found);
  }
  return found;
}

const sum = (paths, ending) => paths.reduce((total, path) => total + statSync(path + ending).size, 0);

let first = 0;
for (const path of files(site).filter((file) => file.endsWith('.br'))) {
  const [packed, raw] = [statSync(path).size, statSync(path.slice(0, -3)).size];
  const name = relative(site, path.slice(0, -3));
  if (name.startsWith('pkg/editor/')) continue;
  const later = name.startsWith('pkg/markdown');
  if (!later && /\.(wasm|js|css)$/.test(name)) first += packed;
  print(name, raw, packed, later ? ', when needed' : '');
}
// The editor is in pieces: what every file needs, and a language each.
const pieces = files(join(site, 'pkg/editor')).filter((file) => file.endsWith('.js'));
const core = [...closure(join(site, 'pkg/editor/editor.js'))];
const languages = pieces.filter((path) => !core.includes(path));
print('pkg/editor/editor.js', sum(core, ''), sum(core, '.br'), ', when needed');
print('pkg/editor, languages', sum(languages, ''), sum(languages, '.br'), ', each when needed');
console.log(`${site}: ${kB(first)} kB brotli on a first page; its budget is ${FIRST_PAGE_KB} kB`);
