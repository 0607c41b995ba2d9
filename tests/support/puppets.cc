#include "tests/support/puppets.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <utility>

#include "orchestrator/adapters/adapter.h"
#include "orchestrator/store/store.h"

namespace reeve {

namespace {

class Puppet : public Adapter {
 public:
  explicit Puppet(AgentHost& its_host) : host(its_host) { present()[host.spec().id] = this; }
  ~Puppet() override { present().erase(host.spec().id); }

  Status Prepare(SpawnSpec& spawn) override {
    const char* script = "echo ready; exec sleep 600";
    const char* stubborn = "trap '' TERM; echo ready; exec sleep 600";
    spawn.argv = {"/bin/sh", "-c", IsStubborn() ? stubborn : script};
    return {};
  }
  void OnSpawned() override {}
  void OnOutput(Child::Output, std::string_view) override { host.OnReady(); }
  void OnExited() override {}
  Status Prompt(const std::string&) override { return {}; }
  void Interrupt() override {}
  bool PrepareStop() override { return !IsStubborn(); }

  // Those that live, by their agents' ids.
  static std::map<std::string, Puppet*>& present() {
    static std::map<std::string, Puppet*> puppets;
    return puppets;
  }
  AgentHost& host;

 private:
  [[nodiscard]] bool IsStubborn() const { return host.spec().labels.count("stubborn") != 0; }
};

const Kind* PuppetKind(std::string_view) {
  static const Kind kind = [] {
    Kind made;
    made.name = "puppet";
    made.can.turns = true;
    made.make = [](AgentHost& host, const std::string&) -> std::unique_ptr<Adapter> {
      return std::make_unique<Puppet>(host);
    };
    return made;
  }();
  return &kind;
}

}  // namespace

Puppets::Puppets(const Clock& clock, std::string events_dir) {
  auto opened = Store::Open(loop_, dir_.path() + "/reeve.db");
  EXPECT_TRUE(opened.ok());
  store_ = std::move(*opened);
  logs_ = std::make_unique<LogCommitter>(loop_, clock, agents_, true);
  const std::string data = dir_.path();
  context_ = std::make_unique<AgentContext>(AgentContext{
      .loop = loop_,
      .clock = clock,
      .http = http_,
      .store = *store_,
      .parent = reaper_,
      .events_dir = events_dir.empty() ? data + "/events" : std::move(events_dir),
      .transcripts_dir = data + "/transcripts",
      .private_dir = data + "/agents",
      .api = {},
      .server = "",
      .town_id = "puppets",
      .log_limits = {},
      .next_epoch = [this] { return ++epoch_; },
      .want_spawn =
          [this](Agent& agent) {
            loop_.Post([this, id = agent.id()] {
              if (auto found = agents_.find(id); found != agents_.end()) found->second->Spawn();
            });
          },
      .dirty = [this](Agent& agent) { logs_->MarkDirty(agent); },
      .discard = [](const std::string&) {},
      .find_kind = PuppetKind,
  });
  for (const std::string& folder : {context_->events_dir, context_->transcripts_dir, context_->private_dir}) {
    mkdir(folder.c_str(), 0700);
  }
  loop_.BeforeSleep([this] {
    logs_->Commit();
    return logs_->dirty();
  });
}

Puppets::~Puppets() = default;

Agent& Puppets::Make(const std::string& id, Nature nature) {
  AgentSpec spec;
  spec.id = id;
  spec.kind = "puppet";
  if (nature == Nature::kStubborn) spec.labels["stubborn"] = "";
  auto made =
      Agent::Create(*context_, std::move(spec), "", [](const Status& on_disk) { EXPECT_TRUE(on_disk.ok()); });
  EXPECT_TRUE(made.ok()) << made.error().message;
  Agent& agent = *agents_.emplace(id, std::move(*made)).first->second;
  EXPECT_TRUE(RunUntil(loop_, [&agent] { return agent.ready(); }));
  return agent;
}

void Puppets::BeginTurn(const std::string& id) { Puppet::present().at(id)->host.OnTurnStarted(); }
void Puppets::EndTurn(const std::string& id) { Puppet::present().at(id)->host.OnTurnEnded({}); }
void Puppets::Emit(const std::string& id, const std::string& data) {
  Puppet::present().at(id)->host.Emit("agent.output", data);
}

}  // namespace reeve
