// Daemon: everything that `reeve serve` runs. It makes the parts in the order of their dependencies, connects
// them, and does the operations that concern all of them: drain, reload, upgrade.
//
// With a keeper (process/keeper/PROTOCOL.md), agents outlive it: it may die at any moment, and the next
// daemon continues from its checkpoints (KEEPER.md).
//
// Owned by the serve command; on the main thread, which runs the loop.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/access/auth.h"
#include "control/access/idempotency.h"
#include "control/access/tokens.h"
#include "control/api/api.h"
#include "control/api/event_pages.h"
#include "control/api/waits.h"
#include "control/gateway/gateway.h"
#include "control/http/router.h"
#include "control/http/server.h"
#include "control/live_config.h"
#include "control/mcp/mcp_server.h"
#include "control/streams/exports.h"
#include "control/streams/viewers.h"
#include "orchestrator/adapters/kind_catalog.h"
#include "orchestrator/config/config.h"
#include "orchestrator/handover/checkpoint.h"
#include "orchestrator/handover/crash_page.h"
#include "orchestrator/handover/handover.h"
#include "orchestrator/store/data_folder.h"
#include "orchestrator/store/store.h"
#include "orchestrator/town.h"
#include "process/cgroup.h"
#include "process/clock.h"
#include "process/fd.h"
#include "process/heap_trim.h"
#include "process/http_client.h"
#include "process/keeper_parent.h"
#include "process/loop.h"
#include "process/reaper.h"
#include "process/timer.h"
#include "tickets/ticket_store.h"

namespace reeve {

class Daemon {
 public:
  struct Options {
    std::string program;                 // the path from which this process was started
    std::vector<std::string> arguments;  // arguments of `serve`, without those that the keeper added
    bool names_config = false;           // `arguments` contain --config
    int keeper = -1;                     // descriptor that leads to the keeper; -1: there is none
  };

  // Locks the data folder, restores the agents, listens, and prints the addresses. If an earlier daemon of
  // this keeper has died, it adopts the running agents instead, and only logs a listener that fails, because
  // that is no reason to end running agents. `sources` name the file that `config` came from. On an error,
  // nothing remains.
  static Result<std::unique_ptr<Daemon>> Start(ConfigSources sources, const Config& config, Options options);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  // Serves until a drain has ended. TERM and INT drain, HUP reloads, USR2 upgrades. A second TERM or INT ends
  // the process at once.
  void Run();

  // Ends the agents, then the daemon, as TERM does. Without a time-out, drain_timeout applies. A repetition
  // changes nothing. `done`, which may be empty, is called before the listeners close, with one sentence for
  // each thing that did not finish.
  using Drained = std::function<void(const std::vector<std::string>& unfinished)>;
  void Drain(std::optional<int64_t> timeout_ms, Drained done);
  // Reads the configuration and the tokens again, as HUP does (LiveConfig::Reload).
  Result<ConfigChange> Reload() { return live_.Reload(); }
  // Continues as `binary`, as USR2 does. Empty: the file from which this daemon was started
  // (Handover::Begin).
  void Upgrade(const std::string& binary, Handover::Tried tried);

  [[nodiscard]] Server::Stats server_stats() const { return server_.stats(); }
  [[nodiscard]] int64_t started_ms() const { return started_ms_; }  // monotonic; the start of the first one
  [[nodiscard]] uint64_t handovers() const { return handovers_; }   // upgrades since then
  // Deaths of earlier daemons of this keeper; 0 without a keeper.
  [[nodiscard]] uint64_t restarts() const { return base_.keeper ? base_.keeper->link().restarts() : 0; }
  // How the last of them died; nothing if none did since an upgrade or the first start.
  [[nodiscard]] std::optional<KeeperLink::LastEnd> last_death() const {
    return base_.keeper ? base_.keeper->link().last_end() : std::nullopt;
  }
  // The last lines of its log.
  [[nodiscard]] std::string last_log() const { return base_.crash_page ? base_.crash_page->last_log() : ""; }
  // Why the last upgrade was abandoned. Empty if it was not.
  [[nodiscard]] const std::string& upgrade_failure() const { return handover_.failure(); }
  // Why runtime.json could not be written; empty: it is there.
  [[nodiscard]] const std::string& runtime_failure() const { return runtime_failure_; }

 private:
  // Resources that can fail to be acquired. They are acquired before anything else is made.
  struct Base {
    Fd lock;  // lock of the data folder
    Tokens tokens;
    std::unique_ptr<Loop> loop;
    std::unique_ptr<Reaper> reaper;
    std::unique_ptr<KeeperParent> keeper;   // null: agents end with this daemon
    std::unique_ptr<CrashPage> crash_page;  // with a keeper
    std::unique_ptr<CgroupRoot> cgroups;    // null: cgroups are not available
    std::unique_ptr<Store> store;
    bool follows = false;                 // an earlier daemon of the keeper
    std::vector<uint64_t> earlier_towns;  // keys of its checkpoints
  };
  Daemon(ConfigSources sources, const Config& config, Options options, Base base,
         const HandoverState& earlier);

  static Result<Base> MakeBase(const Config& config, int keeper);
  static Result<Fd> Lock(const Config& config, KeeperParent* keeper);
  // The town's state of the earlier daemon of this keeper.
  static Result<HandoverState> ReadEarlier(Base& base);
  static bool Became(const Base& base, const HandoverState& earlier);
  [[nodiscard]] ProcessParent& parent() {
    return base_.keeper ? static_cast<ProcessParent&>(*base_.keeper) : *base_.reaper;
  }
  [[nodiscard]] Town::Options TownOptions();
  [[nodiscard]] Handover::Parts HandoverParts();
  Status BringBack(HandoverState& earlier);
  Status Listen(const std::vector<ListenerState>& inherited);
  // The end of a turn: commits what the agents did, then the town.
  void CommitTurn();
  Status CommitTown();
  Status Become(const std::string& binary);
  // Writes runtime.json, and tries again until it is there.
  void WriteRuntime();
  void ForgetToken(uint64_t token);
  void OnStopSignal();
  void OnDrained(std::vector<std::string> unfinished);
  [[nodiscard]] HandoverState Save();
  [[nodiscard]] std::vector<std::string> NextArguments() const;

  const Options options_;
  const Config config_;  // at the start; live_ has the current one
  const uint64_t handovers_;
  std::string becoming_;  // see HandoverState
  SystemClock clock_{};
  const int64_t started_ms_;
  Base base_;
  HttpClient http_;
  Town town_;
  KindCatalog kinds_;
  TicketStore tickets_;
  Viewers viewers_;
  Exports exports_;
  Waits waits_;
  EventPages pages_;
  Gate gate_;
  LiveConfig live_;
  Idempotency idempotency_;
  ApiContext api_;
  Router router_;
  Gateway gateway_;
  McpServer mcp_;
  std::optional<Checkpoint> checkpoint_;  // of the town, with a keeper
  uint64_t saved_changes_ = 0;            // TicketStore::changes() of the checkpoint
  const bool serving_;                    // made before the server, whose answers leave after this step
  Server server_;
  Handover handover_;

  HeapTrim heap_trim_;

  bool asked_to_stop_ = false;
  std::vector<Drained> want_to_know_;                   // callers that wait for the result of the drain
  std::optional<std::vector<std::string>> unfinished_;  // result of the drain, once it has ended
  RuntimeFile runtime_;
  std::string runtime_failure_;
  Timer runtime_retry_;
  Timer last_step_;  // ends the daemon even if a connection does not end
};

}  // namespace reeve
