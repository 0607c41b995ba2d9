// Diffs for people, as rows: unified diffs, and two texts that are compared.

const kMaxCells = 250_000; // pairs of lines that are compared

// The rows of an edit of piecesOf() (../parts/input.js), or of {diff}: {rows, added, removed}. A row is
// {kind, old?, new?, text}: `kind` is 'same', 'add', 'del', 'hunk' or 'file'; `old` and `new` are numbers of lines.
export function rowsOf({ path, diff, before, after }) {
  const rows = diff === undefined ? compared(before, after) : parsed(diff, path);
  const count = (kind) => rows.filter((row) => row.kind === kind).length;
  return { rows, added: count('add'), removed: count('del') };
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
  for (const row of common(old.slice(head, old.length - tail), fresh.slice(head, fresh.length - tail))) rows.push(row);
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

// Reads a unified diff of one or several files (git-diff(1)). Lines that are in no hunk are rows of kind 'file', except
// those before the first hunk that say nothing but `path`.
export function parsed(diff, path = '') {
  const rows = [];
  let old = 0;
  let fresh = 0;
  let begun = false;
  let left = { old: 0, new: 0 }; // lines that the hunk still has
  for (const line of linesOf(diff)) {
    const hunk = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@(.*)$/.exec(line);
    const inside = left.old > 0 || left.new > 0;
    const counted = left.old !== Infinity;
    const text = line.slice(1);
    if (hunk || line.startsWith('@@')) {
      old = hunk ? Number(hunk[1]) : 0;
      fresh = hunk ? Number(hunk[3]) : 0;
      // A patch without numbers has hunks of any length.
      left = hunk ? { old: Number(hunk[2] ?? 1), new: Number(hunk[4] ?? 1) } : { old: Infinity, new: Infinity };
      const words = (hunk ? hunk[5] : line.slice(2)).trim();
      if (!hunk || old > 1 || rows.length > 0 || words !== '') rows.push({ kind: 'hunk', text: words, ...(hunk && { old, new: fresh }) });
      begun = true;
    } else if (inside && line.startsWith('+')) {
      rows.push({ kind: 'add', text, ...(counted && { new: fresh++ }) });
      --left.new;
    } else if (inside && line.startsWith('-')) {
      rows.push({ kind: 'del', text, ...(counted && { old: old++ }) });
      --left.old;
    } else if (inside && (line === '' || line.startsWith(' '))) {
      rows.push({ kind: 'same', text, ...(counted && { old: old++, new: fresh++ }) });
      --left.old;
      --left.new;
    } else if (line.trim() !== '' && line !== '\\ No newline at end of file' && (begun || !isHeader(line, path))) {
      rows.push({ kind: 'file', text: line });
    }
  }
  return rows;
}

// Whether a line before the hunks says nothing but which file it is.
function isHeader(line, path) {
  if (/^(={20,}|index [0-9a-f]+\.\.[0-9a-f]+( \d{6})?)$/.test(line)) return true;
  const names = /^(?:---|\+\+\+|Index:) (.*?)\t?$/.exec(line);
  if (!names) return line === `diff --git a/${path} b/${path}`;
  return names[1] === '/dev/null' || [names[1], names[1].replace(/^[ab]\//, '')].some((name) => name !== '' && `/${path}`.endsWith(`/${name}`));
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
