#include "tests/support/rpc_recording.h"
#include "tests/support/paths.h"

#include <algorithm>
#include <fstream>
#include <random>

namespace reeve {

namespace {

std::vector<std::string> ReadLines(const std::string& path) {
  std::vector<std::string> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.empty()) lines.push_back(line);
  }
  return lines;
}

// The id of a call, of an answer; empty for what has none of it.
std::string CallId(const JsonDocument& message) {
  return message["method"] && message["id"] ? message["id"].Raw() : "";
}
std::string AnswerId(const JsonDocument& message) {
  return !message["method"] && message["id"] ? message["id"].Raw() : "";
}

}  // namespace

RpcRecording::RpcRecording(const std::string& name)
    : said_(ReadLines(std::string(kFixtures) + "/" + name + ".jsonl")),
      told_(ReadLines(std::string(kFixtures) + "/" + name + "-stdin.jsonl")) {}

void RpcRecording::Play(const std::function<void(std::string_view bytes)>& feed,
                        const std::function<void(const JsonValue& message)>& act, bool eager) const {
  std::vector<JsonDocument> told;
  for (const std::string& line : told_) told.push_back(std::move(*JsonDocument::Parse(line)));
  size_t next = 0;
  std::set<std::string> open;
  auto act_next = [&] {
    const JsonDocument& message = told[next++];
    if (const std::string id = CallId(message); !id.empty()) open.insert(id);
    act(message.root());
  };
  auto find = [&](auto id_of, const std::string& id) {
    return static_cast<size_t>(
        std::find_if(told.begin() + static_cast<std::ptrdiff_t>(next), told.end(),
                     [&](const JsonDocument& message) { return id_of(message) == id; }) -
        told.begin());
  };
  for (const std::string& line : said_) {
    auto message = JsonDocument::Parse(line);
    if (const std::string id = message ? AnswerId(*message) : ""; !id.empty()) {
      if (const size_t call = find(CallId, id); call < told.size()) {
        while (next <= call) act_next();
      }
      if (eager) {
        while (next < told.size() && CallId(told[next]).empty()) act_next();
      }
      open.erase(id);
    } else if (eager) {
      while (open.empty() && next < told.size()) act_next();
    }
    feed(line + "\n");
    if (const std::string id = message ? CallId(*message) : ""; !id.empty()) {
      if (const size_t answer = find(AnswerId, id); answer < told.size()) {
        while (next <= answer) act_next();
      }
    }
  }
}

void SayGarbled(const std::vector<std::string>& lines,
                const std::function<void(const std::string& line)>& say) {
  std::mt19937 random(1);
  for (int i = 0; i < 2'000; ++i) {
    std::string line = lines[random() % lines.size()];
    if (i % 5 == 0) line.resize(random() % (line.size() + 1));
    if (i % 7 == 0 && !line.empty()) line[random() % line.size()] = static_cast<char>(random());
    say(line);
  }
  say(std::string(size_t{20} << 20, 'x'));
}

}  // namespace reeve
