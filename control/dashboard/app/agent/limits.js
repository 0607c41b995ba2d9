// How much of an agent's text is made into Markdown and coloured code, and how often. The parsers take quadratic time for
// some texts, and any agent can write them; such a text is shown as it is.

const kMarkdown = { text: 20 << 10, line: 2000, marks: 1500, depth: 12 };
const kCode = { text: 8 << 10, line: 500 };
export const kGrowMs = 150; // between two drawings of a text that grows

const hasLongLine = (text, most) => {
  for (let at = 0, end; at <= text.length; at = end + 1) {
    end = text.indexOf('\n', at);
    if (end < 0) end = text.length;
    if (end - at > most) return true;
  }
  return false;
};

export const mayHighlight = (text) => text.length <= kCode.text && !hasLongLine(text, kCode.line);

// `marks`: all characters that may begin emphasis, a link, code or HTML. `depth`: quotations and lists within each other.
export function mayFormat(text) {
  if (text.length > kMarkdown.text || hasLongLine(text, kMarkdown.line)) return false;
  let marks = 0;
  for (const char of text) if ('*_~`[]!<&\\|'.includes(char) && ++marks > kMarkdown.marks) return false;
  return text.split('\n').every((line) => {
    const [begin] = /^(?:[ \t]*(?:>|[-+*](?=[ \t]|$)|\d{1,9}[.)](?=[ \t]|$)))*/.exec(line);
    const indent = /^[ \t]*/.exec(line)[0].length;
    return begin.replace(/[ \t\d]/g, '').length + indent / 2 <= 2 * kMarkdown.depth;
  });
}

// Paces a text that grows: take() returns the text to draw now, and calls `later(ms)` if the newest one has to wait.
export class Pace {
  #now;
  #text;
  #at = -Infinity;

  constructor(now) {
    this.#now = now;
  }

  take(text, done, later) {
    const left = this.#at + kGrowMs - this.#now();
    if (this.#text !== undefined && this.#text !== text && !done && left > 0) {
      later(left);
      return this.#text;
    }
    if (this.#text !== text) this.#at = this.#now();
    return (this.#text = text);
  }
}
