// The words for what happens to an agent.

export function took(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 1 : 0)} s`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes} min ${Math.floor((ms % 60_000) / 1000)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

const join = (...parts) => parts.filter(Boolean).join(' · ');

export const kDecisions = {
  allow_once: 'allowed once',
  allow_always: 'allowed always',
  allow_tool: 'allowed, with this tool from now on',
  allow_session: 'allowed, with every tool from now on',
  deny: 'denied',
  expired: 'not answered in time',
  withdrawn: 'withdrawn',
  accept: 'answered',
  decline: 'declined',
  cancel: 'cancelled',
};

// An event of the agent itself: {words, bad}.
export function describeAgent({ type, data }) {
  const bad = type === 'agent.failed' || (type === 'agent.exited' && (data.code || data.signal || data.oom));
  return { words: words(type, data), bad: Boolean(bad) };
}

function words(type, data) {
  switch (type) {
    case 'agent.starting':
      return join('The agent starts', data.pid && `pid ${data.pid}`);
    case 'agent.ready':
      return 'The agent is ready';
    case 'agent.stopping':
      return join('The agent stops', data.by && `by ${data.by}`, data.reason);
    case 'agent.exited':
      if (data.oom) return 'The process was ended: out of memory';
      if (data.signal) return join(`The process was ended by signal ${data.signal}`, data.reason);
      return join(`The process ended with code ${data.code ?? 0}`, data.reason);
    case 'agent.failed':
      return join('The agent failed', data.code, data.message ?? data.reason);
    case 'agent.restarting':
      return join(`The agent restarts${data.delay_ms > 0 ? ` in ${took(data.delay_ms)}` : ''}`, data.attempt && `attempt ${data.attempt}`);
    case 'agent.stalled':
      return join('The agent prints nothing', data.silent_ms && `for ${took(data.silent_ms)}`);
    case 'agent.resumed':
      return 'The agent prints again';
    case 'agent.updated':
      return join(`Changed: ${Object.keys(data).filter((name) => name !== 'by').join(', ')}`, data.by && `by ${data.by}`);
    case 'process.killed':
      return join(`Process ${data.pid} got ${data.signal}`, data.by && `by ${data.by}`, data.command);
    default:
      return join(type, JSON.stringify(data));
  }
}

export function describeNote({ type, data }) {
  switch (type) {
    case 'title.updated':
      return `Title: ${data.title}`;
    case 'message.queued':
      return join('A message waits', data.mode !== 'followup' && data.mode, data.run_at && `until ${new Date(data.run_at).toLocaleString()}`, data.by && data.by !== 'person' && `by ${data.by}`);
    case 'message.done':
      return join('A message was not delivered', data.reason);
    case 'message.cancelled':
      return 'A message was withdrawn';
    case 'workspace.progress':
      return join('The workspace is being made', data.phase, data.percent && `${data.percent} %`);
    case 'workspace.ready':
      return join('The workspace is ready', data.branch, data.commit?.slice(0, 12));
    case 'workspace.continued':
      return join('The workspace continues from saved work', data.branch);
    case 'workspace.saved':
      return join('The work was saved', data.branch, data.pushed && 'pushed');
    default:
      return join(type, JSON.stringify(data));
  }
}
