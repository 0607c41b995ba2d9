// What is said of events in words: the parts of a line, for EventPrinter and for whoever shows one line of an
// agent. All of it is Plain: safe on a terminal.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "orchestrator/json/json.h"

namespace reeve {

// "350 ms", "4.2 s", "3 min 2 s", "2 h 5 min".
std::string DurationWords(int64_t ms);
// Of those that are not empty: "a · b".
std::string JoinWords(std::initializer_list<std::string> parts);
// "12,506 tokens in, 12 out, $0.1075"; empty: nothing was used.
std::string UsageWords(const JsonValue& usage);
// The one thing of a tool's input that tells most in a line: the command, the file, …
std::string PrincipalInput(const JsonValue& input);
// All of a tool's input as a person reads it; several lines.
std::string InputText(const JsonValue& input);
// A line of a program, as a terminal would have shown it: without what would command that, and of a line
// that overwrites itself (a progress bar) the last.
std::string OutputLine(const JsonValue& data);
// Without ECMA-48 control sequences: they are whole, or stay.
std::string WithoutSequences(std::string_view text);
// A string's text, of everything else its JSON; empty where there is nothing.
std::string TextOf(const JsonValue& value);

// An event that one line says: of agents, workspaces, runs, messages, edits, titles; and of any type that
// nobody knows its name and data.
std::string EventWords(const JsonValue& event);

}  // namespace reeve
