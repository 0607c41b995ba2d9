// The types of the events in an agent's log: the words of control/api/API.md, which says what each one's data
// holds. They are a contract: a type never changes its name or its meaning. Programs ignore types that they
// do not know.
#pragma once

#include <string_view>

namespace reeve::event_type {

using Type = std::string_view;

// --- the process of the agent
inline constexpr Type kAgentStarting = "agent.starting";      // its process was made
inline constexpr Type kAgentReady = "agent.ready";            // the process takes prompts
inline constexpr Type kAgentStopping = "agent.stopping";      // the process is being ended
inline constexpr Type kAgentRestarting = "agent.restarting";  // another process is started after a delay
inline constexpr Type kAgentExited = "agent.exited";          // the process has ended, all its output is read
inline constexpr Type kAgentFailed = "agent.failed";          // there is no process, and none will be started
inline constexpr Type kAgentStalled = "agent.stalled";        // nothing was heard for too long in a run
inline constexpr Type kAgentResumed = "agent.resumed";        // a stalled agent was heard again
inline constexpr Type kAgentUpdated = "agent.updated";        // its spec was changed, or it was deleted
inline constexpr Type kAgentOutput = "agent.output";          // a line that is no other event
inline constexpr Type kAgentError = "agent.error";            // something went wrong; the agent may go on
inline constexpr Type kProcessKilled = "process.killed";  // a caller sent a signal to one of its processes

// --- its workspace
inline constexpr Type kWorkspaceProgress = "workspace.progress";    // it is being made
inline constexpr Type kWorkspaceReady = "workspace.ready";          // it is made
inline constexpr Type kWorkspaceContinued = "workspace.continued";  // it was made from saved work
inline constexpr Type kWorkspaceSaved = "workspace.saved";          // uncommitted work in it was committed

// --- messages
inline constexpr Type kMessageQueued = "message.queued";        // it waits, or is scheduled
inline constexpr Type kMessageStarted = "message.started";      // it began a run
inline constexpr Type kMessageDone = "message.done";            // it has ended, as its run did
inline constexpr Type kMessageCancelled = "message.cancelled";  // it never began
inline constexpr Type kUserMessage = "user.message";            // the text that the agent was given

// --- runs. One of the last three ends each run, after all of its other events.
inline constexpr Type kRunStarted = "run.started";      // the number of this event is the run's number
inline constexpr Type kRunCompleted = "run.completed";  // the agent completed its turn
inline constexpr Type kRunFailed = "run.failed";        // it ended with an error
inline constexpr Type kRunCancelled = "run.cancelled";  // somebody wanted it to end

// --- what the agent says. A message gives the whole text of the deltas before it.
inline constexpr Type kAssistantDelta = "assistant.delta";
inline constexpr Type kAssistantMessage = "assistant.message";
inline constexpr Type kReasoningDelta = "reasoning.delta";
inline constexpr Type kReasoningMessage = "reasoning.message";

// --- what the agent does
inline constexpr Type kToolStarted = "tool.started";      // a tool was called
inline constexpr Type kToolOutput = "tool.output";        // more of the call's output
inline constexpr Type kToolCompleted = "tool.completed";  // the call has ended, with all of its output
inline constexpr Type kToolFailed = "tool.failed";        // the call has ended with an error
inline constexpr Type kFileEdited = "file.edited";        // a file was changed
inline constexpr Type kPlanUpdated = "plan.updated";      // its plan is now this
inline constexpr Type kTitleUpdated = "title.updated";    // its session has this title
inline constexpr Type kUsageUpdated = "usage.updated";    // tokens and cost of the present run so far
inline constexpr Type kSubagentStarted = "subagent.started";
inline constexpr Type kSubagentCompleted = "subagent.completed";

// --- questions to a person
inline constexpr Type kApprovalRequested = "approval.requested";        // may it use this tool
inline constexpr Type kApprovalResolved = "approval.resolved";          // the one decision on it
inline constexpr Type kElicitationRequested = "elicitation.requested";  // it wants to know something
inline constexpr Type kElicitationResolved = "elicitation.resolved";    // the one answer to it

inline constexpr Type kAll[] = {
    kAgentStarting,    kAgentReady,           kAgentStopping,       kAgentRestarting,   kAgentExited,
    kAgentFailed,      kAgentStalled,         kAgentResumed,        kAgentUpdated,      kAgentOutput,
    kAgentError,       kProcessKilled,        kWorkspaceProgress,   kWorkspaceReady,    kWorkspaceContinued,
    kWorkspaceSaved,   kMessageQueued,        kMessageStarted,      kMessageDone,       kMessageCancelled,
    kUserMessage,      kRunStarted,           kRunCompleted,        kRunFailed,         kRunCancelled,
    kAssistantDelta,   kAssistantMessage,     kReasoningDelta,      kReasoningMessage,  kToolStarted,
    kToolOutput,       kToolCompleted,        kToolFailed,          kFileEdited,        kPlanUpdated,
    kTitleUpdated,     kUsageUpdated,         kSubagentStarted,     kSubagentCompleted, kApprovalRequested,
    kApprovalResolved, kElicitationRequested, kElicitationResolved,
};

// The types that a program of kind jsonl may use for its own events, also others than the above. Only the
// daemon emits the rest, so that a program cannot forge them.
constexpr bool IsContent(Type type) {
  for (const Type family : {"assistant.", "reasoning.", "tool.", "file.", "plan.", "usage.", "title."}) {
    if (type.substr(0, family.size()) == family) return true;
  }
  return false;
}

constexpr bool EndsRun(Type type) {
  return type == kRunCompleted || type == kRunFailed || type == kRunCancelled;
}

}  // namespace reeve::event_type
