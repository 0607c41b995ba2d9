// `reeve agents export` and `reeve export` (control/api/API.md): all of it, or told that it is not.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "process/fd.h"
#include "tests/support/canned_server.h"
#include "tests/support/command.h"
#include "tests/support/daemon.h"
#include "tests/support/download.h"
#include "tests/support/paths.h"
#include "tests/support/sanitized.h"
#include "tests/support/tmux.h"

namespace reeve {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using Strings = std::vector<std::string>;

struct Outcome {
  int code;
  std::string out;
  std::string err;
};

Outcome Call(const Strings& words, const Strings& environment) {
  Command command(words, environment);
  const int code = command.Wait();
  return {code, command.out(), command.err()};
}

// The agent's record, the first line, changes from one look at it to the next.
std::string AfterRecords(const std::string& lines) {
  std::string kept;
  for (size_t at = 0; at < lines.size(); at = lines.find('\n', at) + 1) {
    const std::string line = lines.substr(at, lines.find('\n', at) + 1 - at);
    if (JsonField(line, "type") != "export.agent") kept += line;
  }
  return kept;
}

class ExportCommand : public testing::Test {
 protected:
  Outcome Export(Strings words, Strings environment = {}) const {
    words.insert(words.begin(), {"agents", "export"});
    environment.push_back("REEVE_DATA=" + daemon_.data_dir());
    return Call(words, environment);
  }
  void MakeTalker(const std::string& id, const std::string& more = {}) const {
    daemon_.Create(R"({"id":")" + id + R"(","kind":"process","command":["seq","1","2000"])" + more + "}");
    daemon_.WaitFor(id);
  }
  [[nodiscard]] std::string Downloaded(const std::string& id) const {
    Download download(daemon_, "GET", "/agents/" + id + "/export");
    EXPECT_TRUE(download.UntilEnd());
    EXPECT_TRUE(download.whole());
    return AfterRecords(download.body());
  }
  // The content of the folder of the test's files.
  [[nodiscard]] Strings Files() const {
    Strings names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path()))
      names.push_back(entry.path().filename().string());
    return names;
  }

  Daemon daemon_;
  TempDir folder_;
  const std::string file_ = folder_.path() + "/a1.jsonl";
};

TEST_F(ExportCommand, IsWhatTheDaemonKeeps) {
  MakeTalker("a1", R"(,"labels":{"team":"web"})");
  MakeTalker("a2", R"(,"labels":{"team":"web"})");
  const std::string one = Downloaded("a1");
  Outcome out = Export({"a1"});
  EXPECT_EQ(out.code, 0) << out.err;
  EXPECT_EQ(JsonField(out.out.substr(0, out.out.find('\n')), "type"), "export.agent");
  EXPECT_EQ(AfterRecords(out.out), one);
  EXPECT_EQ(out.err, "");
  EXPECT_EQ(AfterRecords(Export({"team=web"}).out), one + Downloaded("a2"));
  EXPECT_EQ(AfterRecords(Export({"a1", "-o", "-"}).out), one);
  EXPECT_EQ(AfterRecords(Call({"export", "a1"}, {"REEVE_DATA=" + daemon_.data_dir()}).out), one);
  EXPECT_EQ(daemon_.Call("DELETE", "/agents/a1").status, 204);
  EXPECT_THAT(Export({"a1"}).out, HasSubstr("\"export.end\""));  // a deleted one, too
}

TEST_F(ExportCommand, AFileGetsItsNameWhenItIsWhole) {
  MakeTalker("a1");
  WriteFile(file_, "of yesterday");
  std::filesystem::create_symlink(file_, folder_.path() + "/link");
  Outcome written = Export({"a1", "--output", folder_.path() + "/link"});
  EXPECT_EQ(written.code, 0) << written.err;
  EXPECT_EQ(written.out, "");
  EXPECT_THAT(written.err, HasSubstr("/link: 2005 events, "));
  EXPECT_EQ(AfterRecords(ReadFile(file_)), Downloaded("a1"));
  EXPECT_TRUE(std::filesystem::is_symlink(folder_.path() + "/link"));
  struct stat there {};
  ASSERT_EQ(stat(file_.c_str(), &there), 0);
  EXPECT_EQ(there.st_mode & 0777, 0600U);
  EXPECT_EQ(Files().size(), 2U) << testing::PrintToString(Files());
  Outcome json = Export({"a1", "-o", file_, "--json"});
  EXPECT_EQ(JsonField(json.out, "bytes"), std::to_string(std::filesystem::file_size(file_))) << json.err;
  EXPECT_EQ(JsonField(json.out, "agents"), "1");
  EXPECT_EQ(JsonField(json.out, "file"), file_);
}

TEST_F(ExportCommand, AFullDiskLeavesNoHalfFile) {
  MakeTalker("a1");
  EXPECT_EQ(Export({"a1", "-o", "/dev/full"}).code, 74);
  const std::string to_full = "REEVE_DATA=" + daemon_.data_dir() + " HOME=/ " + kReeveBinary +
                              " agents export a1 >/dev/full 2>" + folder_.path() + "/err";
  const int status = std::system(to_full.c_str());
  EXPECT_EQ(WEXITSTATUS(status), 74);
  EXPECT_THAT(ReadFile(folder_.path() + "/err"), HasSubstr("write stdout: No space left on device"));
  unlink((folder_.path() + "/err").c_str());
  EXPECT_EQ(Export({"a1", "-o", folder_.path() + "/none/a1.jsonl"}).code, 74);
  EXPECT_EQ(Export({"a1", "-o", folder_.path()}).code, 74);
  if (kSanitized) return;  // its runtime must come before anything that is preloaded
  WriteFile(file_, "of yesterday");
  Outcome full = Export({"a1", "-o", file_}, {std::string("LD_PRELOAD=") + kFaults, "REEVE_FAULT=enospc:2",
                                              "REEVE_FAULT_ARMED=" + file_});
  EXPECT_EQ(full.code, 74);
  EXPECT_THAT(full.err, HasSubstr("write " + file_ + ": No space left on device"));
  EXPECT_EQ(ReadFile(file_), "of yesterday");
  EXPECT_EQ(Files(), Strings{"a1.jsonl"});
}

TEST_F(ExportCommand, NamesWhatIsNotThere) {
  MakeTalker("a1");
  Outcome none = Export({"a1", "none", "-o", file_});
  EXPECT_EQ(none.code, 66);
  EXPECT_THAT(none.err, HasSubstr("there is no agent none"));
  EXPECT_EQ(Files(), Strings{"a1.jsonl"});  // the others are exported
  // But what lacks something does not replace a file.
  WriteFile(file_, "of yesterday");
  EXPECT_EQ(Export({"a1", "none", "-o", file_}).code, 66);
  EXPECT_EQ(ReadFile(file_), "of yesterday");
  EXPECT_EQ(Files(), (Strings{"a1.jsonl", "a1.jsonl.incomplete"}));
  EXPECT_EQ(Export({"none", "-o", file_}).code, 66);
  EXPECT_EQ(Export({}).code, 64);
  EXPECT_EQ(Export({"a1", "--server", "http://127.0.0.1:1"}).code, 69);
}

// Answers that a real daemon gives only when its disk fails, or in the moment of its death.
class CutExport : public testing::Test {
 protected:
  static constexpr const char* kHead =
      "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n";
  static std::string Chunk(const std::string& text) {
    char size[16];
    (void)std::snprintf(size, sizeof size, "%zx\r\n", text.size());
    return size + text + "\r\n";
  }
  static std::string Ours(const std::string& type, const std::string& data) {
    return R"({"agent":"a1","type":"export.)" + type + R"(","data":)" + data + "}\n";
  }
  static constexpr const char* kEvent =
      R"({"agent":"a1","epoch":1,"seq":1,"time":"2026-01-01T00:00:00.000Z","type":"export.error","data":{}})"
      "\n";
  // The results for an answer with this body, on stdout and in a file.
  Outcome Export(const std::string& head, const std::string& body) {
    CannedServer server({{"GET /agents/a1", CannedServer::Json(R"({"id":"a1"})")},
                         {"GET /agents/a1/export", head + "Connection: close\r\n\r\n" + body}});
    const Strings environment = {"REEVE_TOKEN=x", "REEVE_SERVER=" + server.address()};
    Outcome out = Call({"agents", "export", "a1"}, environment);
    EXPECT_EQ(Call({"agents", "export", "a1", "-o", folder_.path() + "/a1"}, environment).code, out.code);
    return out;
  }
  [[nodiscard]] bool Kept() const { return !std::filesystem::is_empty(folder_.path()); }

  TempDir folder_;
};

TEST_F(CutExport, WithoutItsEndIsNotWhole) {
  const std::string some = Chunk(Ours("agent", "{}") + kEvent);
  Outcome cut = Export(kHead, some);
  EXPECT_EQ(cut.code, 69);
  EXPECT_EQ(cut.out, Ours("agent", "{}") + kEvent);
  EXPECT_THAT(cut.err, HasSubstr("a1: the export was cut off: "));
  Outcome short_of_lines = Export(kHead, some + "0\r\n\r\n");
  EXPECT_EQ(short_of_lines.code, 69);
  EXPECT_THAT(short_of_lines.err, HasSubstr("the export was cut off: the daemon gave up"));
  EXPECT_FALSE(Kept());
  EXPECT_EQ(Export(kHead, some + Chunk(Ours("end", "{}")) + "0\r\n\r\n").code, 0);
  EXPECT_TRUE(Kept());
}

TEST_F(CutExport, AnErrorInItIsTold) {
  Outcome failed = Export(
      kHead,
      Chunk(Ours("agent", "{}") + Ours("error", R"({"code":"os_error","detail":"the log is damaged"})")) +
          "0\r\n\r\n");
  EXPECT_EQ(failed.code, 1);
  EXPECT_EQ(failed.err, "reeve: agents export: a1: the export is incomplete: the log is damaged\n");
  EXPECT_FALSE(Kept());
}

TEST_F(CutExport, AGapIsToldButWhatThereIsIsKept) {
  const std::string gap = Ours("gap", R"({"from":"1-3","to":"1-9","reason":"expired"})");
  // In pieces, as they may come.
  Outcome gapped =
      Export(kHead, Chunk(gap.substr(0, 5)) + Chunk(gap.substr(5) + Ours("end", "{}")) + "0\r\n\r\n");
  EXPECT_EQ(gapped.code, 1);
  EXPECT_EQ(gapped.err, "reeve: agents export: a1: the events after 1-3 up to 1-9 are missing (expired)\n");
  EXPECT_EQ(ReadFile(folder_.path() + "/a1"), gap + Ours("end", "{}"));
}

TEST_F(CutExport, ARefusalIsTold) {
  EXPECT_EQ(Export("HTTP/1.1 503 Service Unavailable\r\n",
                   R"({"code":"too_many_exports","detail":"8 downloads are under way already"})")
                .code,
            75);
  EXPECT_FALSE(Kept());
}

TEST_F(CutExport, ShowsItsProgressOnATerminal) {
  CannedServer server({{"GET /agents/a1", CannedServer::Json(R"({"id":"a1"})")},
                       {"GET /agents/a1/export", std::string(kHead) + "Connection: stay\r\n\r\n" +
                                                     Chunk(std::string(kEvent) + kEvent)}});
  Tmux terminal({kReeveBinary, "agents", "export", "a1", "-o", folder_.path() + "/a1"},
                {.environment = {"REEVE_TOKEN=x", "REEVE_SERVER=" + server.address()}});
  EXPECT_TRUE(terminal.Shows("export a1: 2 events, 0.0 MiB")) << terminal.Screen();
  terminal.Press("C-c");
  EXPECT_EQ(terminal.Wait(), 130);
  EXPECT_FALSE(Kept());
}

TEST_F(CutExport, EndsByASignalWhileItsReaderStalls) {
  CannedServer server({{"GET /agents/a1", CannedServer::Json(R"({"id":"a1"})")},
                       {"GET /agents/a1/export", std::string(kHead) + "Connection: stay\r\n\r\n" +
                                                     Chunk(std::string(size_t{1} << 20, 'x'))}});
  const std::string pipe = folder_.path() + "/pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const Fd reader(open(pipe.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  Command command({"agents", "export", "a1", "-o", pipe},
                  {"REEVE_TOKEN=x", "REEVE_SERVER=" + server.address()});
  // Full: another writer would have to wait.
  const Fd writer(open(pipe.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  ASSERT_TRUE(Eventually([&] {
    pollfd room{writer.get(), POLLOUT, 0};
    return poll(&room, 1, 0) == 0;
  }));
  command.Signal(SIGINT);
  EXPECT_EQ(command.Wait(), -SIGINT);
}

TEST_F(CutExport, InterruptedItLeavesNothing) {
  CannedServer server({{"GET /agents/a1", CannedServer::Json(R"({"id":"a1"})")},
                       {"GET /agents/a1/export",
                        std::string(kHead) + "Connection: stay\r\n\r\n" + Chunk(Ours("agent", "{}"))}});
  Command command({"agents", "export", "a1", "-o", folder_.path() + "/a1"},
                  {"REEVE_TOKEN=x", "REEVE_SERVER=" + server.address()});
  ASSERT_TRUE(Eventually([this] {
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path()))
      if (entry.file_size() > 0) return true;
    return false;
  }));
  command.Signal(SIGINT);
  EXPECT_EQ(command.Wait(), 130);
  EXPECT_FALSE(Kept());
}

TEST_F(ExportCommand, ATerminalGetsNothingThatControlsIt) {
  // U+009B begins a control sequence, U+202E turns text around.
  daemon_.Create(R"({"id":"evil","kind":"process","command":["printf","a\\302\\233b\\342\\200\\256c"]})");
  daemon_.WaitFor("evil");
  const std::string copy = folder_.path() + "/typescript";
  Tmux terminal({"/usr/bin/script", "-q", "-c", std::string(kReeveBinary) + " export evil", copy},
                {.environment = {"REEVE_DATA=" + daemon_.data_dir()}});
  EXPECT_EQ(terminal.Wait(), 0);
  const std::string shown = ReadFile(copy);
  EXPECT_THAT(shown, HasSubstr("a\\u009bb\\u202ec"));
  EXPECT_EQ(shown.find("\xC2\x9B"), std::string::npos);
  EXPECT_EQ(shown.find("\xE2\x80\xAE"), std::string::npos);
}

}  // namespace
}  // namespace reeve
