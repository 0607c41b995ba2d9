// Town: all agents as they are now, and the questions that wait for a person.
//
// The daemon's answers are the truth: an event that may have changed an agent only causes a new look at it. The last line, the
// call in progress, the activity, and who stopped an agent are in no answer, and come from the events.
//
// `publish(message)` gets {kind: 'town', fresh, agents: [agent], lives: [[id, live]], gone: [id], questions?, decided?} at
// most every kPublishMs. `live` is {last, tone, call, spark: [[bucket, events]…], stoppedBy, at}; `at` is the cursor of the last
// event that it has.

import { kBuckets, kBucketMs } from './activity.js';
import { lastLine, describeCall } from './words.js';

const kPublishMs = 100;
const kLookMs = 120; // between the event that may have changed an agent and the look at it
const kSlowLookMs = 2000; // for the sum of tokens
const kFew = 40; // beyond that many changed agents, all are listed
const kSampleMs = 5000; // between two samples of memory
const kSamplePerAgentMs = 10; // longer for large towns
const kDecided = 50; // decisions that are remembered
const kLooks = 16; // that are made at once at the logs of agents
const kLookBack = 20; // events
const kTail = 400; // characters of a streamed text that are kept for its last line

const kTypes = [
  'agent.*', 'run.*', 'message.*', 'approval.*', 'elicitation.*', 'assistant.*', 'reasoning.message', 'tool.started',
  'tool.completed', 'tool.failed', 'usage.updated', 'title.updated', 'file.edited', 'user.message', 'workspace.*',
];
// These tell which call is in progress, and who stopped the agent.
const kTurns = ['tool.started', 'tool.completed', 'tool.failed', 'run.*', 'agent.starting', 'agent.stopping', 'agent.exited'];
const kChanges = /^(agent\.(?!output|error)|run\.|message\.|approval\.|elicitation\.|title\.|workspace\.)/;

export class Town {
  #gateway;
  #publish;
  #agents = new Map(); // id → the daemon's object
  #lives = new Map(); // id → live
  #questions = [];
  #asked = new Map(); // keyOf(question) → each question whose outcome is not known
  #decided = [];
  #known = false; // the list has been seen since the sign-in
  #changed = nothing();
  #timer; // of the next message
  #dirty = new Set();
  #looking; // the timer of the next look, or true during one
  #slow = new Map(); // id → the timer of its next look for tokens
  #asking = false;
  #askAgain = false;
  #readOutcomes = false; // questions may have been decided while the daemon was away
  #sampling;
  #seen = new Set(); // agents whose logs were looked at
  #toLookBack = new Set(); // agents whose logs will be
  #lookingBack = new Map(); // id → the events that come during a look at the log
  #before; // id → the cursor of each agent before the daemon was away
  #unsubscribe;

  constructor(gateway, publish) {
    this.#gateway = gateway;
    this.#publish = publish;
  }

  // At each new connection. The logs have what happened meanwhile.
  begin() {
    this.#before ??= new Map([...this.#agents].map(([id, { cursor }]) => [id, cursor]));
    this.#unsubscribe ??= this.#gateway.subscribe(
      { agent: '*', types: kTypes, coalesce: true },
      { event: (envelope) => this.#take(envelope), end: () => {} },
    );
    this.#list().then((done) => done && this.#catchUp());
    this.#ask({ away: true });
  }

  // After a sign-out.
  forget() {
    clearTimeout(this.#sampling);
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
    this.#agents.clear();
    this.#lives.clear();
    this.#seen.clear();
    this.#toLookBack.clear();
    this.#lookingBack.clear();
    this.#before = undefined;
    for (const timer of this.#slow.values()) clearTimeout(timer);
    this.#slow.clear();
    this.#dirty.clear();
    clearTimeout(this.#looking);
    this.#looking = undefined;
    this.#changed = nothing();
    this.#questions = [];
    this.#asked.clear();
    this.#decided = [];
    this.#known = false;
    this.#publish(this.picture());
  }

  // Everything, for a tab that has just opened.
  picture() {
    return {
      kind: 'town',
      fresh: true,
      known: this.#known,
      agents: [...this.#agents.values()],
      lives: [...this.#lives],
      gone: [],
      questions: this.#questions,
      decided: this.#decided,
    };
  }

  // The agents of these questions.
  agentsOf(questions) {
    return [...new Set(questions.map(({ agent }) => agent))].map((id) => this.#agents.get(id)).filter(Boolean);
  }

  // A tab shows these agents: their last lines from before this connection are wanted, too.
  look(ids) {
    for (const id of ids) {
      if (this.#seen.has(id) || !this.#agents.has(id)) continue;
      this.#seen.add(id);
      this.#toLookBack.add(id);
    }
    this.#lookBackAtSome();
  }

  // --- the daemon's answers

  // Returns whether all agents are known as they are now.
  async #list() {
    clearTimeout(this.#sampling);
    try {
      const before = [...this.#agents.keys()]; // an agent may be made while later pages are fetched
      const present = new Set();
      let page_token;
      do {
        const page = await this.#gateway.call('agents.list', { limit: 500, resources: true, ...(page_token && { page_token }) });
        for (const agent of page.agents) {
          present.add(agent.id);
          this.#setAgent(agent);
        }
        page_token = page.next_page_token || undefined;
      } while (page_token !== undefined);
      for (const id of before) if (!present.has(id)) this.#remove(id);
      if (!this.#known) {
        this.#known = true;
        this.#changed.questions = true;
        this.#tell();
      }
    } catch {
      return false; // the next connection lists again
    }
    clearTimeout(this.#sampling); // of a list that ended meanwhile
    this.#sampling = setTimeout(() => this.#list(), kSampleMs + this.#agents.size * kSamplePerAgentMs);
    return true;
  }

  #setAgent(agent) {
    const before = this.#agents.get(agent.id);
    if (agent.deleted) return this.#remove(agent.id);
    if (before && isOlder(agent.cursor, before.cursor)) return;
    if (!agent.resources && before?.resources && agent.pid === before.pid) agent.resources = before.resources;
    if (before && JSON.stringify(before) === JSON.stringify(agent)) return;
    this.#agents.set(agent.id, agent);
    this.#changed.gone.delete(agent.id);
    this.#changed.agents.add(agent.id);
    if (!this.#lives.has(agent.id)) this.#live(agent.id);
    this.#tell();
  }

  #remove(id) {
    if (!this.#agents.delete(id)) return;
    this.#lives.delete(id);
    this.#seen.delete(id);
    for (const [key, { agent }] of this.#asked) if (agent === id) this.#asked.delete(key);
    this.#changed.agents.delete(id);
    this.#changed.lives.delete(id);
    this.#changed.gone.add(id);
    this.#tell();
  }

  #lookAt(id) {
    this.#dirty.add(id);
    this.#looking ??= setTimeout(() => this.#lookAtAll(), kLookMs);
  }

  async #lookAtAll() {
    const ids = [...this.#dirty];
    this.#dirty.clear();
    this.#looking = true;
    if (ids.length > kFew) await this.#list();
    else await Promise.all(ids.map((id) => this.#get(id)));
    this.#looking = this.#dirty.size > 0 ? setTimeout(() => this.#lookAtAll(), kLookMs) : undefined;
  }

  async #get(id) {
    try {
      this.#setAgent(await this.#gateway.call('agents.get', { id }));
    } catch ({ status }) {
      if (status === 404 || status === 410) this.#remove(id);
    }
  }

  async #ask({ away = false } = {}) {
    this.#readOutcomes ||= away;
    if (this.#asking) return void (this.#askAgain = true);
    this.#asking = true;
    do {
      this.#askAgain = false;
      try {
        const { approvals } = await this.#gateway.call('approvals.list');
        const open = new Map(approvals.map((question) => [keyOf(question), question]));
        if (this.#readOutcomes) for (const [key, question] of this.#asked) if (!open.has(key)) this.#readOutcome(question);
        this.#readOutcomes = false;
        for (const [key, question] of open) this.#asked.set(key, question);
        if (JSON.stringify(approvals) === JSON.stringify(this.#questions)) continue;
        // A question never comes before its agent, so that everyone calls it by its title.
        const unknown = new Set(approvals.map(({ agent }) => agent).filter((id) => !this.#agents.has(id)));
        await Promise.all([...unknown].map((id) => this.#get(id)));
        this.#questions = approvals;
        this.#changed.questions = true;
        this.#tell();
      } catch {
        // the next connection asks again
      }
    } while (this.#askAgain);
    this.#asking = false;
  }

  // --- events

  #take(envelope) {
    const { agent: id, type, data } = envelope;
    if (!envelope.pending) {
      const live = this.#live(id);
      count(live.spark);
      if (!isOlder(cursorOf(envelope), live.at, { same: true })) follow(live, envelope);
      this.#lookingBack.get(id)?.push(envelope);
      this.#changed.lives.add(id);
      this.#tell();
    }
    if (/^(approval|elicitation)\./.test(type)) {
      if (type.endsWith('.resolved') && !envelope.pending) this.#remember(envelope);
      this.#ask();
    }
    if (kChanges.test(type)) this.#lookAt(id);
    else if (type === 'usage.updated' && !this.#slow.has(id)) {
      this.#slow.set(id, setTimeout(() => (this.#slow.delete(id), this.#lookAt(id)), kSlowLookMs));
    }
    if (type === 'agent.updated' && data.deleted) this.#lookAt(id);
  }

  #remember({ agent, time, data }) {
    if (data.by === 'policy') return; // no person was asked
    const question = this.#asked.get(keyOf({ agent, id: data.id }));
    this.#asked.delete(keyOf({ agent, id: data.id }));
    this.#decided = [{ agent, time, question, ...data }, ...this.#decided].slice(0, kDecided);
    this.#questions = this.#questions.filter((other) => other.agent !== agent || other.id !== data.id);
    this.#changed.questions = true;
    this.#changed.decided = true;
  }

  // The outcome of a question that was decided while the daemon was away.
  async #readOutcome(question) {
    const { agent: id } = question;
    try {
      const types = ['approval.resolved', 'elicitation.resolved'];
      const { events } = await this.#gateway.call('events.since', { id, types, tail: kLookBack });
      const outcome = events.findLast(({ data, time }) => data.id === question.id && time >= question.requested_at);
      if (outcome && this.#asked.has(keyOf(question))) this.#remember(outcome);
      this.#tell();
    } catch {
      // the log has gone, with its agent
    }
  }

  // Agents whose logs grew while the daemon was away.
  #catchUp() {
    if (!this.#before) return;
    for (const [id, cursor] of this.#before) if (this.#agents.get(id)?.cursor !== cursor) this.#seen.delete(id);
    const ids = [...this.#before.keys()];
    this.#before = undefined;
    this.look(ids);
  }

  #lookBackAtSome() {
    for (const id of this.#toLookBack) {
      if (this.#lookingBack.size >= kLooks) return;
      if (this.#lookingBack.has(id)) continue;
      this.#toLookBack.delete(id);
      this.#lookBack(id);
    }
  }

  async #lookBack(id) {
    const meanwhile = [];
    this.#lookingBack.set(id, meanwhile);
    try {
      const read = (more) => this.#gateway.call('events.since', { id, tail: kLookBack, ...more });
      const [last, turns] = await Promise.all([read({}), read({ types: kTurns })]);
      if (this.#lookingBack.get(id) !== meanwhile) return; // someone has signed out
      if (this.#agents.has(id)) {
        const live = { spark: this.#live(id).spark };
        const past = [...turns.events, ...last.events].sort((a, b) => a.epoch - b.epoch || a.seq - b.seq);
        for (const envelope of [...past, ...meanwhile]) {
          if (!isOlder(cursorOf(envelope), live.at, { same: true })) follow(live, envelope);
        }
        this.#lives.set(id, live);
        this.#changed.lives.add(id);
        this.#changed.agents.add(id); // how it looks may depend on its log
        this.#tell();
      }
    } catch {
      this.#seen.delete(id);
    }
    if (this.#lookingBack.get(id) === meanwhile) this.#lookingBack.delete(id);
    this.#lookBackAtSome();
  }

  #live(id) {
    let live = this.#lives.get(id);
    if (!live) this.#lives.set(id, (live = { spark: [] }));
    return live;
  }

  #tell() {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      const { agents, lives, gone, questions, decided } = this.#changed;
      this.#changed = nothing();
      this.#publish({
        kind: 'town',
        known: this.#known,
        agents: [...agents].map((id) => this.#agents.get(id)),
        lives: [...lives].filter((id) => this.#lives.has(id)).map((id) => [id, this.#lives.get(id)]),
        gone: [...gone],
        ...(questions && { questions: this.#questions }),
        ...(decided && { decided: this.#decided }),
      });
    }, kPublishMs);
  }
}

const nothing = () => ({ agents: new Set(), lives: new Set(), gone: new Set(), questions: false, decided: false });
const cursorOf = ({ epoch, seq }) => `${epoch}-${seq}`;
const keyOf = ({ agent, id }) => `${agent}/${id}`;

// Applies an event to the live part of an agent.
function follow(live, envelope) {
  const { type, data, time } = envelope;
  live.at = cursorOf(envelope);
  const line = lastLine(type, data, live);
  if (line) {
    live.last = line.text;
    live.tone = line.tone;
  }
  if (type === 'assistant.delta') live.saying = `${live.saying ?? ''}${data.text ?? ''}`.slice(-kTail);
  else if (type === 'assistant.message' || type === 'run.started') live.saying = undefined;
  if (type === 'tool.started') live.call = { id: data.call_id, text: describeCall(data), name: data.name, since: time };
  else if (/^tool\.(completed|failed)$/.test(type) && data.call_id === live.call?.id) live.call = undefined;
  else if (/^run\.(completed|failed|cancelled)$|^agent\.exited$/.test(type)) live.call = undefined;
  if (type === 'agent.stopping') live.stoppedBy = data.by;
  else if (type === 'agent.starting') live.stoppedBy = undefined;
}

function count(spark) {
  const bucket = Math.floor(Date.now() / kBucketMs);
  if (spark.at(-1)?.[0] === bucket) ++spark.at(-1)[1];
  else spark.push([bucket, 1]);
  while (spark.length > 0 && spark[0][0] <= bucket - kBuckets) spark.shift();
}

// Compares two cursors, EPOCH-SEQ. An agent that was purged and made anew begins again in a later epoch.
function isOlder(cursor, than, { same = false } = {}) {
  if (!cursor || !than) return false;
  const [epoch, seq] = cursor.split('-').map(Number);
  const [otherEpoch, otherSeq] = than.split('-').map(Number);
  return epoch < otherEpoch || (epoch === otherEpoch && (seq < otherSeq || (same && seq === otherSeq)));
}
