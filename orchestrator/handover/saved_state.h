// The members of an object that the next daemon gets, which may be another binary, as JSON. One function of
// the object's class lists them, for writing and for reading, so that no member can be written and then not
// read:
//
//   static void Members(auto& self, auto& state) {
//     state("id", self.id_);
//     state.Json("input", self.input_);  // a string that holds JSON
//   }
//
// Members is a template and needs no include, so a class in process/ or tickets/ can have one too. If other
// members of a class follow from these, the class has `void Restored()`, which RestoreState calls after
// reading.
//
// Missing members keep their defaults; unknown ones are ignored. A member of another type is an Error
// "handover_state" that names its path; an object into which reading failed must not be used. Whole numbers
// are clamped to kMaxWhole, so that a child that counts too far cannot block an upgrade; Number carries all
// 64 bits.
//
// A member may be a bool, a number, a string of UTF-8, an Error, a type with ToString and Parse (written as
// that string), a Timer (written as the monotonic time at which it fires next, or null), a type with Members,
// and an optional, a unique_ptr, a pair, an array, a vector, a set or a map of these. A map's keys are
// strings or whole numbers.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "orchestrator/json/json.h"

namespace reeve {

namespace saved_state {

template <typename T>
concept Optional = requires(T& value) {
  value.has_value();
};
template <typename T>
concept Map = requires {
  typename T::mapped_type;
};
template <typename T>
concept NamedMap = Map<T> && !std::integral<typename T::key_type>;
template <typename T>
concept List = requires(T& value) {
  value.insert(value.end(), *value.begin());
}
&&!Map<T>;
template <typename T>
concept Pair = requires {
  typename T::first_type;
};
template <typename T>
concept Array = requires {
  std::tuple_size<T>::value;
  typename T::value_type;
};
template <typename T>
concept StringList = std::same_as<typename T::value_type, std::string>;
template <typename T>
concept Owner = requires {
  typename T::element_type;
  typename T::deleter_type;
};
template <typename T>
concept Textual = requires(const T& value, std::string_view text) {
  { value.ToString() } -> std::same_as<std::string>;
  { T::Parse(text) } -> std::same_as<std::optional<T>>;
};
template <typename T>
concept Timer = requires(T& timer, int64_t at_ms) {
  { timer.due_ms() } -> std::same_as<std::optional<int64_t>>;
  timer.StartAt(at_ms);
  timer.Stop();
};

// No real count comes near these limits, so arithmetic on a number that was read cannot overflow.
inline constexpr int64_t kMaxWhole = int64_t{1} << 53;
inline constexpr int64_t kMaxInt = 1'000'000'000;

}  // namespace saved_state

class StateWriter {
 public:
  template <typename T>
  void operator()(std::string_view name, const T& value) {
    object_.SetRaw(name, Text(value));
  }
  void Json(std::string_view name, const std::string& json) { object_.Set(name, json); }
  // Writes JSON that the reader takes from the object itself.
  void Raw(std::string_view name, const std::string& json) { object_.SetRaw(name, json); }
  // A value with its own JSON form, T::ToJson and T::FromJson; an empty one is left out.
  template <typename T>
  void Value(std::string_view name, const std::optional<T>& value) {
    if (value) object_.SetRaw(name, value->ToJson());
  }
  // Writes all 64 bits as decimal text, because JSON numbers beyond 2^53 are not safe (RFC 8259 section 6).
  void Number(std::string_view name, uint64_t value) { object_.Set(name, std::to_string(value)); }
  // Writes any bytes as Base64: one string or a list of them.
  void Bytes(std::string_view name, const std::string& bytes) { object_.Set(name, Base64(bytes)); }
  template <saved_state::StringList T>
  void Bytes(std::string_view name, const T& list) {
    JsonArray array;
    for (const std::string& bytes : list) array.Add(Base64(bytes));
    object_.SetRaw(name, array.Take());
  }
  // A process. Writing saves `child` (Child::Save) if there is one; reading fills `left`, from which
  // Child::Adopt makes the child.
  template <typename Process, typename State>
  void Child(std::string_view name, const std::unique_ptr<Process>& child, const std::optional<State>& left) {
    (void)left;
    if (child) (*this)(name, child->Save());
  }
  // `names` are indexed by the values of the enumeration, from 0.
  template <typename E, size_t N>
  void Enum(std::string_view name, E value, const char* const (&names)[N]) {
    object_.Set(name, names[static_cast<size_t>(value)]);
  }
  // A condition that must hold after reading.
  void Check(std::string_view name, bool good) { (void)name, (void)good; }
  [[nodiscard]] std::string Take() { return object_.Take(); }

 private:
  template <typename T>
  std::string Text(const T& value);

  JsonObject object_;
};

class StateReader {
 public:
  // Valid as long as the document of `object`.
  explicit StateReader(const JsonValue& object) : object_(object) {
    if (!object.Is(JsonType::kObject)) status_ = Wrong("not an object");
  }

  template <typename T>
  void operator()(std::string_view name, T& into) {
    if (const JsonValue value = object_[name]; value && status_.ok()) status_ = In(name, Read(value, into));
  }
  void Json(std::string_view name, std::string& into);
  template <typename T>
  void Value(std::string_view name, std::optional<T>& into) {
    const JsonValue value = object_[name];
    if (!value || !status_.ok()) return;
    if (auto read = T::FromJson(value)) {
      into = std::move(*read);
    } else {
      status_ = In(name, Wrong("unreadable"));
    }
  }
  void Number(std::string_view name, uint64_t& into);
  void Bytes(std::string_view name, std::string& into);
  template <saved_state::StringList T>
  void Bytes(std::string_view name, T& into) {
    std::vector<std::string> list;
    ReadBytes(name, list);
    if (object_[name] && status_.ok()) into.assign(list.begin(), list.end());
  }
  template <typename Process, typename State>
  void Child(std::string_view name, const std::unique_ptr<Process>& child, std::optional<State>& left) {
    (void)child;
    (*this)(name, left);
  }
  template <typename E, size_t N>
  void Enum(std::string_view name, E& into, const char* const (&names)[N]) {
    std::string word;
    (*this)(name, word);
    if (!object_[name] || !status_.ok()) return;
    for (size_t i = 0; i < N; ++i) {
      if (word == names[i]) return void(into = static_cast<E>(i));
    }
    Check(name, false);
  }
  void Check(std::string_view name, bool good) {
    if (!good && status_.ok()) status_ = In(name, Wrong("out of bounds"));
  }
  [[nodiscard]] const Status& status() const { return status_; }

 private:
  void ReadBytes(std::string_view name, std::vector<std::string>& into);
  template <typename T>
  static Status Read(const JsonValue& value, T& into);
  static Error Wrong(const char* how) { return {"handover_state", how}; }
  static Status In(std::string_view name, Status status);

  const JsonValue object_;
  Status status_;
};

template <typename T>
std::string SaveState(const T& object) {
  StateWriter state;
  T::Members(object, state);
  return state.Take();
}
template <typename T>
Status RestoreState(const JsonValue& from, T& object) {
  StateReader state(from);
  T::Members(object, state);
  if constexpr (requires { object.Restored(); }) {
    if (state.status().ok()) object.Restored();
  }
  return state.status();
}

// --- how each type is written and read

template <typename T>
std::string StateWriter::Text(const T& value) {
  std::string text;
  if constexpr (std::same_as<T, bool>) {
    text = value ? "true" : "false";
  } else if constexpr (std::integral<T>) {
    text = std::to_string(value);
  } else if constexpr (std::same_as<T, double>) {
    text = JsonObject().Set("", value).Take();
    text = text.substr(4, text.size() - 5);  // {"":…}
  } else if constexpr (std::same_as<T, std::string>) {
    AppendJsonString(text, value);
  } else if constexpr (std::same_as<T, Error>) {
    text = JsonObject().Set("code", value.code).Set("message", value.message).Take();
  } else if constexpr (saved_state::Textual<T>) {
    AppendJsonString(text, value.ToString());
  } else if constexpr (saved_state::Timer<T>) {
    text = Text(value.due_ms());
  } else if constexpr (saved_state::Optional<T> || saved_state::Owner<T>) {
    text = value ? Text(*value) : "null";
  } else if constexpr (saved_state::Pair<T>) {
    text = "[" + Text(value.first) + "," + Text(value.second) + "]";
  } else if constexpr (saved_state::NamedMap<T>) {
    JsonObject object;
    for (const auto& [key, mapped] : value) object.SetRaw(key, Text(mapped));
    text = object.Take();
  } else if constexpr (saved_state::Map<T> || saved_state::List<T> || saved_state::Array<T>) {
    JsonArray list;
    for (const auto& element : value) list.AddRaw(Text(element));
    text = list.Take();
  } else {
    StateWriter inner;
    T::Members(value, inner);
    text = inner.Take();
  }
  return text;
}

template <typename T>
Status StateReader::Read(const JsonValue& value, T& into) {
  if constexpr (std::same_as<T, bool>) {
    if (!value.AsBool()) return Wrong("not true or false");
    into = *value.AsBool();
  } else if constexpr (std::integral<T>) {
    constexpr int64_t kMost = sizeof(T) < sizeof(int64_t) ? saved_state::kMaxInt : saved_state::kMaxWhole;
    const auto whole = value.AsInt();
    if (!whole) return Wrong("not a whole number");
    into = static_cast<T>(std::clamp(*whole, std::unsigned_integral<T> ? 0 : -kMost, kMost));
  } else if constexpr (std::same_as<T, double>) {
    if (value.Is(JsonType::kNull)) return {};  // infinite
    if (!value.AsDouble()) return Wrong("not a number");
    into = *value.AsDouble();
  } else if constexpr (std::same_as<T, std::string>) {
    if (!value.AsString()) return Wrong("not a string");
    into = *value.AsString();
  } else if constexpr (std::same_as<T, Error>) {
    if (Status code = In("code", Read(value["code"], into.code)); !code) return code;
    return In("message", Read(value["message"], into.message));
  } else if constexpr (saved_state::Textual<T>) {
    if (!value.AsString()) return Wrong("not a string");
    auto read = T::Parse(*value.AsString());
    if (!read) return Wrong("unreadable");
    into = std::move(*read);
  } else if constexpr (saved_state::Timer<T>) {
    std::optional<int64_t> due_ms;
    if (Status read = Read(value, due_ms); !read) return read;
    if (due_ms) {
      into.StartAt(*due_ms);
    } else {
      into.Stop();
    }
  } else if constexpr (saved_state::Optional<T>) {
    into.reset();
    if (value.Is(JsonType::kNull)) return {};
    typename T::value_type read;
    if (Status one = Read(value, read); !one) return one;
    into = std::move(read);
  } else if constexpr (saved_state::Owner<T>) {
    using Owned = typename T::element_type;
    if (value.Is(JsonType::kNull)) {
      into.reset();
      return {};
    }
    if constexpr (std::default_initializable<Owned>) into = std::make_unique<Owned>();
    if (!into) return Wrong("not expected");  // the owner should have made it, and did not
    return Read(value, *into);
  } else if constexpr (saved_state::Pair<T>) {
    if (value.size() != 2 || !value.Is(JsonType::kArray)) return Wrong("not a pair");
    if (Status first = In("0", Read(value.At(0), into.first)); !first) return first;
    return In("1", Read(value.At(1), into.second));
  } else if constexpr (saved_state::Array<T>) {
    if (value.size() != into.size() || !value.Is(JsonType::kArray)) return Wrong("not an array of its size");
    for (size_t i = 0; i < into.size(); ++i) {
      if (Status one = In(std::to_string(i), Read(value.At(i), into[i])); !one) return one;
    }
  } else if constexpr (saved_state::NamedMap<T>) {
    if (!value.Is(JsonType::kObject)) return Wrong("not an object");
    into.clear();
    for (const auto& [key, mapped] : value.Members()) {
      if (Status one = In(key, Read(mapped, into[std::string(key)])); !one) return one;
    }
  } else if constexpr (saved_state::Map<T> || saved_state::List<T>) {
    if (!value.Is(JsonType::kArray)) return Wrong("not an array");
    into.clear();
    size_t at = 0;
    for (const JsonValue& element : value.Elements()) {
      if constexpr (saved_state::Map<T>) {
        std::pair<typename T::key_type, typename T::mapped_type> read;
        if (Status one = In(std::to_string(at++), Read(element, read)); !one) return one;
        into.insert(std::move(read));
      } else {
        typename T::value_type read;
        if (Status one = In(std::to_string(at++), Read(element, read)); !one) return one;
        into.insert(into.end(), std::move(read));
      }
    }
  } else {
    return RestoreState(value, into);
  }
  return {};
}

}  // namespace reeve
