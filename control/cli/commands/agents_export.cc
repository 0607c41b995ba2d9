// `reeve agents export`, also `reeve export`: everything that the daemon stores about agents, as JSON Lines.
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "control/cli/client/agent_names.h"
#include "control/cli/commands/agents_commands.h"
#include "control/cli/commands/commands.h"
#include "control/cli/commands/input.h"
#include "control/cli/terminal/console.h"
#include "orchestrator/json/json.h"
#include "process/fd.h"
#include "process/lines.h"
#include "process/loop.h"

namespace reeve {

namespace {

constexpr int64_t kProgressMs = 200;
constexpr size_t kMaxProblemBytes = 4096;
// Only the beginning of an event is needed; the lines of the export itself are short.
constexpr size_t kKeptOfLine = size_t{64} << 10;

struct ExportOptions : CommonOptions {
  std::vector<std::string> agents;
  std::string file;
};

// The destination of the lines: stdout, a device or pipe, or a regular file. A regular file is written under
// a temporary name beside it and renamed when it is complete, so that an earlier file stays until then.
class Output {
 public:
  static Result<std::unique_ptr<Output>> Open(const std::string& file) {
    auto output = std::make_unique<Output>();
    if (file.empty() || file == "-") {
      output->what_ = "stdout";
      output->terminal_ = isatty(STDOUT_FILENO) == 1;
      return output;
    }
    output->what_ = output->path_ = file;
    struct stat there {};
    if (stat(file.c_str(), &there) == 0 && !S_ISREG(there.st_mode)) {
      output->file_ = Fd(open(file.c_str(), O_WRONLY | O_CLOEXEC));
      output->path_.clear();
      output->terminal_ = isatty(output->file_.get()) == 1;
    } else {
      std::error_code error;
      const auto target = std::filesystem::canonical(file, error);  // follow a link rather than replace it
      if (!error) output->path_ = target.string();
      output->made_ = output->path_ + ".XXXXXX";
      output->file_ = Fd(mkostemp(output->made_.data(), O_CLOEXEC));  // mode 0600
      if (!output->file_.valid()) output->made_.clear();
    }
    if (!output->file_.valid()) return output->Failed();
    return output;
  }
  ~Output() {
    if (!made_.empty()) unlink(made_.c_str());
  }
  Output() = default;
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  [[nodiscard]] bool named() const { return file_.valid(); }
  [[nodiscard]] const std::string& name() const { return what_; }
  [[nodiscard]] bool makes_file() const { return !made_.empty(); }

  Status Write(std::string_view bytes) {
    if (!terminal_) return WriteBytes(bytes);
    unsafe_ += bytes;
    std::string tail = unsafe_.substr(unsafe_.size() - Lines::UnfinishedCharacter(unsafe_));
    unsafe_.resize(unsafe_.size() - tail.size());
    return WriteBytes(SafeJson(std::exchange(unsafe_, std::move(tail))));
  }

  Status WriteBytes(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t written = write(file_.valid() ? file_.get() : STDOUT_FILENO, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return Failed();
      bytes.remove_prefix(static_cast<size_t>(written));
    }
    return {};
  }

  // An export that lacks something never replaces an earlier file.
  Status Finish(bool complete) {
    if (made_.empty()) return {};
    if (!complete && access(path_.c_str(), F_OK) == 0) {
      path_ += ".incomplete";
      what_ = path_;
    }
    if (fsync(file_.get()) != 0 || rename(made_.c_str(), path_.c_str()) != 0) return Failed();
    made_.clear();
    return {};
  }

 private:
  [[nodiscard]] Error Failed() const { return {"write_failed", OsError("write " + what_, errno).message}; }

  std::string what_;
  std::string path_;
  std::string made_;  // the temporary file; empty: there is none
  Fd file_;           // invalid: stdout
  bool terminal_ = false;
  std::string unsafe_;  // the beginning of a character, for a terminal
};

// Downloads one agent after another.
class Exporter {
 public:
  Exporter(Loop& loop, const Client& client, Console& console, Output& output, std::vector<std::string> ids)
      : loop_(loop), http_(loop), client_(client), console_(console), output_(output), ids_(std::move(ids)) {}

  int Run() {
    // Handle signals only if there is a file to remove: they must end a write to a stalled reader at once.
    if (output_.makes_file()) {
      for (int signum : {SIGINT, SIGTERM, SIGHUP}) {
        loop_.OnSignal(signum, [this] { GiveUp(kCancelled); });
      }
    }
    Next();
    loop_.Run();
    console_.Progress("");
    return given_up_.value_or(console_.code());
  }
  // At least one agent was written as a whole, and the command was not ended before the others.
  [[nodiscard]] bool usable() const { return whole_ != 0 && !given_up_; }
  [[nodiscard]] uint64_t events() const { return events_; }
  [[nodiscard]] uint64_t bytes() const { return bytes_; }

 private:
  void Next() {
    call_.reset();
    if (next_ == ids_.size()) return loop_.Stop();
    id_ = ids_[next_++];
    const std::string opening = JsonObject().Set("agent", id_).Take();
    ours_ = opening.substr(0, opening.size() - 1) + R"(,"type":"export.)";
    refused_.reset();
    line_.clear();
    ended_ = false;
    HttpRequest request = client_.Request("GET", AgentPath(id_) + "/export");
    request.timeout_ms = 0;
    HttpClient::Stream stream;
    stream.on_head = [this](const HttpResponse& head) {
      if (head.status != 200) refused_ = head;
    };
    stream.on_body = [this](std::string_view bytes) { Take(bytes); };
    stream.on_end = [this](const Status& how) { Ended(how); };
    call_ = http_.Open(std::move(request), std::move(stream));
  }

  void Take(std::string_view bytes) {
    if (refused_) {
      refused_->body.append(bytes.substr(0, kMaxProblemBytes));
      return;
    }
    if (Status written = output_.Write(bytes); !written) return GiveUp(console_.Fail(written.error()));
    bytes_ += bytes.size();
    while (!bytes.empty()) {
      const size_t end = bytes.find('\n');
      const std::string_view piece = bytes.substr(0, end);
      line_.append(piece.substr(0, kKeptOfLine - std::min(line_.size(), kKeptOfLine)));
      if (end == std::string_view::npos) break;
      TakeLine();
      line_.clear();
      bytes.remove_prefix(end + 1);
    }
    ShowProgress();
  }

  void TakeLine() {
    if (line_.compare(0, ours_.size(), ours_) != 0) {
      ++events_;
      return;
    }
    auto json = JsonDocument::Parse(line_);
    const std::string_view type = json ? (*json)["type"].StringOr("") : "";
    const JsonValue data = json ? (*json)["data"] : JsonValue();
    if (type == "export.end") {
      ended_ = true;
      ++whole_;
    } else if (type == "export.error") {
      ended_ = true;
      Failed({std::string(data["code"].StringOr("")),
              "the export is incomplete: " + std::string(data["detail"].StringOr(""))});
    } else if (type == "export.gap") {  // the export is complete, but the log lacked events
      Failed({"export_gap", "the events after " + std::string(data["from"].StringOr("")) + " up to " +
                                std::string(data["to"].StringOr("")) + " are missing (" +
                                std::string(data["reason"].StringOr("")) + ")"});
    }
  }

  void Ended(const Status& how) {
    if (refused_) {
      Failed(Client::ErrorOf(*refused_));
    } else if (!ended_) {
      const std::string why = how ? "the daemon gave up" : how.error().message;
      Failed({how ? "unreachable" : how.error().code, bytes_ == 0 ? why : "the export was cut off: " + why});
    }
    Next();
  }

  void Failed(const Error& error) { console_.Fail(error, id_); }

  void GiveUp(int code) {
    call_.reset();
    given_up_ = code;
    loop_.Stop();
  }

  void ShowProgress() {
    if (loop_.NowMs() - shown_at_ms_ < kProgressMs) return;
    shown_at_ms_ = loop_.NowMs();
    const std::string of = ids_.size() == 1 ? "" : fmt::format(" ({} of {})", next_, ids_.size());
    console_.Progress(fmt::format("export {}{}: {} events, {:.1f} MiB", id_, of, events_,
                                  static_cast<double>(bytes_) / (1 << 20)));
  }

  Loop& loop_;
  HttpClient http_;
  const Client& client_;
  Console& console_;
  Output& output_;
  const std::vector<std::string> ids_;
  size_t next_ = 0;
  std::string id_;    // the agent being exported
  std::string ours_;  // the beginning of lines that are not events
  std::string line_;
  bool ended_ = false;
  size_t whole_ = 0;  // agents that were written as a whole
  std::optional<HttpResponse> refused_;
  uint64_t events_ = 0;
  uint64_t bytes_ = 0;
  int64_t shown_at_ms_ = 0;
  std::optional<int> given_up_;  // the exit code
  std::unique_ptr<HttpCall> call_;
};

int Export(const ExportOptions& options) {
  Console console("agents export", options);
  auto client = Client::Find(options.client);
  if (!client) return console.Fail(client.error());
  const std::vector<std::string> ids = FindAgents(*client, options.agents, console);
  if (ids.empty()) return console.code();
  auto output = Output::Open(options.file);
  if (!output) return console.Fail(output.error());
  Loop loop;
  Exporter exporter(loop, *client, console, **output, ids);
  const int code = exporter.Run();
  if (!exporter.usable()) return code;
  if (Status finished = (*output)->Finish(code == kOk); !finished) return console.Fail(finished.error());
  if (!(*output)->named()) return code;
  if (console.json()) {
    console.Line(JsonObject()
                     .Set("file", (*output)->name())
                     .Set("agents", static_cast<uint64_t>(ids.size()))
                     .Set("events", exporter.events())
                     .Set("bytes", exporter.bytes())
                     .Take());
  }
  console.Note(
      fmt::format("{}: {} events, {} bytes", (*output)->name(), exporter.events(), exporter.bytes()));
  return code;
}

}  // namespace

void AddAgentsExport(Command agents) {
  auto options = std::make_shared<ExportOptions>();
  Command command = agents.Add("export", "Export everything stored about agents as JSON Lines.");
  command.Details(
      "Writes the agent, its runs and messages, its whole event log, and export.end at the end. Deleted "
      "agents can be exported until they are purged. If "
      "something is missing, the command reports it, exports the other agents, and fails. A file is replaced "
      "only by a complete export; otherwise the new one is called FILE.incomplete.");
  command.Argument("AGENT", options->agents, kAgentsHelp).Required();
  command.Option("-o,--output", options->file, "FILE", "The file to write").Default("stdout");
  AddCommonOptions(command, *options);
  command.Example("reeve export a1 -o a1.jsonl", "before `reeve rm a1 --purge`");
  command.Example("reeve export team=web | gzip > web.jsonl.gz", "one agent after another");
  command.Action([options] { return Export(*options); });
}

}  // namespace reeve
