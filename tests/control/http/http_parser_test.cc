#include "control/http/http_parser.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace reeve {
namespace {

constexpr HttpParser::Limits kLimits{1000, 2000, 500};

// All that came of `bytes` when they were fed in pieces of `step`, as text to compare.
struct Outcome {
  std::vector<Request> requests;
  std::vector<bool> keep_alive;
  std::string refusal;  // its code, or empty
  bool unfinished = false;
};

Outcome Parse(std::string_view bytes, size_t step = SIZE_MAX) {
  HttpParser parser(kLimits);
  Outcome outcome;
  while (!bytes.empty()) {
    std::string_view piece = bytes.substr(0, step);
    bytes.remove_prefix(piece.size());
    while (!piece.empty()) {
      piece.remove_prefix(parser.Feed(piece));
      if (parser.state() == HttpParser::State::kRefused) {
        outcome.refusal = parser.refusal().code;
        return outcome;
      }
      if (parser.state() != HttpParser::State::kWhole) continue;
      auto taken = parser.Take();
      outcome.requests.push_back(std::move(taken.request));
      outcome.keep_alive.push_back(taken.keep_alive);
    }
  }
  outcome.unfinished = parser.state() != HttpParser::State::kEmpty;
  return outcome;
}

std::string Describe(const Outcome& outcome) {
  std::string text = outcome.refusal + (outcome.unfinished ? " unfinished" : "");
  for (const auto& request : outcome.requests) {
    text += '\n' + request.method + ' ' + request.path;
    for (const auto& [name, value] : request.query) text.append(" ?").append(name).append("=").append(value);
    for (const auto& [name, value] : request.headers)
      text.append(" [").append(name).append("=").append(value);
    text += ' ' + request.body;
  }
  return text;
}

std::string Get(std::string_view target) {
  return "GET " + std::string(target) + " HTTP/1.1\r\nHost: a\r\n\r\n";
}
std::string Post(std::string_view headers, std::string_view body) {
  return "POST /x HTTP/1.1\r\nHost: a\r\n" + std::string(headers) + "\r\n" + std::string(body);
}

TEST(HttpParser, TakesARequestApart) {
  auto outcome = Parse(
      "PATCH /agents/a%31?label=k:a+b%26&empty&after=0 HTTP/1.1\r\nHOST: a:80\r\nX-Odd:  two words \t\r\n"
      "X-Empty:\r\nContent-Length: 4\r\n\r\nbody");
  ASSERT_EQ(outcome.requests.size(), 1U) << outcome.refusal;
  const Request& request = outcome.requests[0];
  EXPECT_EQ(request.method, "PATCH");
  EXPECT_EQ(request.path, "/agents/a1");
  EXPECT_EQ(request.Query("label"), "k:a b&");
  EXPECT_EQ(request.Query("empty"), "");
  EXPECT_EQ(request.Query("after"), "0");
  EXPECT_EQ(request.Query("before"), std::nullopt);
  EXPECT_EQ(request.Header("host"), "a:80");
  EXPECT_EQ(request.Header("x-odd"), "two words");
  EXPECT_TRUE(request.HasHeader("x-empty"));
  EXPECT_EQ(request.body, "body");
  EXPECT_TRUE(outcome.keep_alive[0]);
}

TEST(HttpParser, JoinsChunksAndIgnoresTrailers) {
  auto outcome =
      Parse(Post("Transfer-Encoding: chunked\r\n",
                 "5\r\nhello\r\n1;name=value\r\n \r\n5\r\nworld\r\n0\r\nX-Trailer: x\r\nHost: b\r\n\r\n") +
            Get("/next"));
  ASSERT_EQ(outcome.requests.size(), 2U) << outcome.refusal;
  EXPECT_EQ(outcome.requests[0].body, "hello world");
  EXPECT_FALSE(outcome.requests[0].HasHeader("x-trailer"));
  EXPECT_EQ(outcome.requests[0].Header("host"), "a");
  EXPECT_EQ(outcome.requests[1].path, "/next");
}

// RFC 9112 section 7.1.1
TEST(HttpParser, BlanksMayStandAroundChunkExtensions) {
  const std::string body = "5 ; a\t=  b\r\nh l;o\r\n1;d = e\r\n \r\n0 ;f\r\nT: x y\r\n\r\n";
  const std::string bytes = Post("Transfer-Encoding: chunked\r\n", body) + Get("/next");
  for (size_t step = 1; step <= bytes.size(); ++step) {
    auto outcome = Parse(bytes, step);
    ASSERT_EQ(outcome.requests.size(), 2U) << step << outcome.refusal;
    EXPECT_EQ(outcome.requests[0].body, "h l;o ") << step;
    EXPECT_EQ(outcome.requests[1].path, "/next");
  }
}

// A parser that took nothing would be fed for ever.
TEST(HttpParser, AMisplacedBlankIsTakenWithItsRefusal) {
  const std::string bytes = Post("Transfer-Encoding: chunked\r\n", "5 a\r\n\r\n");
  for (size_t step = 1; step <= bytes.size(); ++step) {
    HttpParser parser(kLimits);
    std::string_view rest = bytes;
    while (!rest.empty() && parser.state() != HttpParser::State::kRefused) {
      std::string_view piece = rest.substr(0, step);
      rest.remove_prefix(piece.size());
      while (!piece.empty() && parser.state() != HttpParser::State::kRefused) {
        const size_t used = parser.Feed(piece);
        ASSERT_GT(used, 0U) << step;
        piece.remove_prefix(used);
      }
    }
    EXPECT_EQ(parser.state(), HttpParser::State::kRefused) << step;
  }
}

TEST(HttpParser, APathHasOneSpelling) {
  const std::pair<const char*, const char*> table[] = {
      {"/%73tream%2Dticket", "/stream-ticket"}, {"/a%2fb", "/a%2Fb"}, {"/%25%41", "/%25A"},
      {"/%3F%23%20%c3%a4", "/%3F%23%20%C3%A4"}, {"/%2525", "/%2525"}, {"/plain", "/plain"},
  };
  for (const auto& [target, path] : table) EXPECT_EQ(Parse(Get(target)).requests.at(0).path, path) << target;
}

TEST(HttpParser, KnowsWhetherTheConnectionGoesOn) {
  EXPECT_TRUE(Parse("GET / HTTP/1.1\r\nHost: a\r\n\r\n").keep_alive.at(0));
  EXPECT_FALSE(Parse("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").keep_alive.at(0));
  EXPECT_FALSE(Parse("GET / HTTP/1.1\r\nHost: a\r\nConnection: foo, Close\r\n\r\n").keep_alive.at(0));
  EXPECT_FALSE(Parse("GET / HTTP/1.0\r\n\r\n").keep_alive.at(0));
  EXPECT_FALSE(Parse("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n").keep_alive.at(0));
}

TEST(HttpParser, AnUpgradeIsARequestLikeAnyOther) {
  auto outcome = Parse("GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" +
                       Get("/next"));
  ASSERT_EQ(outcome.requests.size(), 2U) << outcome.refusal;
  EXPECT_EQ(outcome.requests[0].Header("upgrade"), "websocket");
  EXPECT_EQ(outcome.requests[1].path, "/next");
}

TEST(HttpParser, EmptyLinesBeforeARequestDoNotBeginOne) {
  HttpParser parser(kLimits);
  EXPECT_EQ(parser.Feed("\r\n\r\n"), 4U);
  EXPECT_EQ(parser.state(), HttpParser::State::kEmpty);
  EXPECT_EQ(Parse("\r\n\r\n" + Get("/") + "\r\n" + Get("/two")).requests.size(), 2U);
}

TEST(HttpParser, TellsOnceThatTheClientWaitsForContinue) {
  HttpParser parser(kLimits);
  parser.Feed(Post("Content-Length: 2\r\nExpect: 100-Continue\r\n", ""));
  EXPECT_TRUE(parser.TakeExpectation());
  EXPECT_FALSE(parser.TakeExpectation());
  parser.Feed("ab");
  EXPECT_EQ(parser.state(), HttpParser::State::kWhole);

  HttpParser without_body(kLimits);
  without_body.Feed(Post("Content-Length: 0\r\nExpect: 100-continue\r\n", ""));
  EXPECT_EQ(without_body.state(), HttpParser::State::kWhole);
  EXPECT_FALSE(without_body.TakeExpectation());
}

// However the bytes are split, and whatever is in them, the outcome is the same.
TEST(HttpParser, SplitsDoNotMatter) {
  const std::string inputs[] = {
      Get("/agents?limit=10&x=%20") + Post("Content-Length: 5\r\n", "hello") +
          Post("Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n",
               "3;a=b\r\nabc\r\n0\r\nT: x\r\n\r\n") +
          Get("/end"),
      "\r\n" + Get("/a") + "\r\n\r\n" + Get("/b"),
      Get("/ok") + "GET  /two-spaces HTTP/1.1\r\nHost: a\r\n\r\n",
      Post("Content-Length: 5\r\nX: y\r\n folded\r\n", "hello"),
      Post("Transfer-Encoding: chunked\r\n", "5\r\nhelloX\r\n0\r\n\r\n"),
      Get("/ok") + std::string("\x16\x03\x01\x02", 4),
      Post("Transfer-Encoding: chunked\r\n",
           std::string(2100, '0') + "3e8\r\n" + std::string(1000, 'x') + "\r\n0\r\n\r\n"),
      std::string(1000, '\x16'),  // longer than a target may be: found by the fuzzer
  };
  for (const auto& input : inputs) {
    std::string whole = Describe(Parse(input));
    for (size_t step = 1; step < input.size(); ++step) EXPECT_EQ(Describe(Parse(input, step)), whole) << step;
  }
}

struct Refused {
  const char* what;
  std::string bytes;
  const char* code = "invalid_request";
};

TEST(HttpParser, RefusesWhatTwoReadersCouldReadDifferently) {
  const std::string host = "Host: a\r\n";
  const std::string end = "\r\n";
  const std::string chunks = "0\r\n\r\n";
  const Refused table[] = {
      {"no Host", "GET / HTTP/1.1\r\n\r\n"},
      {"two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"},
      {"two Hosts on 1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"},
      {"empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n"},
      {"Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"},
      {"Host with credentials", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"},
      {"Host list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"},
      {"no version", "GET /\r\n\r\n"},
      {"HTTP/0.9", "GET / HTTP/0.9\r\nHost: a\r\n\r\n", "http_version"},
      {"HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", "http_version"},
      {"HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", "http_version"},
      {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "http_version"},
      {"lower-case version", "GET / http/1.1\r\nHost: a\r\n\r\n"},
      {"long version", "GET / HTTP/1.10\r\nHost: a\r\n\r\n"},
      {"RTSP", "DESCRIBE /x RTSP/1.0\r\nHost: a\r\n\r\n"},
      {"RTSP method", "DESCRIBE /x HTTP/1.1\r\nHost: a\r\n\r\n", "not_implemented"},
      {"ICE", "SOURCE /x ICE/1.0\r\nHost: a\r\n\r\n"},
      {"ICE method", "SOURCE /x HTTP/1.1\r\nHost: a\r\n\r\n", "not_implemented"},
      {"unknown method", "BREW /x HTTP/1.1\r\nHost: a\r\n\r\n", "not_implemented"},
      {"CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", "not_implemented"},
      {"TRACE", "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", "not_implemented"},
      {"lower-case method", "get / HTTP/1.1\r\nHost: a\r\n\r\n", "not_implemented"},
      {"malformed method", "G@T / HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"space before the version", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"tab as separator", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"space at the end", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"},
      {"leading space", " GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"another scheme", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"absolute form without a host", "GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"absolute form with a user", "GET http://u:p@a/ HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"absolute form without Host", "GET http://a/ HTTP/1.1\r\n\r\n"},
      {"absolute form with a fragment", "GET http://a/#b HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"authority form", "GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"asterisk", "GET * HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"fragment", Get("/a#b")},
      {"control in target", Get("/a\x01")},
      {"DEL in target", Get("/a\x7f")},
      {"UTF-8 in target", Get("/\xc3\xa9")},
      {"bad escape", Get("/a%2")},
      {"bad escape digits", Get("/a%zz")},
      {"NUL escape", Get("/a%00b")},
      {"bad escape in query", Get("/a?x=%")},
      {"NUL escape in query", Get("/a?x=%00")},
      {"NUL in a header", std::string("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 35)},
      {"control in a header", "GET / HTTP/1.1\r\nHost: a\r\nX: a\x0b\r\n\r\n"},
      {"empty header name", "GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n"},
      {"space before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n"},
      {"header without a colon", "GET / HTTP/1.1\r\nHost: a\r\nfoo\r\n\r\n"},
      {"parenthesis in a name", "GET / HTTP/1.1\r\nHost: a\r\nf(o: x\r\n\r\n"},
      {"folded header", "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n"},
      {"folded by a tab", "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n\tb\r\n\r\n"},
      {"folded first header", "GET / HTTP/1.1\r\n Host: a\r\n\r\n"},
      {"blank that is not empty", "GET / HTTP/1.1\r\nHost: a\r\n \r\n\r\n"},
      {"bare LF", "GET / HTTP/1.1\nHost: a\n\n"},
      {"bare LF after a header", "GET / HTTP/1.1\r\nHost: a\n\r\n"},
      {"bare CR", "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n"},
      {"CR only ends", "GET / HTTP/1.1\r\nHost: a\r\n\rX: y\r\n\r\n"},
      {"CR CR LF", "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n"},
      {"TE on 1.0", "POST / HTTP/1.0\r\n" + host + "Transfer-Encoding: chunked\r\n" + end + chunks},
      {"TE and CL", Post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", chunks)},
      {"CL and TE", Post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", chunks)},
      {"CL 0 and TE", Post("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", chunks)},
      {"gzip, chunked", Post("Transfer-Encoding: gzip, chunked\r\n", chunks)},
      {"chunked, chunked", Post("Transfer-Encoding: chunked, chunked\r\n", chunks)},
      {"chunked twice", Post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", chunks)},
      {"chunked, identity", Post("Transfer-Encoding: chunked, identity\r\n", chunks)},
      {"identity", Post("Transfer-Encoding: identity\r\n", "")},
      {"xchunked", Post("Transfer-Encoding: xchunked\r\n", chunks)},
      {"quoted chunked", Post("Transfer-Encoding: \"chunked\"\r\n", chunks)},
      {"empty TE", Post("Transfer-Encoding:\r\n", "")},
      {"vertical tab TE", Post("Transfer-Encoding: \x0b"
                               "chunked\r\n",
                               chunks)},
      {"CL twice", Post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello")},
      {"CL twice, different", Post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello!")},
      {"CL list", Post("Content-Length: 5, 5\r\n", "hello")},
      {"CL signed", Post("Content-Length: +5\r\n", "hello")},
      {"CL negative", Post("Content-Length: -5\r\n", "hello")},
      {"CL hex", Post("Content-Length: 0x5\r\n", "hello")},
      {"CL with a space", Post("Content-Length: 5 0\r\n", "hello")},
      {"CL empty", Post("Content-Length:\r\n", "")},
      {"CL beyond 64 bits", Post("Content-Length: 18446744073709551621\r\n", "hello")},
      {"chunk longer than said", Post("Transfer-Encoding: chunked\r\n", "5\r\nhelloX\r\n0\r\n\r\n")},
      {"chunk ended by LF", Post("Transfer-Encoding: chunked\r\n", "5\r\nhello\n0\r\n\r\n")},
      {"chunk size ended by LF", Post("Transfer-Encoding: chunked\r\n", "5\nhello\r\n0\r\n\r\n")},
      {"chunk size in 0x", Post("Transfer-Encoding: chunked\r\n", "0x5\r\nhello\r\n0\r\n\r\n")},
      {"negative chunk size", Post("Transfer-Encoding: chunked\r\n", "-5\r\nhello\r\n0\r\n\r\n")},
      {"chunk size of 17 digits",
       Post("Transfer-Encoding: chunked\r\n", "10000000000000005\r\nhello\r\n0\r\n\r\n")},
      {"empty chunk size", Post("Transfer-Encoding: chunked\r\n", "\r\nhello\r\n0\r\n\r\n")},
      {"space after the chunk size", Post("Transfer-Encoding: chunked\r\n", "5 \r\nhello\r\n0\r\n\r\n")},
      {"CR in a chunk extension", Post("Transfer-Encoding: chunked\r\n", "5;a\rb\r\nhello\r\n0\r\n\r\n")},
      {"LF in a chunk extension", Post("Transfer-Encoding: chunked\r\n", "5;a\nb\r\nhello\r\n0\r\n\r\n")},
      {"huge chunk extension",
       Post("Transfer-Encoding: chunked\r\n", "5;" + std::string(300, 'a') + "\r\nhello\r\n0\r\n\r\n")},
      {"blank before a chunk size", Post("Transfer-Encoding: chunked\r\n", " 5\r\nhello\r\n0\r\n\r\n")},
      {"blank in a chunk size", Post("Transfer-Encoding: chunked\r\n", "0 5\r\nhello\r\n0\r\n\r\n")},
      {"blank after an extension", Post("Transfer-Encoding: chunked\r\n", "5;a \r\nhello\r\n0\r\n\r\n")},
      {"blank in an extension", Post("Transfer-Encoding: chunked\r\n", "5;a b\r\nhello\r\n0\r\n\r\n")},
      {"endless blanks",
       Post("Transfer-Encoding: chunked\r\n", "5" + std::string(300, ' ') + ";a\r\nhello\r\n0\r\n\r\n")},
      {"zeros before a chunk size",
       Post("Transfer-Encoding: chunked\r\n", std::string(3000, '0') + "5\r\nhello\r\n0\r\n\r\n")},
      {"not HTTP at all", std::string("\x16\x03\x01\x02\x00\x01", 6)},
      {"other expectation", Post("Expect: 200-ok\r\n", ""), "expectation_failed"},
  };
  for (const auto& row : table) {
    auto whole = Parse(row.bytes + Get("/smuggled"));
    EXPECT_EQ(whole.refusal, row.code) << row.what;
    EXPECT_TRUE(whole.requests.empty()) << row.what << ": " << Describe(whole);
    auto split = Parse(row.bytes + Get("/smuggled"), 1);
    EXPECT_EQ(split.refusal, row.code) << row.what << ", byte by byte";
    EXPECT_TRUE(split.requests.empty()) << row.what << ", byte by byte: " << Describe(split);
  }
}

TEST(HttpParser, HoldsToItsLimitsExactly) {
  EXPECT_EQ(Parse(Post("Content-Length: 1000\r\n", std::string(1000, 'x'))).requests.size(), 1U);
  EXPECT_EQ(Parse(Post("Content-Length: 1001\r\n", "")).refusal, "too_large");
  EXPECT_EQ(
      Parse(Post("Transfer-Encoding: chunked\r\n", "3e8\r\n" + std::string(1000, 'x') + "\r\n0\r\n\r\n"))
          .requests.size(),
      1U);
  EXPECT_EQ(Parse(Post("Transfer-Encoding: chunked\r\n", "3e9\r\n" + std::string(1001, 'x'))).refusal,
            "too_large");

  EXPECT_EQ(Parse(Get("/" + std::string(499, 'a'))).requests.size(), 1U);
  EXPECT_EQ(Parse(Get("/" + std::string(500, 'a'))).refusal, "target_too_long");
  EXPECT_EQ(Parse(Get("/" + std::string(100'000, 'a'))).refusal, "target_too_long");
  EXPECT_EQ(Parse("GET /" + std::string(600, 'a')).refusal, "target_too_long");  // its end need not come

  std::string head = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n";
  auto with_header_of = [&head](size_t size) {
    std::string grown = head;
    return grown.insert(head.size() - 4, std::string(size, 'x'));
  };
  EXPECT_EQ(Parse(with_header_of(2000 - head.size())).requests.size(), 1U);
  EXPECT_EQ(Parse(with_header_of(2001 - head.size())).refusal, "headers_too_large");
  EXPECT_EQ(Parse("GET / HTTP/1.1\r\nX: " + std::string(100'000, ' ')).refusal, "headers_too_large");

  std::string many = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (size_t i = 1; i < HttpParser::kMaxHeaders; ++i) many += "X: y\r\n";
  EXPECT_EQ(Parse(many + "\r\n").requests.size(), 1U);
  EXPECT_EQ(Parse(many + "X: y\r\n\r\n").refusal, "headers_too_large");

  std::string trailers = "0\r\n";
  for (int i = 0; i < 500; ++i) trailers += "X-Trailer: y\r\n";
  EXPECT_EQ(Parse(Post("Transfer-Encoding: chunked\r\n", trailers + "\r\n")).refusal, "invalid_request");
  EXPECT_EQ(Parse(Post("Transfer-Encoding: chunked\r\n", "0\r\nX:" + std::string(100'000, ' '))).refusal,
            "invalid_request");
}

TEST(HttpParser, ManySmallChunksAreABodyLikeAnyOther) {
  std::string chunks;
  for (int i = 0; i < 1000; ++i) chunks += "1\r\nx\r\n";
  auto outcome = Parse(Post("Transfer-Encoding: chunked\r\n", chunks + "0\r\n\r\n"), 100);
  ASSERT_EQ(outcome.requests.size(), 1U) << outcome.refusal;
  EXPECT_EQ(outcome.requests[0].body, std::string(1000, 'x'));
}

}  // namespace
}  // namespace reeve
