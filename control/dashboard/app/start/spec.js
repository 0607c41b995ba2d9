// Between the texts of the form and the spec of an agent (control/api/API.md, "The spec of an agent"). It touches neither page
// nor daemon.

// Names of the form's fields: those of the spec, with dots. All values are texts, except `place` ('folder' or 'clone').
export const kEmpty = {
  kind: '', command: '', place: 'folder', cwd: '', 'workspace.git': '', 'workspace.branch': '', 'workspace.base': '', prompt: '',
  title: '', id: '', labels: '', model: '', system_prompt: '', 'permissions.default': 'ask', 'permissions.allow': '',
  'permissions.ask': '', 'permissions.deny': '', 'permissions.timeout_ms': '', 'permissions.on_timeout': 'deny',
  'limits.wall_ms': '', 'limits.max_tokens': '', 'limits.max_cost_usd': '', 'limits.stall_ms': '', 'limits.idle_ms': '',
  'restart.policy': 'never', api: 'none', env: '',
};

export class FieldError extends Error {
  constructor(field, message) {
    super(message);
    this.field = field;
  }
}

// The field and the reason in an error's detail, "limits.wall_ms: must be …", or nothing if no field of the form is meant.
export function fieldOf(detail) {
  const [, path, reason] = /^([a-z_]+(?:[.[][\w.[\]]*)?): (.*)$/s.exec(detail ?? '') ?? [];
  const field = path?.replace(/\[\d+\].*$/, '');
  if (field in kEmpty) return { field, reason };
  const [group] = (field ?? '').split('.');
  return group in kEmpty ? { field: group, reason } : undefined;
}

// Splits a command line into words, as a shell does with quotes and backslashes. A line that needs a shell is given to one.
export function commandOf(text, kind) {
  const line = text.trim();
  if (line === '') return undefined;
  if (needsShell(line) && (kind === 'process' || kind === 'jsonl')) return ['sh', '-c', line];
  const words = [];
  let word;
  let quote;
  for (let i = 0; i < line.length; ++i) {
    const c = line[i];
    if (quote) {
      if (c === quote) quote = undefined;
      else if (c === '\\' && quote === '"' && /["\\$`]/.test(line[i + 1] ?? '')) word += line[++i];
      else word += c;
    } else if (c === "'" || c === '"') {
      quote = c;
      word ??= '';
    } else if (c === '\\') word = (word ?? '') + (line[++i] ?? '');
    else if (/\s/.test(c)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else word = (word ?? '') + c;
  }
  if (quote) throw new FieldError('command', `the quote ${quote} is not closed`);
  if (word !== undefined) words.push(word);
  return words;
}

// A character that means something to a shell, outside of quotes.
export function needsShell(line) {
  return /[|&;<>()$`*?~\n]/.test(line.replace(/\\.|'[^']*'|"(?:\\.|[^"\\$`])*"/gs, ''));
}

export function lineOf(words) {
  if (words.length === 3 && words[0] === 'sh' && words[1] === '-c' && needsShell(words[2])) return words[2];
  return words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(' ');
}

const kUnits = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

function durationOf(field, text) {
  if (text.trim() === '') return undefined;
  const parts = [...text.trim().matchAll(/(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\s*/g)];
  if (parts.map(([all]) => all).join('') !== text.trim()) throw new FieldError(field, 'write a duration as 30s, 5m or 1h30m');
  return Math.round(parts.reduce((sum, [, n, unit]) => sum + Number(n) * kUnits[unit], 0));
}

function durationText(ms) {
  if (!ms) return '';
  for (const unit of ['d', 'h', 'm', 's']) if (ms % kUnits[unit] === 0) return `${ms / kUnits[unit]}${unit}`;
  return `${ms}ms`;
}

function numberOf(field, text) {
  if (text.trim() === '') return undefined;
  const n = Number(text.replaceAll(/[\s_,]/g, ''));
  if (!Number.isFinite(n)) throw new FieldError(field, 'write a number');
  return n;
}

const linesOf = (text) => text.split('\n').map((line) => line.trim()).filter(Boolean);

function pairsOf(field, lines) {
  return Object.fromEntries(
    lines.map((line) => {
      const at = line.indexOf('=');
      if (at < 1) throw new FieldError(field, `write NAME=VALUE, not “${line}”`);
      return [line.slice(0, at).trim(), line.slice(at + 1)];
    }),
  );
}

// An object without its members that are undefined; undefined if none is left.
function only(object) {
  const entries = Object.entries(object).filter(([, value]) => value !== undefined);
  return entries.length > 0 ? Object.fromEntries(entries) : undefined;
}

// The spec for a form, whose kind has the abilities `can`. Throws a FieldError.
export function specOf(form, can) {
  const text = (name) => form[name].trim() || undefined;
  const list = (name) => (linesOf(form[name]).length > 0 ? linesOf(form[name]) : undefined);
  const clone = form.place === 'clone';
  if (!form.kind) throw new FieldError('kind', 'choose a kind');
  if (clone && !text('workspace.git')) throw new FieldError('workspace.git', 'name a repository');
  return only({
    kind: form.kind,
    command: commandOf(form.command, form.kind),
    cwd: text('cwd'),
    workspace: clone ? only({ git: text('workspace.git'), branch: text('workspace.branch'), base: text('workspace.base') }) : undefined,
    prompt: can.turns ? text('prompt') : undefined,
    title: text('title'),
    id: text('id'),
    labels: only(pairsOf('labels', form.labels.split(/[\n,]/).map((word) => word.trim()).filter(Boolean))),
    model: can.model ? text('model') : undefined,
    system_prompt: can.system_prompt ? text('system_prompt') : undefined,
    permissions: can.approve
      ? only({
          default: form['permissions.default'],
          allow: list('permissions.allow'),
          ask: list('permissions.ask'),
          deny: list('permissions.deny'),
          timeout_ms: durationOf('permissions.timeout_ms', form['permissions.timeout_ms']),
          on_timeout: form['permissions.on_timeout'],
        })
      : undefined,
    limits: only({
      wall_ms: durationOf('limits.wall_ms', form['limits.wall_ms']),
      max_tokens: can.turns ? numberOf('limits.max_tokens', form['limits.max_tokens']) : undefined,
      max_cost_usd: can.turns ? numberOf('limits.max_cost_usd', form['limits.max_cost_usd']) : undefined,
      stall_ms: durationOf('limits.stall_ms', form['limits.stall_ms']),
      idle_ms: can.turns ? durationOf('limits.idle_ms', form['limits.idle_ms']) : undefined,
    }),
    restart: form['restart.policy'] === 'never' ? undefined : { policy: form['restart.policy'] },
    api: form.api === 'none' ? undefined : form.api,
    env: only(pairsOf('env', linesOf(form.env).filter((line) => !/^[^=]+=$/.test(line)))),
  });
}

// The form for an agent like this one. Values of `env` are not in it, because the API does not tell them.
export function formOf(agent) {
  const { permissions = {}, limits = {}, workspace, labels = {} } = agent;
  const lines = (list) => (list ?? []).join('\n');
  return {
    ...kEmpty,
    kind: agent.kind,
    command: agent.command ? lineOf(agent.command) : '',
    place: workspace ? 'clone' : 'folder',
    cwd: agent.cwd ?? '',
    'workspace.git': workspace?.git ?? '',
    'workspace.branch': workspace?.branch ?? '',
    'workspace.base': workspace?.base ?? '',
    prompt: agent.prompt ?? '',
    title: agent.title ?? '',
    labels: Object.entries(labels).map(([key, value]) => `${key}=${value}`).join(', '),
    model: agent.model ?? '',
    system_prompt: agent.system_prompt ?? '',
    'permissions.default': permissions.default ?? 'ask',
    'permissions.allow': lines(permissions.allow),
    'permissions.ask': lines(permissions.ask),
    'permissions.deny': lines(permissions.deny),
    'permissions.timeout_ms': durationText(permissions.timeout_ms),
    'permissions.on_timeout': permissions.on_timeout ?? 'deny',
    'limits.wall_ms': durationText(limits.wall_ms),
    'limits.max_tokens': limits.max_tokens ? String(limits.max_tokens) : '',
    'limits.max_cost_usd': limits.max_cost_usd ? String(limits.max_cost_usd) : '',
    'limits.stall_ms': durationText(limits.stall_ms),
    'limits.idle_ms': durationText(limits.idle_ms),
    'restart.policy': agent.restart?.policy ?? 'never',
    api: agent.api ?? 'none',
    env: (agent.env ?? []).map((name) => `${name}=`).join('\n'),
  };
}
