// How an agent looks at a glance: {key, label, detail?, tone, rank, moment}; rank and moment order a list. Agents that wait for a person have the first rank,
// then failures, then everything that moves, then everything at rest.
//
// `key` names the icon and the style: waiting, failed, cut, stalled, restarting, running, starting, stopping, ready, asleep,
// stopped, done.

const kRanks = ['waiting', 'failed', 'cut', 'stalled', 'restarting', 'running', 'starting', 'stopping', 'ready', 'asleep', 'stopped', 'done'];

export const kTones = {
  waiting: 'wait', failed: 'bad', cut: 'bad', stalled: 'wait', restarting: 'wait', running: 'run', starting: 'run',
  stopping: 'quiet', ready: 'ok', asleep: 'sleep', stopped: 'quiet', done: 'ok',
};

export function lookOf(agent, live) {
  const { key, label, detail } = describe(agent, live);
  return { key, label, detail, tone: kTones[key], rank: kRanks.indexOf(key), moment: momentOf(agent, key) };
}

// The moment that orders agents of one rank: the longest waiting first, and of all others the newest first.
function momentOf(agent, key) {
  if (key === 'waiting') return Date.parse(agent.waiting_since ?? agent.run?.started_at ?? agent.created_at);
  return -Date.parse(agent.run?.started_at ?? agent.last_run?.ended_at ?? agent.exited_at ?? agent.started_at ?? agent.created_at);
}

function describe(agent, live) {
  const { state, last_run: last } = agent;
  if (agent.pending_approvals > 0) {
    return { key: 'waiting', label: 'waits for you', detail: agent.pending_approvals > 1 ? `${agent.pending_approvals} questions` : undefined };
  }
  switch (state) {
    case 'needs_input':
      return { key: 'waiting', label: 'waits for you' };
    case 'failed':
      return { key: 'failed', label: 'failed', detail: exitWords(agent) ?? agent.reason };
    case 'stalled':
      return { key: 'stalled', label: 'stalled', detail: 'prints nothing' };
    case 'backoff':
      return { key: 'restarting', label: 'restarting', detail: exitWords(agent) };
    case 'running':
      return { key: 'running', label: 'running' };
    case 'starting':
      return { key: 'starting', label: 'starting' };
    case 'stopping':
      return { key: 'stopping', label: 'stopping' };
    case 'idle':
      if (last?.status === 'failed') return failure(agent, last);
      if (last?.status === 'cancelled') return { key: 'ready', label: 'ready', detail: 'interrupted' };
      return { key: 'ready', label: 'ready' };
    default:
      return atRest(agent, last, live);
  }
}

// The agent's process has ended.
function atRest(agent, last, live) {
  const by = live?.stoppedBy;
  if (last?.status === 'failed') return failure(agent, last);
  if (agent.exit?.oom) return { key: 'failed', label: 'failed', detail: 'out of memory' };
  if (last?.status === 'cancelled' || agent.queue_paused || by) {
    return { key: 'stopped', label: 'stopped', detail: by && by !== 'person' ? `by ${by}` : undefined };
  }
  if (agent.exit && (agent.exit.signal || agent.exit.code) && agent.kind === 'process') {
    return { key: 'failed', label: 'failed', detail: exitWords(agent) };
  }
  if (agent.next_due_at || agent.session) return { key: 'asleep', label: 'asleep' };
  return { key: 'done', label: 'done' };
}

function failure(agent, last) {
  if (last.error?.code === 'daemon_restarted') return { key: 'cut', label: 'cut off', detail: 'by a crash' };
  return { key: 'failed', label: 'failed', detail: runWords(last) };
}

// Why a run failed, in few words.
export function runWords(run) {
  if (run.limit) return `limit ${run.limit}`;
  if (run.exit_code) return `code ${run.exit_code}`;
  if (run.signal) return `signal ${run.signal}`;
  return run.error?.code ?? undefined;
}

function exitWords({ exit }) {
  if (!exit) return undefined;
  if (exit.oom) return 'out of memory';
  if (exit.signal) return `signal ${exit.signal}`;
  return exit.code ? `code ${exit.code}` : undefined;
}
