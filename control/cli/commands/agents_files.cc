// `reeve agents files …` and `reeve agents transcript`: the private files of an agent, and its recorded
// traffic.
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "control/cli/client/agent_names.h"
#include "control/cli/commands/agents_commands.h"
#include "control/cli/commands/each_agent.h"
#include "control/cli/show/event_words.h"
#include "orchestrator/json/json.h"

namespace reeve {

namespace {

constexpr size_t kMaxTranscriptBytes = size_t{64} << 20;  // the daemon keeps two files of 16 MiB
constexpr size_t kMaxFileBytes = size_t{1} << 20;         // the daemon refuses more than 256 KiB

struct FileOptions : EachAgentOptions {
  std::string file;
  std::string name;
};

int ListFiles(const EachAgentOptions& options) {
  const Console console(options.command, options);
  return ForEachAgentOf(options, [&](const Client& client, const std::string& id) -> Result<std::string> {
    auto agent = client.AskJson(client.Request("GET", AgentPath(id)));
    if (!agent) return agent.error();
    if (options.json) return JsonObject().Set("agent", id).SetRaw("files", (*agent)["files"].Raw()).Take();
    std::string names;
    for (const JsonValue& name : (*agent)["files"].Elements()) AddTo(names, "\n", PlainTextOf(name));
    if (names.empty()) console.Note(id + ": it has no files");
    return names;
  });
}

// The whole content; of a pipe, too.
Result<std::string> ReadAll(const std::string& path) {
  if (path == "-") return ReadText("FILE", path);
  std::error_code failed;
  if (std::filesystem::is_directory(path, failed)) return Error{"invalid_request", path + ": is a folder"};
  std::ifstream in(path, std::ios::binary);
  if (!in) return Error{"file_not_found", path + " cannot be read: " + std::strerror(errno)};
  std::string content(std::istreambuf_iterator<char>(in), {});
  if (in.bad()) return Error{"file_not_found", path + " cannot be read"};
  if (content.size() > kMaxFileBytes) return Error{"invalid_request", path + ": larger than 256 KiB"};
  return content;
}

std::string FilePath(const std::string& id, const std::string& name) {
  return AgentPath(id) + "/files/" + PercentEncode(name);
}

int PutFile(const FileOptions& options) {
  Console console(options.command, options);
  std::string name = options.name;
  if (name.empty() && options.file != "-") name = std::filesystem::path(options.file).filename().string();
  if (name.empty())
    return console.Fail({"invalid_request", "--name NAME is missing: what comes from stdin has no name"});
  auto content = ReadAll(options.file);
  if (!content) return console.Fail(content.error());
  return ForEachAgentOf(options, [&](const Client& client, const std::string& id) -> Result<std::string> {
    HttpRequest request = client.Request("PUT", FilePath(id, name), *content);
    auto answer = client.Ask(std::move(request));
    if (!answer) return answer.error();
    return options.json ? JsonObject().Set("agent", id).Set("file", name).Take() : id + ": " + name;
  });
}

int RemoveFile(const FileOptions& options) {
  return ForEachAgentOf(options, [&](const Client& client, const std::string& id) -> Result<std::string> {
    auto answer = client.Ask(client.Request("DELETE", FilePath(id, options.name)));
    if (!answer) return answer.error();
    return options.json ? JsonObject().Set("agent", id).Set("file", options.name).Take()
                        : id + ": " + options.name;
  });
}

void AddFiles(Command agents) {
  Command files = agents.Add("files", "List, replace or delete the private files of agents.");
  files.Details(
      "Private files hold credentials, for instance. The agent's process finds them in the folder that its "
      "variable REEVE_FILES names. Nobody can read them back through the daemon.");
  {
    auto [command, options] = AddForAgents<EachAgentOptions>(files, "list", "List the names of the files.");
    AddCommonOptions(command, *options);
    command.Example("reeve files list a1", "one name on each line");
    command.Action([options = options] { return ListFiles(*options); });
  }
  {
    auto options = std::make_shared<FileOptions>();
    options->command = "agents files put";
    Command command = files.Add("put", "Make or replace a file, at once for a running agent too.");
    command.Argument("FILE", options->file, "The content; -: read it from stdin").Required();
    command.Argument("AGENT", options->agents, kAgentsHelp).Required();
    command.Option("--name", options->name, "NAME", "How the agent finds it").Default("the name of FILE");
    AddCommonOptions(command, *options);
    command.Example("echo secret | reeve files put - a1 --name key", "a new credential, without a restart");
    command.Action([options] { return PutFile(*options); });
  }
  {
    auto options = std::make_shared<FileOptions>();
    options->command = "agents files rm";
    Command command = files.Add("rm", "Delete a file.");
    command.Destroys();
    command.Argument("NAME", options->name, "Its name").Required();
    command.Argument("AGENT", options->agents, kAgentsHelp).Required();
    AddCommonOptions(command, *options);
    command.Example("echo old | reeve files put - a1 --name key && reeve files rm key a1",
                    "makes it and deletes it");
    command.Action([options] { return RemoveFile(*options); });
  }
}

void AddTranscript(Command agents) {
  auto [command, options] = AddForAgents<EachAgentOptions>(
      agents, "transcript", "Print the recorded traffic between the daemon and agents, as JSON Lines.");
  command.Details(
      "Only agents whose spec has \"record\": true are recorded. `reeve replay` plays a transcript back.");
  AddCommonOptions(command, *options);
  command.Example("reeve transcript a1 > a1.jsonl", "{time, dir, text} on each line");
  command.Action([options = options] {
    return ForEachAgentOf(*options, [](const Client& client, const std::string& id) -> Result<std::string> {
      HttpRequest request = client.Request("GET", AgentPath(id) + "/transcript");
      request.max_body_bytes = kMaxTranscriptBytes;
      auto answer = client.Ask(std::move(request));
      if (!answer) return answer.error();
      return std::string(WithoutLineEnds(answer->body));
    });
  });
}

}  // namespace

void AddAgentsFiles(Command agents) {
  AddFiles(agents);
  AddTranscript(agents);
}

}  // namespace reeve
