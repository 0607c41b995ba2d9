#include "orchestrator/log/transcript.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <utility>

#include "orchestrator/json/json.h"
#include "process/clock.h"
#include "process/log.h"
#include "process/regular_file.h"

namespace reeve {

namespace {

constexpr size_t kLeastSecret = 8;

using Add = std::function<void(std::string)>;

bool IsAsciiLetterOrDigit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

std::string ReplaceAll(std::string_view text, std::string_view what, std::string_view by) {
  std::string replaced;
  for (size_t at = 0; (at = text.find(what)) != std::string_view::npos;
       text.remove_prefix(at + what.size())) {
    replaced.append(text.substr(0, at)).append(by);
  }
  return replaced.append(text);
}

std::string UnicodeEscape(uint32_t unit) {
  char escape[16];
  (void)std::snprintf(escape, sizeof escape, "\\u%04x", unit);
  return escape;
}

// UTF-8 with every character beyond ASCII as an escape of UTF-16, in pairs beyond U+FFFF.
std::string EscapeWide(std::string_view text) {
  std::string escaped;
  for (size_t at = 0; at < text.size();) {
    const auto first = static_cast<unsigned char>(text[at]);
    const size_t size = first < 0xC0 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    if (size == 1 || at + size > text.size()) {
      escaped += text[at++];
      continue;
    }
    uint32_t code = first & (0xFFU >> (size + 1));
    for (size_t i = 1; i < size; ++i) code = code << 6U | (static_cast<unsigned char>(text[at + i]) & 0x3FU);
    at += size;
    if (code > 0xFFFF) {
      escaped += UnicodeEscape(0xD800 + ((code - 0x10000) >> 10U));
      code = 0xDC00 + ((code - 0x10000) & 0x3FFU);
    }
    escaped += UnicodeEscape(code);
  }
  return escaped;
}

// Within a JSON string, as different libraries write it: with "/", characters beyond ASCII, or those of HTML
// escaped too.
void AddQuoted(std::string_view secret, const Add& add) {
  std::string quoted;
  AppendJsonString(quoted, secret);
  quoted = quoted.substr(1, quoted.size() - 2);
  add(quoted);
  add(ReplaceAll(quoted, "/", "\\/"));
  add(EscapeWide(quoted));
  std::string html = quoted;
  for (const char* c : {"<", ">", "&", "'"})
    html = ReplaceAll(html, c, UnicodeEscape(static_cast<unsigned char>(*c)));
  add(html);
}

// In a URL or a form.
void AddPercentEncoded(std::string_view secret, const Add& add) {
  for (const std::string_view plain : {"-_.~", "-_.~/", "-_.!~*'()"}) {
    for (const char* digits : {"0123456789ABCDEF", "0123456789abcdef"}) {
      std::string text;
      for (const char c : secret) {
        const auto byte = static_cast<unsigned char>(c);
        if (IsAsciiLetterOrDigit(c) || plain.find(c) != std::string_view::npos) {
          text += c;
        } else {
          text += {'%', digits[byte >> 4U], digits[byte & 15U]};
        }
      }
      add(ReplaceAll(text, "%20", "+"));
      add(std::move(text));
    }
  }
}

// Within Base64 of a longer text, in which the secret begins at any of the three places of a group of bytes.
// The characters at its ends that also depend on other bytes are not part of the form.
void AddBase64(std::string_view secret, const Add& add) {
  for (size_t before = 0; before < 3; ++before) {
    const std::string all = Base64(std::string(before, 'x') + std::string(secret));
    const size_t begin = (before * 8 + 5) / 6;
    std::string text = all.substr(begin, (before + secret.size()) * 8 / 6 - begin);
    add(ReplaceAll(ReplaceAll(text, "+", "-"), "/", "_"));
    add(std::move(text));
  }
}

// Each secret in the forms in which it may appear: unchanged, quoted, percent-encoded, in Base64, and for a
// secret of several lines each line by itself.
std::vector<std::string> FormsOf(const std::vector<std::string>& secrets) {
  std::vector<std::string> forms;
  auto add = [&forms](std::string_view secret) {
    if (secret.size() < kLeastSecret) return;
    const Add take = [&forms](std::string form) { forms.push_back(std::move(form)); };
    forms.emplace_back(secret);
    AddQuoted(secret, take);
    AddPercentEncoded(secret, take);
    AddBase64(secret, take);
  };
  for (std::string_view secret : secrets) {
    add(secret);
    while (secret.find('\n') != std::string_view::npos) {
      const size_t end = secret.find('\n');
      add(secret.substr(0, end));
      secret.remove_prefix(end + 1);
      if (secret.find('\n') == std::string_view::npos) add(secret);
    }
  }
  // The longer ones come first, because one secret may contain another.
  std::sort(forms.begin(), forms.end(), [](const std::string& a, const std::string& b) {
    return a.size() != b.size() ? a.size() > b.size() : a < b;
  });
  forms.erase(std::unique(forms.begin(), forms.end()), forms.end());
  return forms;
}

}  // namespace

Transcript::Transcript(const Clock& clock, const std::string& base, const std::vector<std::string>& secrets)
    : clock_(clock),
      path_(base + ".jsonl"),
      older_path_(base + ".1.jsonl"),
      given_(secrets),
      hidden_(secrets),
      secrets_(FormsOf(secrets)) {}

void Transcript::AddSecret(const std::string& secret) {
  if (std::find(hidden_.begin(), hidden_.end(), secret) != hidden_.end()) return;
  hidden_.push_back(secret);
  const auto oldest_added = hidden_.begin() + static_cast<std::ptrdiff_t>(given_.size());
  if (hidden_.size() > given_.size() + kMaxAdded) hidden_.erase(oldest_added);
  secrets_ = FormsOf(hidden_);
}

void Transcript::Restored() {
  // Includes the secrets that were replaced by newer ones meanwhile: the process may still have them.
  for (const std::string& secret : std::exchange(hidden_, given_)) AddSecret(secret);
}

std::vector<std::string> Transcript::Files(const std::string& base) {
  std::vector<std::string> files;
  for (const char* name : {".1.jsonl", ".jsonl"}) {
    if (access((base + name).c_str(), F_OK) == 0) files.push_back(base + name);
  }
  return files;
}

void Transcript::Remove(const std::string& base) {
  for (const std::string& file : Files(base)) (void)unlink(file.c_str());
}

void Transcript::Received(Child::Output from, std::string_view bytes) {
  const bool out = from == Child::Output::kStdout;
  TakeBytes(out ? "in" : "err", out ? out_ : err_, bytes);
}

void Transcript::TakeBytes(const char* dir, std::string& held, std::string_view bytes) {
  for (;;) {
    const size_t end = bytes.find('\n');
    held += bytes.substr(0, end);
    if (end != std::string_view::npos) {
      Write(dir, std::exchange(held, {}), false);
      bytes.remove_prefix(end + 1);
      continue;
    }
    // The written part must not end within a secret, so we keep back as many bytes as the longest secret has.
    const size_t kept = secrets_.empty() ? 0 : secrets_.front().size();
    if (held.size() <= kMaxLineBytes + kept) return;
    Hide(held);
    if (held.size() <= kept) return;
    const size_t cut = std::min(held.size() - kept, kMaxLineBytes);
    Write(dir, held.substr(0, cut), true);
    held.erase(0, cut);
    return;
  }
}

void Transcript::WritePart(const char* dir, std::string& held) {
  if (held.starts_with('{')) return;  // a message of a protocol stays whole
  Hide(held);
  size_t kept = 0;
  for (const std::string& secret : secrets_) {
    for (size_t size = std::min(held.size(), secret.size() - 1); size > kept; --size) {
      if (held.ends_with(std::string_view(secret).substr(0, size))) kept = size;
    }
  }
  if (held.size() == kept) return;
  Write(dir, held.substr(0, held.size() - kept), true);
  held.erase(0, held.size() - kept);
}

void Transcript::Sent(std::string_view bytes) {
  WritePart("in", out_);
  WritePart("err", err_);
  while (!bytes.empty()) {
    const size_t end = bytes.find('\n');
    Write("out", std::string(bytes.substr(0, end)), end == std::string_view::npos);
    bytes.remove_prefix(end == std::string_view::npos ? bytes.size() : end + 1);
  }
}

void Transcript::EndProcess() {
  if (!out_.empty()) Write("in", std::exchange(out_, {}), true);
  if (!err_.empty()) Write("err", std::exchange(err_, {}), true);
}

void Transcript::Hide(std::string& text) const {
  for (const std::string& secret : secrets_) {
    for (size_t at = text.find(secret); at != std::string::npos; at = text.find(secret, at + 3)) {
      text.replace(at, secret.size(), "***");
    }
  }
}

void Transcript::Write(const char* dir, std::string text, bool partial) {
  JsonObject line;
  line.Set("time", FormatTime(clock_.WallMs())).Set("dir", dir);
  Hide(text);
  if (IsUtf8(text)) {
    line.Set("text", text);
  } else {
    line.Set("text", Base64(text)).Set("encoding", "base64");
  }
  if (partial) line.Set("partial", true);
  std::string bytes = line.Take();
  bytes += '\n';

  if (file_.valid() && size_ + bytes.size() > kMaxFileBytes) {
    file_ = {};
    (void)std::rename(path_.c_str(), older_path_.c_str());
  }
  if (!file_.valid()) {
    if (auto file = OpenRegularFile(path_, O_WRONLY | O_CREAT | O_APPEND)) file_ = std::move(*file);
    struct stat there {};
    size_ = file_.valid() && fstat(file_.get(), &there) == 0 ? static_cast<uint64_t>(there.st_size) : 0;
  }
  // A full disk may have taken part of a line. That part becomes a line of its own, which readers skip.
  if (torn_) bytes.insert(0, "\n");
  const ssize_t written = file_.valid() ? write(file_.get(), bytes.data(), bytes.size()) : -1;
  if (written == static_cast<ssize_t>(bytes.size())) {
    size_ += bytes.size();
    failed_ = torn_ = false;
    return;
  }
  if (written > 0) torn_ = true;
  if (!std::exchange(failed_, true)) {
    log::Warning("{}: cannot write the transcript: {}", path_, OsError("write", errno).message);
  }
}

}  // namespace reeve
