#include "orchestrator/agent/spec_updates.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace reeve {
namespace {

using Names = std::vector<std::string>;

class SpecUpdatesTest : public testing::Test {
 protected:
  // A change that adds a letter to the title.
  static SpecUpdates::Change Add(const std::string& letter) {
    return [letter](const AgentSpec& present) -> Result<AgentSpec> {
      AgentSpec next = present;
      next.title += letter;
      return next;
    };
  }
  static SpecUpdates::Change Refuse() {
    return [](const AgentSpec&) -> Result<AgentSpec> { return Error{"invalid_request", "no"}; };
  }
  SpecUpdates::Done Note(const std::string& name, std::function<void()> then = {}) {
    return [this, name, then = std::move(then)](const Result<bool>& done) {
      told_.push_back(name + (done ? "" : " " + done.error().code));
      if (then) then();
    };
  }
  // The store answers the oldest save.
  void Answer(const Status& status) {
    ASSERT_FALSE(saves_.empty());
    auto save = std::move(saves_.front());
    saves_.erase(saves_.begin());
    save(status);
  }

  AgentSpec spec_;
  std::vector<std::function<void(Status)>> saves_;
  Names told_;
  std::unique_ptr<SpecUpdates> updates_ = std::make_unique<SpecUpdates>(SpecUpdates::Handlers{
      [this](const SpecUpdates::Change& change) { return change(spec_); },
      [this](std::function<void(Status)> done) { saves_.push_back(std::move(done)); },
      [this](const AgentSpec& spec, const SpecUpdates::Fields&, const std::string&) -> Result<bool> {
        spec_ = spec;
        return false;
      }});
};

TEST_F(SpecUpdatesTest, AChangeIsAppliedOnceItIsOnDisk) {
  updates_->Add(Add("a"), {"title"}, Note("a"));
  ASSERT_NE(updates_->writing(), nullptr);
  EXPECT_EQ(updates_->writing()->title, "a");
  EXPECT_EQ(spec_.title, "");
  Answer({});
  EXPECT_EQ(spec_.title, "a");
  EXPECT_EQ(told_, Names{"a"});
  EXPECT_EQ(updates_->writing(), nullptr);
  EXPECT_TRUE(updates_->empty());
}

TEST_F(SpecUpdatesTest, OverlappingChangesFollowEachOther) {
  updates_->Add(Add("a"), {"title"}, Note("a"));
  updates_->Add(Add("b"), {"title"}, Note("b"));
  updates_->Add(Refuse(), {"title"}, Note("c"));
  updates_->Add(Add("d"), {"title"}, Note("d"));
  EXPECT_EQ(saves_.size(), 1u);
  Answer(Error{"disk_full", "no room"});
  EXPECT_EQ(updates_->writing()->title, "b");
  Answer({});
  Answer({});
  EXPECT_EQ(told_, (Names{"a disk_full", "b", "c invalid_request", "d"}));
  EXPECT_EQ(spec_.title, "bd");
}

// A connection that has sent its next request already: its answer lets that one in at once.
TEST_F(SpecUpdatesTest, AChangeMayFollowFromTheAnswerToAnother) {
  updates_->Add(Add("a"), {"title"}, Note("a", [this] { updates_->Add(Add("b"), {"title"}, Note("b")); }));
  Answer({});
  EXPECT_EQ(saves_.size(), 1u) << "it is saved once";
  Answer({});
  EXPECT_EQ(spec_.title, "ab");
  updates_->Add(Refuse(), {"title"}, Note("c", [this] { updates_->Add(Add("d"), {"title"}, Note("d")); }));
  EXPECT_EQ(saves_.size(), 1u);
  Answer({});
  EXPECT_EQ(spec_.title, "abd");
  EXPECT_EQ(told_, (Names{"a", "b", "c invalid_request", "d"}));
  EXPECT_TRUE(saves_.empty());
}

TEST_F(SpecUpdatesTest, ChangesThatHaveNotEndedAreToldThatTheAgentIsGone) {
  updates_->Add(Add("a"), {"title"}, Note("a"));
  updates_->Add(Add("b"), {"title"}, Note("b"));
  updates_.reset();
  EXPECT_EQ(told_, (Names{"a agent_deleted", "b agent_deleted"}));
  Answer({});
  EXPECT_EQ(told_.size(), 2u);
}

}  // namespace
}  // namespace reeve
