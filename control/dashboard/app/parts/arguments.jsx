// The arguments of a tool call, for a person to read: commands as text, edits as diffs, everything else by name.

import './arguments.css';

import { editsOf, rowsOf } from '../agent/diff.js';
import { visible } from './text.js';

const kMaxRows = 400; // of a diff

export function Arguments({ tool, input, cwd }) {
  if (input === undefined || input === null) return null;
  if (typeof input !== 'object') return <Command text={String(input)} />;
  const edits = editsOf(tool, input);
  if (edits.length > 0) return edits.map((edit, i) => <Edit key={i} {...edit} cwd={cwd} />);
  const command = textOf(input.command ?? input.cmd);
  if (command !== undefined) {
    const { command: _, cmd: __, description, ...rest } = input;
    return (
      <>
        {description && <p class="description">{visible(description)}</p>}
        <Command text={command} />
        <Named values={rest} />
      </>
    );
  }
  return <Named values={input} />;
}

function textOf(command) {
  if (Array.isArray(command) && command.every((word) => typeof word === 'string')) return command.map(quoted).join(' ');
  return typeof command === 'string' ? command : undefined;
}

const quoted = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

function Command({ text }) {
  return (
    <pre class="command" tabIndex={0} dir="ltr">
      {visible(text)}
    </pre>
  );
}

function Named({ values }) {
  const entries = Object.entries(values).filter(([, value]) => value !== undefined && value !== null && value !== '');
  if (entries.length === 0) return null;
  return (
    <dl class="named">
      {entries.map(([name, value]) => (
        <div key={name}>
          <dt>{visible(name)}</dt>
          <dd dir="ltr">{visible(typeof value === 'string' ? value : JSON.stringify(value, null, 1))}</dd>
        </div>
      ))}
    </dl>
  );
}

function Edit({ path, cwd, ...edit }) {
  const { rows, added, removed } = rowsOf(edit);
  const shown = rows.slice(0, kMaxRows);
  const short = cwd && path.startsWith(`${cwd}/`) ? path.slice(cwd.length + 1) : path;
  return (
    <figure class="edit">
      <figcaption>
        <span class="path one-line" title={path}>
          <bdi>{visible(short)}</bdi>
        </span>
        <span class="sizes">
          <span class="plus">+{added}</span> <span class="minus">−{removed}</span>
        </span>
      </figcaption>
      <div class="diff" role="group" aria-label={`Changes of ${short}`} tabIndex={0}>
        {shown.map(({ kind, text }, i) => (
          <div key={i} class={`line ${kind}`}>
            <span class="sign">{kSigns[kind] ?? ' '}</span>
            <span class="text">{visible(text) || ' '}</span>
          </div>
        ))}
        {rows.length > kMaxRows && <p class="hint">{rows.length - kMaxRows} more lines</p>}
      </div>
    </figure>
  );
}

const kSigns = { add: '+', del: '−', hunk: '⋯' };
