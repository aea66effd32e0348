// The page that edits a file, as a person sees it.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { openPage } from './browser.mjs';
import { write } from './tree.mjs';

/** The files of one workspace, on disk and in their editor. */
export class Edited {
  constructor(browser, server, workspace) {
    Object.assign(this, { browser, server, workspace });
  }

  onDisk(path) {
    return join(this.server.data, 'workspaces', this.workspace, 'files', path);
  }

  text(path) {
    return readFileSync(this.onDisk(path), 'utf8');
  }

  put(path, content) {
    mkdirSync(dirname(this.onDisk(path)), { recursive: true });
    writeFileSync(this.onDisk(path), content);
  }

  page(kind, path) {
    return `${this.server.url}/workspaces/${this.workspace}/${kind}/${path}`;
  }

  /** A file of this content in its editor. */
  async open(path, content, options = {}) {
    this.put(path, content);
    const view = await openPage(this.browser, this.server, options);
    await view.open(this.page('edit', path));
    return new EditorView(view);
  }

  /** A file whose page is left for its editor. */
  async openFromItsPage(path, view) {
    await view.open(this.page('files', path));
    await view.page.getByRole('link', { name: 'Edit', exact: true }).click();
    return new EditorView(view);
  }

  /** An editor whose attempt to save has met what somebody else wrote. */
  async conflict(path, options = {}) {
    const editor = await this.open(path, 'one\ntwo\nthree\n', options);
    await editor.type('mine\n');
    await write(this.server, this.workspace, path, 'one\nTWO\nthree\n');
    await editor.page.keyboard.press('Control+s');
    await editor.state('Changed elsewhere');
    await editor.mine.waitFor();
    assert.equal(this.text(path), 'one\nTWO\nthree\n', 'theirs was written over');
    return editor;
  }
}

export class EditorView {
  constructor(view) {
    this.view = view;
    this.page = view.page;
    this.text = this.page.locator('.editor-host .cm-content');
    this.theirs = this.page.locator('.conflict-host .cm-content').first();
    this.mine = this.page.locator('.conflict-host .cm-content').last();
  }

  async state(words) {
    await this.page.locator('.editor-state').getByText(words, { exact: true }).waitFor();
  }

  async press(name) {
    await this.page.getByRole('button', { name, exact: true }).click();
  }

  /** Types at the end of the text. */
  async type(words) {
    await this.text.click();
    await this.page.keyboard.press('Control+End');
    await this.page.keyboard.type(words);
  }

  async save() {
    await this.press('Save');
    await this.state('Saved');
  }
}
