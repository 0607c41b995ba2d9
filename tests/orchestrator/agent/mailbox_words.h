// MailboxWords: short words for tests of a Mailbox. The text of each message is two bytes long.
#pragma once

#include <cstdint>
#include <string>

#include "orchestrator/agent/mailbox.h"

namespace reeve {

class MailboxWords {
 public:
  explicit MailboxWords(bool has_turns) : box(has_turns) {}

  static Message Make(const std::string& id, Message::Mode mode = Message::Mode::kFollowUp,
                      int64_t run_at_ms = 0) {
    Message message;
    message.id = id;
    message.text = "hi";
    message.mode = mode;
    message.run_at_ms = run_at_ms;
    return message;
  }
  // Accepts a message, and lets it be on disk.
  void Put(const std::string& id, Message::Mode mode = Message::Mode::kFollowUp) {
    (void)box.Accept(Make(id, mode));
    box.Queue(id);
  }
  // One message in each stage, named by its first letter; "l" for the one whose time is later.
  void FillEveryStage() {
    Put("c");
    (void)box.Claim(1);
    (void)box.Accept(Make("s", Message::Mode::kSteer));
    box.Steer("s");
    Put("w");
    (void)box.Accept(Make("l", Message::Mode::kFollowUp, 1'000));
    box.Schedule("l");
    (void)box.Accept(Make("a"));
  }

  // As the API shows the queue: "m1:claimed m2:waiting".
  [[nodiscard]] std::string Stages() const {
    std::string all;
    for (const Mailbox::Entry* entry : box.All()) {
      all += (all.empty() ? "" : " ") + entry->message.id + ":" +
             Mailbox::kStages[static_cast<size_t>(entry->stage)];
    }
    return all;
  }
  [[nodiscard]] std::string Waiting() const {
    std::string all;
    for (const Mailbox::Entry* entry : box.All()) {
      if (entry->stage == Mailbox::Stage::kWaiting) all += (all.empty() ? "" : " ") + entry->message.id;
    }
    return all;
  }
  // Begins all that may begin, one after the other.
  std::string ClaimAll() {
    std::string all;
    while (const Message* message = box.Claim(1)) {
      const std::string id = message->id;
      all += (all.empty() ? "" : " ") + id;
      box.Remove(id);
    }
    return all;
  }

  Mailbox box;
};

}  // namespace reeve
