// The input of a tool call, for a person to read: commands as text, edits as diffs, everything else by name. The cards
// that ask and the log show it alike.

import './arguments.css';

import { useMemo, useState } from 'preact/hooks';

import { rowsOf } from '../agent/diff.js';
import { piecesOf } from './input.js';
import { visible } from './text.js';

const kRows = 400; // of a diff that are shown at first
const kMoreRows = 2000; // with each click

export function Arguments({ tool, input, cwd }) {
  const pieces = useMemo(() => piecesOf(tool, input), [tool, input]);
  return pieces.map((piece, i) => {
    if (piece.kind === 'edit') return <Edit key={i} edit={piece} cwd={cwd} />;
    if (piece.kind === 'named') return <Named key={i} values={piece.values} />;
    if (piece.kind === 'description') return <p key={i} class="description">{visible(piece.text)}</p>;
    return (
      <pre key={i} class="command" tabIndex={0} dir="ltr">
        {visible(piece.text)}
      </pre>
    );
  });
}

function Named({ values }) {
  return (
    <dl class="named">
      {values.map(([name, value]) => (
        <div key={name}>
          <dt>{visible(name)}</dt>
          <dd dir="ltr">{visible(typeof value === 'string' && value !== '' ? value : JSON.stringify(value, null, 1))}</dd>
        </div>
      ))}
    </dl>
  );
}

function Edit({ edit, cwd }) {
  const { path } = edit;
  const { rows, added, removed } = useMemo(() => rowsOf(edit), [edit]);
  const [count, setCount] = useState(kRows);
  const short = cwd && path.startsWith(`${cwd}/`) ? path.slice(cwd.length + 1) : path;
  return (
    <figure class="edit">
      <figcaption>
        <span class="path" title={path}>
          <bdi>{visible(short)}</bdi>
        </span>
        <span class="sizes">
          <span class="plus">+{added}</span> <span class="minus">−{removed}</span>
        </span>
      </figcaption>
      <div class="diff" role="group" aria-label={`Changes of ${visible(short)}`} tabIndex={0}>
        {rows.slice(0, count).map(({ kind, text }, i) => (
          <div key={i} class={`line ${kind}`}>
            <span class="sign">{kSigns[kind] ?? ' '}</span>
            <span class="text">{visible(text) || ' '}</span>
          </div>
        ))}
        {rows.length > count && (
          <button type="button" class="ghost" onClick={() => setCount(count + kMoreRows)}>
            ↓ {(rows.length - count).toLocaleString()} more lines
          </button>
        )}
      </div>
    </figure>
  );
}

const kSigns = { add: '+', del: '−', hunk: '⋯' };
