#include "control/cli/client/agent_names.h"

#include <algorithm>
#include <utility>

#include "control/cli/terminal/console.h"
#include "orchestrator/agent/agent_spec.h"

namespace reeve {

namespace {

// The input of a tool may be a whole file, and a town may have thousands of agents.
constexpr size_t kMaxApprovalsBytes = size_t{256} << 20;

Result<std::vector<std::string>> IdsOf(const Client& client, const std::string& query) {
  std::vector<std::string> ids;
  Status listed = ForEachAgent(
      client, query, [&ids](const JsonValue& agent) { ids.emplace_back(agent["id"].StringOr("")); });
  if (!listed) return listed.error();
  return ids;
}

void AddMissing(std::vector<std::string>& all, const std::vector<std::string>& ids) {
  for (const std::string& id : ids) {
    if (std::find(all.begin(), all.end(), id) == all.end()) all.push_back(id);
  }
}

Error Ambiguous(const std::string& name, const std::vector<std::string>& ids) {
  return {"ambiguous", "'" + name + "' means " + std::to_string(ids.size()) + " agents: " + FirstFew(ids) +
                           "; name one by its id"};
}

}  // namespace

std::string FirstFew(const std::vector<std::string>& words) {
  constexpr size_t kShown = 5;
  std::string some;
  for (size_t i = 0; i < std::min(words.size(), kShown); ++i) some += (i == 0 ? "" : ", ") + words[i];
  return words.size() > kShown ? some + ", …" : some;
}

std::string AgentPath(const std::string& id) { return "/agents/" + PercentEncode(id); }

Status ForEachAgent(const Client& client, const std::string& query,
                    const std::function<void(const JsonValue& agent)>& take,
                    std::optional<int64_t> timeout_ms) {
  std::string page_token;
  do {
    const std::string page = page_token.empty() ? "" : "&page_token=" + PercentEncode(page_token);
    HttpRequest request =
        client.Request("GET", "/agents?limit=1000" + (query.empty() ? "" : "&" + query) + page);
    if (timeout_ms) request.timeout_ms = *timeout_ms;
    auto answer = client.AskJson(std::move(request));
    if (!answer) return answer.error();
    page_token = (*answer)["next_page_token"].StringOr("");
    for (const JsonValue& agent : (*answer)["agents"].Elements()) take(agent);
  } while (!page_token.empty());
  return {};
}

HttpRequest ApprovalsRequest(const Client& client, const std::string& query) {
  HttpRequest request = client.Request("GET", "/approvals" + query);
  request.max_body_bytes = kMaxApprovalsBytes;
  return request;
}

Result<std::string> LabelQuery(const std::string& label) {
  const size_t equals = label.find('=');
  if (equals == std::string::npos) return Error{"invalid_request", "'" + label + "' is not KEY=VALUE"};
  return "label=" + PercentEncode(label.substr(0, equals) + ":" + label.substr(equals + 1));
}

Result<std::vector<std::string>> FindAgents(const Client& client, const std::string& name) {
  if (name.empty()) return Error{"invalid_request", "the name of an agent is empty"};
  if (IsAgentId(name)) {
    auto there = client.Ask(client.Request("GET", AgentPath(name)));
    // Some commands accept deleted agents; the others report the error themselves.
    if (there || there.error().code == "agent_deleted") return std::vector{name};
    if (there.error().code != "agent_not_found") return there.error();
  }
  const auto label = LabelQuery(name);
  if (label) {
    auto ids = IdsOf(client, *label);
    if (!ids || !ids->empty()) return ids;
  }
  auto ids = IdsOf(client, "title=" + PercentEncode(name));
  if (!ids) return ids;
  if (ids->empty() && label) return Error{"agent_not_found", "no agent has the label " + name};
  if (ids->empty()) return Error{"agent_not_found", "there is no agent " + name};
  if (ids->size() > 1) return Ambiguous(name, *ids);
  return ids;
}

Result<std::vector<std::string>> FindAgents(const Client& client, const std::vector<std::string>& names,
                                            std::string& about) {
  std::vector<std::string> all;
  for (const std::string& name : names) {
    about = name;
    auto ids = FindAgents(client, name);
    if (!ids) return ids;
    AddMissing(all, *ids);
  }
  about.clear();
  return all;
}

std::vector<std::string> FindAgents(const Client& client, const std::vector<std::string>& names,
                                    Console& console) {
  std::vector<std::string> all;
  for (const std::string& name : names) {
    auto ids = FindAgents(client, name);
    ids ? AddMissing(all, *ids) : (void)console.Fail(ids.error(), name);
  }
  return all;
}

Result<std::string> FindAgent(const Client& client, const std::string& name) {
  auto ids = FindAgents(client, name);
  if (!ids) return ids.error();
  if (ids->size() > 1) return Ambiguous(name, *ids);
  return ids->front();
}

}  // namespace reeve
