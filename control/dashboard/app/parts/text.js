// Text from agents, shown as it is: characters that a reader would not see, or that would change the order of others, become
// visible marks.

const kHidden = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu;

export function visible(text) {
  return String(text ?? '')
    .replaceAll('\r\n', '\n')
    .replace(kHidden, (c) => (c === '\x1b' ? '␛' : `⟨U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}⟩`));
}
