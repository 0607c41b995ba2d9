// ApprovalsFixture: the Approvals of one agent, whose clock and disk are the test's. Take() gives what they
// recorded and told, in order.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "orchestrator/agent/approvals.h"
#include "orchestrator/json/json.h"
#include "process/loop.h"
#include "tests/support/loop_fixture.h"

namespace reeve {

inline ApprovalRequest Bash(const std::string& id, const std::string& input = R"({"command":"ls"})") {
  ApprovalRequest request;
  request.id = id;
  request.tool = "bash";
  request.input = input;
  return request;
}
inline ApprovalRequest Other(const std::string& id) {
  ApprovalRequest request = Bash(id, R"({"url":"https://example.com"})");
  request.tool = "fetch";
  return request;
}
inline ApprovalRequest Question(const std::string& id) {
  ApprovalRequest request;
  request.id = id;
  request.elicitation = true;
  request.message = "Which one?";
  return request;
}

class ApprovalsFixture : public ::testing::Test {
 protected:
  ApprovalsFixture() { permissions.timeout_ms = 0; }

  Approvals::Handlers Handlers() {
    return {
        [this](std::string_view type, const std::string& data, bool now) -> Status {
          if (now && disk_full) return Error{"disk_full", "no room"};
          auto json = JsonDocument::Parse(data);
          const bool approval = type.substr(0, 9) == "approval.";
          std::string line = std::string(type) + " " + std::string((*json)["id"].StringOr(""));
          if (type.ends_with(".resolved")) {
            line += " " + std::string((*json)[approval ? "decision" : "action"].StringOr("?")) + " by " +
                    std::string((*json)["by"].StringOr(""));
            if (auto reason = (*json)["reason"].AsString()) line += ": " + std::string(*reason);
          }
          lines.push_back(line + (now ? " on disk" : ""));
          last_data = data;
          return {};
        },
        [this](const std::string& id, const ApprovalAnswer& answer) {
          std::string line = "told " + id + (answer.allow ? " allow" : " deny");
          if (!answer.reason.empty()) line += ": " + answer.reason;
          lines.push_back(line + answer.input);
          if (on_told) on_told(id);
        },
        [this](const std::string& id, const ElicitationAnswer& answer) {
          lines.push_back("told " + id + " " + NameOf(answer.action) + answer.content);
          if (on_told) on_told(id);
        },
        [this] { ++changed; },
    };
  }
  void AskIn(const std::string& session, ApprovalRequest request) {
    approvals.Ask(std::move(request), "r1", "/work", session);
  }
  void Ask(ApprovalRequest request) { approvals.Ask(std::move(request), "r1", "/work"); }
  void Rule(std::vector<PermissionRule>& into, const char* text) {
    into.push_back(*PermissionRule::Parse(text));
  }
  // The records and answers since the last call, one line for each.
  std::string Take() {
    std::string all;
    for (const std::string& line : std::exchange(lines, {})) all += line + "\n";
    return all;
  }
  [[nodiscard]] std::string Pending() const {
    std::string all;
    for (const PendingApproval& one : approvals.pending()) all += one.request.id + " ";
    return all;
  }

  Loop loop;
  MockClock clock;
  Permissions permissions;
  std::vector<std::string> lines;
  std::string last_data;
  bool disk_full = false;
  int changed = 0;
  std::function<void(const std::string&)> on_told;
  QuestionBytes bytes_of_all;
  Approvals approvals{loop, clock, "a1", permissions, bytes_of_all, Handlers()};
};

}  // namespace reeve
