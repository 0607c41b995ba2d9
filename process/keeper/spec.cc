#include "process/keeper/spec.h"

#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

namespace reeve::keeper {

namespace {

constexpr uint32_t kSpecVersion = 1;

// Numbers in the byte order of the machine; a text is its length and its bytes.
class SpecWriter {
 public:
  template <typename Number>
  void Put(Number number) {
    static_assert(std::is_arithmetic_v<Number>);
    bytes_.append(reinterpret_cast<const char*>(&number), sizeof number);
  }
  void Put(const std::string& text) {
    Put(static_cast<uint32_t>(text.size()));
    bytes_ += text;
  }
  void Put(const std::vector<std::string>& texts) {
    Put(static_cast<uint32_t>(texts.size()));
    for (const std::string& text : texts) Put(text);
  }
  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

// Reads the same. After the first failure all reads fail.
class SpecReader {
 public:
  explicit SpecReader(std::string_view bytes) : bytes_(bytes) {}

  template <typename Number>
  Number Get() {
    static_assert(std::is_arithmetic_v<Number>);
    Number number{};
    const std::string_view raw = Cut(sizeof number);
    if (raw.size() == sizeof number) std::memcpy(&number, raw.data(), sizeof number);
    return number;
  }
  bool Flag() {
    const auto number = Get<uint8_t>();
    if (number > 1) failed_ = true;
    return number == 1;
  }
  std::string Text() { return std::string(Cut(Get<uint32_t>())); }
  std::vector<std::string> Texts() {
    std::vector<std::string> texts;
    // Each text takes some bytes, so a wrong count fails soon.
    for (uint32_t left = Get<uint32_t>(); left > 0 && !failed_; --left) texts.push_back(Text());
    return texts;
  }
  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] bool done() const { return !failed_ && bytes_.empty(); }

 private:
  std::string_view Cut(size_t size) {
    if (failed_ || size > bytes_.size()) {
      failed_ = true;
      return {};
    }
    const std::string_view part = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return part;
  }

  std::string_view bytes_;
  bool failed_ = false;
};

}  // namespace

std::string EncodeSpec(const SpawnSpec& spec) {
  SpecWriter out;
  out.Put(kSpecVersion);
  out.Put(static_cast<uint8_t>(spec.die_with_parent));
  out.Put(static_cast<uint8_t>(spec.no_new_privs));
  out.Put(static_cast<uint8_t>(spec.max_open_files.has_value()));
  out.Put(static_cast<uint8_t>(spec.user.has_value()));
  out.Put(spec.argv);
  out.Put(spec.env);
  out.Put(spec.cwd);
  out.Put(spec.cgroup);
  if (spec.max_open_files) out.Put(*spec.max_open_files);
  if (spec.user) {
    out.Put(spec.user->uid);
    out.Put(spec.user->gid);
    out.Put(static_cast<uint32_t>(spec.user->groups.size()));
    for (const gid_t group : spec.user->groups) out.Put(group);
  }
  return out.Take();
}

std::optional<SpawnSpec> DecodeSpec(std::string_view bytes) {
  SpecReader in(bytes);
  if (in.Get<uint32_t>() != kSpecVersion) return {};
  SpawnSpec spec;
  spec.die_with_parent = in.Flag();
  spec.no_new_privs = in.Flag();
  const bool limited = in.Flag();
  const bool other_user = in.Flag();
  spec.argv = in.Texts();
  spec.env = in.Texts();
  spec.cwd = in.Text();
  spec.cgroup = in.Text();
  if (limited) spec.max_open_files = in.Get<uint64_t>();
  if (other_user) {
    spec.user.emplace();
    spec.user->uid = in.Get<uid_t>();
    spec.user->gid = in.Get<gid_t>();
    for (uint32_t left = in.Get<uint32_t>(); left > 0 && !in.failed(); --left)
      spec.user->groups.push_back(in.Get<gid_t>());
  }
  if (!in.done()) return {};
  return spec;
}

}  // namespace reeve::keeper
