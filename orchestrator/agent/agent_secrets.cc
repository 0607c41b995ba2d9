// What an agent's process is given that nobody else is to see: files, and a token for the API.
#include <utility>

#include "orchestrator/agent/agent.h"
#include "process/log.h"

namespace reeve {

namespace {

// A file that is longer is no password or key, and its every line a word that may stand anywhere.
constexpr size_t kMaxHiddenBytes = 4096;

}  // namespace

// Before the record, which knows nothing of them: an agent that is on disk has its files.
void Agent::WriteFirstFiles(Done done) {
  if (spec_.files.empty() && spec_.api == AgentSpec::Api::kNone) return MakeRecord(std::move(done));
  const std::string token = spec_.api == AgentSpec::Api::kNone ? "" : PrivateFolder::NewToken();
  for (const auto& [name, content] : spec_.files) HideInTranscript(content);
  std::map<std::string, std::string> files;
  for (auto& [name, content] : spec_.files) files[name] = std::exchange(content, {});
  files_due_ = true;
  folder_.Write(std::move(files), token,
                [this, alive = std::weak_ptr<bool>(alive_), done = std::move(done)](const Status& status) {
                  if (alive.expired()) return;  // purged meanwhile: who asked is not answered by us
                  if (!status) return done(status);
                  files_due_ = false;
                  LoadSecrets();
                  MakeRecord(done);
                });
}

// What is in the private folder: its names are the spec's, its token is good.
void Agent::LoadSecrets() {
  if (deleted_) return ForgetSecrets();
  folder_.Load();
  for (const std::string& name : folder_.names()) spec_.files[name];
  if (transcript_) {
    for (const std::string& content : folder_.Contents(kMaxHiddenBytes)) HideInTranscript(content);
  }
  if (spec_.api == AgentSpec::Api::kNone) return;
  const std::string token = folder_.Token();
  if (token.empty()) return RenewToken();
  HideInTranscript(token);
  if (context_.api.grant) context_.api.grant(id(), token, spec_.api);
}

// Its token was lost, or it spoiled it.
void Agent::RenewToken() {
  files_due_ = true;
  folder_.Write({}, PrivateFolder::NewToken(),
                [this, alive = std::weak_ptr<bool>(alive_)](const Status& status) {
                  if (alive.expired()) return;
                  files_due_ = false;
                  if (status) LoadSecrets();
                  if (!status) log::Failure("{}", status.error().message);
                  Advance();
                });
}

// It never starts again. The token is void at once; the files stay for as long as its process ends.
void Agent::ForgetSecrets() {
  for (auto& [name, value] : spec_.env) value.clear();
  if (context_.api.revoke) context_.api.revoke(id());
  if (child_) return;
  spec_.files.clear();
  context_.discard(folder_.path());
}

void Agent::HideInTranscript(const std::string& secret) {
  if (transcript_ && secret.size() <= kMaxHiddenBytes) transcript_->AddSecret(secret);
}

void Agent::PutFile(const std::string& name, std::string content, Done done) {
  if (deleted_) return done(Error{"agent_deleted", "agent " + id() + " has been deleted"});
  if (!IsFileName(name)) {
    return done(Error{"invalid_request", "a file's name matches [A-Za-z0-9_-][A-Za-z0-9._-]{0,63}"});
  }
  if (content.size() > PrivateFolder::kMaxFileBytes) {
    return done(
        Error{"too_large", "files: more than " + std::to_string(PrivateFolder::kMaxFileBytes) + " bytes"});
  }
  HideInTranscript(content);
  folder_.Write({{name, std::move(content)}}, "",
                [this, name, alive = std::weak_ptr<bool>(alive_), done = std::move(done)](Status status) {
                  if (!alive.expired() && deleted_) {
                    status = Error{"agent_deleted", "agent " + id() + " has been deleted"};
                  } else if (!alive.expired() && status) {
                    spec_.files[name];
                  }
                  done(status);
                });
}

void Agent::RemoveFile(const std::string& name, Done done) {
  if (deleted_) return done(Error{"agent_deleted", "agent " + id() + " has been deleted"});
  folder_.Remove(name, std::move(done));
  spec_.files.erase(name);
}

}  // namespace reeve
