#include "orchestrator/agent/agent_secrets.h"

#include <utility>

#include "orchestrator/agent/agent_context.h"
#include "process/log.h"
#include "process/spawn.h"

namespace reeve {

namespace {

// A longer file is not a password or key, and its lines may be ordinary words.
constexpr size_t kMaxHiddenBytes = 4096;

}  // namespace

AgentSecrets::AgentSecrets(AgentContext& context, const AgentSpec& spec, Handlers handlers)
    : context_(context),
      agent_(spec.id),
      spec_(spec),
      handlers_(std::move(handlers)),
      folder_(context.loop, context.private_dir, agent_) {}

// Runs before the record is written, which does not contain the files: an agent that is on disk has its
// files.
void AgentSecrets::WriteFirst(std::map<std::string, std::string> files, Done done) {
  if (files.empty() && spec_.api == AgentSpec::Api::kNone) return done({});
  const std::string token = spec_.api == AgentSpec::Api::kNone ? "" : PrivateFolder::NewToken();
  for (const auto& [name, content] : files) Hide(content);
  due_ = true;
  folder_.Write(std::move(files), token,
                [this, alive = std::weak_ptr<bool>(alive_), done = std::move(done)](const Status& status) {
                  if (alive.expired()) return;
                  if (!status) return done(status);
                  due_ = false;
                  forgotten_ ? Forget(false) : Load();
                  done({});
                });
}

void AgentSecrets::Load() {
  folder_.Load();
  names_ = folder_.names();
  if (spec_.record) {
    for (const std::string& content : folder_.Contents(kMaxHiddenBytes)) Hide(content);
  }
  if (spec_.api == AgentSpec::Api::kNone) return;
  const std::string token = folder_.Token();
  if (token.empty()) return RenewToken();
  Hide(token);
  if (context_.api.grant) context_.api.grant(agent_, token, spec_.api);
}

void AgentSecrets::OnSpecChanged() {
  if (spec_.api == AgentSpec::Api::kNone && context_.api.revoke) context_.api.revoke(agent_);
  Load();
}

// The token was lost, or the agent damaged its file.
void AgentSecrets::RenewToken() {
  due_ = true;
  folder_.Write({}, PrivateFolder::NewToken(),
                [this, alive = std::weak_ptr<bool>(alive_)](const Status& status) {
                  if (alive.expired()) return;
                  due_ = false;
                  if (status && !forgotten_) Load();
                  if (!status) log::Failure("{}", status.error().message);
                  handlers_.changed();
                });
}

void AgentSecrets::Forget(bool process_lives) {
  forgotten_ = true;
  if (context_.api.revoke) context_.api.revoke(agent_);
  if (process_lives) return;
  names_.clear();
  context_.discard(folder_.path());
}

void AgentSecrets::Hide(const std::string& secret) {
  if (spec_.record && secret.size() <= kMaxHiddenBytes) handlers_.hide(secret);
}

void AgentSecrets::AddEnvironment(SpawnSpec& spawn) const {
  spawn.env.push_back("REEVE_FILES=" + folder_.files_path());
  if (spec_.api == AgentSpec::Api::kNone) return;
  spawn.env.push_back("REEVE_SERVER=" + context_.server);
  spawn.env.push_back("REEVE_TOKEN_FILE=" + folder_.token_path());
  if (context_.programs_dir.empty()) return;
  std::string path = "/usr/local/bin:/usr/bin:/bin";
  for (const std::string& entry : spawn.env) {
    if (entry.starts_with("PATH=")) path = entry.substr(5);
  }
  spawn.SetEnv("PATH", context_.programs_dir + (path.empty() ? "" : ":" + path), SpawnSpec::IfSet::kReplace);
}

void AgentSecrets::Put(const std::string& name, std::string content, Done done) {
  if (!IsFileName(name)) {
    return done(Error{"invalid_request",
                      "'" + name.substr(0, 80) +
                          "' is no name of a file: up to 64 letters, digits, ., - and _, no . first"});
  }
  if (content.size() > PrivateFolder::kMaxFileBytes) {
    return done(
        Error{"too_large", "files: more than " + std::to_string(PrivateFolder::kMaxFileBytes) + " bytes"});
  }
  Hide(content);
  folder_.Write({{name, std::move(content)}}, "",
                [this, name, alive = std::weak_ptr<bool>(alive_), done = std::move(done)](Status status) {
                  if (!alive.expired() && forgotten_) {
                    status = Error{"agent_deleted", "agent " + agent_ + " has been deleted"};
                  } else if (!alive.expired() && status) {
                    names_.insert(name);
                  }
                  done(status);
                });
}

void AgentSecrets::Remove(const std::string& name, Done done) {
  folder_.Remove(name, std::move(done));
  names_.erase(name);
}

}  // namespace reeve
