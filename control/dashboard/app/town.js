// The town as this tab knows it. The worker (worker/town.js) sends the changes; they are applied once in each frame. A tab that
// is covered by others has no frames, and applies them a little later.

import { batch, computed, signal } from '@preact/signals';

import { lookOf } from './looks.js';

export const agents = new Map(); // id → the agent as the API has it, plus `look` (looks.js)
export const lives = new Map(); // id → {last, tone, call, spark, stoppedBy} (worker/town.js)
export const version = signal(0); // grows with each change of the two maps
export const known = signal(false); // the list has come
export const questions = signal([]); // that wait for a person, oldest first
export const decided = signal([]); // {agent, id, question?, decision | action, by, reason?, time}, newest first
export const waiting = computed(() => questions.value.length);

// An agent, or undefined; a component that calls it is drawn again when the agent changes.
export function agentOf(id) {
  version.value;
  return agents.get(id);
}

export function nameOf(id) {
  return agents.get(id)?.title || id;
}

const kLongestMs = 250; // without a frame

let pending = [];
let frame;
let timer;

export function takeTown(message) {
  pending.push(message);
  frame ??= requestAnimationFrame(apply);
  timer ??= setTimeout(apply, kLongestMs);
}

function apply() {
  cancelAnimationFrame(frame);
  clearTimeout(timer);
  frame = undefined;
  timer = undefined;
  const messages = pending;
  pending = [];
  if (messages.length === 0) return;
  batch(() => {
    for (const message of messages) {
      if (message.fresh) {
        agents.clear();
        lives.clear();
      }
      for (const [id, live] of message.lives) lives.set(id, live);
      for (const agent of message.agents) agents.set(agent.id, { ...agent, look: lookOf(agent, lives.get(agent.id)) });
      for (const id of message.gone) {
        agents.delete(id);
        lives.delete(id);
      }
      known.value = message.known;
      if (message.questions) questions.value = message.questions;
      if (message.decided) decided.value = message.decided;
    }
    ++version.value;
  });
}
