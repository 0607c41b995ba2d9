// Markdown of agents as safe HTML: HTML in it is shown as text, and the result is sanitised as well. Nothing is fetched:
// images become links. Code is highlighted.

import DOMPurify from 'dompurify';
import hljs from 'highlight.js/lib/core';
import bash from 'highlight.js/lib/languages/bash';
import c from 'highlight.js/lib/languages/c';
import cpp from 'highlight.js/lib/languages/cpp';
import css from 'highlight.js/lib/languages/css';
import diff from 'highlight.js/lib/languages/diff';
import go from 'highlight.js/lib/languages/go';
import ini from 'highlight.js/lib/languages/ini';
import java from 'highlight.js/lib/languages/java';
import javascript from 'highlight.js/lib/languages/javascript';
import json from 'highlight.js/lib/languages/json';
import python from 'highlight.js/lib/languages/python';
import ruby from 'highlight.js/lib/languages/ruby';
import rust from 'highlight.js/lib/languages/rust';
import sql from 'highlight.js/lib/languages/sql';
import typescript from 'highlight.js/lib/languages/typescript';
import xml from 'highlight.js/lib/languages/xml';
import yaml from 'highlight.js/lib/languages/yaml';
import { Marked } from 'marked';

import { mayFormat, mayHighlight } from './limits.js';
import { plainText } from './text.js';

const languages = { bash, c, cpp, css, diff, go, ini, java, javascript, json, python, ruby, rust, sql, typescript, xml, yaml };
for (const [name, language] of Object.entries(languages)) hljs.registerLanguage(name, language);
hljs.registerAliases(['shell', 'console'], { languageName: 'bash' });

const kAllowed = {
  ALLOWED_TAGS: [
    'a', 'p', 'br', 'hr', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'ul', 'ol', 'li', 'blockquote', 'pre', 'code', 'em', 'strong', 'del',
    'table', 'thead', 'tbody', 'tr', 'th', 'td', 'span', 'input', 'div',
  ],
  ALLOWED_ATTR: ['href', 'class', 'start', 'type', 'checked', 'disabled', 'align', 'tabindex', 'rel', 'target', 'title'],
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
};

const escaped = (text) => text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);

// `coloured`: code is highlighted.
const parser = (coloured) => new Marked({
  gfm: true,
  renderer: {
    html: ({ text }) => escaped(text),
    image: ({ href, text }) => `<a href="${escaped(href)}">${escaped(text || href)}</a>`,
    code: ({ text, lang }) => `<pre tabindex="0"><code>${coloured ? highlighted(text, lang) : escaped(text)}</code></pre>`,
    table(token) {
      const cell = (tag) => (one) =>
        `<${tag}${one.align ? ` align="${one.align}"` : ''}>${this.parser.parseInline(one.tokens)}</${tag}>`;
      const rows = token.rows.map((row) => `<tr>${row.map(cell('td')).join('')}</tr>`).join('');
      return `<div class="table" tabindex="0"><table><thead><tr>${token.header.map(cell('th')).join('')}</tr></thead><tbody>${rows}</tbody></table></div>`;
    },
  },
});

// Links leave this page, and tell nothing about it.
DOMPurify.addHook('afterSanitizeAttributes', (node) => {
  if (node.tagName !== 'A') return;
  node.setAttribute('target', '_blank');
  node.setAttribute('rel', 'noopener noreferrer nofollow');
});

const growing = parser(false);
const whole = parser(true);

// Code as HTML. Without a known language, or if it is long, it is only escaped.
function highlighted(text, lang) {
  const name = (lang ?? '').trim().split(/[\s{]/)[0].toLowerCase();
  if (!name || !hljs.getLanguage(name) || !mayHighlight(text)) return escaped(text);
  return hljs.highlight(text, { language: name, ignoreIllegals: true }).value;
}

// A part of a message as HTML. While it grows (`done` is false) its code has no colours.
export function toHtml(text, done) {
  const shown = plainText(text);
  if (!mayFormat(shown)) return `<p class="as-written">${escaped(shown)}</p>`;
  try {
    return DOMPurify.sanitize((done ? whole : growing).parse(shown), kAllowed);
  } catch {
    return `<p class="as-written">${escaped(shown)}</p>`;
  }
}

// Cuts a text that grows into parts that each are Markdown by themselves: all but the last one stay as they are.
export function partsOf(text) {
  const parts = [];
  let begin = 0;
  let fence;
  let at = 0;
  for (const line of text.split('\n')) {
    const mark = /^ {0,3}(`{3,}|~{3,})/.exec(line)?.[1];
    if (mark && (!fence || (mark[0] === fence[0] && mark.length >= fence.length))) fence = fence ? undefined : mark;
    at += line.length + 1;
    // A list or a quotation may continue behind an empty line, so a part begins only with other text.
    if (!fence && line.trim() === '' && at < text.length && /^[^\s\d*+>-]/.test(text.slice(at, at + 1))) {
      parts.push(text.slice(begin, at));
      begin = at;
    }
  }
  parts.push(text.slice(begin));
  return parts;
}
