// The page of a session, as a person sees it.

import assert from 'node:assert/strict';

export class SessionView {
  constructor(view) {
    this.view = view;
    this.page = view.page;
  }

  id() {
    return this.page.url().split('/').pop();
  }

  async say(text) {
    await this.page.getByLabel('Message to the agent').fill(text);
    await this.page.getByRole('button', { name: 'Send' }).click();
  }

  tool(name) {
    return this.page.locator('details.tool').filter({
      has: this.page.locator('.tool-name').getByText(name, { exact: true }),
    });
  }

  toolNames() {
    return this.page.locator('.tool-name').allInnerTexts();
  }

  agentText() {
    return this.page.locator('.agent-text');
  }

  approval() {
    return this.page.getByRole('group', { name: 'Permission' });
  }

  /** Allows the call that waits, and waits until the question is gone. */
  async allow() {
    const question = await this.approval().elementHandle();
    await this.approval().getByRole('button', { name: 'Allow once' }).click();
    await question.waitForElementState('hidden');
  }

  turnEnds() {
    return this.page.locator('.turn-line');
  }

  /** Waits for the end of the turn that was begun last. */
  async turnHasEnded(word) {
    await this.page.locator('.group:last-child > :last-child .turn-line').getByText(word, { exact: true }).waitFor();
  }

  /** What a tool's card shows when it is open. */
  async output(card) {
    if (!(await card.evaluate((details) => details.open))) await card.locator('summary').first().click();
    return card.locator('.tool-body').innerText();
  }

  /** Begins to note how much text there is; the answer ends it and returns all lengths seen. */
  watchLengthOf(selector) {
    const started = this.page.evaluate((watched) => {
      globalThis.lengthsSeen = new Set();
      const note = () => {
        const text = [...document.querySelectorAll(watched)].map((one) => one.textContent).join('');
        globalThis.lengthsSeen.add(text.trim().length);
      };
      new MutationObserver(note).observe(document.body, { childList: true, characterData: true, subtree: true });
    }, selector);
    return async () => {
      await started;
      return this.page.evaluate(() => [...globalThis.lengthsSeen]);
    };
  }
}

/** That the page shows each entry of the log once, and what was said word for word. */
export async function compareWithLog(session, server) {
  const events = (await server.events(session.id())).map((event) => event.payload);
  const { page } = session;
  const of = (kind) => events.filter((payload) => payload[kind]).map((payload) => payload[kind]);
  assert.equal(await page.locator('.user-card').count(), of('userMessage').length, 'messages');
  assert.deepEqual(await session.toolNames(), of('toolCall').map((call) => call.name), 'tool calls');
  assert.equal(await session.turnEnds().count(), of('turnEnded').length, 'ends of turns');
  const shown = (await session.agentText().allTextContents()).map(plain);
  assert.deepEqual(shown, of('agentText').map(({ text }) => plain(text)), 'what the agent said');
}

/** Text without Markdown and without what only the page adds. */
function plain(text) {
  return text.replace(/~~~|```|Copy|\s+/g, '');
}
