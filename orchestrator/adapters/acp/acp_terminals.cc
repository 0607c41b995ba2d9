#include "orchestrator/adapters/acp/acp_terminals.h"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <utility>

#include "process/log.h"

namespace reeve {

namespace {

// The text as a shell would show it: invalid UTF-8 becomes U+FFFD, and it starts with a whole character.
std::string_view FromWholeCharacter(std::string_view text) {
  size_t at = 0;
  while (at < text.size() && at < 4 && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U) ++at;
  return text.substr(at);
}

}  // namespace

void AcpTerminals::Take(const std::string& id, std::string_view method, const JsonValue& params) {
  if (method == "terminal/create") return on_done_(id, Create(params));
  const std::string name(params["terminalId"].StringOr(""));
  auto found = terminals_.find(name);
  if (found == terminals_.end()) {
    return on_done_(id, Error{"not_found", "there is no terminal " + name.substr(0, 64)});
  }
  Terminal& terminal = found->second;
  if (method == "terminal/output") {
    JsonObject result;
    result.Set("output", terminal.truncated ? FromWholeCharacter(terminal.output) : terminal.output);
    result.Set("truncated", terminal.truncated);
    result.SetRaw("exitStatus", terminal.exit);
    on_done_(id, result.Take());
  } else if (method == "terminal/wait_for_exit") {
    if (!terminal.exit.empty()) return on_done_(id, terminal.exit);
    terminal.waiting.push_back(id);
  } else if (method == "terminal/kill") {
    if (terminal.child) terminal.child->Stop(0);
    on_done_(id, std::string("{}"));
  } else if (method == "terminal/release") {
    const auto gone = terminals_.extract(found);  // destroying it kills its command
    for (const std::string& waiting : gone.mapped().waiting) {
      on_done_(waiting, Error{"released", "the terminal was released"});
    }
    on_done_(id, std::string("{}"));
  } else {
    on_done_(id, Error{"not_supported", "reeve does not support this method"});
  }
}

Result<std::string> AcpTerminals::Create(const JsonValue& params) {
  const std::string command(params["command"].StringOr(""));
  if (command.empty()) return Error{"invalid_request", "command: must be a string that is not empty"};
  if (terminals_.size() >= kMax) {
    return Error{"too_many", std::to_string(kMax) + " terminals are open and not released yet"};
  }
  SpawnSpec spawn;
  spawn.argv.push_back(command);
  for (const JsonValue& argument : params["args"].Elements()) spawn.argv.emplace_back(argument.StringOr(""));
  spawn.cwd = params["cwd"].StringOr(cwd_);
  for (const JsonValue& variable : params["env"].Elements()) {
    const std::string name(variable["name"].StringOr(""));
    if (name.empty() || name.find('=') != std::string::npos || name.rfind("REEVE_", 0) == 0) continue;
    spawn.SetEnv(name, std::string(variable["value"].StringOr("")), SpawnSpec::IfSet::kReplace);
  }
  for (const std::string& word : spawn.argv) {
    if (word.find('\0') != std::string::npos)
      return Error{"invalid_request", "command: contains a NUL character"};
  }
  const std::string id = "term-" + std::to_string(made_ + 1);
  Terminal& terminal = terminals_[id];
  terminal.limit = static_cast<size_t>(
      std::clamp<int64_t>(params["outputByteLimit"].AsInt().value_or(kMaxOutput), 0, kMaxOutput));
  auto child = host_.SpawnHelper(std::move(spawn), HandlersOf(terminal));
  if (!child) {
    terminals_.erase(id);
    return child.error();
  }
  ++made_;
  terminal.child = std::move(*child);
  return JsonObject().Set("terminalId", id).Take();
}

Child::Handlers AcpTerminals::HandlersOf(Terminal& terminal) {
  return {[&terminal](Child::Output, std::string_view bytes) { Keep(terminal, bytes); },
          [this, &terminal](const ExitStatus& exit) { Ended(terminal, exit); }};
}

void AcpTerminals::Ended(Terminal& terminal, const ExitStatus& exit) {
  terminal.exit = ExitJson(exit);
  terminal.child.reset();
  for (const std::string& id : std::exchange(terminal.waiting, {})) on_done_(id, terminal.exit);
}

void AcpTerminals::Keep(Terminal& terminal, std::string_view bytes) {
  terminal.output += bytes;
  if (terminal.output.size() <= terminal.limit) return;
  terminal.output.erase(0, terminal.output.size() - terminal.limit);
  terminal.truncated = true;
}

std::string AcpTerminals::ExitJson(const ExitStatus& exit) {
  JsonObject json;
  if (exit.signal == 0) {
    json.Set("exitCode", exit.code).SetRaw("signal", "null");
  } else {
    const char* name = sigabbrev_np(exit.signal);
    json.SetRaw("exitCode", "null")
        .Set("signal", name ? "SIG" + std::string(name) : std::to_string(exit.signal));
  }
  return json.Take();
}

void AcpTerminals::Close() { terminals_.clear(); }

void AcpTerminals::Resume() {
  for (auto& [name, terminal] : terminals_) {
    if (!terminal.exit.empty()) continue;
    if (auto left = std::exchange(terminal.left, std::nullopt)) {
      auto child = host_.AdoptHelper(std::move(*left), HandlersOf(terminal));
      if (child) {
        terminal.child = std::move(*child);
        continue;
      }
      log::Warning("terminal {} of an earlier daemon was lost: {}", name, child.error().message);
    }
    Ended(terminal, {.signal = SIGKILL});  // so that no request waits for it
  }
}

}  // namespace reeve
