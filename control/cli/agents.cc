#include "control/cli/agents.h"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <optional>
#include <utility>

#include "orchestrator/json.h"
#include "orchestrator/units.h"

namespace reeve {

namespace {

// The body of a message; the daemon's limit is about that too.
constexpr size_t kMaxMessageBytes = size_t{1} << 20;

int Fail(const AgentsOptions& options, int code, const std::string& about, const std::string& message) {
  const char* group = options.command == "drain" ? "" : "agents ";
  std::fprintf(stderr, "reeve: %s%s: %s%s%s\n", group, options.command.c_str(), about.c_str(),
               about.empty() ? "" : ": ", message.c_str());
  return code;
}

// What agents chose themselves (titles, reasons) must not command a terminal.
std::string Plain(std::string_view text) {
  std::string plain(text);
  for (char& c : plain) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return plain;
}

std::string AgentPath(const std::string& id) { return "/agents/" + PercentEncode(id); }

// Asks, and hands what was answered with 2xx to `good`; else says why not.
int Ask(const AgentsOptions& options, const Client& client, HttpRequest request, const std::string& about,
        const std::function<int(const HttpResponse&)>& good) {
  auto answer = client.Call(std::move(request));
  if (!answer) return Fail(options, kUnreachable, about, answer.error().message);
  if (answer->status / 100 != 2) {
    return Fail(options, Client::CodeFor(*answer), about, Client::Detail(*answer));
  }
  return good(*answer);
}

std::string Words(const JsonValue& value) {
  return Plain(value.AsString() ? *value.AsString() : value.Raw());
}

// ----------------------------------------------------------------------------------------------- list,
// status

void PrintTable(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths(rows.front().size());
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] + 2 - row[i].size(), ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    std::printf("%s\n", line.c_str());
  }
}

int List(const AgentsOptions& options, const Client& client) {
  std::string query = "/agents?limit=1000";
  if (!options.state.empty()) query += "&state=" + PercentEncode(options.state);
  if (!options.label.empty()) {
    const size_t equals = options.label.find('=');
    if (equals == std::string::npos) return Fail(options, kUsage, "--label", "key=value");
    query +=
        "&label=" + PercentEncode(options.label.substr(0, equals) + ":" + options.label.substr(equals + 1));
  }
  std::vector<std::vector<std::string>> rows = {{"ID", "STATE", "KIND", "QUEUE", "LAST EVENT", "TITLE"}};
  std::string page_token;
  do {
    HttpRequest request =
        client.Request("GET", query + (page_token.empty() ? "" : "&page_token=" + PercentEncode(page_token)));
    const int code = Ask(options, client, std::move(request), "", [&](const HttpResponse& answer) {
      auto page = JsonDocument::Parse(answer.body);
      if (!page) return Fail(options, kFailed, "", "the server's answer is not JSON");
      page_token = (*page)["next_page_token"].StringOr("");
      for (const JsonValue& agent : (*page)["agents"].Elements()) {
        if (options.json) {
          std::printf("%s\n", agent.Raw().c_str());
          continue;
        }
        rows.push_back({Words(agent["id"]), Words(agent["state"]), Words(agent["kind"]),
                        Words(agent["queue_depth"]), Plain(agent["last_event_at"].StringOr("")),
                        Plain(agent["title"].StringOr(""))});
      }
      return static_cast<int>(kOk);
    });
    if (code != kOk) return code;
  } while (!page_token.empty());
  if (!options.json && rows.size() > 1) PrintTable(rows);
  return kOk;
}

int ShowStatus(const AgentsOptions& options, const Client& client, const std::string& id) {
  return Ask(options, client, client.Request("GET", AgentPath(id)), id, [&](const HttpResponse& answer) {
    if (options.json) {
      std::printf("%s\n", answer.body.c_str());
      return static_cast<int>(kOk);
    }
    auto agent = JsonDocument::Parse(answer.body);
    if (!agent) return Fail(options, kFailed, id, "the server's answer is not JSON");
    std::vector<std::vector<std::string>> rows;
    for (const char* field : {"id",       "title", "kind",        "state",        "reason",
                              "pid",      "run",   "queue_depth", "queue_paused", "pending_approvals",
                              "restarts", "exit",  "started_at",  "exited_at",    "last_event_at",
                              "cursor",   "usage", "cwd",         "model",        "labels"}) {
      const JsonValue value = (*agent)[field];
      if (!value || value.Is(JsonType::kNull) || Words(value).empty() || Words(value) == "{}") continue;
      rows.push_back({field, Words(value)});
    }
    if (!rows.empty()) PrintTable(rows);
    return static_cast<int>(kOk);
  });
}

// -------------------------------------------------------------------------------------------------------
// wake

// All of stdin; nothing when it is more than a message may hold.
std::optional<std::string> ReadInput() {
  std::string text;
  char piece[65536];
  while (const size_t got = std::fread(piece, 1, sizeof piece, stdin)) {
    text.append(piece, got);
    if (text.size() > kMaxMessageBytes) return std::nullopt;
  }
  return text;
}

int Wake(const AgentsOptions& options, const Client& client, const std::string& id) {
  std::string text = options.message;
  if (text == "-") {
    auto input = ReadInput();
    if (!input) return Fail(options, kUsage, "--message", "more than 1 MiB on stdin");
    text = std::move(*input);
  }
  if (text.empty()) return Fail(options, kUsage, "--message", "it is empty");
  JsonObject body;
  body.Set("text", text);
  if (options.steer) body.Set("mode", "steer");
  if (!options.delay.empty()) {
    auto delay = ParseDuration(options.delay);
    if (!delay) return Fail(options, kUsage, "--delay", delay.error().message);
    body.Set("delay_ms", *delay);
  }
  if (!options.at.empty()) body.Set("run_at", options.at);
  HttpRequest request = client.Request("POST", AgentPath(id) + "/message", body.Take());
  if (!options.dedupe_key.empty()) request.headers.emplace_back("Idempotency-Key", options.dedupe_key);
  return Ask(options, client, std::move(request), id, [&](const HttpResponse& answer) {
    auto accepted = JsonDocument::Parse(answer.body);
    if (!accepted) return Fail(options, kFailed, id, "the server's answer is not JSON");
    std::printf("%s\n", options.json ? answer.body.c_str() : Words((*accepted)["message_id"]).c_str());
    return static_cast<int>(kOk);
  });
}

// ---------------------------------------------------------------------------- start, stop, restart,
// interrupt, rm

int Order(const AgentsOptions& options, const Client& client, const std::string& id) {
  HttpRequest request;
  if (options.command == "rm") {
    request = client.Request("DELETE", AgentPath(id) + (options.purge ? "?purge=true" : ""));
  } else {
    JsonObject body;
    if (!options.grace.empty()) {
      auto grace = ParseDuration(options.grace);
      if (!grace) return Fail(options, kUsage, "--grace", grace.error().message);
      body.Set("grace_ms", *grace);
    }
    request = client.Request("POST", AgentPath(id) + "/" + options.command, body.Take());
  }
  return Ask(options, client, std::move(request), id, [&](const HttpResponse& answer) {
    if (!options.json) {
      std::printf("%s\n", id.c_str());
    } else if (answer.body.empty()) {
      std::printf("%s\n", JsonObject().Set("id", id).Take().c_str());
    } else {
      std::printf("%s\n", answer.body.c_str());
    }
    return static_cast<int>(kOk);
  });
}

int Drain(const AgentsOptions& options, const Client& client) {
  JsonObject body;
  if (!options.timeout.empty()) {
    auto timeout = ParseDuration(options.timeout);
    if (!timeout) return Fail(options, kUsage, "--timeout", timeout.error().message);
    body.Set("timeout_ms", *timeout);
  }
  return Ask(options, client, client.Request("POST", "/drain", body.Take()), "",
             [](const HttpResponse&) { return static_cast<int>(kOk); });
}

}  // namespace

int RunAgents(const AgentsOptions& options) {
  auto client = Client::Find(options.client);
  if (!client) {
    return Fail(options, client.error().code == "unauthorized" ? kRefused : kUsage, "",
                client.error().message);
  }
  if (options.command == "list") return List(options, *client);
  if (options.command == "drain") return Drain(options, *client);
  int code = kOk;
  for (const std::string& id : options.ids) {
    const int one = options.command == "status" ? ShowStatus(options, *client, id)
                    : options.command == "wake" ? Wake(options, *client, id)
                                                : Order(options, *client, id);
    if (code == kOk) code = one;
  }
  return code;
}

}  // namespace reeve
