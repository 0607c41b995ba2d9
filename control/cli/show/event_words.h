// Words for events: the parts of a line, for EventPrinter and for views that show one line per agent. All
// text is Plain, and so safe on a terminal.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "orchestrator/json/json.h"

namespace reeve {

// An approval or elicitation that waits for a person, and its end.
bool IsRequest(std::string_view type);
bool IsAnswer(std::string_view type);
// "350 ms", "4.2 s", "3 min 2 s", "2 h 5 min".
std::string DurationWords(int64_t ms);
// Joins the parts that are not empty: "a · b".
std::string JoinWords(std::initializer_list<std::string> parts);
// "12,506 tokens in, 12 out, $0.1075"; empty if nothing was used.
std::string UsageWords(const JsonValue& usage);
// The most informative value of a tool's input, in one line: the command, the file, …
std::string PrincipalInput(const JsonValue& input);
// The whole input of a tool, in readable form; several lines.
std::string InputText(const JsonValue& input);
// The bytes of agent.output's data, without the line end that follows unless they are `partial`.
std::string OutputBytes(const JsonValue& data);
bool IsPartial(const JsonValue& data);
// A line of a program's output as a terminal would show it: without control sequences; of a line that
// overwrites itself (a progress bar), the last state.
std::string OutputLine(std::string_view bytes);
// Removes complete ECMA-48 control sequences.
std::string WithoutSequences(std::string_view text);
// The text of a string, the JSON of any other value; empty for null and for no value.
std::string TextOf(const JsonValue& value);
std::string PlainTextOf(const JsonValue& value);

// One line for an event about an agent, a workspace, a run, a message, an edit or a title; for an unknown
// type its name and data.
// `waited_ms`: the part of a run's time in which it waited for a person, which does not count.
std::string EventWords(const JsonValue& event, int64_t waited_ms = 0);

}  // namespace reeve
