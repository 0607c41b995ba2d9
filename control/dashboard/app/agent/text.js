// Text from agents, made safe to look at: escape sequences become colours or nothing, marks that change the direction of
// text become visible, and huge lines are cut. Nothing here makes HTML.

import { kInvisible } from '../parts/text.js';

export const kLongLine = 2000; // characters of a line that are shown without asking

// eslint-disable-next-line no-control-regex
const kControls = /[\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F]/g;

// Text without marks that could make it look like another text.
export function plainText(text) {
  return String(text)
    .replace(kInvisible, (mark) => `⟪U+${mark.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}⟫`)
    .replace(/\r\n?/g, '\n')
    .replace(kControls, (code) => (code < ' ' ? String.fromCharCode(0x2400 + code.charCodeAt(0)) : '␡'));
}

// A line that overwrites itself (a progress bar), as a terminal shows it in the end.
function overwritten(line) {
  const end = line.replace(/\r+$/, '');
  return end.slice(end.lastIndexOf('\r') + 1);
}

// ECMA-48: CSI, OSC and other strings, and short sequences. An unfinished one at the end is dropped as well.
// eslint-disable-next-line no-control-regex
const kSequence = /\u001B(?:\[([0-?]*)[ -/]*([@-~]?)|[\]PX^_][^\u0007\u001B]*(?:\u0007|\u001B\\|$)|[ -/]*[0-~]?)/g;

// One line as [{text, style?}]; `style` has some of fg and bg (0 to 15, or "#rrggbb"), bold, dim, italic, underline,
// strike, inverse. `before` is the style at its beginning. Returns {parts, style}.
export function ansiLine(line, before = {}) {
  const parts = [];
  let style = before;
  let at = 0;
  const add = (text) => {
    if (text !== '') parts.push(Object.keys(style).length > 0 ? { text: plainText(text), style } : { text: plainText(text) });
  };
  const shown = overwritten(line);
  for (const match of shown.matchAll(kSequence)) {
    add(shown.slice(at, match.index));
    at = match.index + match[0].length;
    if (match[2] === 'm') style = restyled(style, match[1]);
  }
  add(shown.slice(at));
  return { parts, style };
}

const kFlags = { 1: 'bold', 2: 'dim', 3: 'italic', 4: 'underline', 7: 'inverse', 9: 'strike' };
const kEnds = { 22: ['bold', 'dim'], 23: ['italic'], 24: ['underline'], 27: ['inverse'], 29: ['strike'], 39: ['fg'], 49: ['bg'] };

function restyled(before, parameters) {
  let style = { ...before };
  const codes = parameters.split(/[;:]/).map(Number);
  for (let i = 0; i < codes.length; ++i) {
    const code = codes[i];
    if (code === 0) style = {};
    else if (kFlags[code]) style[kFlags[code]] = true;
    else if (kEnds[code]) for (const name of kEnds[code]) delete style[name];
    else if (code >= 30 && code <= 37) style.fg = code - 30;
    else if (code >= 40 && code <= 47) style.bg = code - 40;
    else if (code >= 90 && code <= 97) style.fg = code - 82;
    else if (code >= 100 && code <= 107) style.bg = code - 92;
    else if (code === 38 || code === 48) {
      const name = code === 38 ? 'fg' : 'bg';
      if (codes[i + 1] === 5) {
        style[name] = indexed(codes[i + 2]);
        i += 2;
      } else if (codes[i + 1] === 2) {
        style[name] = hex(codes.slice(i + 2, i + 5));
        i += 4;
      }
    }
  }
  return style;
}

function hex(levels) {
  return `#${levels.map((level) => Math.min(255, level || 0).toString(16).padStart(2, '0')).join('')}`;
}

// The 256 colours of xterm.
function indexed(n) {
  if (!(n >= 0 && n <= 255)) return undefined;
  if (n < 16) return n;
  if (n >= 232) return hex([n, n, n].map((grey) => 8 + (grey - 232) * 10));
  const level = (part) => (part === 0 ? 0 : 55 + part * 40);
  return hex([level(Math.floor((n - 16) / 36)), level(Math.floor((n - 16) / 6) % 6), level((n - 16) % 6)]);
}

// The lines of a text, each {parts, more}: `more` is how many characters of it are cut off.
export function ansiLines(text, cut = kLongLine) {
  let style = {};
  return text.split('\n').map((line) => {
    const shown = line.length > cut ? line.slice(0, cut) : line;
    const drawn = ansiLine(shown, style);
    style = drawn.style;
    return { parts: drawn.parts, more: line.length - shown.length };
  });
}
