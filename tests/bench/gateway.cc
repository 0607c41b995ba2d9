// One connection of the gateway with 200 subscriptions: how late come the events of quiet agents, and the
// answers to calls, beside one agent that prints as fast as it is read?
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <string>
#include <string_view>
#include <vector>

#include "process/fd.h"
#include "tests/bench/benchmarks.h"
#include "tests/bench/servers.h"
#include "tests/bench/source.h"

namespace reeve::bench {

namespace {

constexpr int kQuietAgents = 199;
constexpr int64_t kQuietEvents = 10;  // of each, one a second
constexpr int64_t kFlood = 20'000'000;
constexpr int64_t kCallEveryNs = 20'000'000;

// Reads in a process of its own would be fairer, but then the order of the calls would not be known here.
class Connection {
 public:
  Status Open(const Daemon& daemon) {
    fd_ = Fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(daemon.port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int on = 1;
    setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
      return OsError("connect", errno);
    return Send(daemon.GatewayRequest());
  }

  Status Send(std::string_view bytes) {
    if (write(fd_.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size())) return {};
    return OsError("write to the gateway", errno);
  }

  // Reads until `deadline_ns`, and notes what comes of quiet agents and of calls. It never spins: a client
  // that used up its time would wait for the processor when the next answer comes.
  Status Read(int64_t deadline_ns) {
    for (int64_t left = deadline_ns - NowNs(); left > 0; left = deadline_ns - NowNs()) {
      pollfd readable{fd_.get(), POLLIN, 0};
      const timespec wait{left / 1'000'000'000, left % 1'000'000'000};
      if (ppoll(&readable, 1, &wait, nullptr) != 1) continue;
      const ssize_t got = recv(fd_.get(), bytes_.data(), bytes_.size(), 0);
      const int64_t now = NowNs();
      if (got <= 0) return Error{"closed", "the gateway closed the connection"};
      buffer_.append(bytes_.data(), static_cast<size_t>(got));
      Take(now);
    }
    return {};
  }

  Status Call(int64_t id, std::string_view method, std::string_view params) {
    sent_ns_.resize(static_cast<size_t>(id) + 1);
    sent_ns_[static_cast<size_t>(id)] = NowNs();
    return Send(GatewayCall(id, method, params));
  }

  std::vector<int64_t> event_us;  // from the making of a line to its reading
  std::vector<int64_t> answer_us;
  int64_t flood_events = 0;

 private:
  static int64_t Number(std::string_view text, std::string_view key) {
    const size_t at = text.find(key);
    int64_t number = -1;
    if (at != std::string_view::npos)
      std::from_chars(text.data() + at + key.size(), text.data() + text.size(), number);
    return number;
  }

  void Take(int64_t now) {
    std::string_view rest = buffer_;
    if (!upgraded_) {
      const size_t head = rest.find("\r\n\r\n");
      if (head == std::string_view::npos) return;
      rest.remove_prefix(head + 4);
      upgraded_ = true;
    }
    while (rest.size() >= 4) {
      size_t head = 2;
      size_t size = static_cast<unsigned char>(rest[1]);
      if (size == 126) {
        head = 4;
        size = static_cast<size_t>(static_cast<unsigned char>(rest[2])) << 8 |
               static_cast<unsigned char>(rest[3]);
      }
      if (rest.size() < head + size) break;
      TakeMessage(rest.substr(head, size), now);
      rest.remove_prefix(head + size);
    }
    buffer_.erase(0, buffer_.size() - rest.size());
  }

  void TakeMessage(std::string_view message, int64_t now) {
    if (message.find(R"("agent":"flood")") != std::string_view::npos) {
      ++flood_events;
    } else if (const int64_t made = Number(message, kStampStart); made > 0) {
      event_us.push_back((now - made) / 1000);
    } else if (const int64_t id = Number(message, R"("id":)");
               id > 0 && message.find("\"method\"") == message.npos) {
      answer_us.push_back((now - sent_ns_[static_cast<size_t>(id)]) / 1000);
    }
  }

  Fd fd_;
  std::vector<char> bytes_ = std::vector<char>(size_t{256} << 10);  // for one recv
  std::string buffer_;
  bool upgraded_ = false;
  std::vector<int64_t> sent_ns_;
};

double Percentile(std::vector<int64_t> values, double share) {
  if (values.empty()) return 0;
  const auto at = values.begin() + static_cast<ptrdiff_t>(share * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), at, values.end());
  return static_cast<double>(*at) / 1000;
}

// The quiet agents speak, and calls are made, for as long as that takes.
Result<Metrics> Phase(Daemon& daemon, Connection& connection, int64_t& id) {
  connection.event_us.clear();
  connection.answer_us.clear();
  connection.flood_events = 0;
  for (int i = 0; i < kQuietAgents; ++i) {
    if (Status sent = daemon.Send(fmt::format("q{}", i), SourceOrder(kQuietEvents, 1)); !sent)
      return sent.error();
  }
  const int64_t begin = NowNs();
  const int64_t end = begin + (kQuietEvents + 1) * 1'000'000'000;
  while (NowNs() < end) {
    if (Status called = connection.Call(++id, "gateway.ping", "{}"); !called) return called.error();
    if (Status read = connection.Read(NowNs() + kCallEveryNs); !read) return read.error();
  }
  if (connection.event_us.size() < static_cast<size_t>(kQuietAgents * kQuietEvents) / 2)
    return Error{"short", fmt::format("gateway: only {} events of quiet agents", connection.event_us.size())};
  return Metrics{
      {"event_p50_ms", Percentile(connection.event_us, 0.5), 2, true},
      {"event_p99_ms", Percentile(connection.event_us, 0.99), 2, true},
      {"answer_p50_ms", Percentile(connection.answer_us, 0.5), 2, true},
      {"answer_p99_ms", Percentile(connection.answer_us, 0.99), 2, true},
      {"flood_per_s",
       static_cast<double>(connection.flood_events) * 1e9 / static_cast<double>(NowNs() - begin), 0},
  };
}

}  // namespace

Status RunGateway(const Options& options, Report& report) {
  std::vector<Metrics> quiet;
  std::vector<Metrics> flooded;
  for (int round = 0; round < options.rounds; ++round) {
    auto daemon = Daemon::Start(options.reeve);
    if (!daemon) return daemon.error();
    if (Status added = (*daemon)->AddSource("flood"); !added) return added.error();
    Connection connection;
    if (Status opened = connection.Open(**daemon); !opened) return opened.error();
    int64_t id = 0;
    if (Status called = connection.Call(++id, "events.subscribe", R"({"agent":"flood"})"); !called)
      return called.error();
    for (int i = 0; i < kQuietAgents; ++i) {
      const std::string agent = fmt::format("q{}", i);
      if (Status added = (*daemon)->AddSource(agent); !added) return added.error();
      if (Status called =
              connection.Call(++id, "events.subscribe", fmt::format(R"({{"agent":"{}"}})", agent));
          !called)
        return called.error();
      if (Status read = connection.Read(NowNs() + 1'000'000); !read) return read.error();
    }
    auto alone = Phase(**daemon, connection, id);
    if (!alone) return alone.error();
    quiet.push_back(std::move(*alone));
    if (Status sent = (*daemon)->Send("flood", SourceOrder(kFlood, 0)); !sent) return sent.error();
    auto beside = Phase(**daemon, connection, id);
    if (!beside) return beside.error();
    flooded.push_back(std::move(*beside));
    Report::Note(fmt::format("gateway round {}: events p50 {:.2f} ms quiet, {:.2f} ms beside the flood",
                             round + 1, quiet.back()[0].value, flooded.back()[0].value));
  }
  report.Begin("gateway", "200 subscriptions");
  report.Add("quiet", Median(quiet));
  report.Add("flood", Median(flooded));
  report.Add("flood/quiet", MedianRatio(flooded, quiet));
  report.End();
  return {};
}

}  // namespace reeve::bench
