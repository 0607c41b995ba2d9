#include "orchestrator/adapters/kind_catalog.h"

#include <sys/stat.h>

#include <cstdlib>
#include <utility>

#include "orchestrator/adapters/adapter.h"
#include "orchestrator/adapters/kind.h"
#include "orchestrator/json/json.h"
#include "process/loop.h"
#include "process/spawn.h"

namespace reeve {

namespace {

constexpr size_t kMaxOutput = 4096;

std::string PathOf(const Kind& kind) {
  const char* path = std::getenv("PATH");
  return kind.program && path ? FindProgram(kind.program, path) : std::string();
}

std::string StampOf(const std::string& path) {
  struct stat file {};
  if (stat(path.c_str(), &file) != 0) return {};
  return std::to_string(file.st_ino) + ":" + std::to_string(file.st_size) + ":" +
         std::to_string(file.st_mtim.tv_sec) + "." + std::to_string(file.st_mtim.tv_nsec);
}

std::string CanJson(const Kind::Can& can) {
  return JsonObject()
      .Set("turns", can.turns)
      .Set("interrupt", can.interrupt)
      .Set("steer", can.steer)
      .Set("approve", can.approve)
      .Set("change_input", can.change_input)
      .Set("elicit", can.elicit)
      .Set("resume", can.resume)
      .Set("model", can.model)
      .Set("list_models", can.list_models)
      .Set("system_prompt", can.system_prompt)
      .Set("mcp", can.mcp)
      .Take();
}

}  // namespace

std::string VersionIn(std::string_view output) {
  auto digit = [](char c) { return c >= '0' && c <= '9'; };
  auto word = [digit](char c) {
    return digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' || c == '+';
  };
  for (size_t at = 0; at < output.size(); ++at) {
    if (!digit(output[at]) || (at > 0 && word(output[at - 1]) && output[at - 1] != 'v')) continue;
    size_t end = at;
    while (end < output.size() && word(output[end])) ++end;
    const std::string_view version = output.substr(at, end - at);
    if (version.find('.') != std::string_view::npos && version.size() <= 64) return std::string(version);
  }
  return {};
}

KindCatalog::KindCatalog(Loop& loop, ProcessParent& parent, CgroupRoot* cgroups)
    : context_{loop, parent, cgroups} {}
KindCatalog::~KindCatalog() = default;

void KindCatalog::Describe(std::function<void(std::string)> done) {
  waiting_.push_back(std::move(done));
  if (waiting_.size() > 1) return;
  asking_ = 1;  // our own share, until we have looked at every program
  for (const Kind& kind : Kinds()) {
    if (std::string path = PathOf(kind); !path.empty()) Ask(path);
  }
  --asking_;
  if (asking_ > 0) return;
  for (auto& told : std::exchange(waiting_, {})) told(ToJson());
}

void KindCatalog::Ask(const std::string& path) {
  Program& program = programs_[path];
  const std::string stamp = StampOf(path);
  if (program.child || program.stamp == stamp) return;
  program.stamp = stamp;
  program.version.clear();
  program.output.clear();
  SpawnSpec spawn;
  spawn.argv = {path, "--version"};
  for (const char* name : {"PATH", "HOME", "TMPDIR", "LANG"}) {
    if (const char* value = std::getenv(name)) spawn.SetEnv(name, value, SpawnSpec::IfSet::kReplace);
  }
  const std::string marker = "REEVE_TREE=version-of/" + std::to_string(programs_.size());
  spawn.env.push_back(marker);
  auto child = Child::Start(context_, std::move(spawn), marker,
                            {[&program](Child::Output, std::string_view bytes) {
                               program.output.append(bytes.substr(0, kMaxOutput - program.output.size()));
                             },
                             [this, &program](const ExitStatus&) { Answered(program); }});
  if (!child) return;
  program.child = std::move(*child);
  program.deadline = std::make_unique<Timer>(context_.loop, [&program] { program.child->Stop(0); });
  program.deadline->Start(kAskMs);
  ++asking_;
}

void KindCatalog::Answered(Program& program) {
  program.version = VersionIn(program.output);
  program.deadline.reset();
  program.child.reset();
  if (--asking_ > 0) return;
  for (auto& told : std::exchange(waiting_, {})) told(ToJson());
}

std::string KindCatalog::ToJson() const {
  JsonArray kinds;
  for (const Kind& kind : Kinds()) {
    JsonObject json;
    json.Set("name", kind.name).SetRaw("can", CanJson(kind.can));
    JsonArray options;
    for (std::string_view option : kind.options) options.Add(option);
    json.SetRaw("options", options.Take());
    if (kind.program) {
      const std::string path = PathOf(kind);
      json.Set("program", kind.program).Set("found", !path.empty());
      if (path.empty()) {
        json.Set("install", kind.install);
      } else {
        json.Set("path", path);
        auto program = programs_.find(path);
        if (program != programs_.end() && !program->second.version.empty()) {
          json.Set("version", program->second.version);
        }
      }
    }
    kinds.AddRaw(json.Take());
  }
  return JsonObject().SetRaw("kinds", kinds.Take()).Take();
}

}  // namespace reeve
