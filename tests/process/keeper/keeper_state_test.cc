#include "process/keeper/keeper_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "process/spawn.h"
#include "tests/process/processes.h"
#include "tests/support/paths.h"

namespace reeve::keeper {
namespace {

KeeperState Example() {
  KeeperState state;
  state.restarts = 4;
  state.last_code = -1;
  state.last_signal = 9;
  state.delay_level = 2;
  state.stop_signal = 15;
  state.was_ready = true;
  state.orphan_at_ms = 123;
  state.soft_limit = 1024;
  state.next_key = 105;
  state.fds = {{3, 10}, {100, 11}, {104, 12}};
  state.children = {5, 6};
  return state;
}

std::string BytesOf(const Fd& memfd) {
  std::string bytes(10'000, '\0');
  bytes.resize(static_cast<size_t>(pread(memfd.get(), bytes.data(), bytes.size(), 0)));
  return bytes;
}

Fd MemfdOf(const std::string& bytes) {
  Fd memfd(memfd_create("test", MFD_CLOEXEC));
  EXPECT_EQ(write(memfd.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  return memfd;
}

// The exit code of `reeve-keeper --trial` with this state.
int Trial(const Fd& memfd) {
  SpawnSpec spec;
  spec.argv = {kKeeperBinary, "--trial", "3"};
  spec.descriptor_3 = memfd.get();
  auto child = reeve::Spawn(spec);
  EXPECT_TRUE(child.ok()) << child.error().message;
  return child ? Wait(child->pid) : -1000;
}

TEST(KeeperState, ComesBackAsItWas) {
  const auto saved = SaveState(Example());
  ASSERT_TRUE(saved.ok());
  const auto state = LoadState(saved->get());
  ASSERT_TRUE(state.ok()) << state.error().message;
  EXPECT_EQ(state->restarts, 4U);
  EXPECT_EQ(state->last_code, -1);
  EXPECT_EQ(state->last_signal, 9);
  EXPECT_EQ(state->delay_level, 2);
  EXPECT_EQ(state->stop_signal, 15);
  EXPECT_TRUE(state->was_ready);
  EXPECT_EQ(state->orphan_at_ms, 123);
  EXPECT_EQ(state->soft_limit, 1024U);
  EXPECT_EQ(state->next_key, 105U);
  EXPECT_EQ(state->fds, Example().fds);
  EXPECT_EQ(state->children, Example().children);
}

TEST(KeeperState, ATrialAcceptsItsOwnVersionAlone) {
  auto saved = SaveState(Example());
  ASSERT_TRUE(saved.ok());
  std::string bytes = BytesOf(*saved);
  EXPECT_FALSE(IsAccepted(saved->get()));
  EXPECT_EQ(Trial(*saved), 0);
  EXPECT_TRUE(IsAccepted(saved->get()));

  bytes[8] = static_cast<char>(kStateVersion + 1);
  const Fd newer = MemfdOf(bytes);
  EXPECT_EQ(LoadState(newer.get()).error().message,
            "the state has version 2, and this keeper reads version 1");
  EXPECT_EQ(Trial(newer), 1);
  EXPECT_FALSE(IsAccepted(newer.get()));
}

TEST(KeeperState, DamagedStatesAreRefused) {
  const auto saved = SaveState(Example());
  ASSERT_TRUE(saved.ok());
  const std::string bytes = BytesOf(*saved);
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_FALSE(LoadState(MemfdOf(bytes.substr(0, size)).get()).ok()) << size;
  EXPECT_FALSE(LoadState(MemfdOf(bytes + "x").get()).ok());
  EXPECT_FALSE(LoadState(MemfdOf(std::string(bytes.size(), '\xff')).get()).ok());
  EXPECT_FALSE(LoadState(-1).ok());
  KeeperState bad = Example();
  bad.fds[1] = 2;  // a standard descriptor
  EXPECT_FALSE(LoadState(SaveState(bad)->get()).ok());
  bad = Example();
  bad.next_key = 104;  // was used
  EXPECT_FALSE(LoadState(SaveState(bad)->get()).ok());
  bad = Example();
  bad.children.insert(0);
  EXPECT_FALSE(LoadState(SaveState(bad)->get()).ok());
}

}  // namespace
}  // namespace reeve::keeper
