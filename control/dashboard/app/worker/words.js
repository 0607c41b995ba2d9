// Words for events and calls in one line, for lists. All of it is plain text, without control characters.

import { kInvisible } from '../parts/text.js';

const kLongest = 300;

// Text of an agent as one line of plain text: its escape sequences are dropped, and other control characters and marks
// that change the direction of text become spaces.
export function plain(text) {
  return String(text ?? '')
    .slice(0, 4 * kLongest)
    .replace(/\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)/g, '')
    .replace(kInvisible, ' ')
    .replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ')
    .trim()
    .slice(0, kLongest);
}

function lastOf(text) {
  const lines = String(text ?? '').trimEnd().split(/[\r\n]+/);
  for (let i = lines.length - 1; i >= 0 && i >= lines.length - 5; --i) {
    const line = plain(lines[i]);
    if (line) return line;
  }
  return '';
}

// Markdown's marks at the beginning of a line and its emphasis say nothing in a list.
function withoutMarks(text) {
  return text.replace(/^(?:[#>*+-]+\s+|\d+\.\s+|```\S*)/, '').replace(/(\*\*|__|`)(.+?)\1/g, '$2');
}

// The argument of a call that tells most about it.
export function gistOf(input) {
  if (input === undefined || input === null) return '';
  if (typeof input === 'string') return input;
  if (typeof input !== 'object') return String(input);
  for (const name of ['command', 'cmd', 'file_path', 'filePath', 'path', 'url', 'query', 'pattern', 'description', 'prompt', 'title']) {
    const value = input[name];
    if (typeof value === 'string' && value) return value;
    if (Array.isArray(value) && value.length > 0) return value.join(' ');
  }
  const first = Object.values(input).find((value) => typeof value === 'string' && value);
  return first ?? '';
}

export function describeCall({ name, input }) {
  const gist = plain(gistOf(input));
  return gist ? `${plain(name) || 'tool'}  ${gist}` : plain(name) || 'tool';
}

// The line that an event leaves in a list, {text, tone}, or nothing. `tone` is 'said', 'output', 'failed' or 'user'.
export function lastLine(type, data, live) {
  const line = (text, tone) => text && { text, tone };
  switch (type) {
    case 'agent.output':
      return line(data.json === undefined ? lastOf(data.text) : plain(JSON.stringify(data.json)), 'output');
    case 'assistant.delta':
      return line(withoutMarks(lastOf(`${live.saying ?? ''}${data.text ?? ''}`)), 'said');
    case 'assistant.message':
      return line(withoutMarks(lastOf(data.text)), 'said');
    case 'user.message':
      return line(plain(data.text), 'user');
    case 'agent.error':
      return line(plain(data.message ?? data.code), 'failed');
    case 'agent.failed':
      return line(plain(data.message), 'failed');
    case 'run.failed':
      if (data.exit_code || data.signal) return undefined; // the state tells it, and the last words say more
      return line(plain(data.error?.message ?? data.error?.code), 'failed');
    default:
      return undefined;
  }
}
