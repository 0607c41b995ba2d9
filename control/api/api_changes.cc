// The files that an agent has changed.
#include <string_view>
#include <utility>

#include "control/api/api.h"
#include "orchestrator/agent/agent.h"
#include "orchestrator/workspace/changes.h"

namespace reeve {

namespace {

std::string_view NameOf(char status) {
  switch (status) {
    case 'A':
      return "added";
    case 'D':
      return "deleted";
    case 'T':
      return "type_changed";
    default:
      return "modified";
  }
}

std::string ChangesJson(const Changes::Found& found) {
  JsonArray files;
  for (const Changes::File& file : found.files) {
    JsonObject json;
    json.Set("path", file.path).Set("status", NameOf(file.status));
    if (file.added) json.Set("added", *file.added);
    if (file.removed) json.Set("removed", *file.removed);
    files.AddRaw(json.Take());
  }
  JsonObject json;
  if (!found.branch.empty()) json.Set("branch", found.branch);
  if (!found.commit.empty()) json.Set("commit", found.commit);
  json.SetRaw("files", files.Take()).Set("diff", found.diff).Set("truncated", found.truncated);
  return json.Take();
}

void ReadChanges(ApiContext& api, const Call& call, Reply reply) {
  api.town.changes().Read(call.agent().id(), call.agent().WorkspaceRoot(),
                          [reply = Shared(std::move(reply))](const Result<Changes::Found>& found) {
                            if (!found) return reply->Refuse(found.error());
                            reply->Send(Response::Json(200, ChangesJson(*found)));
                          });
}

}  // namespace

Operation ChangesOperation() {
  return {.name = "agents.changes",
          .access = Access::kView,
          .method = "GET",
          .path = "/agents/{id}/changes",
          .text = "Compares the agent's files with the last commit of their repository.",
          .parameters = {PathAgent()},
          .answers = {{200, "Changes"}},
          .errors = {"repository_not_found", "changes_unavailable"},
          .run = ReadChanges};
}

}  // namespace reeve
