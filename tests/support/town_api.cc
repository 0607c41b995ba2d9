#include "tests/support/town_api.h"

#include <gtest/gtest.h>

#include <utility>

#include "orchestrator/agent/agent.h"
#include "process/log.h"

namespace reeve {

TownApi::TownApi() {
  log::SetLevel(log::Level::kError);
  Open();
}

void TownApi::Restart() {
  api_.reset();
  pages_.reset();
  waits_.reset();
  exports_.reset();
  viewers_.reset();
  town_.reset();
  store_.reset();
  Open();
}

void TownApi::Open() {
  auto opened = Store::Open(loop_, dir_.path() + "/reeve.db");
  EXPECT_TRUE(opened.ok());
  store_ = std::move(*opened);
  Town::Options options;
  options.data_dir = dir_.path();
  town_ = std::make_unique<Town>(loop_, clock_, http_, *store_, reaper_, reaper_, nullptr, options);
  EXPECT_TRUE(town_->Load().ok());
  viewers_ = std::make_unique<Viewers>(loop_, *town_, tickets_, Viewers::Limits{});
  exports_ = std::make_unique<Exports>(loop_, *town_, *store_, Exports::Limits{});
  waits_ = std::make_unique<Waits>(loop_, *town_);
  pages_ = std::make_unique<EventPages>(loop_, *town_);
  tokens_ = std::make_unique<Tokens>(*Tokens::Load({"", "token-of-this-test", ""}));
  gate_ = std::make_unique<Gate>(*tokens_, Gate::Names{});
  alignas(std::max_align_t) static char no_daemon[1];
  api_ = std::make_unique<ApiContext>(ApiContext{loop_, clock_, *town_, kinds_, tickets_, *viewers_,
                                                 *exports_, *waits_, *pages_, *gate_,
                                                 reinterpret_cast<Daemon&>(no_daemon), ""});
}

TownApi::~TownApi() = default;

Agent& TownApi::MakeAgent(const std::string& spec, const std::string& connection) {
  const auto json = JsonDocument::Parse(spec);
  auto made = town_->Create(
      *AgentSpec::FromJson(json->root()), "", [](const Status&) {}, connection);
  EXPECT_TRUE(made.ok()) << made.error().message;
  EXPECT_TRUE(RunUntil(loop_, [&made] { return (*made)->has_process(); }));
  return **made;
}

}  // namespace reeve
