// The words with which <agent-stream> describes states, exits, durations and the like.

import { asText } from './transcript.js';

const kStates = {
  connecting: 'Connecting…',
  replaying: 'Catching up…',
  live: 'Live',
  reconnecting: 'Reconnecting…',
  replaced: 'Another view has taken over this stream',
};

const kReasons = {
  agent_exited: 'the agent has exited',
  agent_deleted: 'the agent was deleted',
  shutdown: 'the server is restarting',
  too_slow: 'this viewer was too slow',
};

export function describeState(state, reason, error) {
  if (state === 'error') return `Stopped: ${error.message}`;
  if (state === 'ended') return reason in kReasons ? `Ended: ${kReasons[reason]}` : 'Ended';
  const why = error?.message ?? kReasons[reason];
  return why ? `${kStates[state]} ${why}` : kStates[state];
}

export function formatDuration(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes} min ${Math.floor((ms % 60_000) / 1000)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function clockTime(time) {
  return time ? new Date(time).toLocaleTimeString() : '';
}

export function join(...parts) {
  return parts.filter((part) => part !== undefined && part !== '').join(' · ');
}

function describeExit(data) {
  const { code, signal, oom } = data.exit ?? data;
  if (oom) return 'killed: out of memory';
  if (signal) return `killed by signal ${signal}`;
  return code === undefined || code === null ? 'exited' : `exited with code ${code}`;
}

export function describeAgent(type, data) {
  const pid = data.pid ? `pid ${data.pid}` : undefined;
  switch (type) {
    case 'agent.starting':
      return join('agent is starting', data.restarts > 0 ? `restart ${data.restarts}` : undefined, pid);
    case 'agent.ready':
      return join('agent is ready', pid);
    case 'agent.stopping':
      return join('agent is stopping', data.reason, data.by && `by ${data.by}`);
    case 'agent.exited':
      return join(`agent ${describeExit(data)}`, data.reason);
    case 'agent.failed':
      return join('agent failed', data.reason ?? data.error?.message ?? data.message);
    case 'agent.restarting': {
      const when = data.delay_ms > 0 ? ` in ${formatDuration(data.delay_ms)}` : '';
      return join(`agent restarts${when}`, data.attempt ? `attempt ${data.attempt}` : undefined, data.reason);
    }
    case 'agent.stalled':
      return join('agent is silent', data.silent_ms ? `for ${formatDuration(data.silent_ms)}` : undefined);
    case 'agent.resumed':
      return 'agent produces output again';
    case 'process.killed':
      return join(`process ${data.pid} was sent ${data.signal}`, data.by && `by ${data.by}`, data.command);
    case 'agent.updated':
      return join(
        `agent updated: ${Object.keys(data).filter((name) => name !== 'by').join(', ')}`,
        data.by && `by ${data.by}`,
      );
    default:
      return `${type} ${compact(data)}`;
  }
}

export function describeUsage(usage) {
  if (!usage) return undefined;
  const count = (n, what) => (typeof n === 'number' ? `${n.toLocaleString()} ${what}` : undefined);
  const cost = usage.cost_usd > 0 ? `$${usage.cost_usd.toFixed(4)}` : undefined;
  return join(count(usage.input_tokens, 'tokens in'), count(usage.output_tokens, 'out'), cost);
}

export function describeNote(type, data) {
  switch (type) {
    case 'title.updated':
      return `title: ${data.title}`;
    case 'file.edited': {
      const counts = data.additions === undefined ? '' : ` (+${data.additions} −${data.deletions ?? 0})`;
      return `edited ${data.path}${counts}`;
    }
    case 'subagent.started':
      return join('sub-agent started', data.title);
    case 'subagent.completed':
      return join('sub-agent completed', data.title);
    case 'message.queued':
      return join('message queued', data.mode, data.run_at ? `for ${new Date(data.run_at).toLocaleString()}` : undefined);
    case 'message.done':
      return join('message not delivered', data.reason);
    case 'message.cancelled':
      return 'message cancelled';
    default:
      return `${type} ${compact(data)}`;
  }
}

export const kDecisions = {
  allow_once: 'Allowed once',
  allow_always: 'Allowed always',
  allow_tool: 'Allowed, with this tool from now on',
  allow_session: 'Allowed, with every tool from now on',
  deny: 'Denied',
  expired: 'Expired',
  withdrawn: 'Withdrawn',
  accept: 'Accepted',
  decline: 'Declined',
  cancel: 'Cancelled',
};

// The one member of a tool's input that describes it best in a line.
export function principal(input) {
  if (typeof input !== 'object' || input === null) return asText(input);
  const names = ['command', 'file_path', 'filePath', 'path', 'pattern', 'query', 'url', 'description'];
  const name = names.find((known) => typeof input[known] === 'string');
  return name ? input[name] : compact(input);
}

// A tool's input as text. An input with a single member is shown without its object.
export function inputText(input) {
  const values = typeof input === 'object' && input !== null ? Object.values(input) : [];
  return values.length === 1 && typeof values[0] === 'string' ? values[0] : asText(input);
}

export function compact(value) {
  const text = JSON.stringify(value) ?? '';
  return text.length > 2000 ? `${text.slice(0, 2000)}…` : text;
}
