// The programs of the tests: a real daemon in a folder of its own, a real browser, and a proxy that can cut
// connections. Each started process is ended by its pid. The daemon is REEVE_BIN, or else that of the newest
// build.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { chromium } from 'playwright-core';

import { until } from './wait.mjs';

export { until };

const here = path.dirname(fileURLToPath(import.meta.url));
export const outDir = path.join(here, 'out');
mkdirSync(outDir, { recursive: true });

export function reeveBinary() {
  if (process.env.REEVE_BIN) return path.resolve(process.env.REEVE_BIN);
  const builds = ['release', 'dev', 'asan'].map((preset) => path.join(here, '../../build', preset, 'reeve'));
  const found = builds.filter(existsSync).sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
  assert.ok(found.length > 0, 'no reeve binary: build it, or name it in REEVE_BIN');
  return found[0];
}

export class Daemon {
  // Starts one on a free port of loopback; `t` ends it with the test.
  static async start(t, args = [], binary = reeveBinary()) {
    const daemon = new Daemon(args, binary);
    t.after(() => daemon.remove());
    await daemon.spawn();
    return daemon;
  }

  constructor(args, binary) {
    this.binary = binary;
    this.dir = mkdtempSync(path.join(tmpdir(), 'reeve-e2e-'));
    this.port = 0;
    this.args = args;
  }

  // Runs it; again on the same port and folder after kill().
  async spawn() {
    const args = ['serve', '--listen', `tcp://127.0.0.1:${this.port}`, '--data', this.dir, ...this.args];
    const env = { ...process.env };
    for (const name of Object.keys(env)) if (name.startsWith('REEVE_')) delete env[name];
    this.log = '';
    this.child = spawn(this.binary, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.child.stderr.on('data', (bytes) => (this.log = (this.log + bytes).slice(-20_000)));
    this.exited = new Promise((resolve) => this.child.once('exit', (code, signal) => resolve({ code, signal })));
    const line = new Promise((resolve) => createInterface(this.child.stdout).once('line', resolve));
    const first = await Promise.race([line, this.exited]);
    const port = /^reeve: listening on http:\/\/127\.0\.0\.1:(\d+)$/.exec(first)?.[1];
    assert.ok(port, `the daemon did not start: ${JSON.stringify(first)}\n${this.log}`);
    this.port = Number(port);
    this.origin = `http://127.0.0.1:${port}`;
    // A daemon that was given other tokens makes none.
    const token = path.join(this.dir, 'token');
    if (existsSync(token)) this.token = readFileSync(token, 'utf8').trim();
    return this;
  }

  // kill -9 to the daemon alone: its keeper and the agents live, and the next daemon follows.
  async crash() {
    const runtime = () => JSON.parse(readFileSync(path.join(this.dir, 'runtime.json'), 'utf8'));
    const { pid } = runtime();
    process.kill(pid, 'SIGKILL');
    await until('the next daemon', () => runtime().pid !== pid);
  }

  // kill -9 to the keeper, with which everything ends.
  async kill() {
    this.child.kill('SIGKILL');
    await this.exited;
  }

  async remove() {
    if (this.child?.exitCode === null && this.child.signalCode === null) {
      this.child.kill('SIGTERM');
      const late = setTimeout(() => this.child.kill('SIGKILL'), 20_000);
      await this.exited;
      clearTimeout(late);
    }
    rmSync(this.dir, { recursive: true, force: true });
  }

  get authorization() {
    return { authorization: `Bearer ${this.token}` };
  }

  // The answer's JSON; throws for anything but 2xx.
  async call(method, target, body) {
    const response = await fetch(this.origin + target, {
      method,
      headers: { ...this.authorization, ...(body && { 'content-type': 'application/json' }) },
      body: body && JSON.stringify(body),
    });
    const text = await response.text();
    assert.ok(response.ok, `${method} ${target}: ${response.status} ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  }

  // Everything in an agent's log.
  async events(id) {
    const all = [];
    let after = '0';
    for (;;) {
      const { events, cursor } = await this.call('GET', `/agents/${id}/events?after=${after}&limit=1000`);
      all.push(...events);
      if (events.length === 0) return all;
      after = cursor;
    }
  }

  async untilState(id, ...states) {
    let agent;
    await until(
      () => `agent ${id} to be ${states.join(' or ')}; it is ${agent.state} (${agent.reason})`,
      async () => {
        agent = await this.call('GET', `/agents/${id}`);
        return states.includes(agent.state);
      },
    );
    return agent;
  }
}

// A program that prints numbered lines until it is ended.
export function ticker(seconds = 0.02) {
  return ['sh', '-c', `i=0; while :; do i=$((i+1)); echo line $i; sleep ${seconds}; done`];
}

export async function startBrowser(t) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
  t.after(() => browser.close());
  return browser;
}

// Notes what a page complains of. A daemon that is gone is no fault of the page.
export function complaints(page) {
  const list = [];
  page.on('pageerror', (error) => list.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error' && !/ERR_CONNECTION|ERR_INCOMPLETE|ERR_EMPTY/.test(message.text())) {
      list.push(`${message.text()} ${message.location().url}`);
    }
  });
  return list;
}

// The page's collected events are the agent's log from its first event on: all, once, in order, the same.
export function assertSameSequence(actual, log, who) {
  const ids = (events) => events.map(({ epoch, seq }) => `${epoch}-${seq}`);
  assert.deepEqual(log.map(({ seq }) => seq), log.map((_, i) => i + 1), 'the log itself has a hole');
  assert.deepEqual(ids(actual), ids(log), who);
  assert.deepEqual(actual, log, who);
}

// A TCP proxy to `port` whose connections can be cut. While it `refuses`, it takes no others.
export class Proxy {
  static async start(t, port) {
    const proxy = new Proxy(port);
    await new Promise((resolve) => proxy.server.listen(0, '127.0.0.1', resolve));
    t.after(() => proxy.close());
    proxy.origin = `http://127.0.0.1:${proxy.server.address().port}`;
    return proxy;
  }

  constructor(port) {
    this.sockets = new Set();
    this.refuses = false;
    this.server = net.createServer((inner) => {
      if (this.refuses) return inner.destroy();
      const outer = net.connect(port, '127.0.0.1');
      for (const [from, to] of [[inner, outer], [outer, inner]]) {
        this.sockets.add(from);
        from.on('error', () => {});
        from.on('close', () => {
          this.sockets.delete(from);
          to.destroy();
        });
        from.pipe(to);
      }
    });
  }

  cut() {
    for (const socket of this.sockets) socket.destroy();
  }

  close() {
    this.cut();
    return new Promise((resolve) => this.server.close(resolve));
  }
}
