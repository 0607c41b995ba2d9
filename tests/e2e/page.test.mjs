// The plain page in a real browser.

import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';

import { complaints, Daemon, outDir, startBrowser, ticker, until } from './harness.mjs';

async function openTown(t) {
  const daemon = await Daemon.start(t);
  const echo = ['sh', '-c', 'echo ready; while read -r line; do echo "got $line"; done'];
  await daemon.call('POST', '/agents', { id: 'echo', kind: 'process', command: echo, title: 'Says it again' });
  await daemon.call('POST', '/agents', { id: 'gone', kind: 'process', command: ['sh', '-c', 'echo bye >&2; exit 3'] });
  await daemon.call('POST', '/agents', { id: 'ticker', kind: 'process', command: ticker(0.2) });
  await daemon.untilState('gone', 'exited', 'failed');
  const browser = await startBrowser(t);
  const page = await browser.newPage({ viewport: { width: 1200, height: 800 } });
  return { daemon, page, complained: complaints(page) };
}

const link = (page, id) => page.locator(`#agents a[href="#agent=${id}"]`);
const stream = (page) => page.locator('agent-stream');

test('lists the agents, shows one, sends it a message, stops and starts it', async (t) => {
  const { daemon, page, complained } = await openTown(t);
  await page.goto(`${daemon.origin}/plain#token=${daemon.token}`);
  for (const id of ['echo', 'gone', 'ticker']) await link(page, id).waitFor();
  assert.equal(new URL(page.url()).hash, '', 'the token is still in the address bar');

  await link(page, 'echo').click();
  await stream(page).getByText('ready', { exact: true }).waitFor();
  await page.locator('textarea').fill('hello <b>there</b>');
  await page.keyboard.press('Enter');
  await stream(page).getByText('got hello <b>there</b>').waitFor();
  await until('an empty box', async () => (await page.locator('textarea').inputValue()) === '');
  await page.screenshot({ path: path.join(outDir, 'page.png') });

  await page.getByRole('button', { name: 'Stop', exact: true }).click();
  await daemon.untilState('echo', 'exited');
  await page.locator('main .badge[data-state=exited]').waitFor();
  await page.getByRole('button', { name: 'Start', exact: true }).click();
  await daemon.untilState('echo', 'running', 'idle');
  await until('the second start', async () => (await stream(page).getByText('ready', { exact: true }).count()) === 2);

  await link(page, 'gone').click();
  await stream(page).getByText('bye').waitFor();
  await stream(page).getByText('exited with code 3').waitFor();
  assert.deepEqual(complained, []);
});

test('keeps the token in its tab; a reload shows the same agent', async (t) => {
  const { daemon, page } = await openTown(t);
  await page.goto(`${daemon.origin}/plain#token=${daemon.token}&agent=gone`);
  await stream(page).getByText('bye').waitFor();
  assert.equal(new URL(page.url()).hash, '#agent=gone');
  await page.reload();
  await stream(page).getByText('bye').waitFor();
});

test('asks for a token and says when it is wrong', async (t) => {
  const { daemon, page } = await openTown(t);
  await page.goto(`${daemon.origin}/plain`);
  await page.getByLabel('Bearer token').fill('wrong');
  await page.getByRole('button', { name: 'Open' }).click();
  await page.getByText('does not accept this token').waitFor();
  await page.getByLabel('Bearer token').fill(daemon.token);
  await page.getByRole('button', { name: 'Open' }).click();
  await link(page, 'echo').waitFor();
});

test('goes on by itself when the daemon was away', async (t) => {
  const { daemon, page } = await openTown(t);
  await page.goto(`${daemon.origin}/plain#token=${daemon.token}&agent=echo`);
  await stream(page).getByText('ready', { exact: true }).waitFor();
  await daemon.kill();
  await page.getByText('The daemon does not answer.').waitFor();
  await daemon.spawn();
  await page.getByText('The daemon does not answer.').waitFor({ state: 'hidden' });
  await stream(page).getByText('Live', { exact: true }).waitFor();
});
