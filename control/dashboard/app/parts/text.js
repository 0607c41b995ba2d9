// Text from agents, shown as it is: characters that a reader would not see, or that would change the order of others, become
// visible marks.

// Marks that reorder text (Unicode Standard Annex 9), and others that nobody sees.
export const kInvisible = /[\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu;
const kControls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

const named = (c) => `⟨U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}⟩`;

export function visible(text) {
  return String(text ?? '')
    .replaceAll('\r\n', '\n')
    .replace(kInvisible, named)
    .replace(kControls, (c) => (c === '\x1b' ? '␛' : named(c)));
}
