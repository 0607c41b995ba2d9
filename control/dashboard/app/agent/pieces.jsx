// Pieces of the items of a log: coloured text, Markdown and diffs.

import { useEffect, useMemo, useRef, useState } from 'preact/hooks';

import { rowsOf } from './diff.js';
import { mayFormat, Pace } from './limits.js';
import { partsOf, toHtml } from './markdown.js';
import { ansiLines, kLongLine, plainText } from './text.js';

const kFolded = 24; // lines of a long text that are shown
const kAtOnce = 2000; // more of them with each click

// --- text of terminals

function spanOf({ text, style }, key) {
  if (!style) return text;
  const of = style.inverse ? { ...style, fg: style.bg ?? 'inverse', bg: style.fg ?? 'inverse' } : style;
  const names = ['bold', 'dim', 'italic', 'underline', 'strike'].filter((name) => of[name]);
  const colours = {};
  for (const [name, property] of [['fg', 'color'], ['bg', 'backgroundColor']]) {
    if (typeof of[name] === 'number' || of[name] === 'inverse') names.push(`${name}-${of[name]}`);
    else if (of[name]) colours[property] = of[name];
  }
  return <span key={key} class={names.join(' ')} style={colours}>{text}</span>;
}

// Adjacent text without a style is one node: thousands of lines may arrive at once.
function joined(lines) {
  const nodes = [];
  let text = '';
  const flush = () => {
    if (text !== '') nodes.push(text);
    text = '';
  };
  lines.forEach(({ parts, more, stream }, i) => {
    const stderr = stream === 'stderr';
    if (stderr) flush();
    const into = stderr ? [] : nodes;
    for (const part of parts) {
      if (part.style || stderr) {
        flush();
        into.push(spanOf(part, `${i} ${into.length}`));
      } else {
        text += part.text;
      }
    }
    if (more > 0) {
      flush();
      into.push(<span key={`${i} more`} class="cut">… {more.toLocaleString()} more characters</span>);
    }
    if (stderr) nodes.push(<span key={`${i} stderr`} class="stderr">{into}{'\n'}</span>);
    else text += '\n';
  });
  flush();
  return nodes;
}

// Text of a terminal, with at most some lines of it at first. `tail`: the last ones.
export function Terminal({ text, tail = false, label }) {
  const [shown, setShown] = useState(kFolded);
  const [wide, setWide] = useState(false);
  const all = useMemo(() => text.replace(/\n$/, '').split('\n'), [text]);
  const folded = all.length > shown + 4;
  const lines = folded ? (tail ? all.slice(-shown) : all.slice(0, shown)) : all;
  const drawn = useMemo(() => ansiLines(lines.join('\n'), wide ? Infinity : kLongLine), [text, shown, wide]);
  const more = (
    <span class="unfold">
      {folded && (
        <button type="button" class="ghost" onClick={() => setShown(shown + kAtOnce)}>
          {tail ? '↑' : '↓'} {(all.length - shown).toLocaleString()} more lines
        </button>
      )}
      {!wide && drawn.some((line) => line.more > 0) && (
        <button type="button" class="ghost" onClick={() => setWide(true)}>
          Show long lines whole
        </button>
      )}
    </span>
  );
  return (
    <div class="terminal">
      {tail && more}
      <pre tabIndex={0} role="region" aria-label={label}>{joined(drawn)}</pre>
      {!tail && more}
    </div>
  );
}

const drawnLines = new WeakMap(); // a line of output → its text, and its parts

function drawnLine(line) {
  let drawn = drawnLines.get(line);
  if (drawn?.text !== line.text) {
    drawn = { ...ansiLines(line.text.replaceAll('\n', ' '))[0], stream: line.stream, text: line.text };
    drawnLines.set(line, drawn);
  }
  return drawn;
}

// Lines of output, each with its stream.
export function OutputLines({ lines, version }) {
  const drawn = useMemo(() => lines.map(drawnLine), [lines, version]);
  return <pre class="lines" tabIndex={0} role="region" aria-label="Output">{joined(drawn)}</pre>;
}

// --- Markdown

function MarkdownPart({ text, done }) {
  const html = useMemo(() => toHtml(text, done), [text, done]);
  return <div class="block" dangerouslySetInnerHTML={{ __html: html }} />;
}

// While a text grows only its last part is drawn anew, and not with each frame.
export function Markdown({ text, done }) {
  const [, draw] = useState(0);
  const [pace] = useState(() => new Pace(() => performance.now()));
  const timer = useRef();
  useEffect(() => () => clearTimeout(timer.current), []);
  const later = (ms) => {
    timer.current ??= setTimeout(() => {
      timer.current = undefined;
      draw((n) => n + 1);
    }, ms);
  };
  const shown = pace.take(text, done, later);
  const parts = useMemo(() => (done && mayFormat(shown) ? [shown] : partsOf(shown)), [shown, done]);
  return (
    <div class="markdown">
      {parts.map((part, i) => (
        <MarkdownPart key={i} text={part} done={done || i < parts.length - 1} />
      ))}
    </div>
  );
}

// --- diffs

// The rows of {path, diff}. Long ones are folded.
export function Diff({ edit, lines = 60 }) {
  const { rows } = useMemo(() => rowsOf(edit), [edit.path, edit.diff]);
  const [count, setCount] = useState(lines);
  const [wide, setWide] = useState(false);
  const shown = rows.length <= count + 8 ? rows : rows.slice(0, count);
  const numbered = rows.some((row) => row.old !== undefined || row.new !== undefined);
  return (
    <div class="change">
      <div class="diff-rows" tabIndex={0} role="region" aria-label="Changed lines">
        <table>
          <tbody>
            {shown.map((row, i) => (
              <Row key={i} row={row} numbered={numbered} wide={wide} />
            ))}
          </tbody>
        </table>
      </div>
      {shown.length < rows.length && (
        <button type="button" class="ghost" onClick={() => setCount(count + kAtOnce)}>
          ↓ {(rows.length - shown.length).toLocaleString()} more lines
        </button>
      )}
      {!wide && shown.some(({ text }) => text.length > kLongLine) && (
        <button type="button" class="ghost" onClick={() => setWide(true)}>
          Show long lines whole
        </button>
      )}
    </div>
  );
}

const kMarks = { add: '+', del: '−', same: ' ' };
const kMarkWords = { add: 'added', del: 'removed' };

function Row({ row: { kind, old, new: fresh, text }, numbered, wide }) {
  const shown = text.length > kLongLine && !wide ? `${text.slice(0, kLongLine)}… ${text.length - kLongLine} more characters` : text;
  if (kind === 'hunk' || kind === 'file') {
    return (
      <tr class={kind}>
        <td colSpan={numbered ? 4 : 2}>{kind === 'hunk' ? `⋯ ${plainText(shown)}` : plainText(shown)}</td>
      </tr>
    );
  }
  return (
    <tr class={kind}>
      {numbered && <td class="number">{kind === 'add' ? '' : old}</td>}
      {numbered && <td class="number">{kind === 'del' ? '' : fresh}</td>}
      <td class="mark">
        <span aria-hidden="true">{kMarks[kind]}</span>
        {kMarkWords[kind] && <span class="hidden-words">{kMarkWords[kind]}</span>}
      </td>
      <td class="text">{plainText(shown)}</td>
    </tr>
  );
}

export function Counts({ added, removed }) {
  if (added === undefined && removed === undefined) return null;
  return (
    <span class="counts">
      <span class="added">+{added ?? 0}</span> <span class="removed">−{removed ?? 0}</span>
    </span>
  );
}
