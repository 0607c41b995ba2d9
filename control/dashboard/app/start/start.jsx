// Starts an agent by a form; with `like`, the id of an agent, the form begins with that agent's spec.

import './start.css';

import { useEffect, useRef, useState } from 'preact/hooks';

import { call, mayCreate } from '../connection.js';
import { useKeys } from '../keys.jsx';
import { go, paths } from '../router.js';
import { commandOf, FieldError, fieldOf, formOf, kEmpty, needsShell, specOf } from './spec.js';

const kAbout = {
  process: 'any program; its output is the log',
  jsonl: 'a program that prints JSON events',
  acp: 'any ACP agent',
  claude: 'Anthropic’s Claude Code',
  codex: 'OpenAI’s Codex',
  opencode: 'an opencode server',
  kilo: 'a kilo server',
  pi: 'the coding agent pi',
};

export function Start({ like }) {
  const [kinds, setKinds] = useState();
  const [form, setForm] = useState(kEmpty);
  const [errors, setErrors] = useState({});
  const [sending, setSending] = useState(false);
  const [lost, setLost] = useState(false);
  const page = useRef();

  useEffect(() => {
    call('kinds.list').then(
      ({ kinds: all }) => setKinds(all.sort((a, b) => (b.found === true) - (a.found === true))),
      (error) => setErrors({ '': error.message }),
    );
  }, []);
  useEffect(() => {
    if (like === undefined) return;
    call('agents.get', { id: like }).then(
      (agent) => {
        setForm(formOf(agent));
        setLost((agent.files ?? []).length > 0);
      },
      (error) => setErrors({ '': error.message }),
    );
  }, [like]);

  const kind = kinds?.find(({ name }) => name === form.kind);
  const can = kind?.can ?? {};
  const set = (name, value) => {
    setForm((before) => ({ ...before, [name]: value }));
    setErrors(({ [name]: _, '': __, ...rest }) => rest);
  };

  const submit = async (event) => {
    event?.preventDefault();
    if (sending || !mayCreate.value) return;
    try {
      const spec = specOf(form, can);
      setSending(true);
      const { id } = await call('agents.create', spec);
      go(paths.agent(id));
    } catch (error) {
      const at = error instanceof FieldError ? { field: error.field, reason: error.message } : fieldOf(error.data?.detail ?? error.message);
      setErrors({ [at?.field ?? '']: at?.reason ?? error.message });
    }
    setSending(false);
  };

  // The first field that is wrong is in sight, also within a part that was folded.
  const wrong = Object.keys(errors)[0];
  useEffect(() => {
    if (!wrong) return;
    const input = page.current.querySelector(`[name="${CSS.escape(wrong)}"]`);
    for (let part = input?.closest('details'); part; part = part.parentElement.closest('details')) part.open = true;
    input?.focus();
  }, [errors]);

  useKeys('Start', [['Escape', 'back to the town', () => go(paths.town())]]);

  const field = { form, errors, set };
  return (
    <div class="start" ref={page}>
      <form onSubmit={submit} noValidate>
        <h1 tabIndex={-1}>{like ? `Start another one like ${like}` : 'Start an agent'}</h1>

        <fieldset class="kinds" aria-describedby={errors.kind ? 'kind-error' : undefined}>
          <legend>Kind</legend>
          {kinds === undefined && !errors[''] && <p class="hint">Looking for programs…</p>}
          <div class="grid">
            {(kinds ?? []).map((of) => (
              <KindCard key={of.name} kind={of} chosen={form.kind === of.name} onChoose={() => set('kind', of.name)} />
            ))}
          </div>
          {errors.kind && (
            <p id="kind-error" class="failure" role="alert">
              {errors.kind}
            </p>
          )}
        </fieldset>

        {kind && (
          <>
            <Text {...field} name="command" label="Command" class="mono" placeholder={kind.path ?? placeholderOf(kind)} optional={kind.found === true} hint={commandHint(form, kind)} />
            {can.turns && <Area {...field} name="prompt" label="Prompt" rows={4} placeholder="The first message; the agent can also wait for one" optional />}

            <fieldset class="group">
              <legend>Works in</legend>
              <div class="either">
                <Either {...field} name="place" value="folder" label="a folder of this machine" />
                <Either {...field} name="place" value="clone" label="its own clone of a repository" />
              </div>
              {form.place === 'clone' && (
                <>
                  <Text {...field} name="workspace.git" label="Repository" class="mono" placeholder="https://host/owner/project" />
                  <div class="pair">
                    <Text {...field} name="workspace.branch" label="Branch" class="mono" placeholder="the default branch" optional />
                    <Text {...field} name="workspace.base" label="Made from" class="mono" placeholder="the default branch" optional />
                  </div>
                </>
              )}
              <Text
                {...field}
                name="cwd"
                label={form.place === 'clone' ? 'Folder within the clone' : 'Folder'}
                class="mono"
                placeholder={form.place === 'clone' ? 'its root' : 'the home of the daemon’s user'}
                optional
              />
            </fieldset>

            <div class="pair">
              <Text {...field} name="title" label="Title" optional />
              <Text {...field} name="labels" label="Labels" placeholder="team=web, ticket=4711" optional />
            </div>

            {can.approve && (
              <Part title="Permissions" errors={errors} prefix="permissions" open={form['permissions.default'] !== 'ask'}>
                <Choice {...field} name="permissions.default" label="A request that no rule decides" options={[['ask', 'asks a person'], ['allow', 'is allowed'], ['deny', 'is denied']]} />
                <div class="three">
                  <Area {...field} name="permissions.allow" label="Allow" rows={3} class="mono" placeholder={'read\nbash(make *)'} optional />
                  <Area {...field} name="permissions.ask" label="Ask" rows={3} class="mono" placeholder={'bash(git push*)'} optional />
                  <Area {...field} name="permissions.deny" label="Deny" rows={3} class="mono" placeholder={'bash(sudo *)'} optional />
                </div>
                <p class="hint">One rule on each line: a tool, or a tool with a pattern for its argument. Deny wins, then ask, then allow.</p>
                <div class="pair">
                  <Text {...field} name="permissions.timeout_ms" label="Waits for a person for" placeholder="1h" optional />
                  <Choice {...field} name="permissions.on_timeout" label="After that it is" options={[['deny', 'denied'], ['allow', 'allowed']]} />
                </div>
              </Part>
            )}

            <Part title="Limits" errors={errors} prefix="limits">
              <div class="three">
                <Text {...field} name="limits.wall_ms" label="Time of a run" placeholder="30m" optional />
                <Text {...field} name="limits.stall_ms" label="Silence, to be stalled" placeholder="5m" optional />
                {can.turns && <Text {...field} name="limits.idle_ms" label="Rest, to fall asleep" placeholder="15m" optional />}
                {can.turns && <Text {...field} name="limits.max_tokens" label="Tokens of a run" placeholder="200000" optional />}
                {can.turns && <Text {...field} name="limits.max_cost_usd" label="Cost of a run, US$" placeholder="5" optional />}
              </div>
            </Part>

            <Part title="More" errors={errors} names={['id', 'model', 'system_prompt', 'restart', 'restart.policy', 'api', 'env']} open={form.env !== ''}>
              <div class="pair">
                <Text {...field} name="id" label="Id" class="mono" placeholder="made from the kind" optional />
                {can.model && <Text {...field} name="model" label="Model" class="mono" placeholder="the program’s own" optional />}
                <Choice {...field} name="restart.policy" label="Starts again" options={[['never', 'never'], ['on_failure', 'after a failure'], ['always', 'always']]} />
                <Choice {...field} name="api" label="May use reeve itself" options={[['none', 'no'], ['view', 'to look'], ['operate', 'to look and to act']]} />
              </div>
              {can.system_prompt && <Area {...field} name="system_prompt" label="System prompt" rows={3} optional />}
              <Area {...field} name="env" label="Environment" rows={3} class="mono" placeholder="NAME=value" optional hint={like && form.env ? 'The daemon does not tell values: fill in those that are needed.' : undefined} />
            </Part>
            {lost && <p class="hint">The files of {like} are not copied.</p>}
          </>
        )}

        {errors[''] && (
          <p class="failure" role="alert">
            {errors['']}
          </p>
        )}
        <div class="send">
          <button class="primary" disabled={!mayCreate.value || !kind || sending}>
            {sending ? 'Starting…' : 'Start'}
          </button>
          <a class="button" href={paths.town()}>
            Cancel
          </a>
        </div>
      </form>
    </div>
  );
}

function placeholderOf({ name, program }) {
  return program ?? { process: 'make test', jsonl: './agent --json', acp: 'kilo acp' }[name] ?? '';
}

function commandHint(form, kind) {
  if (form.command.trim() && needsShell(form.command) && commandOf(form.command, kind.name)?.[0] === 'sh') return 'This needs a shell, and runs with sh -c.';
  if (kind.found === false && !form.command.trim()) return `${kind.program} was not found. Install it: ${kind.install}`;
  return undefined;
}

function KindCard({ kind, chosen, onChoose }) {
  const { name, found, version, path, program } = kind;
  const state = found === true ? (version ?? path) : found === false ? 'not installed' : undefined;
  return (
    <label class={`kind ${found === false ? 'absent' : ''}`}>
      <input type="radio" name="kind" value={name} checked={chosen} onChange={onChoose} />
      <span>
        <b>{name}</b>
        <span class="hint">{kAbout[name] ?? ''}</span>
        {state && (
          <span class={`found one-line ${found ? 'yes' : ''}`} title={path}>
            {state}
          </span>
        )}
      </span>
    </label>
  );
}

function Part({ title, errors, prefix, names = [], open = false, children }) {
  const wrong = Object.keys(errors).some((name) => names.includes(name) || (prefix && name.startsWith(prefix)));
  return (
    <details class="part" open={open || wrong}>
      <summary>{title}</summary>
      <div class="inner">{children}</div>
    </details>
  );
}

function Labelled({ name, label, optional, errors, hint, children }) {
  return (
    <label class="labelled">
      <span class="words">
        {label} {optional && <span class="hint">optional</span>}
      </span>
      {children}
      {errors[name] ? (
        <span class="failure" id={`${name}-error`} role="alert">
          {errors[name]}
        </span>
      ) : (
        hint && <span class="hint">{hint}</span>
      )}
    </label>
  );
}

function attributes({ name, form, errors, set, placeholder, class: className }) {
  return {
    name,
    class: className,
    value: form[name],
    placeholder,
    spellcheck: false,
    'aria-invalid': errors[name] ? 'true' : undefined,
    'aria-describedby': errors[name] ? `${name}-error` : undefined,
    onInput: (event) => set(name, event.currentTarget.value),
  };
}

function Text(props) {
  return (
    <Labelled {...props}>
      <input type="text" autocomplete="off" {...attributes(props)} />
    </Labelled>
  );
}

function Area(props) {
  return (
    <Labelled {...props}>
      <textarea rows={props.rows} {...attributes(props)} />
    </Labelled>
  );
}

function Choice({ options, ...props }) {
  return (
    <Labelled {...props}>
      <select {...attributes(props)}>
        {options.map(([value, words]) => (
          <option key={value} value={value}>
            {words}
          </option>
        ))}
      </select>
    </Labelled>
  );
}

function Either({ name, value, label, form, set }) {
  return (
    <label class="choice">
      <input type="radio" name={name} value={value} checked={form[name] === value} onChange={() => set(name, value)} />
      <span>{label}</span>
    </label>
  );
}
