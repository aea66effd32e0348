// Builds what a browser needs into `<target>/site`: the console's wasm, cut into the parts that
// `app/src/parts.rs` names, with its JavaScript, that of the Markdown renderer, the editor of files,
// the CSS, and the static files, each with a brotli sibling. What has unchanged inputs comes from
// `<target>/bundle`, so a second call only asks cargo. The site directory is always replaced as a
// whole: a compressed file can not be older than what it was made from. All that pages load is in one
// directory, which is named after its contents and listed in `bundle.json`: browsers keep it for ever,
// and never mix two builds. At the end it says how large each file is, and what each page takes.
//
//   node app/frontend/bundle.mjs [--dev] [--check]
//
// --dev builds without size optimisation, for working on the console. --check fails when a page takes
// more than its budget.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync,
  statSync, writeFileSync,
} from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
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

// What the wasm, JavaScript and CSS of a first page may come to, in kB after brotli: of one that needs
// no part, such as the one for signing in, and of one that needs the part of this name. The goal for
// a session is 350, too; it must not move away from it.
const BUDGETS_KB = { '': 350, session: 600 };

// The version of wasm-split-cli that setup.sh installs.
const SPLITTER = '0.2.4';

const browsers = ['chrome111', 'firefox115', 'safari16.4'];

function fail(message) {
  console.error(`bundle: ${message}`);
  process.exit(1);
}

function run(command, args, errors = 'inherit') {
  const done = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', errors] });
  if (done.error) fail(`${command} could not be started: ${done.error.message}`);
  if (done.status === 0) return;
  fail(`${done.stderr ?? ''}${command} ended with status ${done.status ?? done.signal}`);
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
const bindgenVersion = checkWasmBindgen();
checkSplitter();
const tools = [profile, digest([join(here, 'bundle.mjs'), join(here, 'package-lock.json')])];

/** The splitter must know what the crate of its name has marked. */
function checkSplitter() {
  const asked = spawnSync('wasm-split-cli', ['--help'], { encoding: 'utf8' });
  if (asked.error) {
    fail(`wasm-split-cli is not on PATH: cargo install wasm_split_cli_support --version ${SPLITTER} `
      + '--locked --features build-binary');
  }
}

/** Has cargo build a crate for browsers, and says where its wasm is. */
function compile(command, crate, ...args) {
  const platform = 'wasm32-unknown-unknown';
  run('cargo', [command, '--package', crate, '--target', platform, '--profile', profile, ...args]);
  return join(target, platform, dev ? 'debug' : profile, `${crate.replace('-', '_')}.wasm`);
}

/** Writes `<name>.js` and `<name>_bg.wasm`, which a page can import. */
function bindgen(name, built, work, ...args) {
  const out = ['--target', 'web', '--no-typescript', '--out-dir', work, '--out-name', name];
  run('wasm-bindgen', [...out, ...args, built]);
}

/** Makes all scripts and modules in a directory small. */
function shrink(work) {
  for (const path of files(work).filter((file) => file.endsWith('.js'))) {
    const code = readFileSync(path, 'utf8');
    writeFileSync(path, esbuild.transformSync(code, { minify: true, format: 'esm' }).code);
  }
  if (dev) return;
  const optimise = join(here, 'node_modules/.bin/wasm-opt');
  const optimised = join(work, 'optimised.wasm');
  for (const module of files(work).filter((file) => file.endsWith('.wasm'))) {
    // What packs well stands together by name first; another round finds what the first one made.
    for (const order of [['--reorder-functions-by-name'], []]) {
      const args = ['-Oz', ...order, ...WASM_FEATURES, module, '-o', optimised];
      // What it does not know in the section of names, which it leaves out, is nothing to warn of.
      run(optimise, args, 'pipe');
      renameSync(optimised, module);
    }
  }
}

/** Which files each part consists of, as the script says that fetches them. */
function partsOf(script) {
  const loads = /export const __wasm_split_load_(\w+) = wrapAsyncCb\(makeLoad\(([^]*?), \[([^\]]*)\]\)\);/g;
  return Object.fromEntries([...script.matchAll(loads)].map(([, name, own, shared]) => [name, [
    ...shared.split(', ').filter(Boolean).map((chunk) => `${chunk.replace('__', '')}.wasm`),
    ...[...own.matchAll(/"\.\/([^"]+)"/g)].map(([, file]) => file),
  ]]));
}

mkdirSync(cache, { recursive: true });
const program = compile('rustc', 'membrane-frontend', '--', '-C', 'link-args=--emit-relocs');
const wasm = await part('membrane', digest([program], [...tools, bindgenVersion]), (work) => {
  run('wasm-split-cli', ['--target', 'web', '--out-name', 'membrane', program, work]);
  const main = join(work, 'membrane.wasm');
  bindgen('membrane', main, work, '--keep-lld-exports', '--no-demangle');
  rmSync(main);
  const parts = partsOf(readFileSync(join(work, '__wasm_split.js'), 'utf8'));
  writeFileSync(join(work, 'parts.json'), JSON.stringify(parts));
  shrink(work);
});

// The console's crate with its default features is also the renderer of Markdown.
const renderer = compile('rustc', 'membrane-app', '--lib', '--crate-type', 'cdylib');
const markdown = await part('markdown', digest([renderer], [...tools, bindgenVersion]), (work) => {
  bindgen('markdown', renderer, work);
  shrink(work);
});

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

const made = [wasm, markdown, editor, style, statics];
const directory = digest([], made.map(({ dir }) => basename(dir)));
const pkg = join(site, 'pkg', directory);
const parts = JSON.parse(readFileSync(join(wasm.dir, 'parts.json'), 'utf8'));
if (!existsSync(pkg)) {
  const next = join(target, 'site.next');
  rmSync(next, { recursive: true, force: true });
  cpSync(statics.dir, next, { recursive: true });
  const all = join(next, 'all');
  renameSync(join(next, 'pkg'), all);
  for (const { dir } of [wasm, markdown, editor, style]) cpSync(dir, all, { recursive: true });
  mkdirSync(join(next, 'pkg'));
  renameSync(all, join(next, 'pkg', directory));
  writeFileSync(join(next, 'bundle.json'), JSON.stringify({ directory, parts }));
  rmSync(site, { recursive: true, force: true });
  renameSync(next, site);
}

const kB = (bytes) => (bytes / 1000).toFixed(1);
const sum = (paths, ending) => paths.reduce((total, path) => total + statSync(path + ending).size, 0);

function print(name, paths, remark = '') {
  const [raw, packed] = [sum(paths, ''), sum(paths, '.br')];
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

const below = (names) => names.map((name) => join(pkg, name));
const first = below(
  ['membrane_bg.wasm', 'membrane.js', '__wasm_split.js', 'membrane.css', 'theme.js'],
);
for (const path of first) print(basename(path), [path]);
for (const [name, names] of Object.entries(parts)) {
  print(`part: ${name}`, below(names), ', when needed, less what is there');
}
print('markdown', below(['markdown_bg.wasm', 'markdown.js']), ', when needed');
// The editor is in pieces: what every file needs, and a language each.
const core = [...closure(join(pkg, 'editor/editor.js'))];
const languages = files(join(pkg, 'editor')).filter((path) => path.endsWith('.js') && !core.includes(path));
print('editor', core, ', when needed');
print('editor, languages', languages, ', each when needed');

let over = false;
for (const [name, names] of [['', []], ...Object.entries(parts)]) {
  const [size, budget] = [sum([...first, ...below(names)], '.br'), BUDGETS_KB[name]];
  const bound = budget ? `; its budget is ${budget} kB` : '';
  console.log(`a first page ${name ? `with ${name}` : 'without a part'}: ${kB(size)} kB br${bound}`);
  over ||= size > budget * 1000;
}
console.log(site);
if (over && process.argv.includes('--check')) fail('a page takes more than its budget');
