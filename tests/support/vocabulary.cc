#include "tests/support/vocabulary.h"

#include <map>
#include <set>
#include <string_view>

#include "orchestrator/json/json.h"
#include "orchestrator/log/event_data.h"

namespace reeve {

namespace {

class Rules {
 public:
  std::string Take(const std::string& line) {
    const size_t space = line.find(' ');
    const std::string type = line.substr(0, space);
    if (type == ">") return TakeCall(line.substr(2));
    const std::string text = line.substr(space + 1);
    if (!ScanJsonObject(text)) return "no JSON object on one line";
    auto data = JsonDocument::Parse(text);
    if (!data) return "unreadable JSON";
    if (!HasItsShape(type, text)) return "members of wrong types";
    if (type == "usage.updated" && !IsUsage(*data)) return "usage beyond any bound";
    const size_t dot = type.find('.');
    const std::string family = type.substr(0, dot), act = type.substr(dot + 1);
    if (family == "assistant" || family == "reasoning") return TakeText(family, act, *data);
    if (family == "tool") return TakeTool(act, *data);
    if (type == "agent.output" && !(*data)["json"] && !(*data)["text"]) return "output without any";
    if (type == "agent.error" && (*data)["code"].StringOr("").empty()) return "an error without a code";
    if (type == "plan.updated" && !IsPlan((*data)["entries"])) return "a plan that is no list of objects";
    if (type == "file.edited" && (*data)["path"].StringOr("").empty()) return "an edit of nothing";
    return {};
  }
  std::string End() const { return Open("the process ended"); }

 private:
  static bool IsUsage(const JsonDocument& data) {
    for (const char* member : {"input_tokens", "output_tokens"}) {
      if (data[member] && data[member].AsInt() != CountIn(data[member])) return false;
    }
    return !data["cost_usd"] || data["cost_usd"].AsDouble() == CostIn(data["cost_usd"]);
  }
  std::string TakeCall(const std::string& call) {
    if (call == "ready" && std::exchange(ready_, true)) return "ready twice";
    if (call.substr(0, 5) == "turn " && call != "turn started") {
      std::string open = Open("the turn ended");
      tools_.clear();
      return open;
    }
    return {};
  }
  std::string TakeText(const std::string& family, const std::string& act, const JsonDocument& data) {
    const std::string id = family + " " + std::string(data["message_id"].StringOr(""));
    const std::string text(data["text"].StringOr(""));
    if (text.empty()) return "an empty text";
    if (act == "delta") {
      texts_[id] += text;
    } else {
      texts_.erase(id);
    }
    return {};
  }
  std::string TakeTool(const std::string& act, const JsonDocument& data) {
    const std::string id(data["call_id"].StringOr(""));
    auto tool = tools_.find(id);
    if (act == "started") {
      if (tool != tools_.end()) return "a call that started twice in a turn";
      if (!data["input"].Is(JsonType::kObject)) return "an input that is no object";
      tools_[id] = data["name"].Raw();
      return {};
    }
    if (tool == tools_.end()) return "a call that never started";
    if (tool->second.empty()) return "a call that had ended";
    if (act == "output") return data["output"].StringOr("").empty() ? "an empty output" : "";
    if (!data["output"].Is(JsonType::kString)) return "an end without an output";
    if (tool->second != data["name"].Raw()) return "a name that changed";
    tool->second.clear();
    return {};
  }
  std::string Open(const std::string& when) const {
    for (const auto& [id, text] : texts_) return when + " before the message " + id;
    for (const auto& [id, name] : tools_) {
      if (!name.empty()) return when + " before the call " + id;
    }
    return {};
  }

  bool ready_ = false;
  std::map<std::string, std::string> texts_;  // open
  std::map<std::string, std::string> tools_;  // of the turn; their name while open
};

}  // namespace

std::string BrokenRule(const std::vector<std::string>& lines) {
  Rules rules;
  for (const std::string& line : lines) {
    if (std::string broken = rules.Take(line); !broken.empty()) return broken + ": " + line.substr(0, 500);
  }
  return rules.End();
}

}  // namespace reeve
