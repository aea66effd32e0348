// Starts the scripted model for a test peer, and counts what was checked.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

const BINARY = process.env.MEMBRANE_SCRIPTED;

/** A running server with its control enabled. */
export class Scripted {
  static async start(...options) {
    const process_ = spawn(BINARY, ["--control", "--scenario", "puppet", ...options], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const lines = createInterface({ input: process_.stdout });
    const { value: url } = await lines[Symbol.asyncIterator]().next();
    return new Scripted(process_, url);
  }

  constructor(process_, url) {
    this.process = process_;
    this.url = url;
  }

  async stop() {
    const ended = new Promise((resolve) => this.process.once("exit", resolve));
    this.process.kill("SIGTERM");
    await ended;
  }

  /** Loads a scenario of these steps and forgets the requests so far. */
  async play(...steps) {
    await this.#control("PUT", "scenario", { steps });
    await this.#control("DELETE", "requests");
  }

  /** The requests for messages since `play`. */
  async requests() {
    const response = await this.#control("GET", "requests");
    const recorded = await response.json();
    return recorded.filter((request) => request.path.endsWith("/v1/messages"));
  }

  async #control(method, name, body) {
    const init = { method, body: body && JSON.stringify(body) };
    const response = await fetch(`${this.url}/_scripted/${name}`, init);
    assert.ok(response.ok, `${method} ${name}: ${response.status}`);
    return response;
  }
}

let failed = 0;

/** Runs a check, prints it, and remembers whether it failed. */
export async function check(peer, name, run) {
  try {
    await run();
    console.log(`ok ${peer}: ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED ${peer}: ${name}`);
    console.error(error);
  }
}

export function end() {
  process.exitCode = failed ? 1 : 0;
}

export function text(words) {
  return { content: [{ type: "text", text: words }] };
}
