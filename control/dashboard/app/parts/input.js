// The input of a call in pieces for a person to read. Nothing is left out: a piece takes the members that it shows, and
// all others follow by name.

const kPaths = ['file_path', 'filePath', 'filepath', 'path'];
const kBefore = ['old_string', 'oldString', 'oldText'];
const kAfter = ['new_string', 'newString', 'newText'];
const kEditNothing = new Set(['bash', 'read', 'fetch', 'search', 'task']);

const isText = (value) => typeof value === 'string';
const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const textIn = (object, names) => names.find((name) => isText(object[name]));
const others = (object, used) => Object.entries(object).filter(([name]) => !used.includes(name));

// The pieces of a call's input, in the order in which they are shown:
// {kind: 'description' | 'command', text},
// {kind: 'edit', path, diff} with a unified diff, or {kind: 'edit', path, before, after} with two texts,
// {kind: 'named', values}, where `values` is [[name, value]].
export function piecesOf(tool, input) {
  if (input === undefined || input === null) return [];
  if (typeof input !== 'object') return [{ kind: 'command', text: String(input) }];
  if (Array.isArray(input)) return [{ kind: 'named', values: Object.entries(input) }];
  const { edits, used, rest } = (!kEditNothing.has(tool) && editsIn(tool, input)) || { edits: [], used: [], rest: [] };
  const pieces = [];
  for (const name of ['command', 'cmd']) {
    const text = commandText(input[name]);
    if (!text) continue;
    pieces.push({ kind: 'command', text });
    used.push(name);
  }
  if (pieces.length > 0 && isText(input.description)) {
    pieces.unshift({ kind: 'description', text: input.description });
    used.push('description');
  }
  pieces.push(...edits);
  const values = [...rest, ...others(input, used)];
  if (values.length > 0) pieces.push({ kind: 'named', values });
  return pieces;
}

// The edits of a call. Empty if it edits nothing, or nothing that is known.
export const editsOf = (tool, input) => piecesOf(tool, input).filter(({ kind }) => kind === 'edit');

function commandText(command) {
  if (Array.isArray(command) && command.every(isText)) return command.map(quoted).join(' ');
  return isText(command) ? command : undefined;
}

const quoted = (word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);

// The functions below return {edits, used, rest}, or nothing if they know no edit: `used` are the names of the members
// that the edits show, and `rest` is [[name, value]] of what they do not show within these members.

function editsIn(tool, input) {
  if (Array.isArray(input.changes)) return listed('changes', input.changes, changeIn);
  const edit = editIn(input);
  if (edit) return edit;
  const name = textIn(input, kPaths);
  const path = input[name];
  if (Array.isArray(input.edits)) {
    const found = listed('edits', input.edits, (one) => editIn(one, path));
    if (found?.edits.some((one) => one.path === path)) found.used.push(name);
    return found;
  }
  if (tool !== 'write' || !name || !isText(input.content)) return undefined;
  return { edits: [{ kind: 'edit', path, before: '', after: input.content }], used: [name, 'content'], rest: [] };
}

function listed(name, list, read) {
  const all = { edits: [], used: [name], rest: [] };
  list.forEach((one, i) => {
    const found = isObject(one) ? read(one) : undefined;
    if (!found) return all.rest.push([`${name}[${i}]`, one]);
    all.edits.push(...found.edits);
    all.rest.push(...others(one, found.used).map(([member, value]) => [`${name}[${i}].${member}`, value]));
  });
  return all.edits.length > 0 ? all : undefined;
}

// An edit with the members of the object. `outer` is the path of an object that names none.
function editIn(object, outer) {
  const name = textIn(object, kPaths);
  const path = name ? object[name] : outer;
  if (path === undefined) return undefined;
  if (isText(object.diff)) return { edits: [{ kind: 'edit', path, diff: object.diff }], used: [name, 'diff'], rest: [] };
  const before = textIn(object, kBefore);
  const after = textIn(object, kAfter);
  if (!before || !after) return undefined;
  return { edits: [{ kind: 'edit', path, before: object[before], after: object[after] }], used: [name, before, after], rest: [] };
}

// Codex gives the whole file in place of a diff if it is added or deleted.
function changeIn({ path, kind, diff }) {
  if (!isText(path) || !isText(diff)) return undefined;
  const used = ['path', 'diff'];
  if (isObject(kind) && ['add', 'delete', 'update'].includes(kind.type) && others(kind, ['type']).every(([, value]) => value === null)) used.push('kind');
  const texts = { add: { before: '', after: diff }, delete: { before: diff, after: '' } }[kind?.type] ?? { diff };
  return { edits: [{ kind: 'edit', path, ...texts }], used, rest: [] };
}
