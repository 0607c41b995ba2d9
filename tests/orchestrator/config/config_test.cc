#include "orchestrator/config/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "orchestrator/config/config_file.h"
#include "orchestrator/config/units.h"
#include "tests/support/loop_fixture.h"
#include "tests/support/paths.h"

namespace reeve {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Durations and sizes.

TEST(UnitsTest, DurationsAreRead) {
  EXPECT_EQ(*ParseDuration("0"), 0);
  EXPECT_EQ(*ParseDuration("500ms"), 500);
  EXPECT_EQ(*ParseDuration("30s"), 30'000);
  EXPECT_EQ(*ParseDuration("1h30m"), 5'400'000);
  EXPECT_EQ(*ParseDuration("2d1s5ms"), 172'801'005);
  for (const char* wrong :
       {"", "5", "s", "1x", "30 s", " 30s", "30s ", "-5s", "+5s", "1.5s", "1m1h", "1s1s", "1S", "1h30",
        "9223372036854775807s", "99999999999999999999s", "9223372036854775807ms1ms"}) {
    EXPECT_FALSE(ParseDuration(wrong)) << wrong;
  }
}

TEST(UnitsTest, WhatIsWrittenIsReadBack) {
  for (int64_t ms : {int64_t{0}, int64_t{1}, int64_t{999}, int64_t{1'000}, int64_t{90'000},
                     int64_t{5'400'000}, int64_t{86'400'000}, int64_t{90'061'001}}) {
    EXPECT_EQ(*ParseDuration(FormatDuration(ms)), ms);
  }
  EXPECT_EQ(FormatDuration(5'400'000), "1h30m");
  for (int64_t bytes : {int64_t{0}, int64_t{1}, int64_t{1023}, int64_t{1024}, int64_t{16} << 20,
                        (int64_t{1} << 40) + 1, int64_t{3} << 40}) {
    EXPECT_EQ(*ParseSize(FormatSize(bytes)), bytes);
  }
  EXPECT_EQ(FormatSize(int64_t{16} << 20), "16MiB");
}

TEST(UnitsTest, SizesAreRead) {
  EXPECT_EQ(*ParseSize("4096"), 4096);
  EXPECT_EQ(*ParseSize("5B"), 5);
  EXPECT_EQ(*ParseSize("64KiB"), 65'536);
  EXPECT_EQ(*ParseSize("2TiB"), int64_t{2} << 40);
  for (const char* wrong : {"", "MiB", "16MB", "16mib", "1MiB1", "-1", "1.5MiB", "9223372036854775807KiB"}) {
    EXPECT_FALSE(ParseSize(wrong)) << wrong;
  }
}

// Where settings come from.

class ConfigTest : public testing::Test {
 protected:
  Result<LoadedConfig> Load(const std::string& file) {
    WriteFile(path_, file);
    sources_.file = path_;
    return LoadConfig(sources_);
  }
  // The message, without the path of the file.
  std::string Complaint(const std::string& file) {
    auto loaded = Load(file);
    if (loaded) return "";
    EXPECT_EQ(loaded.error().code, "invalid_config");
    std::string message = loaded.error().message;
    if (message.rfind(path_ + ":", 0) == 0) message.erase(0, path_.size() + 1);
    return message;
  }

  TempDir folder_;
  const std::string path_ = folder_.path() + "/config.toml";
  ConfigSources sources_;
};

TEST_F(ConfigTest, EachPlaceWinsOverTheOneBefore) {
  auto loaded = Load("");
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->config.town, "town");
  EXPECT_EQ(loaded->origins["town"], "default");
  const std::string file = "# mine\n\ntown = \"file\"\n";
  loaded = Load(file);
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->config.town, "file");
  EXPECT_EQ(loaded->origins["town"], path_ + ":3");
  sources_.environment = {{"REEVE_TOWN", "environment"}};
  loaded = Load(file);
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->config.town, "environment");
  EXPECT_EQ(loaded->origins["town"], "REEVE_TOWN");
  sources_.flags = {{"town", {"flag"}}};
  loaded = Load(file);
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->config.town, "flag");
  EXPECT_EQ(loaded->origins["town"], "--town");
  EXPECT_EQ(loaded->origins["listen"], "default");
}

TEST_F(ConfigTest, EveryTypeIsReadFromEveryPlace) {
  auto from_file = Load(
      "listen = [\"tcp://127.0.0.1:0\", \"unix:///run/a.sock\"]\nheartbeat = \"2s\"\nretain_bytes = "
      "\"1MiB\"\n"
      "segment_bytes = 8192\nfsync = \"never\"\nallowed_hosts = \"one.example\"\n");
  ASSERT_TRUE(from_file) << from_file.error().message;
  EXPECT_THAT(from_file->config.listen, ElementsAre("tcp://127.0.0.1:0", "unix:///run/a.sock"));
  EXPECT_EQ(from_file->config.heartbeat_ms, 2'000);
  EXPECT_EQ(from_file->config.retain_bytes, 1 << 20);
  EXPECT_EQ(from_file->config.segment_bytes, 8'192);
  EXPECT_EQ(from_file->config.fsync, "never");
  EXPECT_THAT(from_file->config.allowed_hosts, ElementsAre("one.example"));

  sources_.environment = {{"REEVE_ALLOWED_HOSTS", "a.example, b.example,"},
                          {"REEVE_HEARTBEAT", "3s"},
                          {"REEVE_RETAIN_BYTES", "2MiB"},
                          {"REEVE_LISTEN", ""}};  // empty: as if it were not there
  auto from_environment = Load("");
  ASSERT_TRUE(from_environment) << from_environment.error().message;
  EXPECT_THAT(from_environment->config.allowed_hosts, ElementsAre("a.example", "b.example"));
  EXPECT_EQ(from_environment->config.heartbeat_ms, 3'000);
  EXPECT_EQ(from_environment->config.retain_bytes, 2 << 20);
  EXPECT_EQ(from_environment->origins["listen"], "default");

  sources_.flags = {{"allowed_hosts", {"c.example"}}, {"heartbeat", {"4s"}}};
  auto from_flags = Load("");
  ASSERT_TRUE(from_flags) << from_flags.error().message;
  EXPECT_THAT(from_flags->config.allowed_hosts, ElementsAre("c.example"));
  EXPECT_EQ(from_flags->config.heartbeat_ms, 4'000);
}

TEST_F(ConfigTest, AnErrorNamesPlaceKeyAndReason) {
  EXPECT_EQ(Complaint("\n  heartbeet = \"3s\"\n"), "2:3: heartbeet: unknown key; did you mean heartbeat?");
  EXPECT_EQ(Complaint("allowed-host = [\"a\"]"),
            "1:1: allowed-host: unknown key; did you mean allowed_hosts?");
  EXPECT_EQ(Complaint("colour = \"red\""), "1:1: colour: unknown key");
  EXPECT_EQ(Complaint("[log]\nlevel = \"debug\"\n").substr(0, 21), "1:2: log: unknown key");
  EXPECT_EQ(Complaint("heartbeat = 3"),
            "1:13: heartbeat: expected a duration as a string, \"30s\", but this is an integer");
  EXPECT_EQ(Complaint("town = [\"a\"]"), "1:8: town: expected a string, but this is an array");
  EXPECT_EQ(Complaint("retain_bytes = true"),
            "1:16: retain_bytes: expected a size, 4096 or \"16MiB\", but this is a boolean");
  EXPECT_EQ(Complaint("allowed_hosts = [\n  \"a\",\n  4]"),
            "3:3: allowed_hosts: expected an array of strings, but this is an array with an integer in it");
  EXPECT_EQ(Complaint("heartbeat = \"3d\""), "1:13: heartbeat: must be from 50ms to 1h");
  EXPECT_EQ(Complaint("heartbeat = \"3 s\""),
            "1:13: heartbeat: '3 s' is not a duration such as 500ms, 30s, 5m, 1h30m or 2d");
  EXPECT_EQ(Complaint("segment_bytes = 1"), "1:17: segment_bytes: must be from 4KiB to 1TiB");
  EXPECT_EQ(Complaint("retain_bytes = -1"),
            "1:16: retain_bytes: a size is written as 4096, 64KiB, 16MiB or 1GiB");
  EXPECT_EQ(Complaint("fsync = \"often\""), "1:9: fsync: must be one of always, interval, never");
  EXPECT_EQ(Complaint("listen = []"), "1:10: listen: must name at least one");
  EXPECT_EQ(Complaint("data = \"\""), "1:8: data: must not be empty");
  EXPECT_EQ(Complaint("town = \"a\\nb\""), "1:8: town: contains a control character");
  EXPECT_THAT(Complaint("town = \"a\"\ntown = \"b\""), HasSubstr("cannot redefine existing string 'town'"));
  EXPECT_THAT(Complaint("town = \"a\"\ntown = \"b\""), testing::StartsWith("2:"));
  EXPECT_THAT(Complaint("town = \"a\nlisten"), testing::StartsWith("1:"));
  // The first in the file, whatever else is wrong with it.
  EXPECT_THAT(Complaint("town = 3\nallowed_hosts = 3"), testing::StartsWith("1:8: town"));
}

TEST_F(ConfigTest, AnErrorOfTheEnvironmentOrOfAFlagNamesIt) {
  sources_.environment = {{"REEVE_HEARTBEAT", "soon"}};
  EXPECT_EQ(Complaint(""),
            "REEVE_HEARTBEAT: heartbeat: 'soon' is not a duration such as 500ms, 30s, 5m, 1h30m or 2d");
  sources_.environment.clear();
  sources_.flags = {{"allowed_origins", {"https://a.example", "b.example"}}};
  auto loaded = Load("");
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, "invalid_request");
  EXPECT_EQ(loaded.error().message,
            "--allowed-origin: \"b.example\" is not an origin such as https://app.example.com");
}

TEST_F(ConfigTest, AFileThatIsNamedMustBeThere) {
  sources_.file = folder_.path() + "/none.toml";
  auto loaded = LoadConfig(sources_);
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, "invalid_config");
  EXPECT_THAT(loaded.error().message, HasSubstr("none.toml: No such file"));
  EXPECT_EQ(Complaint(std::string(70'000, '#')), "read " + path_ + ": larger than 64KiB");
}

TEST_F(ConfigTest, WordsAreChecked) {
  for (const char* good :
       {"tcp://127.0.0.1:80", "tcp://[::1]:0", "tcp://localhost:1", "unix:///a", "fd://3"}) {
    EXPECT_EQ(Complaint("listen = [\"" + std::string(good) + "\"]"), "") << good;
  }
  for (const char* wrong : {"", "127.0.0.1:80", "tcp://:80", "tcp://host", "tcp://host:", "tcp://host:http",
                            "unix://a", "fd://", "fd://x", "http://a:1"}) {
    EXPECT_NE(Complaint("listen = [\"" + std::string(wrong) + "\"]"), "") << wrong;
  }
  for (const char* good : {"", "/a", "/a/b"}) {
    EXPECT_EQ(Complaint("base_path = \"" + std::string(good) + "\""), "") << good;
  }
  for (const char* wrong : {"/", "a", "/a/"}) {
    EXPECT_NE(Complaint("base_path = \"" + std::string(wrong) + "\""), "") << wrong;
  }
  for (const char* wrong : {"", "http://a", "a:80", "a/b"}) {
    EXPECT_NE(Complaint("allowed_hosts = [\"" + std::string(wrong) + "\"]"), "") << wrong;
  }
  for (const char* good : {"https://a.example", "http://a:8080", "https://a.example/"}) {
    EXPECT_EQ(Complaint("allowed_origins = [\"" + std::string(good) + "\"]"), "") << good;
  }
  for (const char* wrong : {"*", "https://", "https://*.a", "https://a/b", "ftp://a", "a.example", "null"}) {
    EXPECT_NE(Complaint("allowed_origins = [\"" + std::string(wrong) + "\"]"), "") << wrong;
  }
}

TEST_F(ConfigTest, AnAgentsEnvironmentMeansNothingToADaemonInIt) {
  sources_.environment = {{"REEVE_TOKEN_FILE", "/run/agent/token"},
                          {"REEVE_SERVER", "http://127.0.0.1:1"},
                          {"REEVE_AGENT_ID", "a1"},
                          {"REEVE_TOWN_ID", "0123"}};
  auto loaded = Load("");
  ASSERT_TRUE(loaded);
  EXPECT_EQ(DescribeConfig(*loaded), DescribeConfig(*LoadConfig({path_, {}, {}})));
  EXPECT_THAT(loaded->warnings, IsEmpty());
}

TEST_F(ConfigTest, AVariableThatIsNearlyOursIsTold) {
  sources_.environment = {{"REEVE_LISTN", "fd://3"}, {"REEVE_PORT_OF_MINE", "3"}};
  auto loaded = Load("");
  ASSERT_TRUE(loaded);
  EXPECT_THAT(loaded->warnings, ElementsAre("REEVE_LISTN is not the variable of a setting; REEVE_LISTEN is"));
}

TEST_F(ConfigTest, WhatIsDescribedIsAFileThatSaysTheSame) {
  sources_.flags = {{"town", {"a \"b\" \\ c # é"}},
                    {"allowed_hosts", {"a", "b"}},
                    {"retain_age", {"1h30m"}},
                    {"segment_bytes", {"5000"}},
                    {"token_file", {"/a b"}}};
  auto loaded = Load("");
  ASSERT_TRUE(loaded);
  const std::string described = DescribeConfig(*loaded);
  EXPECT_THAT(described, HasSubstr("retain_age = \"1h30m\"  # --retain-age\n"));
  sources_.flags.clear();
  auto again = Load(described);
  ASSERT_TRUE(again) << again.error().message;
  for (const Setting& setting : Settings()) {
    EXPECT_EQ(ShowSetting(setting, again->config), ShowSetting(setting, loaded->config)) << setting.key;
  }
}

TEST_F(ConfigTest, OnlyWhatReloadsIsTakenOver) {
  Config running;
  Config loaded;
  loaded.heartbeat_ms = 1'000;
  loaded.allowed_hosts = {"a"};
  loaded.log_level = "debug";
  loaded.town = "other";
  loaded.listen = {"fd://3"};
  ConfigChange change = TakeReloadable(loaded, running);
  EXPECT_THAT(change.applied, ElementsAre("allowed_hosts", "log_level", "heartbeat"));
  EXPECT_THAT(change.needs_restart, ElementsAre("listen", "town"));
  EXPECT_EQ(running.heartbeat_ms, 1'000);
  EXPECT_EQ(running.log_level, "debug");
  EXPECT_EQ(running.town, "town");
  change = TakeReloadable(loaded, running);
  EXPECT_THAT(change.applied, IsEmpty());
  EXPECT_THAT(change.needs_restart, ElementsAre("listen", "town"));  // still
}

// The table and its page.

std::string TypeWords(const Setting& setting) {
  switch (setting.type) {
    case Setting::Type::kText:
      return "string";
    case Setting::Type::kList:
      return "array of strings";
    case Setting::Type::kDuration:
      return "duration, " + FormatDuration(setting.least) + " to " + FormatDuration(setting.most);
    case Setting::Type::kSize:
      return "size" +
             (setting.least == 0 ? "" : ", " + FormatSize(setting.least) + " to " + FormatSize(setting.most));
    case Setting::Type::kChoice:
      break;
  }
  std::string words;
  for (const char* choice : setting.choices)
    words += (words.empty() ? "`" : ", `") + std::string(choice) + "`";
  return words;
}

std::string TableOfSettings() {
  std::string table = "| key | flag | type | default | reloads | |\n|---|---|---|---|---|---|\n";
  for (const Setting& setting : Settings()) {
    table += "| `" + std::string(setting.key) + "` | `" + setting.flag + "` | " + TypeWords(setting) + " | " +
             (setting.default_words ? setting.default_words : "`" + ShowSetting(setting, Config{}) + "`") +
             " | " + (setting.reloads ? "yes" : "") + " | " +
             [&setting] {
               std::string help;
               for (const char* c = setting.help; *c; ++c) help += *c == '|' ? "\\|" : std::string(1, *c);
               return help;
             }() +
             " |\n";
  }
  return table;
}

TEST(SettingsTest, EveryOneIsNamedAfterItsKey) {
  for (const Setting& setting : Settings()) {
    std::string dashed = setting.key;
    for (char& c : dashed) c = c == '_' ? '-' : c;
    if (setting.type == Setting::Type::kList && dashed.back() == 's') dashed.pop_back();
    EXPECT_EQ(setting.flag, "--" + dashed);
  }
}

TEST(SettingsTest, ThePageHasTheTable) {
  const std::string page = ReadFile(std::string(kTests) + "/../orchestrator/config/CONFIG.md");
  EXPECT_THAT(page, HasSubstr(TableOfSettings()));
}

}  // namespace
}  // namespace reeve
