// Which language a file is in, by its name. Each is fetched when a file needs it.

import { StreamLanguage } from '@codemirror/language';

const javascript = (options) => async () => (await import('@codemirror/lang-javascript')).javascript(options);
const css = async () => (await import('@codemirror/lang-css')).css();
const html = async () => (await import('@codemirror/lang-html')).html();
const json = async () => (await import('@codemirror/lang-json')).json();
const markdown = async () => (await import('@codemirror/lang-markdown')).markdown();
const python = async () => (await import('@codemirror/lang-python')).python();
const rust = async () => (await import('@codemirror/lang-rust')).rust();
const yaml = async () => (await import('@codemirror/lang-yaml')).yaml();
const shell = async () => {
  const mode = await import('@codemirror/legacy-modes/mode/shell');
  return StreamLanguage.define(mode.shell);
};
const toml = async () => {
  const mode = await import('@codemirror/legacy-modes/mode/toml');
  return StreamLanguage.define(mode.toml);
};

const byEnding = new Map(Object.entries({
  bash: shell,
  cjs: javascript(),
  css,
  cts: javascript({ typescript: true }),
  htm: html,
  html,
  js: javascript(),
  json,
  jsonl: json,
  jsx: javascript({ jsx: true }),
  markdown,
  md: markdown,
  mjs: javascript(),
  mts: javascript({ typescript: true }),
  py: python,
  pyi: python,
  rs: rust,
  sh: shell,
  svg: html,
  toml,
  ts: javascript({ typescript: true }),
  tsx: javascript({ jsx: true, typescript: true }),
  xml: html,
  yaml,
  yml: yaml,
  zsh: shell,
}));

const byName = new Map(Object.entries({
  '.bashrc': shell,
  '.profile': shell,
  'cargo.lock': toml,
}));

function endingOf(path) {
  return path.split('/').pop().toLowerCase().split('.').slice(1).pop() ?? '';
}

/** The support of a file's language; nothing for one that is not known. */
export async function languageOf(path) {
  const name = path.split('/').pop().toLowerCase();
  return (byName.get(name) ?? byEnding.get(endingOf(path)))?.();
}

/** Whether its lines are wrapped, as those of prose are. */
export function isProse(path) {
  return ['markdown', 'md', 'txt'].includes(endingOf(path));
}
