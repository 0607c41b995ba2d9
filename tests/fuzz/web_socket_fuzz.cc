// Any bytes, cut anyhow, at the reader of a WebSocket: the same messages, pings and end come out however they
// were cut; a message is text in UTF-8 and not too long; nothing follows the end; and messages that are
// framed again are read again as themselves.
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/http/web_socket_reader.h"
#include "orchestrator/json/json.h"

namespace {

using reeve::WebSocketReader;

constexpr size_t kMessageBytes = 2000;

void Demand(bool condition) {
  if (!condition) std::abort();
}

struct Outcome final : WebSocketReader::Sink {
  void OnText(std::string_view message) override {
    Demand(!over() && message.size() <= kMessageBytes && reeve::IsUtf8(message));
    texts.emplace_back(message);
  }
  void OnPing(std::string_view payload) override {
    Demand(!over() && payload.size() <= 125);
    pings.emplace_back(payload);
  }
  void OnClose(uint16_t code, std::string_view reason) override {
    Demand(!over() && reeve::IsUtf8(reason) && code >= 1000 && code < 5000);
    closed = code;
    pings.emplace_back(reason);
  }
  [[nodiscard]] bool over() const { return closed != 0 || failed != 0; }

  std::vector<std::string> texts, pings;
  uint16_t closed = 0;
  uint16_t failed = 0;
};

// `seed` decides on the cuts; 0 makes none.
Outcome Parse(std::string_view bytes, uint32_t seed, WebSocketReader::Peer peer) {
  Outcome outcome;
  WebSocketReader reader(peer, kMessageBytes, outcome);
  while (!bytes.empty()) {
    seed = seed * 1664525U + (seed ? 1013904223U : 0U);
    const std::string_view piece = bytes.substr(0, seed ? 1 + (seed >> 24) % 40 : bytes.size());
    bytes.remove_prefix(piece.size());
    if (auto failure = reader.Feed(piece)) {
      Demand(!outcome.over() && !failure->reason.empty());
      outcome.failed = failure->code;
    }
  }
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  const auto peer = (data[0] & 1) != 0 ? WebSocketReader::Peer::kServer : WebSocketReader::Peer::kClient;

  const Outcome whole = Parse(bytes, 0, peer);
  const Outcome cut = Parse(bytes, data[0] + 1U, peer);
  Demand(whole.texts == cut.texts && whole.pings == cut.pings && whole.closed == cut.closed &&
         whole.failed == cut.failed);

  std::string masked;
  std::string plain;
  for (const std::string& text : whole.texts) {
    reeve::AppendMaskedFrame(masked, reeve::FrameType::kText, text, {data[0], 0x5a, 0, 0xff});
    reeve::AppendTextFrameHead(plain, text.size());
    plain += text;
  }
  for (const bool from_client : {true, false}) {
    const Outcome back = Parse(from_client ? masked : plain, data[0],
                               from_client ? WebSocketReader::Peer::kClient : WebSocketReader::Peer::kServer);
    Demand(back.texts == whole.texts && !back.over());
  }
  return 0;
}
