// A browser with an empty profile, and pages that are watched: whatever they write to the console,
// and every error in them, fails the test.

import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const flags = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
];

export const desktop = { width: 1440, height: 900 };
export const phone = { width: 390, height: 844 };

export function openBrowser() {
  return chromium.launch({ executablePath: '/usr/bin/chromium', args: flags });
}

/** A page in a profile of its own, signed in unless `signedIn` is false. */
export async function openPage(browser, server, { signedIn = true, ...options } = {}) {
  const context = await browser.newContext({ viewport: desktop, ...options });
  if (signedIn) await signIn(context, server);
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  return new Watched(context, page);
}

/** Signs in without a page, as a page without scripts has to. */
async function signIn(context, server) {
  const token = new URL(await server.loginLink()).hash.replace('#token=', '');
  const answer = await context.request.post(`${server.url}/auth/exchange`, { data: { token } });
  assert.equal(answer.status(), 204);
}

class Watched {
  constructor(context, page) {
    this.context = context;
    this.page = page;
    this.messages = [];
    page.on('console', (message) => this.note(`${message.type()}: ${message.text()}`));
    page.on('pageerror', (error) => this.note(`page error: ${error.stack ?? error}`));
    page.on('crash', () => this.note('page error: it crashed'));
  }

  /** Goes to an address and waits until the page has come to life. */
  async open(address) {
    await this.page.goto(address);
    await this.alive();
  }

  /** A page that broke while it came to life fails here, and not by waiting for what never comes. */
  async alive() {
    await this.page.waitForFunction(() => 'alive' in document.documentElement.dataset);
    assert.deepEqual(this.messages.filter((message) => message.startsWith('page error')), []);
  }

  note(message) {
    this.messages.push(message.slice(0, 500));
  }

  /** Drops what may be said while the server is away. */
  forgive(pattern) {
    this.messages = this.messages.filter((message) => !pattern.test(message));
  }

  /** Closes it. `forgiven` is what may have been said until the very end. */
  async close(forgiven) {
    await this.context.close();
    if (forgiven) this.forgive(forgiven);
    assert.deepEqual(this.messages.slice(0, 5), [], 'the console is not empty');
  }
}
