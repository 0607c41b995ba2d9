// Diffs for people: the edits that a tool's input asks for, in the forms of all kinds of agents, and unified diffs as rows.

const kMaxRows = 5000;
const kMaxCells = 250_000; // pairs of lines that are compared

const isText = (value) => typeof value === 'string';

// The edits of a call, each {path, diff} with a unified diff, or {path, before, after} with two texts. Empty if it
// edits nothing, or nothing that is known.
export function editsOf(tool, input) {
  if (typeof input !== 'object' || input === null) return [];
  const path = input.file_path ?? input.filePath ?? input.filepath ?? input.path;
  if (Array.isArray(input.changes)) {
    return input.changes
      .filter((change) => isText(change?.path) && isText(change.diff))
      .map(({ path: of, kind, diff }) => (kind?.type === 'add' ? { path: of, before: '', after: diff } : { path: of, diff }));
  }
  if (!isText(path)) return [];
  if (isText(input.diff)) return [{ path, diff: input.diff }];
  const before = input.old_string ?? input.oldString ?? input.oldText;
  const after = input.new_string ?? input.newString ?? input.newText;
  if (isText(before) && isText(after)) return [{ path, before, after }];
  if (Array.isArray(input.edits)) {
    return input.edits.flatMap((edit) => editsOf(tool, { path, ...edit }));
  }
  if (tool === 'write' && isText(input.content)) return [{ path, before: '', after: input.content }];
  return [];
}

// The rows of an edit: {rows, added, removed, more}. A row is {kind, old?, new?, text}: `kind` is 'same', 'add', 'del',
// 'hunk' or 'file'; `old` and `new` are numbers of lines. `more` counts the rows that are left out.
export function rowsOf({ diff, before, after }) {
  const rows = diff === undefined ? compared(before, after) : parsed(diff);
  const count = (kind) => rows.filter((row) => row.kind === kind).length;
  return { rows: rows.slice(0, kMaxRows), added: count('add'), removed: count('del'), more: Math.max(0, rows.length - kMaxRows) };
}

function linesOf(text) {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines;
}

// Without the place of an edit its lines have no numbers.
function compared(before, after) {
  const old = linesOf(before);
  const fresh = linesOf(after);
  let head = 0;
  while (head < old.length && head < fresh.length && old[head] === fresh[head]) ++head;
  let tail = 0;
  while (tail < old.length - head && tail < fresh.length - head && old.at(-1 - tail) === fresh.at(-1 - tail)) ++tail;
  const rows = [];
  const add = (kind, lines) => lines.forEach((text) => rows.push({ kind, text }));
  add('same', old.slice(0, head));
  rows.push(...common(old.slice(head, old.length - tail), fresh.slice(head, fresh.length - tail)));
  add('same', old.slice(old.length - tail));
  return rows;
}

// The rows between two texts, with the longest common sequence of their lines; for very long texts without it.
function common(old, fresh) {
  const rows = [];
  const width = fresh.length + 1;
  const lengths = old.length * fresh.length <= kMaxCells ? new Uint16Array((old.length + 1) * width) : undefined;
  for (let i = old.length - 1; lengths && i >= 0; --i) {
    for (let j = fresh.length - 1; j >= 0; --j) {
      const at = i * width + j;
      lengths[at] = old[i] === fresh[j] ? lengths[at + width + 1] + 1 : Math.max(lengths[at + width], lengths[at + 1]);
    }
  }
  let i = 0;
  let j = 0;
  while (i < old.length || j < fresh.length) {
    if (lengths && i < old.length && j < fresh.length && old[i] === fresh[j]) {
      rows.push({ kind: 'same', text: old[i++] });
      ++j;
    } else if (i < old.length && (!lengths || j === fresh.length || lengths[(i + 1) * width + j] >= lengths[i * width + j + 1])) {
      rows.push({ kind: 'del', text: old[i++] });
    } else rows.push({ kind: 'add', text: fresh[j++] });
  }
  return rows;
}

// Reads a unified diff of one or several files (git-diff(1)).
export function parsed(diff) {
  const rows = [];
  let old = 0;
  let fresh = 0;
  let left = { old: 0, new: 0 }; // lines that the hunk still has
  for (const line of linesOf(diff)) {
    const hunk = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@(.*)$/.exec(line);
    if (hunk) {
      old = Number(hunk[1]);
      fresh = Number(hunk[3]);
      left = { old: Number(hunk[2] ?? 1), new: Number(hunk[4] ?? 1) };
      if (old > 1 || rows.length > 0) rows.push({ kind: 'hunk', text: hunk[5].trim(), old, new: fresh });
    } else if (line.startsWith('@@')) {
      left = { old: Infinity, new: Infinity }; // a patch without numbers
      rows.push({ kind: 'hunk', text: line.slice(2).trim() });
    } else if (left.old > 0 || left.new > 0) {
      const text = line.slice(1);
      const counted = left.old !== Infinity;
      if (line.startsWith('+')) {
        rows.push({ kind: 'add', text, ...(counted && { new: fresh++ }) });
        --left.new;
      } else if (line.startsWith('-')) {
        rows.push({ kind: 'del', text, ...(counted && { old: old++ }) });
        --left.old;
      } else if (!line.startsWith('\\')) {
        rows.push({ kind: 'same', text, ...(counted && { old: old++, new: fresh++ }) });
        --left.old;
        --left.new;
      }
    } else if (/^(Binary files |rename |old mode|new mode)/.test(line)) {
      rows.push({ kind: 'file', text: line });
    }
  }
  return rows;
}

// A diff of several files as [{path, diff}].
export function filesOf(diff) {
  return diff
    .split(/^(?=diff --git )/m)
    .filter((part) => part.startsWith('diff --git '))
    .map((part) => ({ path: pathIn(part), diff: part }));
}

function pathIn(part) {
  const path = /^\+\+\+ b\/(.*)$/m.exec(part)?.[1] ?? /^--- a\/(.*)$/m.exec(part)?.[1];
  return (path ?? /^diff --git a\/(.*) b\//.exec(part)?.[1] ?? '').replace(/\t$/, '');
}
