// For tests of operations without a whole daemon: a real town in a folder of its own, with the parts that
// handlers use. Operations that concern the daemon itself (health, drain, reload, upgrade) must not be run.
#pragma once

#include <memory>
#include <string>

#include "control/access/auth.h"
#include "control/access/idempotency.h"
#include "control/access/tokens.h"
#include "control/api/api.h"
#include "control/api/event_pages.h"
#include "control/api/waits.h"
#include "control/streams/exports.h"
#include "control/streams/viewers.h"
#include "orchestrator/adapters/kind_catalog.h"
#include "orchestrator/store/store.h"
#include "orchestrator/town.h"
#include "process/http_client.h"
#include "process/loop.h"
#include "process/reaper.h"
#include "tests/support/loop_fixture.h"
#include "tickets/ticket_store.h"

namespace reeve {

class TownApi {
 public:
  TownApi();
  ~TownApi();
  TownApi(const TownApi&) = delete;
  TownApi& operator=(const TownApi&) = delete;

  // Makes an agent by its spec (JSON), and waits until it has a process.
  Agent& MakeAgent(const std::string& spec, const std::string& connection = "");
  // Another town in place of this one, as after the death of the daemon.
  void Restart();

  Loop& loop() { return loop_; }
  Town& town() { return *town_; }
  Store& store() { return *store_; }
  Waits& waits() { return *waits_; }
  ApiContext& api() { return *api_; }

 private:
  void Open();

  TempDir dir_;
  SystemClock clock_;
  Loop loop_;
  Reaper reaper_{loop_};
  HttpClient http_{loop_};
  std::unique_ptr<Store> store_;
  std::unique_ptr<Town> town_;
  TicketStore tickets_{clock_};
  KindCatalog kinds_{loop_, reaper_, nullptr};
  std::unique_ptr<Viewers> viewers_;
  std::unique_ptr<Exports> exports_;
  std::unique_ptr<Waits> waits_;
  std::unique_ptr<EventPages> pages_;
  std::unique_ptr<Tokens> tokens_;
  std::unique_ptr<Gate> gate_;
  std::unique_ptr<ApiContext> api_;
};

}  // namespace reeve
