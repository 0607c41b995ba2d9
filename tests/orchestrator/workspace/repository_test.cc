#include "orchestrator/workspace/repository.h"

#include <gtest/gtest.h>

#include <string>

namespace reeve {
namespace {

TEST(Repository, AddressesThatPeopleUse) {
  const std::pair<const char*, const char*> good[] = {{"https://github.com/owner/repo.git", "https"},
                                                      {"https://host:8443/a/b~c/%20d", "https"},
                                                      {"http://[::1]:80/x", "http"},
                                                      {"ssh://git@host/path", "ssh"},
                                                      {"ssh://host:2222/~user/repo", "ssh"},
                                                      {"git@github.com:owner/repo.git", "ssh"},
                                                      {"host:repo", "ssh"},
                                                      {"file:///srv/repo.git", "file"}};
  for (const auto& [url, protocol] : good) {
    EXPECT_EQ(WhyNotRepository(url), nullptr) << url;
    EXPECT_EQ(ProtocolOf(url), protocol) << url;
  }
}

TEST(Repository, AddressesThatAreMoreThanThat) {
  for (const std::string& bad : {std::string(),
                                 std::string("-x"),
                                 std::string("--upload-pack=x"),
                                 std::string("/srv/repo"),
                                 std::string("repo"),
                                 std::string("ext::sh -c x"),
                                 std::string("ext::sh"),
                                 std::string("fd::3/x"),
                                 std::string("https://user:secret@host/x"),
                                 std::string("https://token@host/x"),
                                 std::string("https://a@b:c@host/x"),
                                 std::string("ssh://user:secret@host/x"),
                                 std::string("ssh://-oProxyCommand=x/y"),
                                 std::string("ssh://-l@host/x"),
                                 std::string("-x@host:path"),
                                 std::string("host:-path"),
                                 std::string("host::path"),
                                 std::string("https://host"),
                                 std::string("https://host/"),
                                 std::string("https:///x"),
                                 std::string("https://host:p/x"),
                                 std::string("https://host:/x"),
                                 std::string("https://host/x?token=1"),
                                 std::string("https://host/x#y"),
                                 std::string("https://host/a b"),
                                 std::string("https://host/a\nb"),
                                 std::string("https://host/a\0b", 16),
                                 std::string("git://host/x"),
                                 std::string("ftp://host/x"),
                                 std::string("file://host/x"),
                                 std::string("file:///"),
                                 std::string("https://host/") + std::string(2048, 'x')}) {
    EXPECT_NE(WhyNotRepository(bad), nullptr) << bad;
  }
}

TEST(Repository, RefNames) {
  for (const char* good :
       {"main", "feature/x-1", "v1.0", "a@b", "0123456789abcdef0123456789abcdef01234567", "ünï"})
    EXPECT_TRUE(IsRefName(good)) << good;
  for (const std::string& bad :
       {std::string(),           std::string("-f"),   std::string("--x"),     std::string("a/-x"),
        std::string("a..b"),     std::string("../x"), std::string("/a"),      std::string("a/"),
        std::string("a//b"),     std::string(".a"),   std::string("a/.b"),    std::string("a.lock"),
        std::string("a.lock/b"), std::string("a."),   std::string("@"),       std::string("a@{1}"),
        std::string("HEAD"),     std::string("a b"),  std::string("a~1"),     std::string("a^"),
        std::string("a:b"),      std::string("a?"),   std::string("a*"),      std::string("a["),
        std::string("a\\b"),     std::string("a\nb"), std::string("a\0b", 3), std::string(201, 'x')}) {
    EXPECT_FALSE(IsRefName(bad)) << bad;
  }
}

TEST(Repository, PathsBelow) {
  for (const char* good : {"a", "a/b", "a/./b", "a..b", "..a"}) EXPECT_TRUE(IsPathBelow(good)) << good;
  for (const char* bad : {"", "/a", "..", "../a", "a/..", "a/../b", "a\nb"})
    EXPECT_FALSE(IsPathBelow(bad)) << bad;
}

}  // namespace
}  // namespace reeve
