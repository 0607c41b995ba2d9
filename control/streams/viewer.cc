#include "control/streams/viewer.h"

#include "control/streams/viewers.h"
#include "orchestrator/agent/agent.h"
#include "process/log.h"
#include "process/loop.h"

namespace reeve {

Viewer::Viewer(Viewers& hub, uint64_t token) : hub_(hub), stream_(hub.NextStream()), token_(token) {}

void Viewer::Drop() { hub_.Remove(*this); }

void Viewer::Enqueue() { hub_.Enqueue(*this); }

void Viewer::Block() {
  blocked_ = true;
  blocked_since_ms_ = hub_.loop().NowMs();
}

void Viewer::Unblock() {
  blocked_ = false;
  Enqueue();
}

void Viewer::OnLost(LogCursor& cursor, const Error& error) {
  log::Failure("closing a viewer of agent {}: {}", cursor.agent().id(), error.message);
  Drop();
}

void Viewer::ReadFailed(LogCursor& cursor, const Error& error) {
  if (error.code == "damaged" && cursor.SkipDamaged()) return;
  if (error.code != "cold") return OnLost(cursor, error);
  warming_.insert(&cursor);
  hub_.loop().Offload(
      cursor.log().Warm(cursor.position),
      [&hub = hub_, stream = stream_, place = &cursor] {
        if (Viewer* viewer = hub.Find(stream)) {
          viewer->warming_.erase(place);
          viewer->Enqueue();
        }
      },
      Loop::Loss::kHarmless);
}

}  // namespace reeve
