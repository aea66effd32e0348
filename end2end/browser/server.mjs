// A server of one's own: the real binary in a temporary directory, on a port that stays the same
// when it is killed and started again. Also the scripted model as a program of its own.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, closeSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export const here = dirname(fileURLToPath(import.meta.url));
export const end2end = resolve(here, '..');
// The program itself: what npm puts on the path starts Node.js first, once for each call.
const machine = `${process.platform}-${process.arch === 'arm64' ? 'aarch64' : process.arch}`;
const buf = createRequire(import.meta.url).resolve(`@bufbuild/buf-${machine}/bin/buf`);
const run = promisify(execFile);

const program = required('E2E_MEMBRANE');
const site = required('E2E_SITE');

function required(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: call end2end/run.sh`);
  return value;
}

/** Asks until the answer is true, and returns it. */
export async function eventually(what, condition, seconds = 30, pause = 25) {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const answer = await condition();
    if (answer) return answer;
    if (Date.now() > deadline) throw new Error(`gave up waiting until ${what}`);
    await new Promise((done) => setTimeout(done, pause));
  }
}

async function freePort() {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}

export class Server {
  static async start(...flags) {
    const server = new Server();
    server.data = mkdtempSync(join(tmpdir(), 'membrane-e2e-'));
    server.address = `127.0.0.1:${await freePort()}`;
    server.url = `http://${server.address}`;
    server.flags = flags;
    await server.start();
    server.token = await server.command('token', 'create', 'end2end');
    return server;
  }

  async start() {
    const log = openSync(join(this.data, 'serve.log'), 'a');
    const args = ['serve', '--data-dir', this.data, '--listen', this.address, '--site-dir', site];
    if (!this.flags.includes('--embedded-runner')) args.push('--embedded-runner', 'false');
    this.process = spawn(program, [...args, ...this.flags], { stdio: ['ignore', log, log] });
    closeSync(log);
    await eventually('the server is healthy', () => this.isHealthy());
  }

  async isHealthy() {
    if (this.process.exitCode !== null) {
      throw new Error(`the server ended with ${this.process.exitCode}:\n${this.log().slice(-4000)}`);
    }
    return fetch(`${this.url}/health`).then((answer) => answer.ok, () => false);
  }

  log() {
    return readFileSync(join(this.data, 'serve.log'), 'utf8');
  }

  /** Ends it as a power cut would. */
  async kill() {
    this.process.kill('SIGKILL');
    await once(this.process, 'exit');
  }

  async stop() {
    if (this.process.exitCode === null && this.process.signalCode === null) {
      this.process.kill('SIGTERM');
      await once(this.process, 'exit');
    }
    const panics = this.log().split('\n').filter((line) => line.includes('panicked at'));
    rmSync(this.data, { recursive: true, force: true });
    assert.deepEqual(panics.slice(0, 3), [], 'the server has panicked');
  }

  /** What the program prints when it is called beside the server. */
  async command(...args) {
    const place = ['--data-dir', this.data, '--listen', this.address];
    const { stdout } = await run(program, [...args, ...place]);
    return stdout.trim();
  }

  loginLink() {
    return this.command('login-link');
  }

  /** Calls a method over gRPC, with the schema from reflection. */
  async rpc(method, request = {}) {
    return this.stream(method, request);
  }

  /** The same with several messages. */
  async stream(method, ...requests) {
    const { stdout } = await run(buf, [
      'curl', '--protocol', 'grpc', '--http2-prior-knowledge',
      '--header', `authorization: Bearer ${this.token}`,
      '--data', requests.map((one) => JSON.stringify(one)).join('\n'), `${this.url}/membrane.v1.${method}`,
    ], { maxBuffer: 64 << 20 });
    return JSON.parse(stdout || '{}');
  }

  async newWorkspace(name, settings = {}) {
    const { workspace } = await this.rpc('WorkspaceService/CreateWorkspace', { name, settings });
    return workspace.id;
  }

  async newSession(workspaceId) {
    const { session } = await this.rpc('SessionService/CreateSession', { workspaceId });
    return session.id;
  }

  async send(sessionId, ...lines) {
    return this.rpc('SessionService/SendMessage', { sessionId, text: lines.join('\n') });
  }

  /** All stored events of a session. */
  async events(sessionId) {
    const answer = await this.rpc('EventService/ListEvents', {
      stream: `sessions/${sessionId}`, pageSize: 1000,
    });
    return answer.events ?? [];
  }

  async turnEnds(sessionId, count = 1) {
    return eventually(`${count} turns have ended`, async () => {
      const events = await this.events(sessionId);
      return events.filter((event) => event.payload.turnEnded).length >= count && events;
    }, 60, 200);
  }
}

/** The scripted model as a provider that asks for a key. */
export class ScriptedModel {
  static async start(key, scenario = 'demo') {
    const model = new ScriptedModel();
    const args = ['--scenario', scenario, '--key', key];
    model.process = spawn(required('E2E_SCRIPTED'), args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = await once(model.process.stdout, 'data');
    model.url = line.toString().trim();
    return model;
  }

  async stop() {
    this.process.kill('SIGTERM');
    await once(this.process, 'exit');
  }
}

/** Ends everything that was started, also when ending one of it fails. */
export async function endAll(...started) {
  const ends = await Promise.allSettled(started.map((one) => (one?.stop ? one.stop() : one?.close())));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
}

/** Whether a living process has this in its command line. */
export function runs(marker) {
  return readdirSync('/proc').some((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      return readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(marker);
    } catch {
      return false;
    }
  });
}
