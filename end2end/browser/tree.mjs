// A workspace with a tree of files: what projects have, and names that nobody would choose.

import { Buffer } from 'node:buffer';

import { openPage } from './browser.mjs';

const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAIAAAACUFjqAAAAEklEQVR4nGNkaGBgwA1YRrACAB3rAH6XJhD7AAAAAElFTkSuQmCC';

/** Names that are legal on disk, in the spelling of the wire. */
export const hostile = [
  '<img src=x onerror=alert(1)>.txt',
  'line\nbreak.txt',
  'right\u202eto\u202cleft.txt',
  'שלום עולם.txt',
  '100%25 & "quoted" #?.txt',
  'back\\\\slash.txt',
  'raw\\xff\\xfe.bin',
  'a'.repeat(251) + '.txt',
  '-rf',
  ' leading and trailing ',
];

export const mainRs = [
  '//! A program.', '', 'use std::env;', '', 'fn main() {',
  '    let name = env::args().nth(1);', '    println!("Hello <b>{}</b>", name.unwrap_or_default());', '}', '',
].join('\n');

const guide = [
  '# A guide', '', 'With *words*, `code` and [a file](../../main.rs).', '', '![A pixel](pixel.png)', '',
  '```rust', 'fn main() {}', '```', '', '| a | b |', '|---|---|', '| 1 | 2 |', '',
].join('\n');

const people = ['name,city,born', '"Lovelace, Ada",London,1815', 'Noether,Erlangen,1882,extra', 'Turing', ''].join('\n');

const notebook = JSON.stringify({
  nbformat: 4,
  metadata: { language_info: { name: 'python' } },
  cells: [
    { cell_type: 'markdown', source: ['# Findings\n', 'What *was* seen.'] },
    {
      cell_type: 'code', execution_count: 1, source: ['# A sum\n', 'total = sum(range(10))\n', 'print(total)'],
      outputs: [{ output_type: 'stream', text: ['45\n'] }],
    },
    {
      cell_type: 'code', execution_count: 2, source: 'plot()', outputs: [
        { output_type: 'display_data', data: { 'image/png': PIXEL } },
        { output_type: 'display_data', data: { 'text/html': '<b>bold</b>' } },
        { output_type: 'error', ename: 'ValueError', evalue: 'no', traceback: ['\u001b[31mTraceback\u001b[0m'] },
      ],
    },
  ],
});

/** Writes a file over the API. */
export function write(server, workspaceId, path, content, encoding = 'utf8') {
  const bytes = Buffer.from(content, encoding).toString('base64');
  return server.rpc('FileService/WriteFile', { workspaceId, path, content: bytes });
}

/** A workspace with files, and its id. */
export async function filledFiles(server, name = 'Files of all kinds') {
  const workspace = await server.newWorkspace(name);
  await write(server, workspace, 'src/main.rs', mainRs);
  await write(server, workspace, 'src/deep/er/still/note.md', '# Deep\n');
  await write(server, workspace, 'README.md', '# Read me\n\nPlease.\n');
  await write(server, workspace, 'Cargo.toml', '[package]\nname = "x"\n');
  await write(server, workspace, 'logo.png', PIXEL, 'base64');
  await write(server, workspace, 'data.bin', '\0\x01\x02');
  await write(server, workspace, 'empty.txt', '');
  await write(server, workspace, 'raw', 'A file whose address is taken.\n');
  await write(server, workspace, 'src/deep/shown/notes.ipynb', notebook);
  await write(server, workspace, 'src/deep/shown/people.csv', people);
  await write(server, workspace, 'src/deep/shown/guide.md', guide);
  await write(server, workspace, 'src/deep/shown/paper.pdf', '%PDF-1.4\n');
  await write(server, workspace, 'src/deep/shown/pixel.png', PIXEL, 'base64');
  for (const name of hostile) await write(server, workspace, `hostile/${name}`, 'harmless\n');
  return workspace;
}

/** Opens the files view of a workspace. */
export async function openFiles(browser, server, workspaceId, path = '', options = {}) {
  const view = await openPage(browser, server, options);
  await view.open(`${server.url}/workspaces/${workspaceId}/files${path}`);
  return { view, page: view.page, list: view.page.locator('.listing') };
}

/** The paths in a directory, as the API lists them. */
export async function names(server, workspaceId, path = '') {
  const { files = [] } = await server.rpc('FileService/ListFiles', { workspaceId, path });
  return files.map((file) => file.path);
}

/** The entry of this name in the list. */
export function link(list, name) {
  return list.locator('.entry-link').filter({ hasText: new RegExp(`^${name}$`) });
}

/** Drops files and folders of this machine on the page, as a hand would. */
export async function drop(view, ...files) {
  const devtools = await view.context.newCDPSession(view.page);
  const data = { items: [], files, dragOperationsMask: 1 };
  for (const type of ['dragEnter', 'dragOver', 'drop']) {
    await devtools.send('Input.dispatchDragEvent', { type, x: 800, y: 600, data });
  }
}
