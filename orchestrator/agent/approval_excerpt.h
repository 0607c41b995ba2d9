// A short form of a question to a person, for lists and for the record of a question that is too large to
// keep.
#pragma once

#include "orchestrator/agent/approvals.h"

namespace reeve {

// The bytes that the question keeps in memory while it waits for a person.
size_t BytesOf(const ApprovalRequest& request);

// At most some 8 KiB of the question. The strings of its input and its message are cut to 1 KiB, members that
// do not fit are left out, and the schema of a large elicitation is empty. A small question stays as it is.
struct ApprovalExcerpt {
  PendingApproval approval;
  bool cut = false;
};
ApprovalExcerpt ExcerptOf(const PendingApproval& pending);

}  // namespace reeve
