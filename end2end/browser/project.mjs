// A real crate without any dependency, taken from cargo's registry sources, as a zip to upload.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';

const FNV = 'fnv-1.0.7';

function findCrate() {
  const registry = join(process.env.CARGO_HOME ?? join(homedir(), '.cargo'), 'registry/src');
  const indexes = existsSync(registry) ? readdirSync(registry) : [];
  const index = indexes.find((name) => existsSync(join(registry, name, FNV)));
  if (!index) throw new Error(`${FNV} is not in ${registry}: run cargo fetch`);
  return join(registry, index, FNV);
}

/** The zip, one line of the crate with what to make of it, and what a build leaves. */
export function zippedCrate() {
  const source = findCrate();
  const zip = join(mkdtempSync(join(tmpdir(), 'membrane-crate-')), 'fnv.zip');
  const entries = readdirSync(source).map((name) => join(source, name));
  execFileSync('python3', ['-m', 'zipfile', '-c', zip, ...entries]);
  return {
    zip,
    file: 'lib.rs',
    line: 'pub struct FnvHasher(u64);',
    changed: 'pub struct FnvHasher(u64); // eight bytes',
    library: 'target/debug/libfnv.rlib',
  };
}
