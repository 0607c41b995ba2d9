// Keeper and daemon of two builds of reeve, REEVE_BIN and REEVE_OTHER_BIN, together: agents outlive crashes and upgrades
// of the daemon as with one build. tests/run.sh versions builds the other one from an earlier commit.

import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';

import { Daemon, reeveBinary, ticker, until } from './harness.mjs';

const other = process.env.REEVE_OTHER_BIN && path.resolve(process.env.REEVE_OTHER_BIN);
const skip = other ? false : 'REEVE_OTHER_BIN names no other build';
const echo = ['sh', '-c', 'while read line; do echo "got $line"; done'];

// The program reeve of one build beside the reeve-keeper of another.
function pair(t, daemon, keeper) {
  const folder = mkdtempSync(path.join(tmpdir(), 'reeve-versions-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  copyFileSync(daemon, path.join(folder, 'reeve'));
  copyFileSync(path.join(path.dirname(keeper), 'reeve-keeper'), path.join(folder, 'reeve-keeper'));
  return path.join(folder, 'reeve');
}

// The agents of a daemon, which are asked after each change whether they noticed anything.
class Agents {
  static async start(daemon) {
    const agents = new Agents();
    agents.daemon = daemon;
    agents.sent = 0;
    await daemon.call('POST', '/agents', { id: 'counter', kind: 'process', command: ticker(0.002) });
    await daemon.call('POST', '/agents', { id: 'echo', kind: 'process', command: echo });
    agents.pids = [];
    for (const id of ['counter', 'echo']) agents.pids.push((await daemon.untilState(id, 'running')).pid);
    return agents;
  }

  async lines(id) {
    return (await this.daemon.events(id)).filter(({ type }) => type === 'agent.output').map(({ data }) => data.text);
  }

  async say() {
    await this.daemon.call('POST', '/agents/echo/message', { text: `${++this.sent}` });
  }

  async check() {
    const answers = Array.from({ length: this.sent }, (_, i) => `got ${i + 1}`);
    await until('the answers', async () => (await this.lines('echo')).length >= this.sent);
    assert.deepEqual(await this.lines('echo'), answers);
    const counted = await this.lines('counter');
    assert.deepEqual(counted, counted.map((_, i) => `line ${i + 1}`));
    const { cursor } = await this.daemon.call('GET', '/agents/counter');
    await until('more lines', async () => (await this.daemon.call('GET', '/agents/counter')).cursor !== cursor);
    const pids = [];
    for (const id of ['counter', 'echo']) pids.push((await this.daemon.call('GET', `/agents/${id}`)).pid);
    assert.deepEqual(pids, this.pids);
  }
}

const health = (daemon) => daemon.call('GET', '/health').catch(() => ({}));

// Asks for the upgrade to `binary`, and waits for the new daemon.
async function upgrade(daemon, binary) {
  const { handovers } = await health(daemon);
  await daemon.call('POST', '/upgrade', { binary });
  await until(() => `the upgrade to ${binary}\n${daemon.log}`, async () => (await health(daemon)).handovers === handovers + 1);
}

// The programs that run now: the daemon's and the keeper's.
function programs(daemon) {
  const { pid, keeper_pid } = JSON.parse(readFileSync(path.join(daemon.dir, 'runtime.json'), 'utf8'));
  return [pid, keeper_pid].map((process) => readlinkSync(`/proc/${process}/exe`));
}

for (const ofThis of ['daemon', 'keeper']) {
  test(`the ${ofThis} of this build with the other half of another one`, { skip }, async (t) => {
    const [daemonBuild, keeperBuild] = ofThis === 'daemon' ? [reeveBinary(), other] : [other, reeveBinary()];
    const binary = pair(t, daemonBuild, keeperBuild);
    const daemon = await Daemon.start(t, ['--restart-delay', '0'], binary);
    const agents = await Agents.start(daemon);
    for (let round = 0; round < 5; ++round) {
      await agents.say();
      await daemon.crash();
      await agents.say();
      await agents.check();
      await agents.say();
      await upgrade(daemon, binary);
      await agents.check();
    }
    assert.deepEqual(programs(daemon), [binary, path.join(path.dirname(binary), 'reeve-keeper')]);
  });
}

test('upgrades from another build to this one and back', { skip }, async (t) => {
  const daemon = await Daemon.start(t, ['--restart-delay', '0'], other);
  const agents = await Agents.start(daemon);
  for (let round = 0; round < 6; ++round) {
    const binary = round % 2 === 0 ? reeveBinary() : other;
    await agents.say();
    try {
      await upgrade(daemon, binary);
    } catch (error) {
      // A format of the state that has risen between the two is refused, as KEEPER.md says.
      if (!/reads format \d+ only/.test(error.message)) throw error;
      t.diagnostic(`no upgrade: ${error.message}`);
      return agents.check();
    }
    await agents.check();
    assert.deepEqual(programs(daemon), [binary, path.join(path.dirname(binary), 'reeve-keeper')]);
    await agents.say();
    await daemon.crash();
    await agents.check();
  }
});
